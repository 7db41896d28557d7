# SPDX-License-Identifier: Apache-2.0
"""``securedirect rules``: check rule files and say what becomes of every rule; explain one."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from securedirect.cli.options import dialect_option, json_option
from securedirect.cli.rules_report import change as set_command
from securedirect.cli.rules_report import report as report_command
from securedirect.errors import EXIT_CONFIG, EXIT_FAILURE
from securedirect.rules import DEFAULT_RULES, RuleEntry, RuleReport, load_rule_files
from securedirect.rules.builtin import GID, PREFIX, builtin_rules
from securedirect.rules.compile import STATUSES
from securedirect.rules.describe import describe
from securedirect.rules.policy import SCORE_BITS
from securedirect.rules.standing import DIVERT_BITS
from securedirect.rules.technologies import unknown

_TITLES = {
    "loaded": "loaded",
    "not_applicable": "not applicable",
    "unsupported": "unsupported",
    "broken": "broken",
    "disabled": "disabled",
}
_SHOWN_REASONS = 12


@click.group("rules", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Check and explain the rules that decide which requests are attacks, and change what they do.

    SecureDirect reads unmodified rule files of Snort 2, Snort 3 and Suricata.
    """


command.add_command(report_command)
command.add_command(set_command)


@command.command("check")
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@dialect_option
@click.option(
    "--technologies",
    metavar="A,B,...",
    help="Products the site runs, for example php,wordpress: rules for other products are switched off.",
)
@click.option("--include-disabled", is_flag=True, help="Load rules that are commented out with '#', too.")
@json_option
def check(
    files: tuple[Path, ...], dialect: str, technologies: str | None, include_disabled: bool, as_json: bool
) -> None:
    """Read rule files and say what becomes of every rule in them.

    Without FILE the rules that SecureDirect ships are checked. Every rule ends as exactly one of:

    \b
      loaded          judged on requests; its action is divert, score, alert or off
      not applicable  concerns other traffic: answers of the server, other protocols,
                      connections of the site's own machines
      unsupported     uses an option that this version cannot judge (named)
      broken          is no correct rule (the place is shown)
      disabled        commented out by its author

    Changes nothing. Exit status: 0 when no rule is broken, 78 when one is or a file cannot be read.

    \b
    Examples:
      securedirect rules check web-*.rules
      securedirect rules check --json community.rules | jq .loaded
    """
    report = _report(files, dialect, technologies, include_disabled)
    click.echo(_json(report) if as_json else _table(report))
    sys.exit(EXIT_CONFIG if report.counts["broken"] else 0)


