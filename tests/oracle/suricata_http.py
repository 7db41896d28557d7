# SPDX-License-Identifier: Apache-2.0
"""Compares how rules and requests are read with what an installed Suricata says about the same ones.

    .venv/bin/python tests/oracle/suricata_http.py [--only PART] [--every N] [--examples] [--write FILE]

Four parts, each judged by both; an agreement of a request is exactly the same set of sids:

corpus      requests of the corpus beside the checkout (``../shared``), ET Open's rules
made        requests made for each of these rules, and variations of them (``suricata_requests``)
random      rules and requests made at random (``suricata_rules``)
cases       tests/rules, as far as this Suricata knows what they use

Exit status: 77 when something is not here, 1 when a request differs in a way that ``KINDS`` does not explain.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

import matcher
import suricata
import suricata_engine
import suricata_requests
import suricata_rules

from securedirect.errors import ConfigError
from securedirect.rules import load_rule_files
from securedirect.rules.parser import parse_rule
from securedirect.rules.reader import read_rule

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = CHECKOUT.parent / "shared"
RULES = SHARED / "rules" / "et-open-2024-04"
CASES = CHECKOUT / "tests" / "rules"
MARKERS = ("<!-- table -->\n", "<!-- end of table -->")
VARIATIONS = 3
RANDOM_RUNS = 20
RANDOM_RULES = 100
RANDOM_REQUESTS = 300

_RULE = re.compile(r"(?:alert|drop|reject|pass)\s+(http|tcp|tcp-pkt|tcp-stream|ip)\s[^(]*\((.*)\)\s*\Z")
_ELSEWHERE = re.compile(r"to_client|from_server|not_established")
_LOOKS = re.compile(r"content\s*:|pcre\s*:|urilen|bsize")
_COUNTS = re.compile(r"(?:threshold|detection_filter)\s*:[^;]*;")
_SID = re.compile(r"\bsid\s*:\s*(\d+)")
_VARIABLE = re.compile(r"!?\$\w+")
_REQUEST_LINE = re.compile(
    rb"\s*(?:[\w!#$%&'*+.^`|~-]+[ \t]+[^\r\n]+|[\w!#$%&'*+.^`|~-]\S*[ \t]+[^\r\n]*HTTP/[^\r\n]*)\r?\n",
    re.IGNORECASE,
)


class Difference(NamedTuple):
    """One rule that matches a request for one of the two."""

    rule: str
    request: bytes
    ours: bool
    bound: bool
    """We have come to a bound with this request."""


def _first_line(request: bytes) -> bytes:
    return request.lstrip(b"\r\n \t").split(b"\n")[0].rstrip()


def _about_uri(rule: str) -> bool:
    return any(word in rule for word in ("http.uri", "http_uri", "urilen", "uricontent"))


_SEVERAL = re.compile(
    rb"%(?:25|2f|5c|u|[89a-f]|00|%)|%[^%]{0,2}%|\\|//|/\.|\./|/%2e|#|%3f|[\x80-\xff]|\A\S+\s+[^/\s]",
    re.IGNORECASE,
)
_BLANK_IN_URI = re.compile(rb"\S+\s+\S+\s+(?!HTTP/\S+\Z)", re.IGNORECASE)
_FOLD = re.compile(rb"\n[ \t]+[^\s]|[ \t]\r?\n[ \t]")
_HOST_WITH_PORT = re.compile(rb"\nhost[ \t]*:[^\r\n]*:", re.IGNORECASE)
_BROKEN_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*+(?!\d+\s*\r?\n)", re.IGNORECASE)
_END_OF_NONE = re.compile(r'content\s*:\s*!"[^"]*";\s*(?:nocase;\s*)?endswith')
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*(\d+)", re.IGNORECASE)
_CODED = re.compile(rb"\ntransfer-encoding[ \t]*:", re.IGNORECASE)


def _stray(request: bytes) -> bool:
    """Something follows that is no part of the request."""
    parts = re.split(rb"\r?\n\r?\n", request, maxsplit=1)
    length = _LENGTH.search(parts[0])
    rest = len(b"".join(parts[1:])) - (int(length[1]) if length else 0)
    return rest > 0 and not _CODED.search(parts[0])


KINDS: tuple[tuple[str, Callable[[Difference], object]], ...] = (
    (
        "the bound on work: a request that asks too much of the matcher is not judged further; it diverts",
        lambda one: not one.ours and one.bound,
    ),
    (
        "no HTTP: what an HTTP server answers is a request to Suricata, whatever it is; to servers and us, a"
        " request line has a method, a blank, something behind it and an end",
        lambda one: not _REQUEST_LINE.match(one.request),
    ),
    (
        "bytes behind a request: Suricata takes those that begin no request for its body; servers do not read"
        " them",
        lambda one: not one.ours and _stray(one.request),
    ),
    (
        "readings of the URI: decoded again, and before its path is collapsed; of bytes that are no UTF-8"
        " Suricata makes `?`",
        lambda one: _about_uri(one.rule) and _SEVERAL.search(_first_line(one.request)),
    ),
    (
        "blank in the URI: Suricata ends it there; we also look at the whole, as Suricata 8 does",
        lambda one: one.ours and _BLANK_IN_URI.match(_first_line(one.request)),
    ),
    (
        "folded header: a fold is one space to us, as to Apache; Suricata keeps all blanks that were sent",
        lambda one: _FOLD.search(one.request),
    ),
    (
        "capitals of a host with a port stay in Suricata's `http.host`",
        lambda one: ("host" in one.rule or "/W" in one.rule) and _HOST_WITH_PORT.search(one.request),
    ),
    (
        "broken Content-Length: Suricata stops reading there",
        lambda one: one.ours and _BROKEN_LENGTH.search(one.request),
    ),
    (
        "`depth` in the stream: counted from each request's first line, not from the connection's first byte",
        lambda one: one.ours and "depth" in one.rule and (_stray(one.request) or one.request[:1] in b"\r\n"),
    ),
    (
        "`endswith` of what must not be found: Suricata looks at its first place only",
        lambda one: not one.ours and _END_OF_NONE.search(one.rule),
    ),
    (
        "`flow:only_stream` with a body: Suricata asks the rule at a moment when it holds no segment",
        lambda one: one.ours and "only_stream" in one.rule,
    ),
)
UNEXPLAINED = "**not explained**"


def kind_of(one: Difference) -> str:
    return next((text for text, fits in KINDS if fits(one)), UNEXPLAINED)


@dataclass
class Compared:
    """One part."""

    rules: int = 0
    requests: int = 0
    matches: int = 0
    agreed: int = 0
    missing: int = 0
    extra: int = 0
    kinds: Counter[tuple[str, bool]] = field(default_factory=Counter)
    examples: dict[str, list[Difference]] = field(default_factory=dict)


class Engines:
    """Both, and the folder in which they work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        classes = folder / "support"
        classes.mkdir()
        cases = "".join(path.read_text() for path in CASES.glob("*/rules.suricata"))
        shipped = RULES / "classification.config"
        known = shipped.read_text(errors="replace") if shipped.is_file() else ""
        names = sorted(set(re.findall(r"classtype\s*:\s*([\w-]+)", cases)))
        more = [f"config classification: {name},{name},2\n" for name in names if f" {name}," not in known]
        (classes / "classification.config").write_text(known + "\n" + "".join(more))
        (classes / "reference.config").write_text("config reference: url http://\n")
        self.support = classes

    def compare(
        self, into: Compared, rules: list[str], requests: dict[str, bytes], search: str = "auto"
    ) -> None:
        """Judge by both what both have loaded; add to ``into``."""
        file = self.folder / "compared.rules"
        file.write_text("\n".join(rules) + "\n")
        report = load_rule_files(
            [file], dialect="suricata", service_ports=None, overrides={"file:compared.rules": "alert"}
        )
        document = json.loads(report.document)
        loaded = {rule["sid"] for rule in document["rules"]}
        ours, bound = self._ours(report.document, requests)
        theirs, refused = suricata_engine.judge(file, requests, self.folder, self.support, search=search)
        common = loaded - refused
        texts = {int(found[1]): rule for rule in rules if (found := _SID.search(rule))}
        into.rules += len(common)
        into.requests += len(requests)
        for name, request in requests.items():
            mine, other = ours[name] & common, theirs[name] & common
            into.matches += len(other)
            into.agreed += mine == other
            into.missing += len(other - mine)
            into.extra += len(mine - other)
            for sid in mine ^ other:
                one = Difference(texts[sid], request, sid in mine, name in bound)
                kind = kind_of(one)
                into.kinds[kind, one.ours] += 1
                into.examples.setdefault(kind, []).append(one)

    def _ours(self, document: bytes, requests: dict[str, bytes]) -> tuple[dict[str, set[int]], set[str]]:
        path = self.folder / "document.json"
        path.write_bytes(document)
        source = self.folder / "requests.tsv"
        with source.open("w") as file:
            file.writelines(matcher.lines(requests.items()))
        found: dict[str, set[int]] = {}
        bound = set()
        for name, sids in matcher.judged(path, source):
            found[name] = {int(sid) for sid in sids if sid[0] != "b"}
            if {"b43", "b44", "b45"} & set(sids):
                bound.add(name)
        return found, bound


