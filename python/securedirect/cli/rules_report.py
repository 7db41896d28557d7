# SPDX-License-Identifier: Apache-2.0
"""``securedirect rules report`` and ``rules set``: what rules did, and to change what they do."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from securedirect.cli.options import config_option, json_option
from securedirect.config import Config, load_config
from securedirect.config.edit import override_line, write_override
from securedirect.config.model import RuleAction
from securedirect.daemon.rulesets import load_rulesets
from securedirect.errors import ConfigError, HostError
from securedirect.events.summary import Seen, summarise
from securedirect.rules import RuleEntry

_SHOWN = 72


@click.command("report", short_help="Say for each rule whom it diverted, or would have.")
@click.argument("files", metavar="[EVE]...", nargs=-1, type=click.Path(path_type=Path))
@config_option
@click.option("--all", "everything", is_flag=True, help="Show rules that were only told of, too.")
@json_option
def report(files: tuple[Path, ...], path: Path, everything: bool, as_json: bool) -> None:
    """Say for each rule whom it diverted, or would have diverted while only observing.

    Reads the event log: EVE files, also compressed with gzip, by default the configuration's. Each rule comes
    with the number of requests that it diverted, would have diverted or scored, with that of their different
    sources, the line of the policy that decides about it now, and one request. Changes nothing.

    \b
    Examples:
      securedirect rules report
      securedirect rules report --json eve.json.1.gz eve.json | jq '.rules[0]'
      securedirect rules set 1365 alert --write
    """
    config: Config | None = None
    entries: dict[tuple[str, int, int], RuleEntry] = {}
    try:
        config = load_config(path)
        rulesets = load_rulesets(config)
        for service, one in zip(rulesets.services, rulesets.reports, strict=True):
            entries |= {(service.name, entry.gid, entry.sid): entry for entry in one.entries}
    except ConfigError:
        if not files:
            raise  # the log's place is in it
    if not files:
        assert config is not None
        files = (config.events.eve,)
    seen, wrong = summarise(_lines(files))
    found = [(one, _entry(entries, one)) for one in seen]
    if as_json:
        click.echo(
            json.dumps({"rules": [_object(*pair) for pair in found], "lines_refused": wrong}, indent=1)
        )
        return
    chosen = [pair for pair in found if everything or pair[0].requests > pair[0].alerted]
    if not chosen:
        click.echo("no rule diverted, would have diverted or scored")
    for pair in chosen:
        click.echo("\n".join(_text(*pair)))
    if hidden := len(found) - len(chosen):
        click.echo(f"{hidden} rules were only told of: --all shows them")
    if wrong:
        click.echo(f"{wrong} lines are no events", err=True)


@click.command("set", short_help="Change what a rule does: the line for the configuration.")
@click.argument("sid", type=click.IntRange(1))
@click.argument("action", type=click.Choice(get_args(RuleAction)))
@config_option
@click.option("--write", is_flag=True, help="Put it into the configuration; what it was stays as .bak.")
def change(sid: int, action: str, path: Path, write: bool) -> None:
    """Say which line of the configuration makes the rule SID divert, score or alert, or switches it off.

    With --write the line is put into [rules.actions], for all services, unless the file would be wrong
    then. It holds from the next `securedirect reload` on.

    \b
    Examples:
      securedirect rules set 1365 alert            (mute it: tell only)
      securedirect rules set 2013028 divert --write
    """
    selector = f"sid:{sid}"
    if not write:
        click.echo(f"[rules.actions]\n{override_line(selector, action)}")
        return
    try:
        backup = write_override(path, selector, action)
    except OSError as error:
        raise HostError(
            f"cannot write {path}: {error.strerror}", "run it as the owner of the configuration"
        ) from None
    click.echo(f"{path}: {override_line(selector, action)} (before: {backup})")
    click.echo("securedirect reload makes it hold")


def _lines(files: Sequence[Path]) -> Iterator[bytes]:
    for path in files:
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                yield from file
        except (OSError, EOFError, zlib.error) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise HostError(f"cannot read {path}: {why}", "name the event log (EVE)") from None


def _entry(entries: Mapping[tuple[str, int, int], RuleEntry], seen: Seen) -> RuleEntry | None:
    return next(
        (
            entry
            for (service, gid, sid), entry in entries.items()
            if (gid, sid) == (seen.gid, seen.sid) and seen.service in ("", service)
        ),
        None,
    )


def _object(seen: Seen, entry: RuleEntry | None) -> dict[str, Any]:
    return {
        "gid": seen.gid,
        "sid": seen.sid,
        "service": seen.service or None,
        "signature": seen.signature,
        "diverted": seen.diverted,
        "would_divert": seen.would_divert,
        "scored": seen.scored,
        "alerted": seen.alerted,
        "sources": len(seen.sources),
        "first": seen.first,
        "last": seen.last,
        "example": seen.example,
        "action": entry.action or None if entry else None,
        "decided_by": entry.decided_by or None if entry else None,
        "specific_bits": round(entry.measure.bits, 2) if entry and entry.measure else None,
    }


def _text(seen: Seen, entry: RuleEntry | None) -> list[str]:
    counts = (
        ("diverted", seen.diverted),
        ("would have been diverted", seen.would_divert),
        ("scored", seen.scored),
        ("only told of", seen.alerted),
    )
    said = ", ".join(f"{number} {what}" for what, number in counts if number)
    sources = f"{len(seen.sources)} source" + ("s" if len(seen.sources) != 1 else "")
    where = f" on {seen.service}" if seen.service else ""
    lines = [f"{seen.gid}:{seen.sid}{where}  {seen.signature}", f"    requests: {said}; of {sources}"]
    if entry and entry.action:
        lines.append(f"    now: {entry.action} ({entry.decided_by})")
    if seen.example:
        lines.append(f"    such as: {seen.example[:_SHOWN]}" + ("..." if len(seen.example) > _SHOWN else ""))
    return lines