class _RuleNumber(click.ParamType[tuple[int | None, int]]):
    """``SID`` or ``GID:SID``."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int | None, int]:
        """The gid (None: any) and the sid."""
        gid, colon, sid = str(value).rpartition(":")
        if not sid.isdecimal() or (colon and not gid.isdecimal()):
            self.fail(f"{value!r} is no rule: write 1054 or 1000000:30", param, ctx)
        return int(gid) if colon else None, int(sid)


@command.command("explain", short_help="Say what a rule matches, what a match does, and why.")
@click.argument("sid", metavar="[GID:]SID", type=_RuleNumber())
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@dialect_option
@click.option("--technologies", metavar="A,B,...", help="Products the site runs, as for check.")
@click.option("--include-disabled", is_flag=True, help="Look at rules that are commented out, too.")
@json_option
def explain(
    sid: tuple[int | None, int],
    files: tuple[Path, ...],
    dialect: str,
    technologies: str | None,
    include_disabled: bool,
    as_json: bool,
) -> None:
    """Say what the rule SID matches, what a match does, and which line of the policy decided that.

    Without FILE the rules that SecureDirect ships are searched; GID 1000000 means the built-in rules. Changes
    nothing. Exit status: 0, or 1 when no
    rule has this sid.

    \b
    Examples:
      securedirect rules explain 1054 web-*.rules
      securedirect rules explain 1000000:30
    """
    gid, number = sid
    if gid == GID:
        _explain_builtin(number, as_json)
        return
    report = _report(files, dialect, technologies, include_disabled)
    entries = [entry for entry in report.entries if entry.sid == number and gid in (None, entry.gid)]
    if not entries:
        named = number if gid is None else f"{gid}:{number}"
        click.echo(f"no rule has the sid {named} in these files", err=True)
        sys.exit(EXIT_FAILURE)
    loaded = {
        (rule["gid"], Path(rule["file"]).name, rule["line"]): rule
        for rule in json.loads(report.document)["rules"]
        if rule["sid"] == number
    }
    found = [(entry, loaded.get((entry.gid, Path(entry.file).name, entry.line))) for entry in entries]
    if as_json:
        rules = [{**_entry(entry), "tests": describe(rule) if rule else []} for entry, rule in found]
        click.echo(json.dumps({"sid": number, "rules": rules}, indent=1))
        return
    click.echo("\n\n".join(_explained(entry, rule) for entry, rule in found))


def _explain_builtin(sid: int, as_json: bool) -> None:
    one = builtin_rules().get(sid)
    if one is None:
        click.echo(f"there is no built-in rule {sid}; docs/operator.md lists them", err=True)
        sys.exit(EXIT_FAILURE)
    if as_json:
        rule = {"gid": one.gid, "sid": one.sid, "msg": one.msg, "action": one.action, "means": one.meaning}
        click.echo(json.dumps({"sid": sid, "rules": [rule]}, indent=1))
        return
    other = "alert" if one.action != "alert" else "divert"
    click.echo(f"{one.gid}:{one.sid} {one.msg}")
    click.echo(f"  built in: {one.meaning}")
    click.echo("  a match: " + ("off: seen, but not reported" if one.action == "off" else one.action))
    if one.configurable:
        click.echo(f'  another action: "{PREFIX}{sid}" = "{other}" in [rules.actions] or [service.actions]')


def _report(
    files: Sequence[Path], dialect: str, technologies: str | None, include_disabled: bool
) -> RuleReport:
    named = None if technologies is None else [name for name in technologies.split(",") if name.strip()]
    for warning in unknown(named or ()):
        click.echo(f"warning: {warning}", err=True)
    return load_rule_files(
        files or (DEFAULT_RULES,),
        dialect=dialect,  # type: ignore[arg-type]  # click has checked it
        service_ports=None,
        technologies=named,
        include_disabled=include_disabled,
    )


def _explained(entry: RuleEntry, rule: dict[str, Any] | None) -> str:
    lines = [
        f"{entry.gid}:{entry.sid}:{entry.rev} {entry.msg}",
        f"  {entry.file}:{entry.line}, read as {entry.dialect}",
        f"  {_TITLES[entry.status]}" + (f": {entry.reason}" if entry.reason else ""),
    ]
    if entry.action:
        lines.append(f"  a match: {entry.action} ({entry.decided_by})")
    if entry.measure:
        limits = f"{DIVERT_BITS:g} divert, {SCORE_BITS:g} score"
        lines.append(
            f"  specific: about one of 2^{entry.measure.bits:.1f} ordinary requests matches ({limits})"
        )
        lines += [f"    {bits:5.1f} bits  {what}" for what, bits in entry.measure.parts]
    if rule:
        ports = rule["dst_ports"]
        if ports:
            lines.append("  sent to port " + ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ports))
        lines.append("  matches when all of this holds:")
        lines += [f"    {text}" for text in describe(rule)]
    return "\n".join(lines)


def _json(report: RuleReport) -> str:
    return json.dumps({**report.counts, "rules": [_entry(entry) for entry in report.entries]}, indent=1)


def _entry(entry: RuleEntry) -> dict[str, Any]:
    return {
        "file": entry.file,
        "line": entry.line,
        "column": entry.column,
        "gid": entry.gid,
        "sid": entry.sid,
        "rev": entry.rev,
        "msg": entry.msg,
        "status": entry.status,
        "reason": entry.reason,
        "action": entry.action or None,
        "decided_by": entry.decided_by or None,
        "specific_bits": round(entry.measure.bits, 2) if entry.measure else None,
        "classtype": entry.classtype,
        "dialect": entry.dialect,
    }


def _table(report: RuleReport) -> str:
    lines = [*_per_file(report.entries), *_actions(report.entries)]
    for status in ("not_applicable", "unsupported"):
        chosen = [entry for entry in report.entries if entry.status == status]
        if chosen:
            lines += ["", f"{_TITLES[status]} ({len(chosen)}), by reason:"]
            lines += _reasons(chosen)
    broken = [entry for entry in report.entries if entry.status == "broken"]
    if broken:
        lines += ["", f"broken ({len(broken)}):"]
        for entry in broken:
            lines += _place(entry)
    return "\n".join(lines)


def _per_file(entries: Iterable[RuleEntry]) -> list[str]:
    files: dict[str, Counter[str]] = {}
    dialects: dict[str, str] = {}
    for entry in entries:
        files.setdefault(entry.file, Counter())[entry.status] += 1
        dialects[entry.file] = entry.dialect
    rows = [[_shortened(file), dialects[file], *(str(n[s]) for s in STATUSES)] for file, n in files.items()]
    total = sum(files.values(), Counter())
    if len(rows) != 1:
        rows.append(["total", "", *(str(total[s]) for s in STATUSES)])
    return _columns(["file", "dialect", *(_TITLES[s] for s in STATUSES)], rows)


def _actions(entries: Iterable[RuleEntry]) -> list[str]:
    loaded = [entry for entry in entries if entry.status == "loaded"]
    counted = Counter(entry.action for entry in loaded)
    said = ", ".join(f"{counted[action]} {action}" for action in ("divert", "score", "alert", "off"))
    lines = ["", f"loaded rules: {said}"]
    elsewhere = sum(1 for entry in loaded if entry.reason)
    if elsewhere:
        lines.append(f"{elsewhere} of them are judged on services at certain ports only")
    return lines


def _reasons(entries: Iterable[RuleEntry]) -> list[str]:
    counted = Counter(reason for entry in entries for reason in entry.reason.split("; "))
    lines = [f"  {number:6}  {reason}" for reason, number in counted.most_common(_SHOWN_REASONS)]
    if len(counted) > _SHOWN_REASONS:
        rest = len(counted) - _SHOWN_REASONS
        lines.append(f"          and {rest} other reasons: --json names the reason of every rule")
    return lines


def _place(entry: RuleEntry) -> list[str]:
    """Message, the faulty line around its column with a caret below, and the hint."""
    width, before = 96, 60
    first = max(0, entry.column - 1 - before)
    shown = entry.source.replace("\t", " ")[first : first + width]
    lines = [f"  {entry.file}:{entry.line}:{entry.column}: {entry.reason}"]
    lines += [f"      {shown}", "      " + " " * (entry.column - 1 - first) + "^"]
    if entry.hint:
        lines.append(f"      hint: {entry.hint}")
    return lines


def _shortened(file: str) -> str:
    return file if len(file) <= 48 else "..." + file[-45:]


def _columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[index]) for row in [heads, *rows]) for index in range(len(heads))]
    lines = []
    for row in [heads, *rows]:
        cells = [
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
