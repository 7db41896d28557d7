# SPDX-License-Identifier: Apache-2.0
"""Compares the readings of a URI's path with what libhtp 0.5.42 (Suricata's HTTP parser) made of it.

    .venv/bin/python tests/oracle/libhtp.py [--write docs/http.md]

Reads the corpus beside the checkout (``../shared``): 15,815 URIs, mostly of lists of traversal attacks, under
three of libhtp's personalities. Agreement: libhtp's path is one of the readings that rules see under the
profile that goes with the personality. Exit status: 0 when every difference is of a kind that is explained
here, else 1; 77 without the corpus.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from securedirect import _core

CHECKOUT = Path(__file__).resolve().parents[2]
CORPUS = CHECKOUT.parent / "shared" / "corpora" / "oracle" / "libhtp" / "uri_normalised.tsv.gz"

PERSONALITIES = (("IDS", "generic", 1), ("Apache 2", "apache", 4), ("IIS 5.1", "iis", 7))
"""libhtp's name, the profile that is compared with it, and its column of the corpus."""

KINDS = {
    "same": "libhtp's path is one of the readings",
    "letter case": "libhtp's IDS personality makes capitals small; Suricata switches that off, since rules"
    " tell them apart, and so do we",
    "empty path": "libhtp makes nothing of a path of dot segments only; servers, RFC 3986 and we make `/`",
    "question mark": "libhtp writes `?` for each byte that is no valid UTF-8, and for each character"
    " without a likeness in its code page; we leave the bytes as they are",
    "goes on": "a separator or dot that comes of UTF-8 or `%u` counts for us: the path is collapsed after"
    " that, as a file system would; libhtp collapses once, before",
    "five bytes": "overlong forms of five and six bytes are read for what they stand for, which libhtp does"
    " not",
    "not explained": "a difference without a reason",
}


LONG = re.compile(rb"[\xf8-\xfb][\x80-\xbf]{4}|[\xfc\xfd][\x80-\xbf]{5}")


def readings(path: bytes, profile: str) -> list[bytes]:
    """The readings of a URI without query, as Suricata's rules see them."""
    buffers, _ = _core.normalise(b"GET " + path + b" HTTP/1.1\r\n\r\n", profile)
    return next((r for name, dialect, r in buffers if name == "http_uri" and dialect == "suricata"), [])


def alike(theirs: bytes, ours: bytes) -> bool:
    """The same but for letter case, and for what libhtp writes as a question mark."""
    places = iter(range(len(ours)))
    for byte in theirs.lower():
        at = next(places, None)
        if at is None:
            return False
        if byte == ord("?") and ours[at] >= 0x80:
            # One for an invalid byte, or for all of a character.
            if ours[at] >= 0xC0:
                rest = _continued(ours, at)
                for _ in range(rest):
                    next(places)
        elif byte != ours[at : at + 1].lower()[0]:
            return False
    return next(places, None) is None


def _continued(data: bytes, at: int) -> int:
    """How many bytes of the UTF-8 character at ``at`` follow its first, none when it is not one."""
    for length in (2, 3, 4):
        try:
            if len(data[at : at + length].decode()) == 1 and length > 1:
                return length - 1
        except UnicodeDecodeError:
            continue
    return 0


def kind_of(theirs: bytes, ours: Sequence[bytes], profile: str) -> str:
    if theirs in ours:
        return "same"
    if theirs == b"" and b"/" in ours:
        return "empty path"
    small = [one.lower() for one in ours]
    if theirs.lower() in small:
        return "letter case"
    if any(alike(theirs, one) for one in ours):
        return "question mark"
    for further in readings(quoted(theirs), profile):
        if further.lower() in small or any(alike(further, one) for one in ours):
            return "goes on"
    unread = LONG.sub(lambda found: b"?" * len(found[0]), ours[0]) if ours else b""
    if any(alike(theirs, one) for one in readings(quoted(unread), profile)):
        return "five bytes"
    return "not explained"


def quoted(path: bytes) -> bytes:
    return b"".join(b"%%%02x" % byte if byte != ord("/") else b"/" for byte in path)


def rows() -> Iterator[list[str]]:
    with gzip.open(CORPUS, "rt") as lines:
        next(lines)
        for line in lines:
            yield line.rstrip("\n").split("\t")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks of FILE")
    parser.add_argument("--examples", action="store_true", help="show URIs of each difference")
    arguments = parser.parse_args()
    if not CORPUS.is_file():
        print(f"the corpus is not here (expected beside the checkout: {CORPUS.name})", file=sys.stderr)
        return 77
    counts: dict[str, Counter[str]] = {name: Counter() for name, _, _ in PERSONALITIES}
    examples: dict[str, list[str]] = defaultdict(list)
    for row in rows():
        path = bytes.fromhex(row[0]).split(b"?", 1)[0]
        for name, profile, column in PERSONALITIES:
            theirs, ours = bytes.fromhex(row[column]), readings(path, profile)
            kind = kind_of(theirs, ours, profile)
            counts[name][kind] += 1
            if kind != "same" and len(examples[f"{name}: {kind}"]) < 3:
                examples[f"{name}: {kind}"].append(f"{path!r}\n    libhtp {theirs!r}\n    ours   {ours!r}")
    names = [name for name, _, _ in PERSONALITIES]
    lines = [
        "| libhtp's path | "
        + " | ".join(f"{name} / `{profile}`" for name, profile, _ in PERSONALITIES)
        + " |",
        "| --- |" + " ---: |" * len(names),
    ]
    for kind, text in KINDS.items():
        if kind != "not explained" or any(counts[name][kind] for name in names):
            cells = " | ".join(f"{counts[name][kind]:,}" for name in names)
            lines.append(f"| {kind}: {text} | {cells} |")
    table = "\n".join(lines)
    print(table)
    if arguments.examples:
        for kind, found in sorted(examples.items()):
            print(f"\n{kind}", *found, sep="\n  ")
    if arguments.write:
        old = arguments.write.read_text()
        before, begin, rest = old.partition("<!-- table -->\n")
        _, end, after = rest.partition("<!-- end of table -->")
        arguments.write.write_text(before + begin + table + "\n" + end + after)
    return 1 if any(counts[name]["not explained"] for name in names) else 0


if __name__ == "__main__":
    sys.exit(main())
