# SPDX-License-Identifier: Apache-2.0
"""Processes are recognised and ended."""

import os
import subprocess
import sys
import time

from securedirect.lab import processes


def _child(program: str) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
_PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("ready", flush=True)
time.sleep(60)
"""


def test_start_time_tells_processes_apart_and_is_none_for_the_dead() -> None:
    assert processes.start_time(os.getpid()) == processes.start_time(os.getpid())
    child = subprocess.Popen(["sleep", "60"])
    try:
        began = processes.start_time(child.pid)
        assert began is not None
        child.kill()
        deadline = time.monotonic() + 5
        while processes.start_time(child.pid) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert processes.start_time(child.pid) is None, "a zombie does not run"
    finally:
        child.kill()
        child.wait()
    assert processes.start_time(child.pid) is None


def test_the_stubborn_are_killed_and_the_stopped_woken() -> None:
    stubborn, stopped = _child(_STUBBORN), subprocess.Popen(["sleep", "60"])
    try:
        stopped.send_signal(19)
        assert processes.end(lambda: [stubborn.pid, stopped.pid], grace=0.3) == []
        assert stubborn.wait(5) == -9
        assert stopped.wait(5) == -15
    finally:
        for child in (stubborn, stopped):
            child.kill()
            child.wait()
        assert stubborn.stdout is not None
        stubborn.stdout.close()


def test_a_session_is_found_whole() -> None:
    leader = _child(_PARENT)
    try:
        assert len(processes.members_of({leader.pid})) == 2
        assert processes.end(lambda: processes.members_of({leader.pid}), grace=1) == []
        assert processes.members_of({leader.pid}) == []
    finally:
        leader.kill()
        leader.wait()
        assert leader.stdout is not None
        leader.stdout.close()
