# SPDX-License-Identifier: Apache-2.0
"""What the default policy does with each set of requests under each rule set, beside Snort 2.2.0 and CRS
3.3.4.

    .venv/bin/python tests/oracle/policy.py --write docs/policy.md

Reads the corpus beside the checkout (``../shared``). Writes: per set of requests how many are diverted,
only scored, only told of, clean; every benign request that is diverted, by name; what the measure of
specificity costs; and how long ordinary sources may go on before their scores divert. Exit status: 0 when
no rule set diverts more than one benign request in 20,000, else 1."""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import matcher

from securedirect.config.model import AttackersTable
from securedirect.rules import DEFAULT_RULES, RuleEntry, RuleService, load_rule_files

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = CHECKOUT.parent / "shared"
RULES = SHARED / "rules"
WEB_2_0 = ("attacks", "cgi", "client", "coldfusion", "frontpage", "iis", "misc", "php")
NEWEST_OF_516 = 1457
BAR = 20_000
"""Benign requests of which at most one may be diverted."""
VERDICTS = ("divert", "score", "alert", "clean")


class Request(NamedTuple):
    folder: str
    name: str
    label: str
    raw: str

    @property
    def benign(self) -> bool:
        return self.label == "benign"

    @property
    def attack(self) -> bool:
        return self.label in ("attack", "probe")


@dataclass
class RuleFiles:
    """A rule set: its files, and which of their rules count."""

    name: str
    files: Sequence[Path]
    newest: int | None = None
    web: bool = False
    include_disabled: bool = False
    matched: list[dict[str, str]] = field(default_factory=list)
    """Of each request: the sids (those of built-in rules begin with b) and what the match does."""
    entries: dict[str, RuleEntry] = field(default_factory=dict)

    def has(self, entry: RuleEntry) -> bool:
        return (self.newest is None or entry.sid <= self.newest) and (not self.web or entry.http)


def rule_sets() -> list[RuleFiles]:
    def whole(folder: str) -> list[Path]:
        return sorted((RULES / folder).rglob("*.rules"))

    paper = [RULES / "gpl-snort-2.0" / f"web-{name}.rules" for name in WEB_2_0]
    return [
        RuleFiles("shipped", [DEFAULT_RULES]),
        RuleFiles("the paper's 516", paper, newest=NEWEST_OF_516),
        RuleFiles("gpl-snort-2.0", whole("gpl-snort-2.0")),
        RuleFiles("gpl-snort-2.8.5", whole("gpl-snort-2.8.5-debian")),
        RuleFiles("snort-2.2.0-web", whole("snort-2.2.0-web")),
        RuleFiles("snort-2.9-community", whole("snort-2.9-community")),
        RuleFiles("the same, with its disabled", whole("snort-2.9-community"), include_disabled=True),
        RuleFiles("snort3-community", whole("snort3-community")),
        RuleFiles("ET 2024, web", whole("et-open-2024-04"), web=True),
        RuleFiles("ET 2024", whole("et-open-2024-04")),
    ]


def requests() -> Iterator[Request]:
    for path in sorted((SHARED / "corpora" / "requests").glob("*.jsonl.gz")):
        with gzip.open(path) as lines:
            for line in lines:
                one = json.loads(line)
                raw = base64.b64decode(one["raw"]).hex()
                yield Request(path.name.removesuffix(".jsonl.gz"), one["id"], one["label"], raw)


def judge(rules: RuleFiles, source: Path, folder: Path) -> None:
    """What each request matches."""
    report = load_rule_files(rules.files, service=RuleService(), include_disabled=rules.include_disabled)
    loaded = [entry for entry in report.entries if entry.status == "loaded" and rules.has(entry)]
    rules.entries = {str(entry.sid): entry for entry in loaded}
    document = folder / "document.json"
    document.write_bytes(report.document)
    for _, sids in matcher.judged(document, source, "--actions"):
        found = dict(one.split(":") for one in sids)
        kept = {sid: action for sid, action in found.items() if sid[0] == "b" or sid in rules.entries}
        rules.matched.append(kept)


def verdict(matched: Mapping[str, str]) -> str:
    return next((one for one in VERDICTS if one in matched.values()), "clean")


def oracle(name: str) -> set[tuple[str, str]]:
    """Set and id of the requests that the other engine alerts on or blocks."""
    found = set()
    for path in (SHARED / "corpora" / "oracle" / name).glob("*.tsv"):
        for line in path.read_text().splitlines():
            cells = line.split("\t")
            if len(cells) > 1 and (name == "snort220" or cells[1] == "1"):
                found.add((path.stem, cells[0]))
    return found


