# SPDX-License-Identifier: Apache-2.0
"""What may be configured, with types, units and defaults. It never reads a file and never looks at the host.

Times are seconds unless the name ends in ``_ms``. Unknown keys are errors. ``load.py`` reads the file, finds
the place of each mistake and makes the checks that concern more than one key.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

RuleAction = Literal["divert", "score", "alert", "off"]
Method = Literal["icmp", "tcp"]
Handoff = Literal["adopt", "classic"]
Mode = Literal["inspect", "observe", "off"]
Protocol = Literal["http", "tcp"]
Profile = Literal["generic", "apache", "nginx", "iis"]

MAX_BACKENDS = 256
"""Servers and honeypots together: the kernel's backend table has an 8-bit index."""
MAX_SERVICES = 64
"""Places of the kernel's table of services."""


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a text in quotes")
    return value


def _host_address(value: Any) -> Any:
    if isinstance(value, ipaddress.IPv4Address):
        return value
    text = _text(value, "an address")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 address") from None
    if not isinstance(address, ipaddress.IPv4Address):
        raise ValueError(f"{text!r} is an IPv6 address; only IPv4 is supported so far")
    if address.is_multicast or address.is_unspecified or address.is_reserved:
        raise ValueError(f"{text} cannot be the address of a machine")
    return address


def _network(value: Any) -> Any:
    if isinstance(value, ipaddress.IPv4Network):
        return value
    text = _text(value, "a network")
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        if "host bits" in str(error):
            proper = ipaddress.IPv4Network(text, strict=False)
            raise ValueError(f"{text!r} has host bits set; the network is {proper}") from None
        raise ValueError(f"{text!r} is not an IPv4 network such as 203.0.113.0/24") from None


def _path(value: Any) -> Any:
    if isinstance(value, Path):
        return value
    text = _text(value, "a path")
    if not text or "\0" in text:
        raise ValueError("a path must not be empty")
    return Path(text)


def _interface(value: Any) -> Any:
    text = _text(value, "an interface name")
    # IFNAMSIZ is 16 with the closing NUL; the kernel refuses blanks, slashes and colons.
    if not re.fullmatch(r"[^\s/:]{1,15}", text) or text in (".", ".."):
        raise ValueError(f"{text!r} is not a valid interface name")
    return text


def _name(value: Any) -> Any:
    text = _text(value, "a name")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", text):
        raise ValueError(f"{text!r} is not a valid name: letters, digits, '-', '_' and '.', at most 63")
    return text


