# SPDX-License-Identifier: Apache-2.0
"""The lab's processes: recognise one again, know that it still runs, end them all."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

_KILL_SECONDS = 5.0
_REAP_SECONDS = 2.0
_POLL_SECONDS = 0.02


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None when it is gone or only a zombie."""
    stat = _stat(pid)
    return None if stat is None else int(stat[19])


def session_of(pid: int) -> int | None:
    """The session a process belongs to."""
    stat = _stat(pid)
    return None if stat is None else int(stat[3])


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third one, the state; None when the process is gone or a zombie."""
    fields = _fields(pid)
    return None if fields is None or fields[0] in "ZX" else fields


def _fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()  # the name before may hold anything


def all_processes() -> list[int]:
    """Process ids of this machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def members_of(sessions: set[int]) -> list[int]:
    """Process ids whose session is one of these."""
    return [pid for pid in all_processes() if session_of(pid) in sessions]


def end(find: Callable[[], list[int]], *, grace: float) -> list[int]:
    """End the processes that ``find`` returns: SIGTERM, after ``grace`` seconds SIGKILL.

    ``find`` is asked again until it finds nothing, so that what they start meanwhile ends too. Returns the
    process ids that are still there in the end (processes the kernel does not let go).
    """
    asked: set[int] = set()
    begin = time.monotonic()
    while True:
        left = [pid for pid in find() if start_time(pid) is not None]
        waited = time.monotonic() - begin
        if not left or waited > grace + _KILL_SECONDS:
            break
        for pid in left:
            if waited > grace:
                _send(pid, signal.SIGKILL)
            elif pid not in asked:
                _send(pid, signal.SIGTERM)
                # A stopped process would not see it.
                _send(pid, signal.SIGCONT)
                asked.add(pid)
        time.sleep(_POLL_SECONDS)
    _await_reaping(asked)
    return left


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _await_reaping(pids: set[int]) -> None:
    """Wait until init has cleared the orphans away, so that nobody who looks now still sees them."""
    deadline = time.monotonic() + _REAP_SECONDS
    while time.monotonic() < deadline:
        if not any((fields := _fields(pid)) and fields[1] == "1" for pid in pids):
            return
        time.sleep(_POLL_SECONDS)