def published() -> list[str]:
    """ET Open's rules about what clients send, whatever their addresses; counting is left out."""
    rules = []
    for path in sorted(RULES.glob("*.rules")):
        for line in path.read_text(errors="replace").splitlines() if "deleted" not in path.name else ():
            found = _RULE.match(line)
            if found and not _ELSEWHERE.search(found[2]) and _LOOKS.search(found[2]):
                rules.append(f"alert {found[1]} any any -> any any ({_COUNTS.sub('', found[2])})")
    return rules


def corpus(every: int) -> Iterator[tuple[str, bytes]]:
    for path in sorted((SHARED / "corpora" / "requests").glob("*.jsonl.gz")):
        with gzip.open(path) as lines:
            for number, line in enumerate(lines):
                if number % every == 0:
                    yield f"{path.name}/{number}", base64.b64decode(json.loads(line)["raw"])


def made(rules: list[str], every: int) -> Iterator[tuple[str, bytes]]:
    random = Random(1)
    for number, text in enumerate(rules):
        try:
            rule = read_rule(parse_rule(text), "suricata")
        except ConfigError:
            continue
        if number % every:
            continue
        request = suricata_requests.made_for(rule, random)
        yield f"{rule.sid}/", request.bytes()
        for index in range(VARIATIONS):
            kind, varied = suricata_requests.vary(request, random)
            yield f"{rule.sid}/{index} {kind}", varied.bytes()


