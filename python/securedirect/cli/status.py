# SPDX-License-Identifier: Apache-2.0
"""``securedirect status``: what a running director does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from securedirect.api.client import ask, find_socket
from securedirect.cli.options import json_option, socket_option
from securedirect.daemon.cleared import in_words, reasons_in_words


@click.command(
    epilog="""\b
Examples:
  securedirect status
  securedirect status --json | jq .counters.drops
  securedirect status --socket /run/securedirect/control.sock"""
)
@socket_option
@json_option
def command(socket: Path | None, as_json: bool) -> None:
    """Show what a running director does: servers, honeypots, rules, counters."""
    status = ask(find_socket(socket), "status")
    print(json.dumps(status, indent=2) if as_json else overview(status))


def overview(status: dict[str, Any]) -> str:
    """The status for a person to read."""
    director, pids, inspector = status["director"], status["pids"], status["inspector"]
    rules, counters = status["rules"], status["counters"]
    lines = [
        f"SecureDirect {status['version']}: {status['state']} {director['vip']} "
        f"on {director['interface']} ({director['xdp']} XDP), up {_duration(status['uptime_s'])}",
        "",
        f"  supervisor  process {pids['supervisor']}",
        f"  inspector   {inspector['state']}"
        + (f", process {pids['inspector']}" if pids["inspector"] else "")
        + (
            f", restarted {inspector['restarts']} times (last: {inspector['last_exit']})"
            if inspector["restarts"]
            else ""
        ),
        f"  rules       {rules['loaded']} loaded: {rules['divert']} divert, {rules['score']} score,"
        f" {rules['alert']} alert"
        + (f" (reloaded {rules['generation'] - 1} times)" if rules.get("generation", 1) > 1 else ""),
        f"  attackers   {status['attackers']} marked sources",
        f"  listed      {status['listed_networks']:,} networks on rules' lists of addresses",
        f"  held        {_held(status['held'])}",
        f"  cleared     {in_words(status['clearing'])}",
        *(f"              {line}" for line in reasons_in_words(status["clearing"])),
        "",
    ]
    width = max(len(service["name"]) for service in status["services"])
    lines.append("  services")
    for service in status["services"]:
        only = ", observes only" if service["mode"] == "observe" else ""
        lines.append(
            f"    {service['name']:<{width}}  port {service['port']:<5}  {service['protocol']},"
            f" handoff {service['handoff']}, {service['rules']['loaded']} rules{only}"
        )
    machines = status["servers"] + status["honeypots"]
    width = max((len(machine["name"]) for machine in machines), default=0)
    for title, group in (("servers", status["servers"]), ("honeypots", status["honeypots"])):
        lines.append(f"  {title}")
        for machine in group:
            detail = machine["reason"] or machine["mac"] or ""
            lines.append(
                f"    {machine['name']:<{width}}  {machine['address']:<15}  {machine['state']:<6}  {detail}"
            )
        if not group:
            lines.append("    none")
    lines += ["", "  counters"]
    plain = {name: value for name, value in counters.items() if name != "drops"}
    shown = {**plain, **{f"dropped: {reason}": count for reason, count in counters["drops"].items() if count}}
    width = max(len(name) for name in shown)
    lines += [f"    {name.replace('_', ' '):<{width}}  {value:>12,}" for name, value in shown.items()]
    if status["warnings"]:
        lines += ["", *(f"  warning: {warning}" for warning in status["warnings"])]
    return "\n".join(lines)


def _held(held: dict[str, Any]) -> str:
    if not held["requests"]:
        return "no request so far"
    half, most = ("longer" if at is None else f"up to {at:,} µs" for at in (held["p50_us"], held["p99_us"]))
    return f"requests for {half} (half of them), {most} (99 %)"


def _duration(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hour:02}:{minute:02}:{second:02}"