def table(everything: Sequence[Request], sets: Sequence[RuleFiles]) -> list[str]:
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, request in enumerate(everything):
        groups[request.folder, request.label].append(at)
    peers = {name: oracle(name) for name in ("snort220", "crs334")}
    lines = [
        "Diverted / only scored / only told of, of each set of requests; the rest is clean.",
        "",
        "| requests | label | number | Snort 2.2.0 | CRS 3.3.4 | " + " | ".join(s.name for s in sets) + " |",
        "| --- | --- | ---: | ---: | ---: |" + " ---: |" * len(sets),
    ]
    for (folder, label), places in sorted(groups.items()):
        cells = [folder, label, f"{len(places):,}"]
        for hits in peers.values():
            cells.append(f"{sum((everything[at].folder, everything[at].name) in hits for at in places):,}")
        for rules in sets:
            counted = Counter(verdict(rules.matched[at]) for at in places)
            cells.append(f"{counted['divert']:,} / {counted['score']:,} / {counted['alert']:,}")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def lost_clients(everything: Sequence[Request], sets: Sequence[RuleFiles]) -> tuple[list[str], bool]:
    benign = [at for at, request in enumerate(everything) if request.benign]
    allowed = len(benign) // BAR
    lines = [
        f"Of {len(benign):,} benign requests at most {allowed} may be diverted (one in {BAR:,}).",
        "",
        "| rule set | diverted | which (by which sid) |",
        "| --- | ---: | --- |",
    ]
    good = True
    for rules in sets:
        named = []
        for at in benign:
            if verdict(rules.matched[at]) == "divert":
                sids = [sid for sid, action in rules.matched[at].items() if action == "divert"]
                named.append(f"{everything[at].name} ({', '.join(sids)})")
        kept = len(named) <= allowed
        good &= kept
        number = str(len(named)) if kept else f"{len(named)}, too many"
        lines.append(f"| {rules.name} | {number} | {'; '.join(named) or '-'} |")
    return lines, good


def cost(everything: Sequence[Request], sets: Sequence[RuleFiles]) -> list[str]:
    """What diverts less than without the measure, in halves: the limit was chosen with one of them in
    view."""
    halves = [hashlib.sha256(request.name.encode()).digest()[0] & 1 for request in everything]
    lines = [
        "| rule set | diverting rules without the measure | with it | benign diverted without | with, half A"
        " | half B | attacks diverted without | with, half A | half B |",
        "| --- |" + " ---: |" * 8,
    ]
    for rules in sets:
        before = {
            sid
            for sid, e in rules.entries.items()
            if e.action == "divert" or "but not specific" in e.decided_by
        }
        counted: Counter[tuple[str, ...]] = Counter()
        for at, request in enumerate(everything):
            kind = "benign" if request.benign else "attack" if request.attack else "other"
            now = verdict(rules.matched[at]) == "divert"
            counted[kind, "before"] += now or any(sid in before for sid in rules.matched[at])
            counted[kind, "AB"[halves[at]]] += now
        after = sum(entry.action == "divert" for entry in rules.entries.values())
        cells = [rules.name, f"{len(before):,}", f"{after:,}"]
        for kind in ("benign", "attack"):
            cells += [f"{counted[kind, which]:,}" for which in ("before", "A", "B")]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def sequences(everything: Sequence[Request], sets: Sequence[RuleFiles]) -> list[str]:
    """Consecutive requests of a set as those of one source within the window."""
    needed = AttackersTable().score_sids
    sizes = (100, 1000, 5000)
    lines = [
        f"Sources that match {needed} different rules that score, a request counting once: benign requests",
        "in sequences of so many (people behind one address), and attacks in sequences of 50 (a scanner).",
        "",
        "| rule set | "
        + " | ".join(f"benign, {size:,} each" for size in sizes)
        + " | most of a benign 1,000 | attacks diverted by score or by a rule | by a rule alone |",
        "| --- |" + " ---: |" * (len(sizes) + 3),
    ]
    for rules in sets:
        cells = [rules.name]
        most = 0
        for size in sizes:
            scores = [score for score, _ in _scores(everything, rules, size, benign=True)]
            cells.append(f"{sum(score >= needed for score in scores)} of {len(scores)}")
            if size == 1000:
                most = max(scores, default=0)
        scanners = list(_scores(everything, rules, 50, benign=False))
        either = sum(score >= needed or diverted for score, diverted in scanners)
        alone = sum(diverted for _, diverted in scanners)
        cells += [str(most), f"{either} of {len(scanners)}", str(alone)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _scores(
    everything: Sequence[Request], rules: RuleFiles, size: int, *, benign: bool
) -> Iterator[tuple[int, bool]]:
    """For each sequence of ``size``: different sids, and whether one of its requests diverts by itself."""
    chosen = [at for at, request in enumerate(everything) if (request.benign if benign else request.attack)]
    for start in range(0, len(chosen), size):
        seen: set[str] = set()
        diverted = False
        for at in chosen[start : start + size]:
            diverted |= verdict(rules.matched[at]) == "divert"
            new = [
                sid
                for sid, action in rules.matched[at].items()
                if sid[0] != "b" and action == "score" and sid not in seen
            ]
            seen.update(new[:1])
        yield len(seen), diverted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the marks of FILE")
    parser.add_argument("--set", action="append", metavar="NAME", help="only this rule set (may be repeated)")
    arguments = parser.parse_args()
    if not (SHARED / "corpora").is_dir():
        print("the corpora are not here (expected beside the checkout: ../shared/corpora)", file=sys.stderr)
        return 77
    sets = [rules for rules in rule_sets() if not arguments.set or rules.name in arguments.set]
    everything = list(requests())
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "requests.tsv"
        with source.open("w") as file:
            for at, request in enumerate(everything):
                file.write(f"{at}\t{request.raw}\n")
        for rules in sets:
            judge(rules, source, Path(folder))
    lost, good = lost_clients(everything, sets)
    parts = {
        "verdicts": table(everything, sets),
        "lost clients": lost,
        "cost": cost(everything, sets),
        "sequences": sequences(everything, sets),
    }
    for name, lines in parts.items():
        print(f"{name}\n\n" + "\n".join(lines) + "\n")
    if arguments.write:
        text = arguments.write.read_text()
        for name, lines in parts.items():
            before, begin, rest = text.partition(f"<!-- {name} -->\n")
            _, end, after = rest.partition("<!-- end -->")
            text = before + begin + "\n".join(lines) + "\n" + end + after
        arguments.write.write_text(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
