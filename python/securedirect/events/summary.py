# SPDX-License-Identifier: Apache-2.0
"""What the event log says about each rule: how often it diverted, would have, scored or was only told of;
whose requests those were; one of them as an example.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Seen:
    """One rule on one service. Each request counts once, by the gravest."""

    gid: int
    sid: int
    service: str
    signature: str = ""
    diverted: int = 0
    would_divert: int = 0
    scored: int = 0
    alerted: int = 0
    sources: set[str] = field(default_factory=set)
    example: str = ""
    first: str = ""
    last: str = ""

    @property
    def requests(self) -> int:
        return self.diverted + self.would_divert + self.scored + self.alerted

    def add(self, event: dict[str, Any]) -> None:
        """Count an ``alert`` or ``anomaly`` event."""
        alert = event[event["event_type"]]
        self.signature = str(alert.get("signature", ""))
        if alert.get("action") == "blocked":
            self.diverted += 1
        elif event.get("would_divert"):
            self.would_divert += 1
        elif event.get("scored"):
            self.scored += 1
        else:
            self.alerted += 1
        if source := event.get("src_ip"):
            self.sources.add(str(source))
        if not self.example:
            self.example = example_of(event)
        stamp = str(event.get("timestamp", ""))
        self.first = self.first or stamp
        self.last = stamp or self.last


def example_of(event: dict[str, Any]) -> str:
    """The request of an event in one line."""
    http = event.get("http") or {}
    text = " ".join(str(http[key]) for key in ("http_method", "url") if http.get(key))
    if host := http.get("hostname"):
        text += f" (host {host})"
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def summarise(lines: Iterable[bytes]) -> tuple[list[Seen], int]:
    """Each rule that matched, those that divert most first; and how many lines are no events."""
    found: dict[tuple[int, int, str], Seen] = {}
    wrong = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            event = json.loads(line)
            if event["event_type"] not in ("alert", "anomaly"):
                continue
            alert = event[event["event_type"]]
            key = int(alert.get("gid", 1)), int(alert["signature_id"]), str(event.get("service", ""))
            found.setdefault(key, Seen(*key)).add(event)
        except (ValueError, KeyError, TypeError, AttributeError):
            wrong += 1
    order = sorted(
        found.values(),
        key=lambda one: (-(one.diverted + one.would_divert), -one.scored, -one.alerted, one.gid, one.sid),
    )
    return order, wrong
