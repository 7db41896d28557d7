# SPDX-License-Identifier: Apache-2.0
"""Compares the matcher with what Snort 2.2.0 said about the same requests with the same rules.

    .venv/bin/python tests/oracle/snort220.py [--write docs/oracle.md]

Reads the corpus beside the checkout (``../shared``): its requests, Snort's verdicts and its 1,022 web rules.
Agreement of a request: exactly the same set of sids. Exit status: 0 when at least 99.9 % agree and every
difference is of a kind that is explained here, else 1.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import matcher

from securedirect.rules import load_rule_files

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = CHECKOUT.parent / "shared"
BAR = 0.999

# Kind of difference: its name, what it is, the sids it concerns.
KINDS: tuple[tuple[str, str, frozenset[int]], ...] = (
    (
        "path as sent",
        "Snort removes `/../` before it looks, and takes the query for path too; SecureDirect looks at the"
        " path before and after, so `/_vti_bin/../..` is seen as well",
        frozenset({827, 966, 1072, 1286, 1288, 1479, 1480, 1505, 1506, 1507, 1508, 1613}),
    ),
    (
        "decoded twice",
        "a URI that is still encoded after decoding once is also judged decoded twice, its query too",
        frozenset({1109}),
    ),
    (
        "plus",
        "`+` is also judged as the space that servers read there, which Snort did from 2.6 on",
        frozenset({1021}),
    ),
)


@dataclass
class Compared:
    """One set of requests."""

    requests: int = 0
    snort: int = 0
    ours: int = 0
    agreed: int = 0
    missing: Counter[int] = field(default_factory=Counter)
    extra: Counter[int] = field(default_factory=Counter)


def document(path: Path) -> set[int]:
    """Write the rules' document; return its sids."""
    files = sorted((SHARED / "rules" / "snort-2.2.0-web").glob("*.rules"))
    report = load_rule_files(files, dialect="snort2")
    path.write_bytes(report.document)
    return {rule["sid"] for rule in json.loads(report.document)["rules"]}


def requests_of(name: str) -> Iterator[tuple[str, bytes]]:
    with gzip.open(SHARED / "corpora" / "requests" / f"{name}.jsonl.gz") as lines:
        for line in lines:
            request = json.loads(line)
            yield request["id"], base64.b64decode(request["raw"])


def verdicts_of(name: str) -> dict[str, set[int]]:
    text = (SHARED / "corpora" / "oracle" / "snort220" / f"{name}.tsv").read_text()
    rows = (line.split("\t") for line in text.splitlines() if "\t" in line)
    return {row[0]: {int(sid) for sid in row[1].replace(",", " ").split()} for row in rows}


def judge(rules: Path, name: str, folder: Path) -> dict[str, set[int]]:
    """Our sids for each request of a set, without those of the built-in rules."""
    source = folder / "requests.tsv"
    with source.open("w") as file:
        file.writelines(matcher.lines(requests_of(name)))
    return {
        index: {int(sid) for sid in sids if sid[0] != "b"} for index, sids in matcher.judged(rules, source)
    }


def compare() -> tuple[dict[str, Compared], dict[tuple[str, int], list[str]], set[int]]:
    results = {}
    examples: dict[tuple[str, int], list[str]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "document.json"
        loaded = document(rules)
        for path in sorted((SHARED / "corpora" / "requests").glob("*.jsonl.gz")):
            name = path.name.removesuffix(".jsonl.gz")
            wanted, found = verdicts_of(name), judge(rules, name, Path(folder))
            result = results[name] = Compared(requests=len(found))
            for index, ours in found.items():
                snort = wanted.get(index, set())
                result.snort += bool(snort)
                result.ours += bool(ours)
                result.agreed += ours == snort
                for sid in snort - ours:
                    result.missing[sid] += 1
                    examples["missing", sid].append(f"{name} {index}")
                for sid in ours - snort:
                    result.extra[sid] += 1
                    examples["extra", sid].append(f"{name} {index}")
    return results, examples, loaded


def kind_of(sid: int) -> str:
    return next((name for name, _, sids in KINDS if sid in sids), "not explained")


def table(results: dict[str, Compared]) -> str:
    total = Compared()
    rows = [*results.items()]
    for _, one in rows:
        for key in ("requests", "snort", "ours", "agreed"):
            setattr(total, key, getattr(total, key) + getattr(one, key))
        total.missing += one.missing
        total.extra += one.extra
    lines = [
        "| requests | number | matched by Snort | by SecureDirect | same sids | Snort's alone | ours alone |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in [*rows, ("**all**", total)]:
        lines.append(
            f"| {name} | {one.requests:,} | {one.snort:,} | {one.ours:,} | {one.agreed / one.requests:.3%} |"
            f" {one.missing.total():,} | {one.extra.total():,} |"
        )
    lines += ["", "| kind of difference | sids | Snort's alone | ours alone |", "| --- | --- | ---: | ---: |"]
    names = sorted({kind_of(sid) for sid in total.missing | total.extra})
    texts = {name: text for name, text, _ in KINDS}
    for name in names:
        missing = {sid: n for sid, n in total.missing.items() if kind_of(sid) == name}
        extra = {sid: n for sid, n in total.extra.items() if kind_of(sid) == name}
        sids = ", ".join(str(sid) for sid in sorted(missing.keys() | extra.keys()))
        text = f"{name}: {texts[name]}" if name in texts else name
        lines.append(f"| {text} | {sids} | {sum(missing.values()):,} | {sum(extra.values()):,} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the marks of FILE")
    parser.add_argument("--examples", action="store_true", help="show requests of each difference")
    arguments = parser.parse_args()
    if not (SHARED / "corpora").is_dir():
        print("the corpora are not here (expected beside the checkout: ../shared/corpora)", file=sys.stderr)
        return 77
    results, examples, loaded = compare()
    text = table(results)
    print(text)
    if arguments.examples:
        for (side, sid), names in sorted(examples.items(), key=lambda item: -len(item[1])):
            print(side, sid, len(names), "" if sid in loaded else "NOT LOADED", names[:4])
    if arguments.write:
        old = arguments.write.read_text()
        before, begin, rest = old.partition("<!-- table -->\n")
        _, end, after = rest.partition("<!-- end of table -->")
        arguments.write.write_text(before + begin + text + "\n" + end + after)
    requests = sum(one.requests for one in results.values())
    agreed = sum(one.agreed for one in results.values())
    unexplained = "not explained" in text
    print(f"{agreed / requests:.4%} of {requests:,} requests agree; the bar is {BAR:.1%}")
    return 1 if unexplained or agreed / requests < BAR else 0


if __name__ == "__main__":
    sys.exit(main())
