# SPDX-License-Identifier: Apache-2.0
"""The inspector is started, watched, replaced and started again; a dummy stands in for it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from securedirect.daemon.instance import INSPECTOR_MODULE, InspectorFile, InstanceLock, end, start_time
from securedirect.daemon.keeper import Keeper
from securedirect.errors import HostError
from securedirect.events.eve import EveLog

DUMMY = """
import json, os, signal, sys, time
fds = json.loads(sys.argv[-1])
config = json.loads(os.pread(fds["config"], 1 << 20, 0))
rules = os.pread(fds["rules"], 1 << 20, 0)
os.fstat(fds["maps"]["flows"])
def say(event, **more):
    line = json.dumps({"event_type": "securedirect", "securedirect": {"event": event, **more}})
    os.write(fds["events"], line.encode() + b"\\n")
"""


def dummy(body: str) -> tuple[str, ...]:
    # The module's name stands in the command line, as it does for the real one.
    return (sys.executable, "-c", DUMMY + body, INSPECTOR_MODULE)


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is a file's content or a process
            await asyncio.sleep(0.01)


@pytest.fixture
def eve(tmp_path: Path) -> EveLog:
    return EveLog(tmp_path / "eve.json")


def events(eve: EveLog) -> list[dict[str, Any]]:
    return [json.loads(line)["securedirect"] for line in eve.path.read_text().splitlines()]


def keeper(eve: EveLog, tmp_path: Path, body: str) -> Keeper:
    file = InspectorFile(tmp_path / "inspector.json")
    return Keeper({"interface": "eth0"}, b"RULES", {"flows": 0}, eve, file, command=dummy(body))


def test_it_gets_its_configuration_and_its_events_are_written(
    eve: EveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securedirect.daemon.keeper._SILENT_START_SECONDS", 60.0)

    async def main() -> None:
        body = 'say("inspector_started", got=config["interface"] + rules.decode()); time.sleep(60)'
        kept = keeper(eve, tmp_path, body)
        async with asyncio.timeout(30):  # start must not wait once the inspector said that it runs
            await kept.start()
        assert kept.state == "running"
        assert kept.pid is not None
        assert os.getsid(kept.pid) == kept.pid, "it must have a session of its own"
        await kept.stop()
        assert kept.pid is None
        assert not (tmp_path / "inspector.json").exists()

    asyncio.run(main())
    assert events(eve) == [{"event": "inspector_started", "got": "eth0RULES"}]


def test_on_a_full_disk_there_is_one_inspector_all_the_same(
    eve: EveLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"

    def full(self: InspectorFile, pid: int) -> None:
        raise OSError(28, "No space left on device")

    async def main() -> None:
        body = f'open({str(started)!r}, "a").write("x"); say("inspector_started"); time.sleep(60)'
        kept = keeper(eve, tmp_path, body)
        await kept.start()
        monkeypatch.setattr(InspectorFile, "write", full)
        first = kept.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: kept.restarts == 1)
        await asyncio.sleep(0.3)
        assert kept.pid not in (None, first)
        await kept.stop()

    asyncio.run(main())
    assert started.read_text() == "xx", "no more than one at a time"


def test_it_is_started_again_at_once_when_it_is_killed(eve: EveLog, tmp_path: Path) -> None:
    async def main() -> None:
        kept = keeper(eve, tmp_path, 'say("inspector_started"); time.sleep(60)')
        await kept.start()
        first = kept.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: kept.restarts == 1 and kept.pid not in (None, first))
        assert kept.last_exit == "killed by SIGKILL"
        assert kept.state == "running"
        second = kept.pid
        await until(lambda: len(events(eve)) == 3)
        await kept.stop()
        restarted = next(event for event in events(eve) if event["event"] == "inspector_restarted")
        assert restarted == {
            "event": "inspector_restarted",
            "reason": "killed by SIGKILL",
            "pid": second,
            "restarts": 1,
        }

    asyncio.run(main())


def test_one_that_keeps_dying_is_not_restarted_in_a_frenzy(eve: EveLog, tmp_path: Path) -> None:
    async def main() -> None:
        flag = tmp_path / "started-once"
        body = f"""
