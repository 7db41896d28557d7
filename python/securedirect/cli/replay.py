# SPDX-License-Identifier: Apache-2.0
"""``securedirect replay``: what the director would have done with the traffic of a capture."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from securedirect.errors import EXIT_OK


@click.command(
    epilog="""\b
Examples:
  securedirect replay traffic.pcap --rules web-*.rules
  securedirect replay traffic.pcap --rules et.rules --http-port 8080 --json | jq .alert.signature
  tcpdump -w - -i eth0 port 80 ... > traffic.pcap   makes a capture"""
)
@click.argument("files", metavar="FILE.pcap", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--rules",
    "rules",
    metavar="FILE...",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Rule files; several may follow. Default: the shipped one.",
)
@click.option(
    "--dialect",
    type=click.Choice(["auto", "snort2", "snort3", "suricata"]),
    default="auto",
    show_default=True,
    help="Language of the rule files; auto guesses it for each.",
)
@click.option(
    "--http-port",
    "ports",
    metavar="N",
    multiple=True,
    type=click.IntRange(1, 65535),
    help="The service's port; may be given several times. Default: 80.",
)
@click.option("--any-port", is_flag=True, help="Judge every TCP connection, whatever its port.")
@click.option(
    "--observe", is_flag=True, help="Divert nothing, so that connections are judged on after an attack."
)
@click.option(
    "--ignore-checksums",
    is_flag=True,
    help="Judge segments with wrong checksums, too: captures made on the sending host have them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the events, one JSON object a line.")
def command(
    files: tuple[Path, ...],
    rules: tuple[Path, ...],
    dialect: Any,
    ports: tuple[int, ...],
    any_port: bool,
    observe: bool,
    ignore_checksums: bool,
    as_json: bool,
) -> None:
    """Judge the traffic in a capture as the director would have.

    The same engine, the same events; time is the capture's. Each connection is judged by itself: that a
    source, once marked, would not reach the servers again is left out. Needs no root. Reads pcap files
    (Ethernet, raw IP, Linux cooked) and is bounded in memory.
    """
    from securedirect.replay.capture import Digest, replay_capture
    from securedirect.rules.load import DEFAULT_RULES, load_rule_files

    capture, *more = files
    if any_port and ports:
        raise click.UsageError("--any-port and --http-port exclude each other")
    if more and not rules:
        raise click.UsageError("one capture at a time; rule files follow --rules")
    service = () if any_port else ports or (80,)
    report = load_rule_files(
        (*rules, *more) or (DEFAULT_RULES,), dialect=dialect, service_ports=service or None
    )
    report.raise_if_broken()
    digest = Digest()
    emit = (lambda line: print(line)) if as_json else digest.add
    try:
        summary = replay_capture(
            capture, report.document, emit, ports=service, observe=observe, ignore_checksums=ignore_checksums
        )
        if not as_json:
            print(f"{capture}: {report.counts['loaded']} rules loaded\n")
            print(digest.text(summary))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; nothing more is to be written at the interpreter's end either.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_OK)
    if wrong := summary["skipped"].get("bad_checksum"):
        hint = "captured on the sending host? --ignore-checksums judges them all the same"
        print(f"warning: {wrong} packets with wrong checksums were skipped; {hint}", file=sys.stderr)
    if summary["cut_short"]:
        print("warning: the file ends in the middle of a packet", file=sys.stderr)
