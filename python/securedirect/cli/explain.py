# SPDX-License-Identifier: Apache-2.0
"""``securedirect explain``: why a request is an attack, or is not."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from securedirect.cli.options import json_option, rule_options
from securedirect.errors import EXIT_FAILURE, HostError

if TYPE_CHECKING:
    from securedirect.replay.explain import Explanation, Outcome

_MAX_REQUEST = 64 * 1024 * 1024


@click.command(
    epilog="""\b
Examples:
  printf 'GET /cgi-bin/phf?x HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' | securedirect explain --rules web.rules
  securedirect explain request.bin --rules web.rules --sid 886"""
)
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@rule_options
@click.option("--http-port", "port", type=click.IntRange(1, 65535), default=80, show_default=True)
@click.option("--sid", type=click.IntRange(0), help="Explain the rules with this sid only.")
@json_option
def command(
    file: Path | None, rules: tuple[Path, ...], dialect: Any, port: int, sid: int | None, as_json: bool
) -> None:
    """Say which rules match one raw HTTP request, and where, and at which option other candidates fail.

    The request is read from FILE, or from standard input (no FILE, or -): the very bytes, head and body. A
    candidate is a rule whose most specific content is in the request. Rules that look at packets (dsize,
    flags) are not judged; see securedirect replay. Exit status: 0, or 1 when no rule has the sid asked for.
    """
    from securedirect.replay.explain import UnknownSidError, explain_request
    from securedirect.rules import DEFAULT_RULES, RuleService, load_rule_files

    request = _read(file)
    report = load_rule_files(rules or (DEFAULT_RULES,), dialect=dialect, service=RuleService(port=port))
    report.raise_if_broken()
    try:
        result = explain_request(report, request, port=port, sid=sid)
    except UnknownSidError:
        click.echo(f"no rule has the sid {sid} in these files", err=True)
        sys.exit(EXIT_FAILURE)
    print(json.dumps(asdict(result), indent=2) if as_json else _overview(result))


def _read(file: Path | None) -> bytes:
    try:
        with sys.stdin.buffer if file is None or str(file) == "-" else file.open("rb") as stream:
            request = stream.read(_MAX_REQUEST + 1)
    except OSError as error:
        raise HostError(f"cannot read {file}: {error.strerror}", "name a file with one request") from None
    if not request or len(request) > _MAX_REQUEST:
        size = "empty" if not request else f"longer than {_MAX_REQUEST:,} bytes"
        raise HostError(f"the request is {size}", "give the bytes of one HTTP request")
    return request


_KINDS = {
    "complete": "a complete request",
    "incomplete": "the beginning of a request; its client is taken to have closed",
    "too_deep": "a request whose body is longer than the inspection depth",
    "not_http": "no HTTP: judged by rules on raw bytes only",
}


def _overview(result: Explanation) -> str:
    lines = [f"{result.bytes:,} bytes: {_KINDS[result.request]}; {result.rules:,} rules", result.kernel, ""]
    lines.append(f"matched ({len(result.matched)})")
    for one in result.matched:
        match = one.match or {}
        lines += [_title(one), f"      {match['buffer']} at {match['offset']}, {match['length']} bytes"]
    lines += ["", f"candidates that did not match ({len(result.failed) + result.candidates_left_out})"]
    for one in result.failed:
        lines += [_title(one), f"      option {one.number} of {one.of}: {one.failed}"]
    if result.candidates_left_out:
        lines.append(f"  and {result.candidates_left_out} more: ask for one with --sid")
    if result.not_judged:
        lines += ["", f"{result.not_judged} rules look at packets and were not judged (securedirect replay)"]
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])


def _title(one: Outcome) -> str:
    place = f"  {one.file}:{one.line}" if one.file else ""
    return f"  {one.gid}:{one.sid}  {one.msg}" + (f"  [{one.action}]" if one.action else "") + place
