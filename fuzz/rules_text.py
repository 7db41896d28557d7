# SPDX-License-Identifier: Apache-2.0
"""Fuzzes the reader of rule files: any text ends as entries of the report, soon, and never as an exception.

    .venv/bin/python fuzz/rules_text.py [--seconds 60] [--seed N]

Mutates rules (those of tests/rules, the shipped ones, and the published sets beside the checkout when
they are there): characters, options taken from other rules, repetitions. An input that breaks something is
written to fuzz/regressions/rules_text, where tests/unit/rules/test_rules_fuzz.py finds it; exit status 1.
Cut it down to what fails before it is kept: nothing of the published sets belongs into this repository.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import FrameType
from typing import Literal

from securedirect.rules import DEFAULT_RULES, load_rule_files
from securedirect.rules.compile import STATUSES

CHECKOUT = Path(__file__).resolve().parents[1]
REGRESSIONS = CHECKOUT / "fuzz" / "regressions" / "rules_text"
SHARED = CHECKOUT.parent / "shared" / "rules"
SEEDS_MOST = 4000
RULES_IN_A_FILE = 12
HANGS_AFTER = 20
"""Seconds. An input has a few kilobytes, which take some milliseconds."""
SIGNS = ";:\"\\|()[]!$,/<>=-+*#.% \t\n\x00\xff0aZ{}^&'`~é"
DIALECTS: tuple[Literal["auto", "snort2", "snort3", "suricata"], ...] = (
    "auto",
    "snort2",
    "snort3",
    "suricata",
)


class TooSlowError(Exception):
    """An input took longer than anything of its size may."""


def seeds() -> list[str]:
    files = [DEFAULT_RULES, *sorted((CHECKOUT / "tests" / "rules").glob("*/rules.*"))]
    own = [line for file in files for line in file.read_text("latin-1").splitlines() if "(" in line]
    published: list[str] = []
    if SHARED.is_dir():
        for file in sorted(SHARED.rglob("*.rules")):
            published += [line for line in file.read_text("latin-1").splitlines() if "sid" in line]
    step = max(1, len(published) // SEEDS_MOST)
    return own + published[::step]


def mutated(r: Random, text: str, others: list[str]) -> str:
    """``text`` with some changes."""
    for _ in range(r.choice((1, 1, 2, 3, 6, 12))):
        at = r.randrange(len(text) + 1)
        end = min(len(text), at + r.choice((0, 1, 1, 2, 5, 30)))
        match r.randrange(9):
            case 0:
                text = text[:at] + r.choice(SIGNS) + text[at:]
            case 1:
                text = text[:at] + text[end:]
            case 2:
                text = text[:at] + text[at:end] * r.choice((2, 3, 40)) + text[end:]
            case 3:  # an option of another rule
                options = r.choice(others).partition("(")[2].split(";")
                place = text.find(";", at) + 1
                text = text[:place] + r.choice(options) + r.choice((";", "; ", "")) + text[place:]
            case 4:  # a piece of another rule, wherever
                other = r.choice(others)
                start = r.randrange(len(other) + 1)
                text = text[:at] + other[start : start + r.randrange(60)] + text[end:]
            case 5:
                number = str(r.choice((0, -1, 1, 255, 256, 65535, 65536, 2**31, 2**32, 2**64, 10**30)))
                text = text[:at] + number + text[end:]
            case 6:
                text = text[:at] + r.choice(SIGNS) * r.choice((3, 100, 3000)) + text[end:]
            case 7:
                text = text[:at] + "".join(chr(r.randrange(256)) for _ in range(r.randrange(8))) + text[end:]
            case _:
                other_at = r.randrange(len(text) + 1)
                low, high = sorted((at, other_at))
                text = text[:low] + text[high:] + text[low:high]
    return text


def files(r: Random) -> Iterator[bytes]:
    """Rule files, without end."""
    known = seeds()
    while True:
        rules = [mutated(r, r.choice(known), known) for _ in range(r.randint(1, RULES_IN_A_FILE))]
        yield r.choice(("\n", "\n", "\r\n", "\\\n")).join(rules).encode("latin-1", "replace")


def check(file: Path, data: bytes, chosen: int) -> int:
    """Read ``data`` as a rule file; returns how many entries it gave. Raises what is wrong."""
    file.write_bytes(data)
    dialect = DIALECTS[chosen % len(DIALECTS)]
    report = load_rule_files([file], dialect=dialect, service_ports=None, include_disabled=bool(chosen & 4))
    lines = data.count(b"\n") + 1
    for entry in report.entries:
        assert entry.status in STATUSES, entry
        assert 1 <= entry.line <= lines, entry
        if entry.status != "loaded":
            assert entry.reason, entry
    loaded = sum(entry.status == "loaded" for entry in report.entries)
    assert len(json.loads(report.document)["rules"]) <= loaded
    return len(report.entries)


def _too_slow(signum: int, frame: FrameType | None) -> None:
    raise TooSlowError(f"more than {HANGS_AFTER} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = int.from_bytes(os.urandom(4), "big") if arguments.seed is None else arguments.seed
    r = Random(seed)
    signal.signal(signal.SIGALRM, _too_slow)
    until = time.monotonic() + arguments.seconds
    read = entries = 0
    failed: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fuzz.rules"
        for data in files(r):
            if time.monotonic() >= until:
                break
            read += 1
            chosen = r.randrange(8)
            signal.alarm(HANGS_AFTER)
            try:
                entries += check(file, data, chosen)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                kind = f"{type(error).__name__}: {str(error)[:120]}"
                if kind not in failed:
                    failed.add(kind)
                    REGRESSIONS.mkdir(parents=True, exist_ok=True)
                    name = f"{hashlib.sha256(data).hexdigest()[:12]}.{chosen}"
                    (REGRESSIONS / name).write_bytes(data)
                    print(f"rules_text: {name}: {kind}", file=sys.stderr)
            finally:
                signal.alarm(0)
    print(f"rules_text: {read} files, {entries} rules, {len(failed)} kinds of failure (seed {seed})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
