# SPDX-License-Identifier: Apache-2.0
"""Every folder of tests/rules is a case: rules in each dialect, connections, and which sids match.

A case holds ``rules.snort2``, ``rules.snort3``, ``rules.suricata`` (those that it needs), files ``*.http``
(the bytes that one connection carries, as sent) and ``expected.json``: {file: {dialect: [sids]}}. Adding one
needs no code. The rules go through the parser and the matcher that the product runs; built-in rules are left
out of the comparison.
"""

from __future__ import annotations

import json
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from securedirect.rules import load as load_module
from securedirect.rules import load_rule_files
from securedirect.rules.model import DIALECTS

CHECKOUT = Path(__file__).resolve().parents[3]
CASES = sorted(path.parent for path in (CHECKOUT / "tests" / "rules").glob("*/expected.json"))


def test_there_are_cases():
    assert len(CASES) > 20


def judged(rules: Path, dialect: str, judge: Path, folder: Path) -> dict[str, list[int]]:
    """The sids that match each connection of a case when its ``rules`` are read as ``dialect``."""
    report = load_rule_files([rules], dialect=dialect, service_ports=None)  # type: ignore[arg-type]
    assert [entry for entry in report.entries if entry.status != "loaded"] == []
    document = folder / "document.json"
    document.write_bytes(report.document)
    lines = "".join(
        f"{file.name}\t{file.read_bytes().hex()}\n" for file in sorted(rules.parent.glob("*.http"))
    )
    ran = subprocess.run([judge, document], input=lines, capture_output=True, check=True, text=True)
    assert ran.stderr == "", "the matcher refuses a rule"
    found = {}
    for line in ran.stdout.splitlines():
        name, _, sids = line.partition("\t")
        found[name] = sorted(int(sid) for sid in sids.split() if sid[0] != "b")
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case, judge, tmp_path, monkeypatch):
    # The program judges, and it is as new as the source.
    monkeypatch.setattr(load_module, "_matcher", lambda: None)
    expected = json.loads((case / "expected.json").read_text())
    assert set(expected) == {file.name for file in case.glob("*.http")}
    for rules in sorted(case.glob("rules.*")):
        dialect = rules.suffix[1:]
        for name, sids in judged(rules, dialect, judge, tmp_path).items():
            assert sids == sorted(expected[name][dialect]), f"{name} in {dialect}"


def differing_cases() -> list[str]:
    """The cases that docs/rules.md names where the dialects differ."""
    section = (
        (CHECKOUT / "docs" / "rules.md")
        .read_text()
        .partition("## The three dialects")[2]
        .partition("\n## ")[0]
    )
    rows = [line.rsplit("|", 2)[1] for line in section.splitlines() if line.startswith("|")]
    return sorted({name for row in rows for name in re.findall(r"`([\w*-]+)`", row)})


@pytest.mark.parametrize("pattern", differing_cases())
def test_a_difference_of_the_dialects_fails_under_another_one(pattern, judge, tmp_path, monkeypatch):
    monkeypatch.setattr(load_module, "_matcher", lambda: None)
    named = [case for case in CASES if fnmatch(case.name, pattern)]
    assert named, f"docs/rules.md names {pattern}, which is no case"
    for case in named:
        expected = json.loads((case / "expected.json").read_text())
        for rules in sorted(case.glob("rules.*")):
            own = {name: sorted(by_dialect[rules.suffix[1:]]) for name, by_dialect in expected.items()}
            for other in DIALECTS:
                if other == rules.suffix[1:]:
                    continue
                try:
                    found = judged(rules, other, judge, tmp_path)
                except AssertionError:  # it is not even read: a difference, but not of meaning
                    continue
                if found != own:
                    return
    pytest.fail("every file of the case means the same in the other dialects")
