# SPDX-License-Identifier: Apache-2.0
"""Health checks of servers and honeypots: ICMP ping and TCP connect, dampened. Decides nothing about traffic.

A machine is healthy when all configured methods succeed. The first check decides at once; after that it takes
``rise`` successes in a row to come up and ``fall`` failures in a row to go down. A machine that stops
answering is down after at most ``interval * fall + timeout`` seconds (with ``timeout`` not above
``interval``).

The TCP check has a second use. Under direct server return the balancer never sees what a server offers in its
SYN-ACK, but a honeypot that adopts a connection must go on with exactly that (window scale, SACK, timestamps,
MSS). The check's own connection was offered the same, and the kernel tells it (``TCP_INFO``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from securedirect.config.model import HealthTable
from securedirect.errors import EXIT_CAPABILITY, HostError

# struct tcp_info of <linux/tcp.h>: tcpi_options, a byte of two scales, then 32-bit values.
_OPTIONS_AT, _SCALES_AT, _SND_MSS_AT = 5, 6, 16
_HAS_TIMESTAMPS, _HAS_SACK, _HAS_WSCALE = 1, 2, 4
_TIMESTAMP_BYTES = 12
"""What the timestamp option takes from each segment; the kernel's MSS is without it, an advertised MSS with
it."""

_JITTER = 0.1
"""Checks begin up to this part of an interval early, so that those of many machines spread out."""


class CheckError(Exception):
    """A check failed; the text is the reason shown to the administrator."""


@dataclass(frozen=True)
class TcpProfile:
    """What a machine's TCP offers in its SYN-ACK. ``wscale`` None = no window scaling; ``mss`` as
    advertised."""

    wscale: int | None
    sack: bool
    timestamps: bool
    mss: int


@dataclass(frozen=True)
class Healthy:
    """A check that succeeded; ``seconds`` it took, ``profile`` when TCP was among the methods."""

    seconds: float
    profile: TcpProfile | None


def profile_from_tcp_info(info: bytes) -> TcpProfile:
    """Read the peer's offer from the ``TCP_INFO`` of a connection on which nothing was sent yet.

    The MSS is what this host would send: the peer's, or less where the path's MTU or half of the peer's
    window is smaller, which the peer's other connections from this segment meet as well.
    """
    options = info[_OPTIONS_AT]
    # Bit fields: the low nibble is tcpi_snd_wscale, the scale that the peer announced for its own window.
    scale = info[_SCALES_AT] & 0x0F
    (mss,) = struct.unpack_from("=I", info, _SND_MSS_AT)
    timestamps = bool(options & _HAS_TIMESTAMPS)
    return TcpProfile(
        wscale=scale if options & _HAS_WSCALE else None,
        sack=bool(options & _HAS_SACK),
        timestamps=timestamps,
        mss=min(mss + (_TIMESTAMP_BYTES if timestamps else 0), 65535),
    )


def _bind_to(sock: socket.socket, interface: str | None) -> None:
    if interface is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")


async def connect(address: str, port: int, seconds: float, interface: str | None = None) -> TcpProfile:
    """Open a TCP connection and end it at once. Raises CheckError."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        # End by RST: a check leaves no state behind, on neither side.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            _bind_to(sock, interface)
            async with asyncio.timeout(seconds):
                await loop.sock_connect(sock, (address, port))
        except TimeoutError:
            raise CheckError(f"no answer on TCP port {port} within {seconds:g} s") from None
        except ConnectionRefusedError:
            raise CheckError(f"nothing listens on TCP port {port}") from None
        except OSError as error:
            raise CheckError(f"TCP port {port}: {error.strerror}") from None
        return profile_from_tcp_info(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104))


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    words: tuple[int, ...] = struct.unpack(f"!{len(data) // 2}H", data)
    total = sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


