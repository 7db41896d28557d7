# SPDX-License-Identifier: Apache-2.0
"""One supervisor per interface: the lock, and the inspector that a killed supervisor left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import struct
import time
from pathlib import Path

from securedirect.errors import HostError
from securedirect.files import replace_file

_log = logging.getLogger(__name__)

INSPECTOR_MODULE = "securedirect.daemon.inspector"


class InstanceLock:
    """Held while a supervisor runs on an interface.

    An abstract Unix socket: its name belongs to the network namespace, like the interface's, and the kernel
    frees it with the process, however that ends.
    """

    def __init__(self, interface: str) -> None:
        """Take the lock. HostError, with the other's process id, when it is held."""
        name = f"\0securedirect/{interface}"
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._sock.bind(name)
            self._sock.listen(1)
        except OSError:
            self._sock.close()
            holder = _listener(name)
            raise HostError(
                f"a director already runs on {interface}" + (f" (process {holder})" if holder else ""),
                f"stop it first: kill {holder}" if holder else "stop it first",
            ) from None

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        self._sock.close()


def _listener(name: str) -> int:
    """The process that listens at an abstract address, 0 when that cannot be told."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(1)
        sock.connect(name)
        pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(pid)
    return 0


def start_time(pid: int) -> int | None:
    """When a process began, in the kernel's ticks since boot; None when it is gone (or only waits to be
    reaped)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before may hold anything
    return None if fields[0] in "ZX" else int(fields[19])


class InspectorFile:
    """Remembers the running inspector's identity on disk, for a supervisor that comes after a killed one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, pid: int) -> None:
        """Remember ``pid``. Its start time tells it from a later process of the same number."""
        replace_file(self.path, json.dumps({"pid": pid, "start_time": start_time(pid)}).encode())

    def remove(self) -> None:
        """Forget it. Idempotent."""
        self.path.unlink(missing_ok=True)

    def orphan(self) -> int | None:
        """The inspector that is remembered and still runs."""
        try:
            stored = json.loads(self.path.read_bytes())
            pid, began = int(stored["pid"]), stored["start_time"]
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if began is None or start_time(pid) != began or INSPECTOR_MODULE.encode() not in command:
            return None
        return pid


async def end(pid: int, grace: float = 0.5) -> None:
    """End a process that is not our child: SIGTERM, after ``grace`` seconds SIGKILL; returns when it is
    gone."""
    began = start_time(pid)
    deadline = time.monotonic() + grace
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while began is not None and start_time(pid) == began:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
