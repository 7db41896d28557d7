# SPDX-License-Identifier: Apache-2.0
"""``securedirect reload``: a running director reads its rules anew."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import click

from securedirect.api.client import ask, find_socket
from securedirect.cli.options import json_option, socket_option

_SECONDS = 300.0
"""Tens of thousands of rules that are all new take some ten seconds to read."""
_SILENT_SECONDS = 2.0
"""Who has waited for so long is told what for."""

_WAITING = "the rules are being read; until that is done, requests are judged by the old ones"


@click.command(
    epilog="""\b
Examples:
  securedirect check -c securedirect.toml && securedirect reload
  kill -HUP PID     does the same; the log says how it ended"""
)
@socket_option
@json_option
def command(socket: Path | None, as_json: bool) -> None:
    """Let a running director read its rules anew.

    It reads the configuration's [rules], the files named there, and what services say about rules (profile,
    technologies, actions). No request is lost, held requests are judged by the new rules. Rules that cannot
    be used change nothing: the old ones stay. Everything else in the configuration needs a restart.
    """
    waiting = threading.Timer(_SILENT_SECONDS, print, [_WAITING], {"file": sys.stderr, "flush": True})
    waiting.daemon = True
    waiting.start()
    try:
        result = ask(find_socket(socket), "reload", seconds=_SECONDS)
    finally:
        waiting.cancel()
    if as_json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['rules']} rules loaded in {result['ms'] / 1000:.1f} s, generation {result['generation']}")
    if result["needs_restart"]:
        print(f"warning: changes of {', '.join(result['needs_restart'])} need a restart", file=sys.stderr)
