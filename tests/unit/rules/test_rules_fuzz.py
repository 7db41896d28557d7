# SPDX-License-Identifier: Apache-2.0
"""A little of fuzz/rules_text.py, and every input that it once found."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

FUZZ = Path(__file__).resolve().parents[3] / "fuzz"


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rules_text", FUZZ / "rules_text.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mutated_rules_are_read_without_a_crash(fuzzer: ModuleType, tmp_path: Path) -> None:
    entries = 0
    for number, data in enumerate(islice(fuzzer.files(Random(20241112)), 300)):
        entries += fuzzer.check(tmp_path / "fuzz.rules", data, number)
    assert entries > 300


def test_inputs_that_once_failed(fuzzer: ModuleType, tmp_path: Path) -> None:
    for found in sorted((FUZZ / "regressions" / "rules_text").glob("*.*")):
        fuzzer.check(tmp_path / "fuzz.rules", found.read_bytes(), int(found.suffix[1:]))
