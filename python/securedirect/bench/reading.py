# SPDX-License-Identifier: Apache-2.0
"""How long rules take to be read, and to be read again: ``make reloadbench``, and rows of ``make rulebench``.

What a reload does, without the processes: read what has changed, compile it, make the tables by which the
kernel clears. The files are copied, for they are changed: one rule is added to one of them, or to each.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from securedirect import _core
from securedirect.bench import rulesets
from securedirect.bench.variants import RULES_ET
from securedirect.rules import RuleReport, RuleService
from securedirect.rules.load import Selection, load_for_services
from securedirect.rules.reading import ReadRules

_T = TypeVar("_T")
ROUNDS = 3
BAR = 2.0
"""Seconds that a reload may take."""
_RULE = (
    'alert tcp $EXTERNAL_NET any -> $HOME_NET any (msg:"new"; content:"/a-program-of-{sid}"; http_uri; '
    "classtype:web-application-attack; sid:{sid}; rev:1;)\n"
)


@dataclass(frozen=True)
class Times:
    """Seconds of one processor. ``first``: to read the rules; ``compile``: to compile them, with the tables.
    ``same``, ``one``, ``each``: to reload when nothing has changed, a rule of one file, one of each file.
    """

    first: float
    compile: float
    same: float
    one: float
    each: float
    resident_mb: float
    """What the rules take in the process that has read them."""

    def rows(self) -> list[tuple[str, str]]:
        """Of a table."""
        return [
            ("read, s", f"{self.first:.2f}"),
            ("compile with the tables that clear, s", f"{self.compile:.2f}"),
            ("reload, nothing changed, s", f"{self.same:.2f}"),
            ("reload, a rule of one file changed, s", f"{self.one:.2f}"),
            ("reload, a rule of each file changed, s", f"{self.each:.2f}"),
            ("resident in the process that has read them, MiB", f"{self.resident_mb:.0f}"),
        ]


def measure(rules: rulesets.RuleSet, folder: Path) -> Times:
    """Copy the files to ``folder``, and read them there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = [folder / file.name for file in rules.files]
    for file, copy in zip(rules.files, files, strict=True):
        shutil.copyfile(file, copy)
        if (classes := file.with_name("classification.config")).is_file():
            shutil.copyfile(classes, folder / classes.name)
    selection = Selection(service=RuleService(), overrides=rules.actions)
    before = _resident()
    read: ReadRules | None = None
    sids = iter(range(3_900_000_000, 4_000_000_000))

    def load() -> RuleReport:
        nonlocal read
        after = ReadRules(read)
        [report] = load_for_services(files, [selection], read=after)
        read = after
        return report

    def change(changed: list[Path]) -> None:
        for file in changed:
            file.write_bytes(_RULE.format(sid=next(sids)).encode() + file.read_bytes())

    def again(changed: list[Path]) -> tuple[float, bytes]:
        times = []
        for _ in range(ROUNDS):
            change(changed)
            seconds, report = _timed(load)
            times.append(seconds)
        return statistics.median(times), report.document

    first, report = _timed(load)
    resident = _resident() - before
    document = report.document
    del report
    compiled, compile_next = _timed(lambda: _compile(document))
    same, _ = again([])
    one, document = again(files[:1])
    one += _timed(lambda: compile_next(document))[0]
    each, document = again(files)
    each += _timed(lambda: compile_next(document))[0]
    return Times(first, compiled, same, one, each, resident / (1 << 20))


def _compile(document: bytes) -> Callable[[bytes], object]:
    """And what compiles another one after it."""
    try:
        return _core.Clearing(document, kernel=False).reload
    except ValueError:  # a rule that nothing can be looked for by: only compiled, then
        _core.compile_rules(document)
        return _core.compile_rules


def _timed(work: Callable[[], _T]) -> tuple[float, _T]:
    began = time.process_time()
    done = work()
    return time.process_time() - began, done


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """Measure Emerging Threats' rules, and print the figures."""
    rules = rulesets.find(RULES_ET, rulesets.DEFAULT_FOLDER)
    times = measure(rules, Path("build/reloadbench"))
    print(f"{rules.text}\n")
    for name, value in times.rows():
        print(f"{name:50} {value}")
    print(f"\na reload is to take at most {BAR:g} s: {'reached' if times.each <= BAR else 'NOT reached'}")
    if rules.substitute:
        print("NOTE: these are not the rules that the bar is for.", file=sys.stderr)


if __name__ == "__main__":
    main()
