# SPDX-License-Identifier: Apache-2.0
"""Each option, buffer and modifier decides something: taken out of its rule, some connection of the cases of
tests/rules is judged otherwise.

"Does not match" alone proves nothing: the rule might not match for another reason. So every rule of the cases
is read again without each of its options in turn, and what it says of the case's connections is compared. For
what only makes a rule match more (nocase), it is the match that is lost; for all else a match is gained.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_rules_coverage import CASES, INFORMATION, wanted

from securedirect.rules import load as load_module
from securedirect.rules import load_rule_files
from securedirect.rules.lexer import rule_texts
from securedirect.rules.model import DIALECTS, Option
from securedirect.rules.options_content import CONTENT_OPTIONS
from securedirect.rules.parser import parse_rule

EXEMPT = {
    "flow": "on a service there are only the client's segments of connections that stand",
    "requires": "says whether the rule is there at all",
    "service": "a service speaks one protocol; other services' rules are not loaded",
    "app-layer-protocol": "the same",
    "ip_proto": "a service is on TCP; other numbers are not loaded",
    "fast_pattern": "says what to look for first, not what matches",
    "snort2 pcre /B": "raw bytes are what an expression looks at without it, too",
    "suricata pcre /B": "names no buffer there",
    "threshold": "shown with several connections of one source, in unit tests",
}


def variants(options: tuple[Option, ...], at: int) -> Iterator[tuple[str, str | None]]:
    """What can be taken out of the option at ``at``: its name in the vocabulary, and the option without it
    (None: nothing is left of it)."""
    option = options[at]
    value = (option.value or "").strip()
    if option.name in ("content", "uricontent"):
        if value.startswith("!"):
            yield "content !", f"{option.name}:{value[1:].lstrip()};"
        head, quote, tail = value.rpartition('"')
        parts = [part for part in tail.split(",") if part.strip()]
        for index, part in enumerate(parts):
            name = part.strip().partition(" ")[0].lower()
            if name in CONTENT_OPTIONS:
                rest = "".join(f",{one}" for one in parts[:index] + parts[index + 1 :])
                yield name, f"{option.name}:{head}{quote}{rest};"
    elif option.name == "pcre":
        if value.startswith("!"):
            yield "pcre !", f"pcre:{value[1:].lstrip()};"
        body, slash, flags = value.rpartition("/")
        for flag in set(flags) - set('" '):
            yield f"pcre /{flag}", f"pcre:{body}{slash}{flags.replace(flag, '')};"
    elif option.name == "http_header" and value:
        yield f"http_header:{value}", "http_header;"
    yield option.name, None


def written(option: Option) -> str:
    return f"{option.name}:{option.value};" if option.value is not None else f"{option.name};"


def sids(judge: Path, texts: list[str], dialect: str, folder: Path, case: Path) -> dict[str, set[int]]:
    """What matches each connection of the case. Rules that are not loaded match nothing."""
    rules, document = folder / "one.rules", folder / "document.json"
    rules.write_text("\n".join(texts) + "\n", "latin-1")
    report = load_rule_files([rules], dialect=dialect, service_ports=None)  # type: ignore[arg-type]
    document.write_bytes(report.document)
    lines = "".join(f"{file.name}\t{file.read_bytes().hex()}\n" for file in sorted(case.glob("*.http")))
    ran = subprocess.run([judge, document], input=lines, capture_output=True, check=True, text=True)
    pairs = (line.partition("\t")[::2] for line in ran.stdout.splitlines())
    return {name: {int(sid) for sid in found.split() if sid[0] != "b"} for name, found in pairs}


def mutants(text: str, number: int) -> Iterator[tuple[str, int, str]]:
    """The rule without each thing in turn: what that is called, a sid (from ``number`` on), the text."""
    options = parse_rule(text, 0).options
    sid = next(at for at, option in enumerate(options) if option.name == "sid")
    head = text[: text.index("(") + 1]
    for at in range(len(options)):
        for name, left in variants(options, at):
            if name in INFORMATION:
                continue
            kept = [written(option) for option in options]
            kept[sid] = f"sid:{number};"
            kept[at] = left or ""
            yield name, number, f"{head}{' '.join(kept)})"
            number += 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_taking_it_out_changes_what_is_said(dialect, judge, tmp_path, monkeypatch):
    monkeypatch.setattr(load_module, "_matcher", lambda: None)
    decisive: set[str] = set()
    for rules in sorted(CASES.glob(f"*/rules.{dialect}")):
        texts = [one.text for one in rule_texts(rules.read_text("latin-1"), multiline=dialect == "snort3")]
        own = sids(judge, texts, dialect, tmp_path, rules.parent)
        made: list[tuple[int, int, str, str]] = []  # which rule, new sid, what is taken out, text
        for index, text in enumerate(texts):
            made += [(index, sid, name, new) for name, sid, new in mutants(text, 1_000_000 + len(made))]
        if any(word in text for text in texts for word in ("flowbits", "xbits", "hostbits")):
            # Rules with bits change what the others say: one at a time, in its place.
            runs = [
                ([*texts[:index], new, *texts[index + 1 :]], [(index, sid, name, new)])
                for index, sid, name, new in made
            ]
        else:
            runs = [([new for *_, new in made], made)]
        for lines, changed in runs:
            found = sids(judge, lines, dialect, tmp_path, rules.parent)
            for connection, matched in found.items():
                for index, sid, name, _ in changed:
                    before = next(
                        int(o.value or 0) for o in parse_rule(texts[index], 0).options if o.name == "sid"
                    )
                    if (sid in matched) != (before in own[connection]):
                        decisive.add(name)
    exempt = {name.removeprefix(f"{dialect} ") for name in EXEMPT}
    missing = " ".join(sorted(wanted(dialect) - decisive - exempt))
    assert not missing, f"{dialect}: no case in which these decide: {missing}"
