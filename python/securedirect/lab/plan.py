# SPDX-License-Identifier: Apache-2.0
"""Who is in the lab: names, roles, addresses. Pure data, nothing is asked of the kernel.

The addresses come from the blocks reserved for documentation (RFC 5737), so that nothing in the lab can be
mistaken for a real network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal

from securedirect.errors import EXIT_USAGE, HostError

DEFAULT_NAME = "lab"
RUN_ROOT = Path("/run/securedirect")
VIP = "192.0.2.100"
PORT = 80
PREFIX = 24
ROUTER_SITE = "192.0.2.1"
ROUTER_CLIENTS = "198.51.100.1"
DIRECTOR = "192.0.2.2"
FIRST_SERVER = IPv4Address("192.0.2.11")
FIRST_HONEYPOT = IPv4Address("192.0.2.21")
FIRST_CLIENT = IPv4Address("198.51.100.11")

MAX_SERVERS = 10
MAX_HONEYPOTS = 10
MAX_CLIENTS = 40
"""The rest of the clients' /24 stays free for addresses that people add by hand."""

Role = Literal["client", "router", "switch", "director", "server", "honeypot"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_HOST = r"(?:(?:client|web|honeypot)[1-9][0-9]*|router|director|switch)"


@dataclass(frozen=True)
class Host:
    """One machine of the lab. ``addresses`` without prefix length; all networks are /24."""

    name: str
    role: Role
    netns: str
    addresses: tuple[str, ...]

    @property
    def address(self) -> str:
        """The host's own address on its first network."""
        return self.addresses[0]


def check_name(name: str) -> str:
    """Return the lab's name when it can be part of a namespace's name and of a path."""
    if not _NAME.fullmatch(name):
        raise HostError(
            f"{name!r} cannot be the name of a lab",
            "use up to 40 lower-case letters, digits, '.', '_' and '-', beginning with a letter or digit",
            exit_code=EXIT_USAGE,
        )
    return name


def netns_name(name: str, host: str) -> str:
    """Namespace of a host, as ip-netns(8) shows it."""
    return f"sd-{name}-{host}"


def netns_pattern(name: str) -> re.Pattern[str]:
    """What the names of exactly this lab's namespaces look like: "a" does not take those of "a-b" with it."""
    return re.compile(rf"sd-{re.escape(name)}-{_HOST}")


def mac_of(address: str) -> str:
    """A locally administered MAC that shows its host's address, so that captures can be read."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x00" + IPv4Address(address).packed)


@dataclass(frozen=True)
class Plan:
    """How many of each kind there are."""

    name: str = DEFAULT_NAME
    servers: int = 2
    honeypots: int = 1
    clients: int = 1

    def __post_init__(self) -> None:
        check_name(self.name)
        for what, count, least, most in (
            ("servers", self.servers, 1, MAX_SERVERS),
            ("honeypots", self.honeypots, 0, MAX_HONEYPOTS),
            ("clients", self.clients, 1, MAX_CLIENTS),
        ):
            if not least <= count <= most:
                raise HostError(
                    f"a lab cannot have {count} {what}", f"choose {least} to {most}", exit_code=EXIT_USAGE
                )

    @property
    def run_dir(self) -> Path:
        return RUN_ROOT / self.name

    @property
    def config(self) -> Path:
        return self.run_dir / "securedirect.toml"

    @property
    def key(self) -> Path:
        """The secret that director and honeypots share."""
        return self.run_dir / "adopt.key"

    @property
    def socket(self) -> Path:
        return self.run_dir / "control.sock"

    @property
    def eve(self) -> Path:
        return self.run_dir / "director" / "eve.json"

    def document(self) -> dict[str, Any]:
        """What ``lab up --json`` prints."""
        return {
            "name": self.name,
            "hosts": {
                host.name: {"netns": host.netns, "addresses": list(host.addresses)}
                for host in self.hosts().values()
                if host.role != "switch"
            },
            "vip": VIP,
            "port": PORT,
            "run_dir": str(self.run_dir),
            "config": str(self.config),
            "socket": str(self.socket),
            "eve": str(self.eve),
        }

    def hosts(self) -> dict[str, Host]:
        """All machines by name, in the order in which people think of them."""

        def host(name: str, role: Role, *addresses: str) -> Host:
            return Host(name, role, netns_name(self.name, name), addresses)

        found = [host(f"client{n + 1}", "client", str(FIRST_CLIENT + n)) for n in range(self.clients)]
        found += [host(f"web{n + 1}", "server", str(FIRST_SERVER + n)) for n in range(self.servers)]
        found += [
            host(f"honeypot{n + 1}", "honeypot", str(FIRST_HONEYPOT + n)) for n in range(self.honeypots)
        ]
        found.append(host("router", "router", ROUTER_SITE, ROUTER_CLIENTS))
        found.append(host("director", "director", DIRECTOR))
        found.append(host("switch", "switch"))
        return {one.name: one for one in found}
