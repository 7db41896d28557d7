# SPDX-License-Identifier: Apache-2.0
"""The registry of marked sources: what the kernel has, in wall-clock time, on disk and in the event log.

The kernel marks sources and forgets nothing by itself; this module takes expired marks away, tells of new
ones and keeps them over a reboot. It never marks anybody by itself: only the kernel's proof or an operator
does.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Protocol

from securedirect.events.catalogue import EventId
from securedirect.events.eve import EveLog, timestamp
from securedirect.files import replace_file

_log = logging.getLogger(__name__)

_FORMAT = 1


class MarkTable(Protocol):
    """The kernel's table of marked sources (``_core.Director``)."""

    def attackers(self) -> list[dict[str, Any]]: ...
    def attacker_add(self, address: str, *, expiry: float, sid: int = 0) -> None: ...
    def attacker_remove(self, address: str) -> bool: ...


@dataclass
class Mark:
    """A marked source; times are seconds of the epoch."""

    address: str
    since: float
    expires: float
    sid: int
    by: str
    """``rule`` or ``operator``."""
    connections: int = 0
    """Its connections to the honeypot since then."""

    def shown(self, signature: str) -> dict[str, Any]:
        """As the API and ``securedirect attackers list --json`` show it."""
        return {
            "address": self.address,
            "since": timestamp(self.since),
            "expires": timestamp(self.expires),
            "sid": self.sid,
            "signature": signature,
            "by": self.by,
            "connections": self.connections,
        }


def _stored(entry: dict[str, Any]) -> Mark:
    """A mark as ``AttackerRegistry.write`` keeps it. ValueError, TypeError or KeyError when it is none."""
    return Mark(
        str(IPv4Address(entry["address"])),
        float(entry["since"]),
        float(entry["expires"]),
        int(entry["sid"]),
        str(entry["by"]),
    )


class AttackerRegistry:
    """Call ``restore`` once, then ``poll`` regularly; ``save`` when ``dirty``."""

    def __init__(
        self,
        table: MarkTable,
        path: Path,
        events: EveLog,
        *,
        expiry: float,
        allow: Iterable[IPv4Network] = (),
        signature: Callable[[int], str] = lambda sid: "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``path``: where marks are kept; ``expiry``: seconds of an operator's mark; ``clock``: the epoch's
        time."""
        self.table = table
        self.path = path
        self.events = events
        self.expiry = expiry
        self.allow = tuple(allow)
        self.signature = signature
        self.clock = clock
        self.marks: dict[str, Mark] = {}
        self.dirty = False

    def allowed(self, address: str) -> IPv4Network | None:
        """The network of the allow-list that ``address`` is in."""
        parsed = IPv4Address(address)
        return next((network for network in self.allow if parsed in network), None)

    def restore(self) -> int:
        """Put the marks on disk that are still valid into the kernel; the number of those it did not have."""
        try:
            stored = json.loads(self.path.read_bytes())
            entries = [_stored(entry) for entry in stored["attackers"]] if stored["format"] == _FORMAT else []
        except FileNotFoundError:
            entries = []
        except (OSError, ValueError, TypeError, KeyError) as error:
            # Losing marks is no reason to leave the site down: production stays inspected without them.
            _log.warning("cannot read %s, beginning without earlier marks: %s", self.path, error)
            entries = []
        now = self.clock()
        present = {entry["address"] for entry in self.table.attackers()}
        restored = 0
        for mark in entries:
            remaining = mark.expires - now
            if remaining <= 0 or self.allowed(mark.address):
                continue
            if mark.address not in present:
                try:
                    self.table.attacker_add(mark.address, expiry=remaining, sid=mark.sid)
                except OSError as error:
                    _log.warning("cannot restore the mark of %s: %s", mark.address, error)
                    continue
                restored += 1
            self.marks[mark.address] = mark
        return restored

    def poll(self) -> None:
        """Bring kernel and registry together: new marks are told, expired and allowed ones are taken away."""
        now = self.clock()
        seen = set()
        for entry in self.table.attackers():
            address = entry["address"]
            if entry["expires"] <= 0:
                self._forget(address, EventId.SOURCE_EXPIRED)
                continue
            if self.allow and self.allowed(address):
                self._forget(address, EventId.SOURCE_REMOVED, by="allow-list")
                continue
            seen.add(address)
            expires = now + entry["expires"]
            mark = self.marks.get(address)
            if mark is None:
                self._tell(
                    Mark(address, now + entry["since"], expires, entry["sid"], "rule", entry["connections"])
                )
            else:
                mark.connections = entry["connections"]
                # Clocks drift against each other by a little; only a renewed mark is news for the disk.
                if abs(mark.expires - expires) > 2:
                    mark.expires = expires
                    self.dirty = True
        for address in [known for known in self.marks if known not in seen]:
            # Pushed out of the kernel's bounded table, or expired between two polls.
            del self.marks[address]
            self.dirty = True

    def _tell(self, mark: Mark) -> None:
        self.marks[mark.address] = mark
        self.dirty = True
        self.events.event(
            EventId.SOURCE_MARKED,
            src_ip=mark.address,
            sid=mark.sid,
            signature=self.signature(mark.sid),
            since=timestamp(mark.since),
            expires=timestamp(mark.expires),
            by=mark.by,
        )

    def _forget(self, address: str, event: EventId, **details: Any) -> bool:
        removed = self.table.attacker_remove(address)
        known = self.marks.pop(address, None)
        if removed or known:
            self.dirty = True
            self.events.event(event, src_ip=address, **details)
        return removed or known is not None

    def add(self, address: str, expiry: float | None = None) -> Mark:
        """Mark ``address`` for an operator. ValueError when it is on the allow-list; OSError from the
        kernel."""
        if network := self.allowed(address):
            raise ValueError(f"{address} is in {network} of the allow-list (attackers.allow)")
        now = self.clock()
        seconds = self.expiry if expiry is None else expiry
        self.table.attacker_add(address, expiry=seconds, sid=0)
        mark = Mark(address, now, now + seconds, 0, "operator")
        self._tell(mark)
        return mark

    def remove(self, address: str) -> bool:
        """Take the mark of ``address`` away; False when it had none."""
        return self._forget(address, EventId.SOURCE_REMOVED, by="operator")

    def listed(self) -> list[dict[str, Any]]:
        """All marks, the newest first."""
        marks = sorted(self.marks.values(), key=lambda mark: mark.since, reverse=True)
        return [mark.shown(self.signature(mark.sid)) for mark in marks]

    def snapshot(self) -> bytes:
        """What ``write`` stores; taken in the event loop, written in a thread."""
        self.dirty = False
        entries = [
            {"address": m.address, "since": m.since, "expires": m.expires, "sid": m.sid, "by": m.by}
            for m in self.marks.values()
        ]
        return json.dumps({"format": _FORMAT, "attackers": entries}).encode()

    def write(self, data: bytes) -> None:
        """Store a snapshot so that a crash leaves either the old or the new one."""
        try:
            replace_file(self.path, data)
        except OSError:
            self.dirty = True
            raise
