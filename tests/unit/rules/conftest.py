# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the rule tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from securedirect.rules import RuleReport, load_rule_files

SHARED = Path(__file__).resolve().parents[3].parent / "shared"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., RuleReport]:
    """Load rule text: load(text, **options of load_rule_files). Without service_ports every rule is kept."""

    def _load(text: str | bytes, *, name: str = "test.rules", **options: Any) -> RuleReport:
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
        options.setdefault("service_ports", None)
        return load_rule_files([file], **options)

    return _load


@pytest.fixture
def documented(load: Callable[..., RuleReport]) -> Callable[..., dict[str, Any]]:
    """The document's rule of one loaded rule text."""

    def _documented(text: str, **options: Any) -> dict[str, Any]:
        report = load(text, **options)
        rules = json.loads(report.document)["rules"]
        assert len(rules) == 1, report.entries
        found: dict[str, Any] = rules[0]
        return found

    return _documented


@pytest.fixture(scope="session")
def shared_rules() -> Path:
    """The folder of the published rule sets, which are no part of this repository."""
    folder = SHARED / "rules"
    if not folder.is_dir():
        pytest.skip("the published rule sets are not here (expected beside the checkout: ../shared/rules)")
    return folder
