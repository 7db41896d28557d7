# SPDX-License-Identifier: Apache-2.0
"""What the kernel clears of real requests, and that none of it matches a rule.

    .venv/bin/python tests/oracle/clearing.py [--only RULES] [--every N] [--no-kernel] [--why]

For each published rule set and each set of requests of the corpus beside the checkout (``../shared``): the
share that is cleared. Each request is also judged by the full matcher, and by the kernel's own program (as
root). Exit status 1 when a cleared request matches anything, or kernel and reference differ.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from securedirect import _core
from securedirect.bench import rulesets
from securedirect.bench.variants import RULES_516, RULES_ET
from securedirect.rules import RuleService, load_rule_files

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = CHECKOUT.parent / "shared"
FOLDERS = (
    ("gpl-snort-2.0", "snort2"),
    ("snort-2.2.0-web", "snort2"),
    ("gpl-snort-2.8.5-debian", "snort2"),
    ("snort-2.9-community", "snort2"),
    ("snort3-community", "snort3"),
)


@dataclass
class Cleared:
    """One set of requests with one set of rules."""

    requests: int = 0
    cleared: int = 0
    wrong: list[str] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        return self.cleared / self.requests if self.requests else 0.0


def documents(only: list[str] | None) -> Iterator[tuple[str, bytes]]:
    """Rule sets by name."""
    for name, variant in (("516 rules", RULES_516), ("ET 2024 web", RULES_ET)):
        if only and name not in only:
            continue
        found = rulesets.find(variant, SHARED / "rules")
        yield name, load_rule_files(found.files, service=RuleService(), overrides=found.actions).document
    for folder, dialect in FOLDERS:
        if only and folder not in only:
            continue
        files = sorted((SHARED / "rules" / folder).glob("**/*.rules"))
        yield folder, load_rule_files(files, service=RuleService(), dialect=dialect).document  # type: ignore[arg-type]


def requests_of(path: Path, every: int) -> Iterator[tuple[str, bytes]]:
    with gzip.open(path) as lines:
        for number, line in enumerate(lines):
            if number % every == 0:
                request = json.loads(line)
                yield request["id"], base64.b64decode(request["raw"])


def judge(clearing: _core.Clearing, path: Path, every: int) -> Cleared:
    result = Cleared()
    for index, request in requests_of(path, every):
        cleared, why, sids, matches, kernel = clearing.judge(request)
        result.requests += 1
        result.cleared += cleared
        if cleared and matches:
            result.wrong.append(f"{index} is cleared but matches {' '.join(matches)}")
        if kernel is not None and kernel != cleared:
            result.wrong.append(f"{index}: the kernel says {kernel}, the reference {cleared}")
        if not cleared:
            result.why[f"{why} {sids}" if sids else why] += 1
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth request only")
    parser.add_argument("--only", action="append", metavar="RULES", help="take this rule set only")
    parser.add_argument("--no-kernel", action="store_true", help="do not ask the kernel's program")
    parser.add_argument(
        "--why", action="store_true", help="also print what keeps requests from being cleared"
    )
    given = parser.parse_args()
    paths = sorted((SHARED / "corpora" / "requests").glob("*.jsonl.gz"))
    if not paths:
        print(f"no requests in {SHARED / 'corpora' / 'requests'}", file=sys.stderr)
        return 1
    kernel = os.geteuid() == 0 and not given.no_kernel
    wrong = 0
    for name, document in documents(given.only):
        try:
            clearing = _core.Clearing(document, kernel=kernel)
        except ValueError as error:
            print(f"{name}: nothing is cleared: {error}")
            continue
        print(f"{name}: {clearing.summary()}")
        for path in paths:
            result = judge(clearing, path, given.every)
            title = path.name.removesuffix(".jsonl.gz")
            print(f"  {title:<24} {result.cleared:>7,} of {result.requests:>7,}  {result.share:6.1%}")
            if given.why:
                for why, count in result.why.most_common(10):
                    print(f"    {count:>8,}  {why}")
            for line in result.wrong:
                print(f"    WRONG: {line}")
            wrong += len(result.wrong)
    print(
        "no exception" if not wrong else f"{wrong} exceptions",
        "" if kernel else "(without the kernel's program)",
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
