# SPDX-License-Identifier: Apache-2.0
"""The registry of marked sources: news, expiry, allow-list, disk."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from securedirect.events.eve import EveLog
from securedirect.registry.attackers import AttackerRegistry


class Table:
    """The kernel's table; ``now`` is shared with the registry's clock."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.marks: dict[str, tuple[float, float, int]] = {}

    def attackers(self) -> list[dict[str, Any]]:
        return [
            {"address": a, "since": s - self.now, "expires": e - self.now, "sid": sid, "connections": 1}
            for a, (s, e, sid) in self.marks.items()
        ]

    def attacker_add(self, address: str, *, expiry: float, sid: int = 0) -> None:
        if len(self.marks) >= 3:
            raise OSError(7, "table full")
        self.marks[address] = (self.now, self.now + expiry, sid)

    def attacker_remove(self, address: str) -> bool:
        return self.marks.pop(address, None) is not None


@pytest.fixture
def table() -> Table:
    return Table()


def registry(table: Table, folder: Path, **options: Any) -> AttackerRegistry:
    return AttackerRegistry(
        table,
        folder / "attackers.json",
        EveLog(folder / "eve.json"),
        expiry=3600,
        signature=lambda sid: f"rule {sid}" if sid else "",
        clock=lambda: table.now,
        **options,
    )


def events(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "eve.json").read_text().splitlines()
    return [(e["securedirect"]["event"], e["src_ip"]) for e in map(json.loads, lines)]


def test_a_mark_of_the_kernel_is_told_once_and_expires(table: Table, tmp_path: Path) -> None:
    one = registry(table, tmp_path)
    table.attacker_add("198.51.100.1", expiry=10, sid=5)
    table.now += 2
    one.poll()
    one.poll()
    assert events(tmp_path) == [("source_marked", "198.51.100.1")]
    line = json.loads((tmp_path / "eve.json").read_text())
    assert line["securedirect"]["sid"] == 5
    assert line["securedirect"]["signature"] == "rule 5"
    assert line["securedirect"]["since"].startswith("2027-01-15T08:00:00")
    assert line["securedirect"]["expires"].startswith("2027-01-15T08:00:10")
    table.now += 8
    one.poll()
    assert table.marks == {}
    assert events(tmp_path)[1:] == [("source_expired", "198.51.100.1")]
    assert one.listed() == []


def test_marks_are_restored_after_a_reboot_but_not_expired_or_allowed_ones(
    table: Table, tmp_path: Path
) -> None:
    one = registry(table, tmp_path)
    for address, expiry in (("198.51.100.1", 100.0), ("198.51.100.2", 10.0), ("203.0.113.9", 100.0)):
        table.attacker_add(address, expiry=expiry, sid=5)
    one.poll()
    assert one.dirty
    one.write(one.snapshot())
    assert not one.dirty
    table.marks.clear()
    table.now += 50
    later = registry(table, tmp_path, allow=[IPv4Network("203.0.113.0/24")])
    assert later.restore() == 1
    assert list(table.marks) == ["198.51.100.1"]
    assert table.marks["198.51.100.1"][1] - table.now == pytest.approx(50)
    later.poll()
    assert events(tmp_path).count(("source_marked", "198.51.100.1")) == 1
    assert later.listed()[0]["since"].startswith("2027-01-15T08:00:00")


def test_marks_that_survived_in_the_kernel_are_not_touched(table: Table, tmp_path: Path) -> None:
    one = registry(table, tmp_path)
    table.attacker_add("198.51.100.1", expiry=100, sid=5)
    one.poll()
    one.write(one.snapshot())
    before = dict(table.marks)
    later = registry(table, tmp_path)
    assert later.restore() == 0
    assert table.marks == before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 1, "attackers": [{"x": 1}]}',
        '{"format": 1, "attackers": [{"address": "x", "since": 1, "expires": 9e9, "sid": 1, "by": "rule"}]}',
        '{"format": 1, "attackers": [{"address": "1.2.3.4", "since": 1,"expires": "x", "sid": 1, "by": ""}]}',
    ],
)
def test_a_damaged_file_stops_nothing(table: Table, tmp_path: Path, content: str) -> None:
    (tmp_path / "attackers.json").write_text(content)
    assert registry(table, tmp_path).restore() == 0


def test_a_failed_write_leaves_the_old_file(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = registry(table, tmp_path)
    one.add("198.51.100.1")
    one.write(one.snapshot())
    old = (tmp_path / "attackers.json").read_bytes()
    one.add("198.51.100.2")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        one.write(one.snapshot())
    assert (tmp_path / "attackers.json").read_bytes() == old
    assert not (tmp_path / "attackers.new").exists()
    assert one.dirty, "it is tried again"


def test_allowed_sources_are_freed_and_cannot_be_added(table: Table, tmp_path: Path) -> None:
    table.attacker_add("203.0.113.9", expiry=100)
    one = registry(table, tmp_path, allow=[IPv4Network("203.0.113.0/24")])
    one.poll()
    assert table.marks == {}
    with pytest.raises(ValueError, match=r"203\.0\.113\.0/24"):
        one.add("203.0.113.9")


def test_an_operators_mark(table: Table, tmp_path: Path) -> None:
    one = registry(table, tmp_path)
    one.add("198.51.100.1")
    one.add("198.51.100.2", 60)
    one.poll()
    listed = {entry["address"]: entry for entry in one.listed()}
    assert listed["198.51.100.1"]["by"] == "operator"
    assert table.marks["198.51.100.1"][1] - table.now == 3600
    assert table.marks["198.51.100.2"][1] - table.now == 60
    one.add("198.51.100.3")
    with pytest.raises(OSError, match="table full"):
        one.add("198.51.100.4")
    assert one.remove("198.51.100.1")
    assert not one.remove("198.51.100.1")
    assert events(tmp_path)[-1] == ("source_removed", "198.51.100.1")


def test_what_the_kernel_pushed_out_is_forgotten(table: Table, tmp_path: Path) -> None:
    one = registry(table, tmp_path)
    one.add("198.51.100.1")
    one.dirty = False
    table.marks.clear()
    one.poll()
    assert one.listed() == []
    assert one.dirty