if os.path.exists({str(flag)!r}): sys.exit(3)
open({str(flag)!r}, "w").close(); say("inspector_started"); time.sleep(0.2); sys.exit(3)"""
        kept = keeper(eve, tmp_path, body)
        await kept.start()
        await asyncio.sleep(2.5)
        assert kept.restarts <= 6
        await until(lambda: kept.restarts >= 2)
        assert kept.state in ("restarting", "running")
        assert kept.last_exit == "exit status 3"
        await kept.stop()

    asyncio.run(main())


def test_one_that_does_not_start_is_an_error_with_its_reason(eve: EveLog, tmp_path: Path) -> None:
    async def main() -> None:
        kept = keeper(eve, tmp_path, 'say("inspector_failed", message="no AF_XDP here"); sys.exit(1)')
        with pytest.raises(HostError, match="no AF_XDP here"):
            await kept.start()
        await kept.stop()

    asyncio.run(main())


def test_half_a_line_of_a_dead_inspector_is_no_event(eve: EveLog, tmp_path: Path) -> None:
    async def main() -> None:
        flag = tmp_path / "first"
        body = f"""
say("inspector_started")
if not os.path.exists({str(flag)!r}):
    open({str(flag)!r}, "w").close(); os.write(fds["events"], b'{{"half": ')
    time.sleep(0.2); sys.exit(1)
time.sleep(60)"""
        kept = keeper(eve, tmp_path, body)
        await kept.start()
        await until(lambda: len(events(eve)) == 3)
        await kept.stop()
        names = [event["event"] for event in events(eve)]
        assert sorted(names) == ["inspector_restarted", "inspector_started", "inspector_started"]

    asyncio.run(main())


def test_the_inspector_of_a_killed_supervisor_is_replaced(eve: EveLog, tmp_path: Path) -> None:
    body = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    orphan = subprocess.Popen([sys.executable, "-c", body, INSPECTOR_MODULE], stdout=subprocess.PIPE)
    try:
        assert orphan.stdout is not None
        orphan.stdout.readline()
        InspectorFile(tmp_path / "inspector.json").write(orphan.pid)
        os.kill(orphan.pid, signal.SIGSTOP)  # not even a stopped one may stay

        async def main() -> None:
            kept = keeper(eve, tmp_path, 'say("inspector_started"); time.sleep(60)')
            await kept.start()
            assert orphan.wait(timeout=20) == -signal.SIGKILL
            assert kept.pid != orphan.pid
            await kept.stop()

        asyncio.run(main())
    finally:
        orphan.kill()


def test_another_process_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", INSPECTOR_MODULE])
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        file = InspectorFile(tmp_path / "inspector.json")
        assert file.orphan() is None
        file.write(bystander.pid)
        assert file.orphan() == bystander.pid
        file.path.write_text(json.dumps({"pid": bystander.pid, "start_time": 1}))
        assert file.orphan() is None
        file.write(stranger.pid)
        assert file.orphan() is None
        file.path.write_text("garbage")
        assert file.orphan() is None
    finally:
        bystander.kill()
        stranger.kill()
        bystander.wait()
        stranger.wait()


def test_end_waits_for_the_end() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    asyncio.run(end(child.pid))
    assert start_time(child.pid) is None
    assert child.wait() == -signal.SIGTERM


def test_a_second_instance_is_refused_and_named() -> None:
    first = InstanceLock("sdtest0")
    try:
        with pytest.raises(HostError, match=f"already runs on sdtest0 .process {os.getpid()}."):
            InstanceLock("sdtest0")
        InstanceLock("sdtest1").release()
    finally:
        first.release()
    InstanceLock("sdtest0").release()
