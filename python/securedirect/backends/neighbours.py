# SPDX-License-Identifier: Apache-2.0
"""Keeps the MAC addresses of servers and honeypots: reads and watches the kernel's neighbour table (ARP).

The kernel does the asking. Health checks go through its IP stack and so keep the entries fresh; ``resolve``
provokes the first answer with a datagram to each machine's discard port. An address once learned is kept
until another one is seen: whether a machine is alive is the health check's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Any

from pyroute2 import AsyncIPRoute  # type: ignore[import-untyped]

_log = logging.getLogger(__name__)

_RTMGRP_NEIGH = 4
_NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # reachable, stale, delay, probe, permanent
_DISCARD = 9
_REREAD_SECONDS = 30.0
"""The table is read anew this often: notifications are lost when the netlink socket overflows."""


class Neighbours:
    """Call ``open``, ``resolve``, and ``close`` in the end. ``learned`` is called with each address and its
    MAC."""

    def __init__(
        self, interface: str, addresses: Iterable[str], learned: Callable[[str, bytes], None]
    ) -> None:
        self.interface = interface
        self.index = socket.if_nametoindex(interface)
        self.known: dict[str, bytes | None] = dict.fromkeys(addresses)
        self._learned = learned
        self._news = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Subscribe to changes and read the table."""
        netlink = await self._stack.enter_async_context(AsyncIPRoute())
        await netlink.bind(groups=_RTMGRP_NEIGH)
        self._tasks.append(asyncio.create_task(self._watch(netlink)))
        await self._read()
        self._tasks.append(asyncio.create_task(self._reread()))

    async def close(self) -> None:
        """Stop watching. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._stack.aclose()

    async def resolve(self, seconds: float) -> list[str]:
        """Ask for every address not known yet; those still unknown after ``seconds``."""
        deadline = asyncio.get_running_loop().time() + seconds
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode() + b"\0")
            while unknown := [address for address, mac in self.known.items() if mac is None]:
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    return unknown
                for address in unknown:
                    with contextlib.suppress(OSError):
                        sock.sendto(b"", (address, _DISCARD))
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, 0.25)):
                        await self._news.wait()
        return []

    async def _read(self) -> None:
        # A socket of its own: answers to a dump must not mix with the notifications.
        async with AsyncIPRoute() as netlink:
            async for message in await netlink.neigh("dump", family=socket.AF_INET, ifindex=self.index):
                self._take(message)

    async def _reread(self) -> None:
        while True:
            await asyncio.sleep(_REREAD_SECONDS)
            try:
                await self._read()
            except Exception as error:  # pyroute2's errors have no common base but Exception
                _log.warning("cannot read the neighbour table: %s", error)

    async def _watch(self, netlink: Any) -> None:
        while True:
            try:
                async for message in netlink.get():
                    if message.get("event") == "RTM_NEWNEIGH":
                        self._take(message)
            except Exception as error:  # the periodic read makes up for what was lost
                _log.warning("watching the neighbour table: %s", error)
                await asyncio.sleep(1)

    def _take(self, message: Any) -> None:
        address, lladdr = message.get("dst"), message.get("lladdr")
        if message["ifindex"] != self.index or address not in self.known or not lladdr:
            return
        if not message["state"] & _NUD_VALID:
            return
        mac = bytes.fromhex(lladdr.replace(":", ""))
        if len(mac) == 6 and self.known[address] != mac:
            self.known[address] = mac
            self._news.set()
            self._learned(address, mac)
