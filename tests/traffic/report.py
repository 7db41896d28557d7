# SPDX-License-Identifier: Apache-2.0
"""Judges the generated traffic: which ordinary requests are diverted, which attacks are not.

    .venv/bin/python tests/traffic/report.py [--benign 100000] [--seed N] [--shared]

With the shipped rules nothing ordinary may be diverted and every attack must be: exit status 0, else 1.
``--shared`` also reports for each published set of rules beside the checkout (``../shared/rules``).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import attacks
import benign

from securedirect.rules import DEFAULT_RULES, RuleService, load_rule_files

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = CHECKOUT.parent / "shared" / "rules"


@dataclass
class Judged:
    """What became of one stream of requests."""

    total: int = 0
    diverted: dict[str, list[str]] = field(default_factory=dict)
    """Names of the requests that are diverted, with the sids that do it (built-in ones begin with ``b``)."""
    alerted: int = 0
    """Requests that are reported or scored only."""
    met: set[str] = field(default_factory=set)
    """Every sid that matched."""


def build() -> Path:
    """The matcher as a program (crates/sd-rules/examples/judge.rs). LookupError without cargo."""
    cargo = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
    if cargo is None:
        raise LookupError("cargo is not here: the matcher cannot be built as a program")
    command = "build --quiet --release -p sd-rules --example judge --message-format=json"
    built = subprocess.run(
        [cargo, *command.split()], cwd=CHECKOUT, stdout=subprocess.PIPE, check=True, text=True
    )
    messages = (json.loads(line) for line in built.stdout.splitlines())
    return Path(next(m["executable"] for m in messages if m.get("target", {}).get("name") == "judge"))


def judge(program: Path, document: bytes, requests: Iterable[tuple[str, bytes]]) -> Judged:
    """Judge ``requests`` one by one, each as a connection of its own."""
    result = Judged()
    with tempfile.TemporaryDirectory() as folder:
        rules, lines, answers = (Path(folder) / name for name in ("rules.json", "requests", "answers"))
        rules.write_bytes(document)
        with lines.open("w") as file:
            for name, raw in requests:
                file.write(f"{name}\t{raw.hex()}\n")
                result.total += 1
        with lines.open() as asked, answers.open("w") as answered:
            subprocess.run([program, rules, "--actions"], stdin=asked, stdout=answered, check=True)
        for line in answers.read_text().splitlines():
            name, _, found = line.partition("\t")
            matched = [(sid, action) for sid, _, action in (one.partition(":") for one in found.split())]
            result.met.update(sid for sid, _ in matched)
            diverting = [sid for sid, action in matched if action == "divert"]
            if diverting:
                result.diverted[name] = diverting
            elif matched:
                result.alerted += 1
    return result


def numbered(requests: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    return ((f"{kind}-{number}", raw) for number, (kind, raw) in enumerate(requests))


def rule_sets() -> dict[str, list[Path]]:
    sets = {"shipped": [DEFAULT_RULES]}
    if SHARED.is_dir():
        for folder in sorted(path for path in SHARED.iterdir() if path.is_dir()):
            sets[folder.name] = sorted(folder.rglob("*.rules"))
    return sets


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--benign", type=int, default=100_000, metavar="N", help="how many ordinary requests")
    parser.add_argument("--seed", type=int, default=benign.SEED)
    parser.add_argument("--shared", action="store_true", help="report for the published sets too")
    arguments = parser.parse_args()
    program = build()
    status = 0
    for name, files in rule_sets().items():
        if name != "shipped" and not arguments.shared:
            continue
        document = load_rule_files(files, service=RuleService()).document
        ordinary = judge(program, document, numbered(benign.requests(arguments.benign, arguments.seed)))
        hostile = judge(program, document, attacks.attacks())
        print(
            f"{name}: {len(ordinary.diverted)} of {ordinary.total:,} ordinary requests diverted,"
            f" {ordinary.alerted:,} alerted; {len(hostile.diverted)} of {hostile.total} attacks diverted,"
            f" {hostile.alerted} alerted"
        )
        blamed = Counter(sid for sids in ordinary.diverted.values() for sid in sids)
        for sid, times in blamed.most_common(20):
            examples = [one for one, sids in ordinary.diverted.items() if sid in sids][:3]
            print(f"  ordinary requests diverted by {sid}: {times} ({', '.join(examples)})")
        if name == "shipped":
            missed = [one for one, _ in attacks.attacks() if one not in hostile.diverted]
            for one in missed:
                print(f"  attack missed: {one}")
            status = 1 if missed or ordinary.diverted else 0
    return status


if __name__ == "__main__":
    sys.exit(main())
