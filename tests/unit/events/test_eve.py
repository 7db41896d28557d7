# SPDX-License-Identifier: Apache-2.0
"""The event log: whole lines, whatever happens to the file."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from securedirect.errors import HostError
from securedirect.events.catalogue import EventId
from securedirect.events.eve import EveLog, timestamp


def test_an_event_of_the_supervisor(tmp_path: Path) -> None:
    log = EveLog(tmp_path / "deep" / "eve.json")
    log.event(EventId.SERVER_DOWN, name="web1", reason="silent")
    log.event(EventId.SOURCE_MARKED, src_ip="198.51.100.1", sid=1)
    first, second = map(json.loads, log.path.read_text().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+0000", first.pop("timestamp"))
    assert first == {
        "event_type": "securedirect",
        "securedirect": {"event": "server_down", "name": "web1", "reason": "silent"},
    }
    assert second["src_ip"] == "198.51.100.1"
    assert log.written == 2
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o640


def test_lines_of_the_inspector(tmp_path: Path) -> None:
    log = EveLog(tmp_path / "eve.json")
    given = b'{"timestamp":"2026-01-01T00:00:00.000000+0000","event_type":"alert"}'
    log.line(given + b"\n")
    log.line(b'{"event_type":"alert","flow_id":1}\n')
    log.line(b"no json\n")
    log.line(b"[]\n")
    log.line(b"[" * 100_000 + b"\n")
    log.line(b"\n")
    lines = log.path.read_bytes().splitlines()
    assert lines[0] == given
    assert json.loads(lines[1])["timestamp"]
    assert json.loads(lines[1])["flow_id"] == 1
    assert len(lines) == 2
    assert (log.written, log.lost) == (2, 3)


def test_a_rotated_file_is_opened_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("securedirect.events.eve._REOPEN_SECONDS", 0.0)
    log = EveLog(tmp_path / "eve.json")
    log.event(EventId.STARTED)
    log.path.rename(tmp_path / "eve.json.1")
    log.event(EventId.STOPPED)
    assert "started" in (tmp_path / "eve.json.1").read_text()
    assert "stopped" in log.path.read_text()
    log.path.unlink()
    log.event(EventId.STARTED)
    assert len(log.path.read_text().splitlines()) == 1


def test_a_line_cut_short_by_a_crash_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_bytes(b'{"event_type": "al')
    log = EveLog(path)
    log.event(EventId.STARTED)
    assert json.loads(path.read_text().splitlines()[1])["securedirect"]["event"] == "started"


def test_a_full_disk_stops_nothing() -> None:
    log = EveLog(Path("/dev/full"))
    log.event(EventId.STARTED)
    log.line(b'{"timestamp":"x"}\n')
    assert (log.written, log.lost) == (0, 2)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot write the event log"):
        EveLog(tmp_path / "file" / "eve.json")


def test_timestamp() -> None:
    assert timestamp(0.5) == "1970-01-01T00:00:00.500000+0000"
