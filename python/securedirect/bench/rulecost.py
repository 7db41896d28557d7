# SPDX-License-Identifier: Apache-2.0
"""What judging a request costs on one core, without network: ``make rulebench``.

Reads the published rule sets, hands their documents to the criterion benchmark of ``crates/sd-rules`` and
puts what that measures beside the bars into one table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securedirect.bench import reading, rulesets
from securedirect.bench.variants import RULES_516, RULES_ET
from securedirect.rules import RuleService, load_rule_files

BUILD = Path("build")
SETS = {"paper-516": RULES_516, "et-2024": RULES_ET}
BROWSER_US = {"paper-516": 2.0, "et-2024": 6.0}
"""Bars: microseconds for a browser's request of one kilobyte, the fastest of runs over a minute, as what
else the machine does only adds."""


@dataclass(frozen=True)
class Set:
    """One rule set as it was measured; times in seconds."""

    name: str
    text: str
    parsed: int
    facts: Mapping[str, Any]
    times: Mapping[str, float]
    reading: reading.Times


@dataclass(frozen=True)
class Bar:
    """One promise: ``value`` is to be at most ``limit``."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def line(self) -> str:
        verdict = "reached" if self.value <= self.limit else "NOT reached"
        return f"| {self.name} | {self.value:.3g} {self.unit} | {self.limit:g} {self.unit} | {verdict} |"


Prepared = tuple[Path, str, int, reading.Times]


def prepare(folder: Path, rules_dir: Path) -> dict[str, Prepared]:
    """Write the rule sets' documents; for each its path, what it is, its rules, and how long reading took."""
    prepared = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, variant in SETS.items():
        found = rulesets.find(variant, rules_dir)
        if found.substitute:
            print(f"NOTE: {name} is {found.text}.", file=sys.stderr)
        times = reading.measure(found, folder / f"{name}.rules")
        report = load_rule_files(found.files, service=RuleService(), overrides=found.actions)
        path = folder / f"{name}.json"
        path.write_bytes(report.document)
        prepared[name] = (path, found.text, len(report.entries), times)
    return prepared


def measure(prepared: Mapping[str, Prepared], home: Path) -> list[Set]:
    """Run the criterion benchmark; its other findings are lines of JSON."""
    documents = ":".join(str(path.resolve()) for path, *_ in prepared.values())
    environment = os.environ | {"SD_RULES_DOCUMENTS": documents, "CRITERION_HOME": str(home.resolve())}
    command = ["cargo", "bench", "--quiet", "--package", "sd-rules", "--bench", "requests"]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    facts = {line["set"]: line for line in lines}
    return [
        Set(name, text, parsed, facts[name], _times(home / name), times)
        for name, (_, text, parsed, times) in prepared.items()
    ]


def _times(folder: Path) -> dict[str, float]:
    """Median seconds of each row of a set."""
    times = {}
    for estimates in folder.glob("*/new/estimates.json"):
        median = json.loads(estimates.read_text())["median"]["point_estimate"]
        times[estimates.parent.parent.name] = median / 1e9
    return times


def bars(sets: Sequence[Set]) -> list[Bar]:
    """What was promised, and what was measured."""
    found = []
    for one in sets:
        name, facts = one.name, one.facts
        found += [
            Bar(f"{name}: browser's request", facts["browser_ns"] / 1e3, BROWSER_US[name], "µs"),
            Bar(f"{name}: allocated for it", facts["allocated"], 2048, "bytes"),
            Bar(f"{name}: most expensive crafted byte", facts["worst_ratio"], 20, "x benign"),
            Bar(f"{name}: compiled", facts["compile_s"], 1, "s"),
            Bar(f"{name}: read and compiled", one.reading.first + one.reading.compile, 10, "s"),
            Bar(f"{name}: reload, a rule of each file changed", one.reading.each, reading.BAR, "s"),
        ]
    few, many = sets[0], sets[-1]
    growth = many.facts["browser_ns"] / few.facts["browser_ns"]
    name = f"{many.facts['rules']:,} rules instead of {few.facts['rules']:,}"
    return [*found, Bar(name, growth, 2, "x")]


def table(sets: Sequence[Set]) -> str:
    """The report as Markdown."""
    lines = ["| | " + " | ".join(one.name for one in sets) + " |", "|---" + "|---:" * len(sets) + "|"]

    def row(name: str, cells: Sequence[str]) -> None:
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    row("rules", [f"{one.facts['rules']:,}" for one in sets])
    row("literals looked for", [f"{one.facts['patterns']:,}" for one in sets])
    row("browser's request, fastest, µs", [f"{one.facts['browser_ns'] / 1e3:.2f}" for one in sets])
    row("browser's request, median, µs", [f"{one.times['browser'] * 1e6:.2f}" for one in sets])
    row("bare request, µs", [f"{one.times['small'] * 1e6:.2f}" for one in sets])
    for kind in ("body-1MB", "body-1MB-slashes", "body-1MB-dots", "body-1MB-A"):
        row(f"{kind}, ms", [f"{one.times[kind] * 1e3:.2f}" for one in sets])
    row("most expensive crafted byte, x browser's", [f"{one.facts['worst_ratio']:.1f}" for one in sets])
    row("it is", [one.facts["worst"] for one in sets])
    row("allocated for a browser's request, bytes", [f"{one.facts['allocated']:,}" for one in sets])
    row("compile, s", [f"{one.facts['compile_s']:.3f}" for one in sets])
    row("read from files, rules", [f"{one.parsed:,}" for one in sets])
    for named in zip(*(one.reading.rows() for one in sets), strict=True):
        row(named[0][0], [value for _, value in named])
    row(
        "resident with all expressions built, MiB",
        [f"{one.facts['resident_bytes'] / (1 << 20):.0f}" for one in sets],
    )
    lines += ["", "| bar | measured | at most | |", "|---|---:|---:|---|"]
    lines += [bar.line for bar in bars(sets)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print the table and keep it in build/rulebench.md."""
    folder = BUILD / "rulebench"
    text = table(measure(prepare(folder, rulesets.DEFAULT_FOLDER), folder / "criterion"))
    (BUILD / "rulebench.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
