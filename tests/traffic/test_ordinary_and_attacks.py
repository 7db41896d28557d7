# SPDX-License-Identifier: Apache-2.0
"""With the shipped rules and the default policy no ordinary request is diverted, and every attack is.

A sample of the ordinary requests; ``make benign`` judges all of them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import attacks
import benign
import pytest
import report

from securedirect.rules import DEFAULT_RULES, load_rule_files

SAMPLE = 3000
OWN_CASES = 9001000
"""Sids below have their case in tests/unit/rules/test_rules_default.py."""


@pytest.fixture(scope="module")
def document() -> bytes:
    loaded = load_rule_files([DEFAULT_RULES])
    loaded.raise_if_broken()
    return loaded.document


def test_no_ordinary_request_is_diverted(judge: Path, document: bytes) -> None:
    found = report.judge(judge, document, report.numbered(benign.requests(SAMPLE)))
    assert found.total == SAMPLE
    assert found.diverted == {}


def test_every_attack_is_diverted(judge: Path, document: bytes) -> None:
    listed = dict(attacks.attacks())
    found = report.judge(judge, document, listed.items())
    assert len(listed) == found.total > 300
    assert sorted(set(listed) - set(found.diverted)) == []
    rules = [rule for rule in json.loads(document)["rules"] if rule["sid"] >= OWN_CASES]
    shown = {rule["msg"] for rule in rules if str(rule["sid"]) in found.met}
    assert {rule["msg"] for rule in rules} - shown == set(), "no attack of the list shows what these are for"


def test_the_traffic_is_the_same_everywhere() -> None:
    def digest(seed: int) -> str:
        return hashlib.sha256(b"\0".join(raw for _, raw in benign.requests(300, seed))).hexdigest()

    assert digest(1) == digest(1) != digest(2)
    kinds = {kind for kind, _ in benign.requests(2000)}
    assert kinds == {*benign.VISITS, *benign.PROGRAMS}
