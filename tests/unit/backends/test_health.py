# SPDX-License-Identifier: Apache-2.0
"""Health checks: dampening, timing, what a connection tells of its peer."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from securedirect.backends.health import (
    CheckError,
    Dampener,
    Healthy,
    NetworkProber,
    Pinger,
    TcpProfile,
    _checksum,
    connect,
    profile_from_tcp_info,
    watch,
)
from securedirect.config.model import HealthTable


@pytest.mark.parametrize(
    ("results", "states"),
    [
        ("+", "U"),
        ("-", "D"),
        ("+---", "UUUD"),  # fall = 3
        ("+--+--+", "UUUUUUU"),  # never three in a row
        ("-++", "DDU"),  # rise = 2
        ("-+-+-", "DDDDD"),
        ("+---+-++", "UUUDDDDU"),
    ],
)
def test_dampening(results: str, states: str) -> None:
    dampener = Dampener(rise=2, fall=3)
    seen, changes = "", 0
    for result in results:
        changes += dampener.feed(result == "+")
        seen += "U" if dampener.up else "D"
    assert seen == states
    assert changes == 1 + sum(a != b for a, b in pairwise(states))


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(16)
        yield sock.getsockname()[1]


def test_tcp_tells_what_the_peer_offers(listener: int) -> None:
    profile = asyncio.run(connect("127.0.0.1", listener, 1))
    # This host's own stack is the peer.
    assert profile.sack == (Path("/proc/sys/net/ipv4/tcp_sack").read_text().strip() != "0")
    assert profile.timestamps
    assert profile.wscale is not None and 0 <= profile.wscale <= 14
    # The loopback's MTU is 65536, and the kernel never sends more than half of the peer's window at once.
    assert 30000 < profile.mss <= 65536 - 40


def test_tcp_info_is_read_bit_by_bit() -> None:
    def info(options: int, scales: int, mss: int) -> bytes:
        return struct.pack("=5xBBxIII", options, scales, 0, 0, mss) + bytes(84)

    # The low nibble is the peer's scale, the high one our own.
    assert profile_from_tcp_info(info(1 | 2 | 4, 0x7A, 1448)) == TcpProfile(10, True, True, 1460)
    assert profile_from_tcp_info(info(4, 0x70, 1460)) == TcpProfile(0, False, False, 1460)
    assert profile_from_tcp_info(info(2, 0x00, 1400)) == TcpProfile(None, True, False, 1400)
    assert profile_from_tcp_info(info(1, 0x00, 65535)).mss == 65535


def test_a_check_leaves_no_connection_behind() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        asyncio.run(connect("127.0.0.1", sock.getsockname()[1], 1))
        peer, _ = sock.accept()
        with peer, pytest.raises(ConnectionResetError):
            peer.settimeout(1)
            peer.recv(1)


def test_a_closed_port_is_a_reason() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(CheckError, match=f"nothing listens on TCP port {port}"):
        asyncio.run(connect("127.0.0.1", port, 1))


def test_checksum() -> None:
    packet = struct.pack("!BBHHH", 8, 0, 0, 0x1234, 1) + b"abcd"
    filled = packet[:2] + struct.pack("!H", _checksum(packet)) + packet[4:]
    assert _checksum(filled) == 0


needs_ping = pytest.mark.skipif(os.geteuid() != 0, reason="ICMP sockets need root here")


@needs_ping
def test_ping() -> None:
    async def main() -> None:
        pinger = Pinger()
        try:
            await asyncio.gather(*(pinger.ping(f"127.0.0.{n}", 1) for n in range(1, 20)))
            assert not pinger._waiting
            with pytest.raises(CheckError):
                await pinger.ping("240.0.0.1", 0.05)
        finally:
            pinger.close()
            pinger.close()

    asyncio.run(main())


@needs_ping
def test_all_methods_must_succeed(listener: int) -> None:
    async def main() -> None:
        settings = HealthTable(timeout=10.0)
        prober = NetworkProber(settings, None)
        try:
            healthy = await prober("127.0.0.1", listener)
            assert healthy.profile is not None
            assert 0 < healthy.seconds < 10
            with pytest.raises(CheckError, match="nothing listens"):
                await prober("127.0.0.1", 1)
        finally:
            prober.close()

    asyncio.run(main())


def test_a_check_that_hangs_times_out() -> None:
    # A listener whose backlog is full does not answer further SYNs.
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        address = sock.getsockname()
        fillers = []
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        time.sleep(0.05)
        with pytest.raises(CheckError, match=r"no answer on TCP port \d+ within 0.1 s"):
            asyncio.run(connect(*address, 0.1))
        for filler in fillers:
            filler.close()


def test_watch_goes_down_within_the_documented_time() -> None:
    """Simulated time: interval * fall + timeout is never exceeded, whatever the jitter."""
    settings = HealthTable(interval=2.0, timeout=1.0, rise=2, fall=3)

    class EndedError(Exception):
        pass

    async def run() -> float:
        clock = 0.0
        death = 10.0
        down_at = None

        async def prober(address: str, port: int) -> Healthy:
            nonlocal clock
            if clock >= death:
                clock += settings.timeout
                raise CheckError("silent")
            return Healthy(0.0, None)

        async def sleep(seconds: float) -> None:
            nonlocal clock
            # Real time stands still, so the pause does not know what the check took; take it off here.
            took = settings.timeout if clock >= death + settings.timeout else 0.0
            assert 0 <= seconds <= settings.interval
            clock += max(0.0, seconds - took)

        def report(up: bool, changed: bool, reason: str, healthy: Healthy | None) -> None:
            nonlocal down_at
            if changed and not up:
                down_at = clock
                raise EndedError

        with pytest.raises(EndedError):
            await watch("192.0.2.1", 80, prober, settings, report, first=asyncio.Event(), sleep=sleep)
        assert down_at is not None
        return down_at - death

    for _ in range(200):
        assert asyncio.run(run()) <= settings.interval * settings.fall + settings.timeout
