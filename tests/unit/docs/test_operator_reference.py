# SPDX-License-Identifier: Apache-2.0
"""docs/operator.md lists exactly the configuration keys, events, counters and built-in rules there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from securedirect.config import Config
from securedirect.errors import EXIT_CAPABILITY, EXIT_CONFIG, EXIT_FAILURE, EXIT_KERNEL, EXIT_OK, EXIT_USAGE
from securedirect.events.catalogue import EventId

REPOSITORY = Path(__file__).parents[3]
OPERATOR = REPOSITORY / "docs" / "operator.md"
ENGINE_COUNTERS = REPOSITORY / "crates" / "sd-engine" / "src" / "counter.rs"
DIRECTOR_COUNTERS = REPOSITORY / "crates" / "sd-io" / "src" / "abi.rs"
DECODER = REPOSITORY / "crates" / "sd-rules" / "src" / "http" / "decoder.rs"


def table(heading: str) -> list[list[str]]:
    """The cells of the rows of all tables below a heading, up to the next heading of any level."""
    text = OPERATOR.read_text()
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/operator.md has no heading {heading!r}"
    rows = [line for line in found[1].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    return [row for row in cells if not set(row[0]) <= set("-: ") and row[0].startswith("`")]


def names(heading: str) -> list[str]:
    return [row[0].strip("`") for row in table(heading)]


def models() -> dict[str, type[BaseModel]]:
    """Section of the file → its model."""
    found = {}
    for name, field in Config.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        found[name] = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return found


def shown(value: Any) -> str:
    """A default as the file would have it."""
    if value is None:
        return "not set"
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, dict):
        return "{}" if not value else str(value)
    return f'"{value}"'


def default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"`{shown(field.default)}`"


def limits(field: FieldInfo) -> tuple[str, ...]:
    """The words that the description of the key's values must have: its bounds, or its choices."""
    if get_origin(field.annotation) is Literal:
        return tuple(f"`{choice}`" for choice in get_args(field.annotation))
    bounds = {key: getattr(one, key) for one in field.metadata for key in ("ge", "le") if hasattr(one, key)}
    return (f"{bounds['ge']:g} to {bounds['le']:,}",) if set(bounds) == {"ge", "le"} else ()


@pytest.mark.parametrize("section", list(models()))
def test_keys_of_the_configuration(section: str) -> None:
    fields = models()[section].model_fields
    documented = table(
        f"[{section}]" if section not in ("server", "honeypot", "service") else f"[[{section}]]"
    )
    assert [row[0].strip("`") for row in documented] == list(fields)
    for (name, field), row in zip(fields.items(), documented, strict=True):
        assert row[1] == default(field), f"default of {section}.{name}"
        for words in limits(field):
            assert words in row[2], f"{section}.{name}: {words}"


def test_every_section_has_its_heading_in_order() -> None:
    headings = re.findall(r"^### \[+(\w+)\]+$", OPERATOR.read_text(), re.MULTILINE)
    assert headings == list(models())


def test_events() -> None:
    assert names("Events of the project's own") == [str(event) for event in EventId]


def test_counters_and_drop_reasons() -> None:
    engine = re.findall(r'=> "(\w+)"', ENGINE_COUNTERS.read_text())
    text = re.search(r"COUNTERS: \[&str; \d+\] = \[(.*?)\]", DIRECTOR_COUNTERS.read_text(), re.DOTALL)
    assert text and len(engine) > 20
    every = re.findall(r'"(\w+)"', text[1]) + engine
    assert names("Counters") == [name for name in every if not name.startswith("drop_")]
    drops = [name.removeprefix("drop_") for name in every if name.startswith("drop_")]
    assert names("Drop reasons") == drops


def test_built_in_rules() -> None:
    rows = re.findall(r'= (\d+), (DIVERT|ALERT|QUIET), "([^"]+)";', DECODER.read_text())
    assert len(rows) > 20
    actions = {"DIVERT": "divert", "ALERT": "alert", "QUIET": "none"}
    assert [[row[0].strip("`"), *row[1:]] for row in table("Built-in rules")] == [
        [sid, actions[action], message] for sid, action, message in rows
    ]


def test_exit_statuses() -> None:
    every = (EXIT_OK, EXIT_FAILURE, EXIT_USAGE, EXIT_KERNEL, EXIT_CAPABILITY, EXIT_CONFIG)
    assert names("Exit statuses") == [str(status) for status in every]


@pytest.mark.parametrize(
    "page", [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(#[^)\s]+)?\)", page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings]
            assert anchor[1:] in slugs, f"{page.name}: {target}{anchor}"
