# SPDX-License-Identifier: Apache-2.0
"""The agent on a honeypot: checks that its TCP stack can adopt connections, then lets it, until SIGTERM.

It looks and loads one program; it never changes a setting of the host, but names the command that does.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Protocol

from securedirect.daemon.host import (
    AGENT_CAPABILITIES,
    find_interface,
    is_local,
    need_adopt_kernel,
    need_capabilities,
)
from securedirect.daemon.kernel import kernel_step
from securedirect.daemon.notify import notify
from securedirect.errors import HostError

_log = logging.getLogger(__name__)

_SYSCTL = Path("/proc/sys/net/ipv4")
_LISTEN = "0A"
_POLL_SECONDS = 0.2
_REMIND_SECONDS = 10.0


class Adopter(Protocol):
    """``_core.Adopter``; see there."""

    def counters(self) -> dict[str, int]: ...
    def detach(self) -> None: ...


def check_settings(vip: IPv4Address, sysctl: Path = _SYSCTL) -> list[str]:
    """HostError when connections cannot be adopted at all, else advice on what makes them poor."""

    def value(name: str) -> int:
        try:
            return int((sysctl / name).read_text())
        except (OSError, ValueError):
            return -1

    if value("tcp_syncookies") == 0:
        raise HostError(
            "net.ipv4.tcp_syncookies is 0: the kernel adopts connections only with SYN cookies allowed",
            "sysctl -w net.ipv4.tcp_syncookies=1",
        )
    advice = []
    for name, what in (
        ("tcp_sack", "selective acknowledgements"),
        ("tcp_timestamps", "timestamps"),
        ("tcp_window_scaling", "window scaling"),
    ):
        if value(name) == 0:
            advice.append(
                f"net.ipv4.{name} is 0: connections that were made with {what} will suffer; "
                f"sysctl -w net.ipv4.{name}=1"
            )
    if value("conf/all/arp_ignore") < 1:
        advice.append(
            f"net.ipv4.conf.all.arp_ignore is 0: this host may answer ARP for {vip}, "
            "which only the director may; "
            "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"
        )
    return advice


def check_vip(vip: IPv4Address) -> None:
    """HostError when this host does not have the VIP."""
    if not is_local(vip):
        raise HostError(
            f"this host does not have the VIP {vip}, so its TCP stack would not take connections to it",
            f"ip addr add {vip}/32 dev lo",
        )


def listens(
    vip: IPv4Address, port: int, tables: tuple[str, ...] = ("/proc/net/tcp", "/proc/net/tcp6")
) -> bool:
    """True when a socket listens on ``port`` of the VIP or of all addresses."""
    ours = {vip.packed[::-1].hex().upper(), "0" * 8, "0" * 32}
    for table in tables:
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if fields[3] == _LISTEN and int(number, 16) == port and address in ours:
                return True
    return False


def run_agent(
    interface: str,
    vip: IPv4Address,
    ports: Sequence[int],
    key: bytes,
    *,
    stats_interval: float | None,
    load: Callable[..., Adopter],
    say: Callable[[str], None] = print,
) -> None:
    """Let connections to ``ports`` of ``vip`` be adopted until SIGTERM or SIGINT. Raises HostError.

    ``load``: ``_core.Adopter``. ``stats_interval``: seconds between lines of counters, None for none.
    """
    need_capabilities(AGENT_CAPABILITIES, "the agent")
    need_adopt_kernel()
    find_interface(interface)
    for advice in check_settings(vip):
        _log.warning("%s", advice)
    check_vip(vip)

    stop = threading.Event()

    def on_signal(number: int, frame: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    if not _await_listeners(vip, ports, stop):
        return
    with kernel_step(f"cannot attach the adopter to {interface}"):
        adopter = load(interface, vip=str(vip), ports=list(ports), key=key)
    try:
        place = f"{vip} port {', '.join(map(str, ports))}"
        say(f"adopting connections to {place} on {interface}")
        notify(f"READY=1\nSTATUS=adopting connections to {place}")
        while not stop.wait(stats_interval):
            say(" ".join(f"{name}={value}" for name, value in adopter.counters().items()))
    finally:
        notify("STOPPING=1")
        adopter.detach()


def _await_listeners(vip: IPv4Address, ports: Sequence[int], stop: threading.Event) -> bool:
    """Wait until a server listens on each port; False when asked to stop first."""
    reminded = -_REMIND_SECONDS
    while missing := [port for port in ports if not listens(vip, port)]:
        if time.monotonic() - reminded >= _REMIND_SECONDS:
            reminded = time.monotonic()
            _log.warning(
                "waiting for a server that listens on port %s of %s or of all addresses",
                ", ".join(map(str, missing)),
                vip,
            )
        if stop.wait(_POLL_SECONDS):
            return False
    return True


__all__ = ["check_settings", "check_vip", "listens", "run_agent"]
