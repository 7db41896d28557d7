# SPDX-License-Identifier: Apache-2.0
"""The cases of tests/rules show every option, buffer and modifier that the loader knows, in each dialect.

Shown is an option when a rule with it matches a request of its case, and one with it does not match another.
What is missing is listed with its dialect: add a case (a folder, no code).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from securedirect.rules import vocabulary
from securedirect.rules.lexer import rule_texts
from securedirect.rules.model import DIALECTS, Option
from securedirect.rules.options_content import CONTENT_OPTIONS
from securedirect.rules.parser import parse_rule
from securedirect.rules.reader import HANDLERS

CASES = Path(__file__).resolve().parents[2] / "rules"

INFORMATION = frozenset("msg sid gid rev classtype priority metadata reference".split())
"""They say what a rule is called, not what it matches."""
SILENT = frozenset("noalert flowbits flowint xbits hostbits".split())
"""Rules with noalert do their work without being reported."""
NEVER = frozenset(
    """
    sameip ipopts tcp.mss tcp.wscale ipv6.hdr flow.age flow.pkts flow.pkts_toserver flow.pkts_toclient
    flow.bytes flow.bytes_toserver flow.bytes_toclient
    """.split()
)
"""Known, but no rule with them is ever loaded."""


def wanted(dialect: str) -> set[str]:
    """Everything of the loader's vocabulary that rules of ``dialect`` are judged by."""
    names = set(HANDLERS) - vocabulary.IGNORED - vocabulary.RESPONSE - INFORMATION - NEVER
    names = {name for name in names if dialect in vocabulary.ONLY_IN.get(name, DIALECTS)}
    flags = vocabulary.PCRE_PLAIN | set(vocabulary.PCRE_BUFFERS_IN[dialect])
    names |= {f"pcre /{flag}" for flag in flags}
    names |= {"content !", "pcre !"}
    if dialect == "snort3":
        names |= {f"http_header:field {field}" for field in vocabulary.HEADER_FIELDS}
    return names


def used(option: Option) -> Iterator[str]:
    """The names of the vocabulary that one option uses."""
    value = (option.value or "").strip()
    yield option.name
    if option.name in ("content", "uricontent"):
        if value.startswith("!"):
            yield "content !"
        for part in value.rpartition('"')[2].split(","):  # Snort 3: modifiers inside the option
            name = part.strip().partition(" ")[0].lower()
            if name in CONTENT_OPTIONS:
                yield name
    elif option.name == "pcre":
        if value.startswith("!"):
            yield "pcre !"
        yield from (f"pcre /{flag}" for flag in value.rpartition("/")[2] if flag != '"')
    elif option.name == "http_header" and value:
        yield f"http_header:{value}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_option_is_shown_to_match_and_not_to_match(dialect: str) -> None:
    matching: dict[str, set[str]] = defaultdict(set)
    missing: dict[str, set[str]] = defaultdict(set)
    for case in sorted(path.parent for path in CASES.glob("*/expected.json")):
        rules = case / f"rules.{dialect}"
        if not rules.exists():
            continue
        expected = json.loads((case / "expected.json").read_text())
        for text in rule_texts(rules.read_text("latin-1"), multiline=dialect == "snort3"):
            parsed = parse_rule(text.text, text.start)
            sid = next(int(option.value or 0) for option in parsed.options if option.name == "sid")
            found = [sid in sids[dialect] for sids in expected.values()]
            for name in {name for option in parsed.options for name in used(option)}:
                if any(found) or ("noalert" in text.text and name in SILENT):
                    matching[name].add(case.name)
                if not all(found):
                    missing[name].add(case.name)
    names = wanted(dialect)
    assert sorted(names - matching.keys()) == [], f"{dialect}: no case in which a rule with these matches"
    assert sorted(names - missing.keys()) == [], (
        f"{dialect}: no case in which a rule with these does not match"
    )
