# SPDX-License-Identifier: Apache-2.0
"""The pool: what is known of each server and honeypot, written to the kernel whenever it changes.

A machine gets a service's new connections only while it is up for it, which means: the service's checks
succeed, and the machine's MAC address is known.
Honeypots are never put among the servers, nor servers among the honeypots: when no honeypot is up, the kernel
drops attackers' traffic.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from securedirect.backends.health import Healthy, TcpProfile
from securedirect.config import Config, Machine
from securedirect.config.model import MAX_BACKENDS
from securedirect.errors import HostError
from securedirect.events.catalogue import EventId
from securedirect.events.eve import EveLog, timestamp
from securedirect.files import replace_file

_log = logging.getLogger(__name__)

Kind = Literal["server", "honeypot"]


class BackendTable(Protocol):
    """The kernel's tables of machines (``_core.Director``)."""

    def set_backend(
        self,
        index: int,
        *,
        kind: Kind,
        address: str,
        mac: bytes | None,
        up: bool,
        adopt: bool = False,
        wscale: int | None = None,
        mss: int = 1460,
        sack: bool = True,
        timestamps: bool = True,
    ) -> None: ...
    def set_schedule(self, service: int, servers: list[int], honeypots: list[int]) -> None: ...


@dataclass
class Offer:
    """A service on a machine."""

    service: str
    port: int
    healthy: bool = False
    reason: str = "not checked yet"
    check_seconds: float | None = None
    told: bool | None = None
    """The state that the kernel and the log know."""


@dataclass
class Backend:
    """A server or honeypot at run time. ``offers``: what it serves, by the service's index."""

    index: int
    kind: Kind
    name: str
    address: str
    offers: dict[int, Offer]
    mac: bytes | None = None
    profile: TcpProfile | None = None
    since: float = field(default_factory=time.time)
    """When the state began, seconds of the epoch."""

    def serves(self, service: int) -> bool:
        """True when it has the service and is up for it."""
        offer = self.offers.get(service)
        return offer is not None and offer.healthy and self.mac is not None

    @property
    def up(self) -> bool:
        """Something of it is."""
        return any(self.serves(service) for service in self.offers)

    @property
    def state(self) -> Literal["up", "partly", "down"]:
        if all(self.serves(service) for service in self.offers):
            return "up"
        return "partly" if self.up else "down"

    @property
    def reason(self) -> str:
        """Why it is not up, else empty."""
        down = [offer.reason for service, offer in self.offers.items() if not self.serves(service)]
        return "; ".join(dict.fromkeys(down))

    def shown(self) -> dict[str, Any]:
        """As ``status --json`` shows it."""
        return {
            "name": self.name,
            "address": self.address,
            "state": self.state,
            "since": timestamp(self.since),
            "reason": self.reason,
            "mac": None if self.mac is None else self.mac.hex(":"),
            "services": {
                offer.service: {
                    "state": "up" if self.serves(service) else "down",
                    "check_ms": None if offer.check_seconds is None else round(offer.check_seconds * 1000, 3),
                }
                for service, offer in self.offers.items()
            },
            "tcp": None
            if self.profile is None
            else {
                "window_scale": self.profile.wscale,
                "sack": self.profile.sack,
                "timestamps": self.profile.timestamps,
                "mss": self.profile.mss,
            },
            "index": self.index,
        }


def assign_indexes(wanted: Iterable[tuple[Kind, str]], earlier: dict[str, int]) -> dict[str, int]:
    """A backend index for each (kind, address).

    Flows in the kernel name their machine by index and outlive the supervisor, so a machine keeps its index
    for as long as the kernel's tables do, and the index of one that was removed is not given to another.
    """
    taken = set(earlier.values())
    free = (index for index in range(MAX_BACKENDS) if index not in taken)
    result = {}
    for kind, address in wanted:
        key = f"{kind} {address}"
        index = earlier.get(key)
        if index is None:
            index = next(free, None)
        if index is None:
            raise HostError(
                "too many servers and honeypots were changed since the director started",
                "stop it (connections break) and start it again",
            )
        result[key] = index
    return result