def _corpus(engines: Engines, into: Compared, every: int) -> None:
    engines.compare(into, published(), dict(corpus(every)))


def _made(engines: Engines, into: Compared, every: int) -> None:
    rules = published()
    requests = {name: request for name, request in made(rules, every) if 0 < len(request) < 60_000}
    engines.compare(into, rules, requests)


def _random(engines: Engines, into: Compared, every: int) -> None:
    for seed in range(0, RANDOM_RUNS, every):
        random = Random(seed)
        rules = [suricata_rules.rule(random, sid) for sid in range(1, RANDOM_RULES + 1)]
        requests = {str(index): suricata_rules.request(random).bytes() for index in range(RANDOM_REQUESTS)}
        # Its other algorithm refuses windows into which a content does not fit.
        engines.compare(into, rules, requests, search="ac")


def _cases(engines: Engines, into: Compared, every: int) -> None:
    """The sids of all cases are told apart by their thousands; state lasts for one case."""
    for number, folder in enumerate(sorted(CASES.iterdir())):
        path = folder / "rules.suricata"
        if number % every or not path.is_file() or folder.name in OTHER_CASES:
            continue
        rules = [
            _VARIABLE.sub("any", line) for line in path.read_text().splitlines() if line.startswith("alert")
        ]
        engines.compare(into, rules, {file.name: file.read_bytes() for file in sorted(folder.glob("*.http"))})