class Pinger:
    """ICMP echo requests of all machines through one socket. Open it inside a running event loop."""

    def __init__(self, interface: str | None = None) -> None:
        try:
            self._sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            self._raw = True
        except PermissionError:
            try:
                self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
            except PermissionError:
                raise HostError(
                    "cannot open an ICMP socket for health checks",
                    'run as root or with CAP_NET_RAW, or set [health] methods = ["tcp"]',
                    EXIT_CAPABILITY,
                ) from None
            self._raw = False
        self._sock.setblocking(False)
        _bind_to(self._sock, interface)
        self._ident = os.getpid() & 0xFFFF
        self._sequence = random.randrange(65536)
        # A secret tells replies apart: the kernel changes the identifier of SOCK_DGRAM requests, and forged
        # replies must not count.
        self._waiting: dict[tuple[str, bytes], asyncio.Future[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sock.fileno(), self._receive)

    def _receive(self) -> None:
        while True:
            try:
                packet, (source, _) = self._sock.recvfrom(2048)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error of another destination, reported here once
            if self._raw and packet:
                packet = packet[(packet[0] & 0x0F) * 4 :]
            if len(packet) >= 24 and packet[0] == 0:
                future = self._waiting.pop((source, packet[8:24]), None)
                if future is not None and not future.done():
                    future.set_result(None)

    async def ping(self, address: str, seconds: float) -> None:
        """Send one echo request and wait for its reply. Raises CheckError."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        secret = os.urandom(16)
        head = struct.pack("!BBHHH", 8, 0, 0, self._ident, self._sequence)
        packet = head[:2] + struct.pack("!H", _checksum(head + secret)) + head[4:] + secret
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting[address, secret] = future
        try:
            self._sock.sendto(packet, (address, 0))
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            raise CheckError(f"no answer to ping within {seconds:g} s") from None
        except OSError as error:
            raise CheckError(f"ping: {error.strerror}") from None
        finally:
            self._waiting.pop((address, secret), None)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()


class Prober(Protocol):
    """One health check of a service on a machine, with all methods. Raises CheckError."""

    async def __call__(self, address: str, port: int) -> Healthy: ...


class NetworkProber:
    """The real checks, over ``interface``."""

    def __init__(self, settings: HealthTable, interface: str | None) -> None:
        self.settings = settings
        self.interface = interface
        self._pinger = Pinger(interface) if "icmp" in settings.methods else None

    async def __call__(self, address: str, port: int) -> Healthy:
        begin = time.monotonic()
        tasks: list[asyncio.Task[TcpProfile | None]] = []
        if self._pinger is not None:
            tasks.append(asyncio.create_task(self._pinger.ping(address, self.settings.timeout)))
        if "tcp" in self.settings.methods:
            tasks.append(asyncio.create_task(connect(address, port, self.settings.timeout, self.interface)))
        try:
            results = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return Healthy(time.monotonic() - begin, next((one for one in results if one is not None), None))

    def close(self) -> None:
        """Close the ping socket."""
        if self._pinger is not None:
            self._pinger.close()


class Dampener:
    """Turns single results into a state that does not flap."""

    def __init__(self, rise: int, fall: int) -> None:
        self.rise = rise
        self.fall = fall
        self.up: bool | None = None
        """None until the first result."""
        self._against = 0

    def feed(self, success: bool) -> bool:
        """Take a result; True when the state changed."""
        if self.up is None:
            self.up = success
            return True
        if success == self.up:
            self._against = 0
            return False
        self._against += 1
        if self._against < (self.rise if success else self.fall):
            return False
        self.up = success
        self._against = 0
        return True


Report = Callable[[bool, bool, str, Healthy | None], None]
"""Called after each check with: the dampened state, whether it changed, the reason of a failure, the
success."""


async def watch(
    address: str,
    port: int,
    prober: Prober,
    settings: HealthTable,
    report: Report,
    *,
    first: asyncio.Event,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Check a service on a machine for ever. ``first`` is set after the first check."""
    dampener = Dampener(settings.rise, settings.fall)
    while True:
        begin = time.monotonic()
        reason, healthy = "", None
        try:
            healthy = await prober(address, port)
        except CheckError as error:
            reason = str(error)
        changed = dampener.feed(healthy is not None)
        report(bool(dampener.up), changed, reason, healthy)
        first.set()
        pause = settings.interval * (1 - random.random() * _JITTER)
        await sleep(max(0.0, pause - (time.monotonic() - begin)))


async def all_first(events: Sequence[asyncio.Event], seconds: float) -> None:
    """Wait until each machine was checked once, at most ``seconds``."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for event in events:
                await event.wait()
