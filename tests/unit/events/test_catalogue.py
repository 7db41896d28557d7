# SPDX-License-Identifier: Apache-2.0
"""Emitters use the catalogue's events only, and every event of the catalogue has an emitter."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from securedirect.events import catalogue
from securedirect.events.catalogue import INSPECTOR_EVENTS, EventId

PACKAGE = Path(catalogue.__file__).parents[1]
REPOSITORY = Path(__file__).parents[3]


def python_files() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path != Path(catalogue.__file__)]


def test_ids_are_snake_case_and_described() -> None:
    tree = ast.parse(Path(catalogue.__file__).read_text())
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            described = 0
            for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(statement, ast.Assign):
                    assert isinstance(following, ast.Expr), f"{ast.unparse(statement)} has no description"
                    described += 1
            assert described
    for event in EventId:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event)


def test_every_event_of_the_supervisor_has_an_emitter_and_none_is_made_up() -> None:
    used = set()
    for path in python_files():
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "EventId"
            ):
                used.add(EventId[node.attr])
            # EveLog.event() and its wrappers take members, never texts.
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "event"
            ):
                assert not (node.args and isinstance(node.args[0], ast.Constant)), f"{path}:{node.lineno}"
    assert used >= set(EventId) - INSPECTOR_EVENTS


def test_the_inspectors_events_are_those_of_the_catalogue() -> None:
    """What the Rust sources write as ``"event": "..."`` and the starting script as its failure."""
    sources = [path for path in (REPOSITORY / "crates").rglob("src/**/*.rs") if "target" not in path.parts]
    if not sources:
        pytest.skip("the Rust sources are not here (an installed package)")
    text = "".join(path.read_text() for path in sources) + (PACKAGE / "daemon" / "inspector.py").read_text()
    written = re.findall(r'"event"\s*:\s*"([a-z_]+)"', text)
    written += re.findall(r'"event"\.into\(\),\s*json!\("([a-z_]+)"\)', text)
    assert set(written) == {str(event) for event in INSPECTOR_EVENTS}