OTHER_CASES = frozenset(
    {
        "tcp-header",  # `flags:!SR`: neither to Snort, not both to Suricata
        "packet-header",  # the addresses are others
        "dataset",  # reads a file
        "decided-by-one-option",
        "xbits",  # sources are others, and the address that they share keeps its bits
        "hostbits",
        "flowbits-any-and-all",  # `one&two` is Snort's
        "oddity",  # events that are configured
    }
)
PARTS: dict[str, tuple[str, Callable[[Engines, Compared, int], None]]] = {
    "corpus": ("the corpus", _corpus),
    "made": ("made for the rules", _made),
    "random": ("rules and requests at random", _random),
    "cases": ("`tests/rules`", _cases),
}


def table(parts: dict[str, Compared]) -> str:
    lines = [
        "| requests | number | rules | matches of Suricata | same sids | Suricata's alone | ours alone |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    kinds: Counter[tuple[str, bool]] = Counter()
    for name, one in parts.items():
        kinds += one.kinds
        lines.append(
            f"| {PARTS[name][0]} | {one.requests:,} | {one.rules:,} | {one.matches:,} |"
            f" {one.agreed / max(one.requests, 1):.3%} | {one.missing:,} | {one.extra:,} |"
        )
    lines += ["", "| kind of difference | Suricata's alone | ours alone |", "| --- | ---: | ---: |"]
    for text in (*(text for text, _ in KINDS), UNEXPLAINED):
        if kinds[text, False] or kinds[text, True]:
            lines.append(f"| {text} | {kinds[text, False]:,} | {kinds[text, True]:,} |")
    return "\n".join(lines) + "\n"


def show(parts: dict[str, Compared]) -> None:
    for one in parts.values():
        for kind, differences in one.examples.items():
            print(f"\n{kind}: {len(differences)}")
            for example in sorted(differences, key=lambda one: len(one.request))[:5]:
                who = "ours" if example.ours else "Suricata"
                print(f"  {who}: {example.rule[:400]}\n    {example.request[:400]!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(PARTS), help="this part only")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth request only")
    parser.add_argument("--examples", action="store_true", help="show requests of each difference")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the marks of FILE")
    arguments = parser.parse_args()
    version = suricata.version()
    if not version:
        print(f"skipped: {suricata.MISSING}", file=sys.stderr)
        return 77
    if not (SHARED / "corpora").is_dir():
        print("the corpora are not here (expected beside the checkout: ../shared/corpora)", file=sys.stderr)
        return 77
    warnings.simplefilter("ignore", FutureWarning)  # of Python's about expressions that are not its own
    parts = {}
    with tempfile.TemporaryDirectory() as folder:
        engines = Engines(Path(folder))
        for name in arguments.only or PARTS:
            parts[name] = Compared()
            PARTS[name][1](engines, parts[name], arguments.every)
    text = table(parts)
    print(f"Suricata {version}\n\n{text}")
    if arguments.examples:
        show(parts)
    if arguments.write:
        before, _, rest = arguments.write.read_text().partition(MARKERS[0])
        after = rest.partition(MARKERS[1])[2]
        arguments.write.write_text(f"{before}{MARKERS[0]}{text}{MARKERS[1]}{after}")
    return 1 if UNEXPLAINED in text else 0


if __name__ == "__main__":
    sys.exit(main())