Address = Annotated[ipaddress.IPv4Address, BeforeValidator(_host_address)]
Network = Annotated[ipaddress.IPv4Network, BeforeValidator(_network)]
FilePath = Annotated[Path, BeforeValidator(_path)]
InterfaceName = Annotated[str, BeforeValidator(_interface)]
Name = Annotated[str, BeforeValidator(_name)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DirectorTable(_Table):
    """The virtual service and the network card it lives on."""

    interface: InterfaceName
    """The network card on the servers' segment."""
    vip: Address
    """The virtual address. No machine owns it; servers carry it on their loopback."""
    port: int = Field(default=80, ge=1, le=65535)
    """Of the one service that there is without ``[[service]]``."""
    xdp_mode: Literal["auto", "native", "generic"] = "auto"
    flow_timeout: Seconds = Field(default=240.0, ge=1, le=604800)
    """A connection without a packet for so long is forgotten."""
    closed_timeout: Seconds = Field(default=10.0, ge=1, le=3600)
    """The same, after FIN or RST."""
    max_flows: int = Field(default=262144, ge=1024, le=16777216)
    scheduler: Literal["rr"] = "rr"


class InspectorTable(_Table):
    """How requests are judged."""

    mode: Mode = "inspect"
    """``observe`` judges and records everything and diverts nothing. ``off`` forwards everything unjudged:
    only to measure the balancer alone."""
    hold_bytes: int = Field(default=8192, ge=1, le=1048576)
    """How much of a request is held back until it is judged; what is longer streams."""
    hold_ms: int = Field(default=150, ge=1, le=1000)
    """How long a request is held back; stays below a client's retransmission timeout (200 ms and more)."""
    depth: int = Field(default=1048576, ge=1024, le=268435456)
    """How many bytes of a body are inspected."""
    user: str = Field(default="nobody", min_length=1, max_length=32)
    """The user that the inspector runs as."""


class RulesTable(_Table):
    """Which rules are loaded and what they do."""

    files: Annotated[tuple[FilePath, ...], Field(strict=False)] = ()
    """Rule files; none = the small file that SecureDirect ships."""
    dialect: Literal["auto", "snort2", "snort3", "suricata"] = "auto"
    technologies: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """What the servers run; rules for other software are left out. None = keep all rules."""
    actions: dict[str, RuleAction] = {}
    """Overrides: ``sid:N``, ``classtype:NAME`` or ``file:NAME`` to an action."""


class ServiceTable(_Table):
    """One TCP port of the VIP. What is not said is as for all."""

    name: Name
    port: int = Field(ge=1, le=65535)
    protocol: Protocol = "http"
    """``tcp``: any protocol; rules look at the client's bytes as they come."""
    profile: Profile = "generic"
    """What the web servers are, where servers read requests differently. Only with ``http``."""
    mode: Literal["inspect", "observe"] | None = None
    technologies: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    actions: dict[str, RuleAction] = {}
    """Like ``[rules.actions]`` and before them, for this service."""
    servers: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    """Names of the servers that have it; none = all."""
    honeypots: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    handoff: Handoff | None = None


class HealthTable(_Table):
    """How servers and honeypots are watched. A dead one is out after at most interval * fall + timeout."""

    interval: Seconds = Field(default=2.0, ge=0.05, le=3600)
    timeout: Seconds = Field(default=1.0, ge=0.01, le=60)
    rise: int = Field(default=2, ge=1, le=100)
    """Successes in a row that bring a machine back."""
    fall: int = Field(default=3, ge=1, le=100)
    """Failures in a row that take it out."""
    methods: Annotated[tuple[Method, ...], Field(strict=False, min_length=1)] = ("icmp", "tcp")
    """All of them must succeed."""


class Machine(_Table):
    """A server or a honeypot."""

    name: Name
    address: Address


class HandoffTable(_Table):
    """How an attacker's live connection gets to a honeypot."""

    method: Handoff = "adopt"
    """``adopt``: the honeypot takes the live connection over. ``classic``: it only gets the next one."""
    key_file: FilePath = Path("adopt.key")
    """16 bytes as 32 hexadecimal digits, the same on the honeypots."""


class AttackersTable(_Table):
    """What happens to sources that attacked."""

    expiry: Seconds = Field(default=86400.0, ge=1, le=31536000)
    max_entries: int = Field(default=65536, ge=16, le=4194304)
    without_timestamps: Literal["connection", "source"] = "connection"
    """Without TCP timestamps a client cannot prove its address: divert its connection only, or mark it."""
    score_sids: int = Field(default=5, ge=0, le=32)
    """So many different rules of action ``score`` that one source matches divert it; 0: never."""
    score_window: Seconds = Field(default=600.0, ge=1, le=86400)
    """Within so long."""
    allow: Annotated[tuple[Network, ...], Field(strict=False)] = ()
    """Sources that are never diverted (monitoring, offices, scanners of your own)."""


class EventsTable(_Table):
    """Where events go."""

    eve: FilePath = Path("/var/log/securedirect/eve.json")
    """One JSON object per line, in Suricata's EVE form."""


class ControlTable(_Table):
    """Files of the running supervisor."""

    socket: FilePath = Path("/run/securedirect/control.sock")
    state_dir: FilePath = Path("/var/lib/securedirect")


@dataclass(frozen=True)
class Service:
    """A ``[[service]]`` with everything that holds for it."""

    name: str
    port: int
    protocol: Protocol
    profile: Profile
    mode: Mode
    technologies: tuple[str, ...] | None
    actions: dict[str, RuleAction]
    """Its own overrides; those of all services come after them."""
    servers: tuple[Machine, ...]
    honeypots: tuple[Machine, ...]
    handoff: Handoff

    @property
    def adopts(self) -> bool:
        """True when its honeypots take live connections over."""
        return self.handoff == "adopt" and bool(self.honeypots)


class Config(_Table):
    """The whole file. Relative paths have been made absolute: they are relative to the configuration file."""

    director: DirectorTable
    inspector: InspectorTable = InspectorTable()
    rules: RulesTable = RulesTable()
    health: HealthTable = HealthTable()
    server: Annotated[tuple[Machine, ...], Field(strict=False)] = ()
    honeypot: Annotated[tuple[Machine, ...], Field(strict=False)] = ()
    service: Annotated[tuple[ServiceTable, ...], Field(strict=False)] = ()
    handoff: HandoffTable = HandoffTable()
    attackers: AttackersTable = AttackersTable()
    events: EventsTable = EventsTable()
    control: ControlTable = ControlTable()

    @property
    def adopts(self) -> bool:
        """True when honeypots take live connections over (and the key is needed)."""
        return any(service.adopts for service in self.services)

    @property
    def services(self) -> tuple[Service, ...]:
        """Every service, in the order of the file; its index names it in the kernel."""
        tables = self.service or (ServiceTable(name="http", port=self.director.port),)
        return tuple(self._service(table) for table in tables)

    def _service(self, table: ServiceTable) -> Service:
        def named(machines: tuple[Machine, ...], names: tuple[str, ...] | None) -> tuple[Machine, ...]:
            return tuple(machine for machine in machines if names is None or machine.name in names)

        off = self.inspector.mode == "off"
        return Service(
            table.name,
            table.port,
            table.protocol,
            table.profile,
            self.inspector.mode if off or table.mode is None else table.mode,
            self.rules.technologies if table.technologies is None else table.technologies,
            table.actions,
            named(self.server, table.servers),
            named(self.honeypot, table.honeypots),
            table.handoff or self.handoff.method,
        )
