# SPDX-License-Identifier: Apache-2.0
"""Every folder of tests/rules is a case: rules in each dialect, connections, and which sids match.

A case holds ``rules.snort2``, ``rules.snort3``, ``rules.suricata`` (those that it needs), files ``*.http``
(the bytes that one connection carries, as sent) and ``expected.json``: {file: {dialect: [sids]}}. Adding one
needs no code. The rules go through the parser and the matcher that the product runs; built-in rules are left
out of the comparison.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from securedirect.rules import load as load_module
from securedirect.rules import load_rule_files

CHECKOUT = Path(__file__).resolve().parents[3]
CASES = sorted(path.parent for path in (CHECKOUT / "tests" / "rules").glob("*/expected.json"))


def test_there_are_cases():
    assert len(CASES) > 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case, judge, tmp_path, monkeypatch):
    monkeypatch.setattr(load_module, "_matcher", lambda: None)
    # The program judges, and it is as new as the source.
    expected = json.loads((case / "expected.json").read_text())
    requests = {file.name: file.read_bytes() for file in sorted(case.glob("*.http"))}
    assert set(expected) == set(requests)
    for rules in sorted(case.glob("rules.*")):
        dialect = rules.suffix[1:]
        report = load_rule_files([rules], dialect=dialect, service_ports=None)  # type: ignore[arg-type]
        assert [entry for entry in report.entries if entry.status != "loaded"] == []
        document = tmp_path / "document.json"
        document.write_bytes(report.document)
        lines = "".join(f"{name}\t{stream.hex()}\n" for name, stream in requests.items())
        ran = subprocess.run([judge, document], input=lines, capture_output=True, check=True, text=True)
        assert ran.stderr == "", "the matcher refuses a rule"
        for line in ran.stdout.splitlines():
            name, _, sids = line.partition("\t")
            found = sorted(int(sid) for sid in sids.split() if sid[0] != "b")
            assert found == sorted(expected[name][dialect]), f"{name} in {dialect}"
