# SPDX-License-Identifier: Apache-2.0
"""Runs our matcher as a program (crates/sd-rules/examples/judge.rs) over many requests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
_CARGO = ["cargo", "run", "--quiet", "--release", "-p", "sd-rules", "--example", "judge", "--"]


def lines(requests: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """Named requests as the program takes them."""
    return (f"{name}\t{raw.hex()}\n" for name, raw in requests)


def judged(document: Path, requests: Path, *options: str) -> Iterator[tuple[str, list[str]]]:
    """For each line of ``requests`` its name and the sids that match, with a ``b`` before those of built-in
    rules. ``SECUREDIRECT_JUDGE`` names the program if it is built already.
    """
    program = os.environ.get("SECUREDIRECT_JUDGE")
    command = [*([program] if program else _CARGO), str(document), *options]
    with requests.open() as stdin:
        ran = subprocess.run(
            command, stdin=stdin, stdout=subprocess.PIPE, check=True, text=True, cwd=CHECKOUT
        )
    for line in ran.stdout.splitlines():
        name, _, sids = line.partition("\t")
        yield name, sids.split()
