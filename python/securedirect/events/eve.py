# SPDX-License-Identifier: Apache-2.0
"""The event log: appends one JSON object per line, and never lets a full disk or a slow reader stop the
director.

Each event is one ``write`` to a file opened with ``O_APPEND``, so lines never mix, whoever else writes. A
file that was moved or removed (log rotation) is noticed within a second and opened anew.
"""

from __future__ import annotations

import json
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from securedirect.errors import HostError
from securedirect.events.catalogue import EventId, EventType

_log = logging.getLogger(__name__)

_REOPEN_SECONDS = 1.0


def timestamp(now: float | None = None) -> str:
    """``now`` (seconds of the epoch) as Suricata writes it: 2026-01-31T12:00:00.000000+0000."""
    moment = datetime.now(UTC) if now is None else datetime.fromtimestamp(now, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f%z")


class EveLog:
    """The open log. ``written`` and ``lost`` count lines."""

    def __init__(self, path: Path) -> None:
        """Open ``path`` for appending, making its folder. HostError when that is not possible."""
        self.path = path
        self.written = 0
        self.lost = 0
        self._fd = -1
        self._checked = 0.0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise HostError(
                f"cannot write the event log {path}: {error.strerror}",
                "set [events] eve to a file that can be written",
            ) from None

    def _open(self) -> None:
        # Others on this host have no business with who attacked; the group is for log shippers.
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        # A line that was cut short by a crash must not swallow the next one.
        size = os.fstat(self._fd).st_size
        if size:
            with self.path.open("rb") as file:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    os.write(self._fd, b"\n")

    def _follow_rotation(self) -> None:
        now = time.monotonic()
        if now - self._checked < _REOPEN_SECONDS and self._fd >= 0:
            return
        self._checked = now
        if self._fd >= 0:
            try:
                there = self.path.stat()
                here = os.fstat(self._fd)
                if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                    return
            except FileNotFoundError:
                pass
            os.close(self._fd)
            self._fd = -1
        self._open()

    def line(self, raw: bytes) -> None:
        """Append one event that is already JSON (from the inspector), with a ``timestamp`` if it has none."""
        raw = raw.strip()
        if not raw:
            return
        # The inspector's own writer puts the key first when it sets it; a parse per event would only cost
        # time.
        if b'"timestamp"' not in raw[:200]:
            try:
                event = json.loads(raw)
                if not isinstance(event, dict):
                    raise ValueError("no object")
            except (ValueError, RecursionError):
                self.lost += 1
                _log.warning("the inspector sent a line that is no JSON: %r", raw[:200])
                return
            if "timestamp" not in event:
                event = {"timestamp": timestamp(), **event}
            raw = json.dumps(event, separators=(",", ":")).encode()
        self._write(raw + b"\n")

    def event(self, event: EventId, *, src_ip: str | None = None, **details: Any) -> None:
        """Append an event of the supervisor's own."""
        line: dict[str, Any] = {"timestamp": timestamp(), "event_type": str(EventType.SECUREDIRECT)}
        if src_ip is not None:
            line["src_ip"] = src_ip
        line["securedirect"] = {"event": str(event), **details}
        self._write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            self._follow_rotation()
            done = os.write(self._fd, line)
        except OSError as error:
            if not self.lost:
                _log.error("cannot write the event log %s: %s", self.path, error.strerror)
            self.lost += 1
            return
        if done != len(line):
            # The disk is full: what stands there is closed so that the next line is one of its own.
            self.lost += 1
            try:
                os.write(self._fd, b"\n")
            except OSError:
                return
        else:
            self.written += 1

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