class Pool:
    """All machines. Its methods are called from the event loop only."""

    def __init__(self, table: BackendTable, config: Config, events: EveLog, state_dir: Path) -> None:
        self.table = table
        self.events = events
        self.adopt = config.adopts
        self._store = state_dir / "backends.json"
        self._active = False
        self._removed: dict[str, int] = {}
        self.backends: list[Backend] = []
        self._services = config.services
        self._wanted: list[tuple[Kind, Machine]] = [
            *(("server", machine) for machine in config.server),
            *(("honeypot", machine) for machine in config.honeypot),
        ]

    def open(self, *, taken_over: bool) -> None:
        """Assign indexes: those of before when the kernel's tables were taken over."""
        earlier: dict[str, int] = {}
        if taken_over:
            try:
                stored = json.loads(self._store.read_bytes())
                earlier = {str(key): int(index) for key, index in stored.items()}
            except FileNotFoundError:
                pass
            except (OSError, ValueError, AttributeError) as error:
                _log.warning("cannot read %s: %s", self._store, error)
        indexes = assign_indexes(((kind, str(machine.address)) for kind, machine in self._wanted), earlier)
        self._removed = {key: index for key, index in earlier.items() if key not in indexes}
        self.backends = [
            Backend(
                indexes[f"{kind} {machine.address}"],
                kind,
                machine.name,
                str(machine.address),
                self._offers(machine),
            )
            for kind, machine in self._wanted
        ]
        try:
            replace_file(self._store, json.dumps(self._removed | indexes).encode())
        except OSError as error:
            raise HostError(
                f"cannot write {self._store}: {error.strerror}",
                "make room there, or set [control] state_dir to another folder",
            ) from None

    def _offers(self, machine: Machine) -> dict[int, Offer]:
        return {
            index: Offer(service.name, service.port)
            for index, service in enumerate(self._services)
            if machine in (*service.servers, *service.honeypots)
        }

    def activate(self) -> None:
        """Write everything to the kernel, and every change from now on."""
        self._active = True
        for key, index in self._removed.items():
            kind, address = key.split()
            # Connections of a machine that is no longer configured go nowhere, not to another machine.
            self.table.set_backend(
                index,
                kind="honeypot" if kind == "honeypot" else "server",
                address=address,
                mac=None,
                up=False,
            )
        for backend in self.backends:
            self._write(backend)
            for offer in backend.offers:
                self._tell(backend, offer)
        for service in range(len(self._services)):
            self._schedule(service)

    def close(self) -> None:
        """Forget the indexes: the kernel's tables are gone."""
        self._store.unlink(missing_ok=True)

    def of(self, kind: Kind) -> list[Backend]:
        """The machines of one kind, in the order of the configuration."""
        return [backend for backend in self.backends if backend.kind == kind]

    def health(
        self, backend: Backend, service: int, up: bool, changed: bool, reason: str, healthy: Healthy | None
    ) -> None:
        """Take the result of a service's health check (see ``health.Report``)."""
        offer = backend.offers[service]
        if healthy is not None:
            offer.check_seconds = healthy.seconds
        if reason:
            offer.reason = reason
        before = backend.profile
        # The kernel's table has one profile for each machine: that of its first service.
        if healthy is not None and healthy.profile is not None and service == min(backend.offers):
            backend.profile = healthy.profile
        offer.healthy = up
        if changed or backend.profile != before:
            self._changed(backend)

    def resolved(self, address: str, mac: bytes) -> None:
        """Take a MAC address from the neighbour table."""
        for backend in self.backends:
            if backend.address == address and backend.mac != mac:
                if backend.mac is not None:
                    _log.info("%s moved from %s to %s", backend.name, backend.mac.hex(":"), mac.hex(":"))
                backend.mac = mac
                self._changed(backend)

    def _changed(self, backend: Backend) -> None:
        if not self._active:
            return
        self._write(backend)
        for service, offer in backend.offers.items():
            if backend.serves(service) != offer.told:
                self._schedule(service)
                self._tell(backend, service)

    def _write(self, backend: Backend) -> None:
        profile = backend.profile or TcpProfile(None, True, True, 1460)
        self.table.set_backend(
            backend.index,
            kind=backend.kind,
            address=backend.address,
            mac=backend.mac,
            up=backend.up,
            adopt=self.adopt and backend.kind == "honeypot",
            wscale=profile.wscale,
            mss=profile.mss,
            sack=profile.sack,
            timestamps=profile.timestamps,
        )

    def _schedule(self, service: int) -> None:
        self.table.set_schedule(
            service,
            [backend.index for backend in self.of("server") if backend.serves(service)],
            [backend.index for backend in self.of("honeypot") if backend.serves(service)],
        )

    def _tell(self, backend: Backend, service: int) -> None:
        offer = backend.offers[service]
        if offer.healthy and backend.mac is None:
            offer.reason = "its MAC address is not known yet"
        up = offer.told = backend.serves(service)
        backend.since = time.time()
        if backend.kind == "server":
            event = EventId.SERVER_UP if up else EventId.SERVER_DOWN
        else:
            event = EventId.HONEYPOT_UP if up else EventId.HONEYPOT_DOWN
        details = {} if up else {"reason": offer.reason}
        self.events.event(event, name=backend.name, address=backend.address, service=offer.service, **details)
        if up:
            _log.info("%s of %s (%s) is up", offer.service, backend.name, backend.address)
        else:
            _log.warning(
                "%s of %s (%s) is down: %s", offer.service, backend.name, backend.address, offer.reason
            )

    def warnings(self) -> list[str]:
        """What an administrator should mend."""
        found = []
        for honeypot in self.of("honeypot") if self.adopt else []:
            theirs = honeypot.profile
            if theirs is None:
                continue
            for option, sysctl, has in (
                ("SACK", "tcp_sack", lambda p: p.sack),
                ("TCP timestamps", "tcp_timestamps", lambda p: p.timestamps),
                ("window scaling", "tcp_window_scaling", lambda p: p.wscale is not None),
            ):
                servers = [s.name for s in self.of("server") if s.profile is not None and has(s.profile)]
                if servers and not has(theirs):
                    found.append(
                        f"{honeypot.name} does not offer {option} but {', '.join(servers)} does: adopted"
                        f" connections will suffer; on {honeypot.name}: sysctl -w net.ipv4.{sysctl}=1"
                    )
        for index, service in enumerate(self._services):
            of = f" for {service.name}" if len(self._services) > 1 else ""
            if not any(backend.serves(index) for backend in self.of("server")):
                found.append(f"no server is up{of}: nobody is served")
            if service.honeypots and not any(backend.serves(index) for backend in self.of("honeypot")):
                found.append(f"no honeypot is up{of}: attackers' traffic is dropped")
            if not service.honeypots:
                found.append(f"no honeypot is configured{of}: attackers' traffic is dropped")
        return found
