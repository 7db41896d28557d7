# SPDX-License-Identifier: Apache-2.0
"""``securedirect check``: configuration, rules and host, without changing anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, get_args

import click

from securedirect.cli.options import config_option, json_option
from securedirect.config import Config, examine
from securedirect.config.load import key_warning
from securedirect.errors import EXIT_CONFIG, EXIT_OK, ConfigError, HostError
from securedirect.rules.policy import Action


@click.command(
    epilog="""\b
Examples:
  securedirect check -c securedirect.toml
  securedirect check -c securedirect.toml --no-host    (on another machine than the director)

Exit status: 0 all is well, 78 configuration or rules are wrong, 69, 77 or 1 the host lacks something."""
)
@config_option
@click.option(
    "--host/--no-host", default=True, help="Look at this host, too (interface, kernel, capabilities)."
)
@json_option
def command(path: Path, host: bool, as_json: bool) -> None:
    """Check a configuration, its rules and this host without changing anything.

    All mistakes in the file are listed, each with its place and a remedy.
    """
    config, problems = examine(path)
    rules: dict[str, Any] | None = None
    warnings: list[str] = []
    host_problem: HostError | None = None
    if config is not None:
        try:
            rules = _rules(config, warnings)
        except ConfigError as error:
            problems.append(error)
        if config.adopts and (advice := key_warning(config.handoff.key_file)):
            warnings.append(advice)
        if config.inspector.mode == "off":
            warnings.append("inspector.mode is off: nothing is judged, attacks reach the servers")
        several = len(config.services) > 1
        for service in config.services:
            of = f" of {service.name}" if several else ""
            if service.mode == "observe":
                warnings.append(f"the mode{of} is observe: attacks are reported, and reach the servers")
            if not service.honeypots:
                warnings.append(f"there is no honeypot{of}: attackers' traffic is dropped")
        if host:
            host_problem = _host(config)
    status = EXIT_CONFIG if problems else host_problem.exit_code if host_problem else EXIT_OK
    if as_json:
        print(json.dumps(_as_json(path, config, problems, rules, warnings, host_problem, host), indent=2))
        sys.exit(status)
    for problem in problems:
        print(f"{problem}", file=sys.stderr)
    if host_problem:
        print(f"host: {host_problem}", file=sys.stderr)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if status == EXIT_OK:
        assert config is not None and rules is not None
        print(_summary(path, config, rules, host))
    sys.exit(status)


def _rules(config: Config, warnings: list[str]) -> dict[str, Any]:
    from securedirect.daemon.rulesets import load_rulesets

    rules = load_rulesets(config)
    for override in rules.unused_overrides():
        warnings.append(f'rules.actions: "{override}" meets no rule')
    warnings += rules.warnings()
    return {
        **rules.described_together(),
        "services": dict(zip((one.name for one in rules.services), rules.described(), strict=True)),
    }


def _host(config: Config) -> HostError | None:
    from securedirect.daemon.host import check_director
    from securedirect.daemon.kernel import load_extension

    try:
        check_director(config)
        load_extension()
    except HostError as error:
        return error
    return None


def _as_json(
    path: Path,
    config: Config | None,
    problems: list[ConfigError],
    rules: dict[str, Any] | None,
    warnings: list[str],
    host_problem: HostError | None,
    host: bool,
) -> dict[str, Any]:
    return {
        "ok": not problems and host_problem is None,
        "file": str(path),
        "problems": [
            {"file": p.file, "line": p.line, "column": p.column, "message": p.message, "hint": p.hint}
            for p in problems
        ],
        "host": None
        if not host or config is None
        else {"ok": host_problem is None}
        | ({"message": host_problem.message, "hint": host_problem.hint} if host_problem else {}),
        "warnings": warnings,
        "rules": rules,
        "config": config.model_dump(mode="json") if config is not None else None,
    }


def _summary(path: Path, config: Config, rules: dict[str, Any], host: bool) -> str:
    director = config.director
    lines = [f"{path}: all is well" + ("" if host else " (this host was not looked at)")]
    for service in config.services:
        counts = rules["services"][service.name]
        servers = ", ".join(f"{machine.name} {machine.address}" for machine in service.servers)
        honeypots = ", ".join(f"{machine.name} {machine.address}" for machine in service.honeypots) or "none"
        lost = [
            f"{counts[status]} {status.replace('_', ' ')}"
            for status in ("not_applicable", "unsupported", "disabled")
            if counts[status]
        ]
        actions = ", ".join(f"{counts[action]} {action}" for action in get_args(Action))
        lines += [
            f"  service    {service.name}: {director.vip}:{service.port} on {director.interface}"
            f" ({service.protocol})",
            f"  servers    {servers}",
            f"  honeypots  {honeypots} ({service.handoff})",
            f"  rules      {counts['loaded']} loaded: {actions}" + (f"; {', '.join(lost)}" if lost else ""),
        ]
    lines.append(f"  events     {config.events.eve}")
    return "\n".join(lines)
