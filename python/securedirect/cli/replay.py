# SPDX-License-Identifier: Apache-2.0
"""``securedirect replay``: what the director would have done with the traffic of a capture."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from securedirect.cli.options import rule_options
from securedirect.errors import EXIT_OK


@click.command(
    epilog="""\b
Examples:
  securedirect replay traffic.pcap --rules web-*.rules
  securedirect replay traffic.pcap --rules et.rules --http-port 8080 --json | jq .alert.signature
  tcpdump -w - -i eth0 port 80 ... > traffic.pcap   makes a capture"""
)
@click.argument("files", metavar="FILE.pcap", nargs=-1, required=True, type=click.Path(path_type=Path))
@rule_options
@click.option(
    "--http-port",
    "http_ports",
    metavar="N",
    multiple=True,
    type=click.IntRange(1, 65535),
    help="A port where requests are expected, whatever they look like; may be given several times. "
    "Elsewhere HTTP is known by its first bytes.",
)
@click.option(
    "--only-port",
    "ports",
    metavar="N",
    multiple=True,
    type=click.IntRange(1, 65535),
    help="Only connections to this port; may be given several times. Default: all.",
)
@click.option(
    "--home-net",
    metavar="NETWORK",
    multiple=True,
    help="$HOME_NET; may be given several times. Default: private addresses and whoever is connected to. "
    "$EXTERNAL_NET is everything else, by default any address.",
)
@click.option(
    "--observe", is_flag=True, help="Divert nothing, so that connections are judged on after an attack."
)
@click.option(
    "--ignore-checksums",
    is_flag=True,
    help="Judge all segments with wrong checksums, too. Those of a sender of which most are wrong always "
    "are: captures made on the sending host have them unfinished.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the events, one JSON object a line.")
def command(
    files: tuple[Path, ...],
    rules: tuple[Path, ...],
    dialect: Any,
    http_ports: tuple[int, ...],
    ports: tuple[int, ...],
    home_net: tuple[str, ...],
    observe: bool,
    ignore_checksums: bool,
    as_json: bool,
) -> None:
    """Judge the traffic in a capture as the director would have.

    The same matcher and engine, the same events; time is the capture's. Alerts say which rules match, in both
    directions and to the capture's end; diversions, where the director would have taken a connection away
    from its server. Each connection is judged by itself: that a source, once marked, would not reach the
    servers again is left out. Needs no root. Reads pcap and pcapng (Ethernet, raw IP, Linux cooked) and is
    bounded in memory.
    """
    from securedirect.replay.capture import Digest, replay_capture
    from securedirect.rules.capture import Site
    from securedirect.rules.load import DEFAULT_RULES, load_rule_files

    capture, *more = files
    if more and not rules:
        raise click.UsageError("one capture at a time; rule files follow --rules")
    report = load_rule_files(
        (*rules, *more) or (DEFAULT_RULES,),
        dialect=dialect,
        service_ports=ports or None,
        site=Site(home_net, http_ports or (80,)),
    )
    broken = [entry for entry in report.entries if entry.status == "broken"]
    if not report.captured:
        report.raise_if_broken()
    digest = Digest()
    emit = (lambda line: print(line)) if as_json else digest.add
    try:
        summary = replay_capture(
            capture,
            report,
            emit,
            ports=ports,
            http_ports=http_ports,
            observe=observe,
            ignore_checksums=ignore_checksums,
        )
        if not as_json:
            print(f"{capture}: {report.captured} rules loaded\n")
            print(digest.text(summary))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; nothing more is to be written at the interpreter's end either.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_OK)
    for entry in broken:
        place = f"{entry.file}:{entry.line}:{entry.column}"
        print(f"warning: {place}: left out, it is broken: {entry.reason}", file=sys.stderr)
    if wrong := summary["skipped"].get("bad_checksum"):
        hint = "--ignore-checksums judges them all the same"
        print(f"warning: {wrong} packets with wrong checksums were skipped; {hint}", file=sys.stderr)
    if summary["cut_short"]:
        print("warning: the file ends in the middle of a packet", file=sys.stderr)
