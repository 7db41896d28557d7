# SPDX-License-Identifier: Apache-2.0
"""Scenes in which parts of the director are killed or stopped: nothing passes that nobody judged."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from securedirect.demo.report import plural
from securedirect.demo.stage import Stage, moment
from securedirect.lab import processes
from securedirect.lab.traffic import (
    ATTACK,
    Client,
    events,
    eventually,
    freeze,
    fresh_address,
    inspector,
    packets,
    received,
    request,
    status,
)

_LOAD_SECONDS = 3
_STOPPED_SECONDS = 0.8
_LAST_BREATH = 0.02
"""What the dying inspector had sent already may arrive for so long."""
_BACK_WITHIN = 1.0
_TRIES = 3


def killed_under_load(stage: Stage) -> None:
    """kill -9 of the inspector while wrk and an attacker are at work."""
    lab, report = stage.lab, stage.report
    report.scene("The inspector is killed (SIGKILL) under load")
    attacker = fresh_address(lab)
    with stage.captures(*stage.web_servers) as captures, Client(lab, attacker) as client:
        before = client.ask(request("/")).served_by
        command = ["wrk", "-t1", "-c8", f"-d{_LOAD_SECONDS}s", f"http://{lab.vip}/contact.html"]
        load = lab.popen("client1", command, stdout=subprocess.PIPE, text=True)
        time.sleep(_LOAD_SECONDS / 3)
        killed = _kill_inspector(stage)
        client.send(ATTACK)
        back = _judges_again(stage, killed)
        answer = client.read()
        output, _ = load.communicate(timeout=_LOAD_SECONDS + 20)
        paths = {host: captures[host].stop() for host in stage.web_servers}
    report.quote(output)
    took = back - killed if back else None
    for _ in range(_TRIES - 1):
        if took is None or took <= _BACK_WITHIN:
            break
        report.say(f"this machine was busy: it took {took:.2f} s; killed once more")
        again = _kill_inspector(stage)
        took = found - again if (found := _judges_again(stage, again)) else None
    report.check(
        f"the supervisor started a new one, which judged again after {took:.2f} s "
        f"(at most {_BACK_WITHIN:g} s)"
        if took is not None
        else "no new inspector was started",
        took is not None and took <= _BACK_WITHIN,
    )
    errors = [
        line.partition(":")[2] for line in output.splitlines() if re.search("Socket errors|Non-2xx", line)
    ]
    failed = sum(int(number) for line in errors for number in re.findall(r"\d+", line))
    done = re.search(r"(\d+) requests in", output)
    report.check(
        f"wrk's failed requests: {failed} of {int(done[1]) if done else 0:,}",
        done is not None and int(done[1]) > 0 and failed == 0,
    )
    _tell_payload(stage, paths, killed, back or time.time())
    report.check(
        f"an attack sent while there was none, on a connection of {before}, was answered by "
        f"{answer.served_by} once it was back",
        answer.served_by == "honeypot1",
    )


def _kill_inspector(stage: Stage) -> float:
    """Kill the inspector; returns when, in seconds of the epoch."""
    pid = inspector(stage.lab)
    assert pid is not None
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    return at


def _judges_again(stage: Stage, killed: float) -> float | None:
    """When a new inspector began to judge, in seconds of the epoch; waits for it."""
    found: float | None = eventually(lambda: _started_after(stage, killed), seconds=10, every=0.02)
    return found


def _started_after(stage: Stage, when: float) -> float | None:
    """When an inspector began to judge after ``when``, seconds of the epoch."""
    for event in reversed(events(stage.lab, "securedirect")):
        if event["securedirect"]["event"] == "inspector_started":
            began = moment(event["timestamp"])
            return began if began > when else None
    return None


def _tell_payload(stage: Stage, paths: dict[str, Path], killed: float, back: float) -> None:
    """What the web servers got: only whole, judged requests, by the kernel while there was no inspector."""
    expected = f"GET /contact.html HTTP/1.1\r\nHost: {stage.lab.vip}\r\n\r\n".encode()
    whole = strange = between = 0
    for path in paths.values():
        for packet in packets(path):
            if not packet.payload or packet.destination != stage.lab.vip:
                continue
            if packet.payload in (expected, request("/")):
                whole += 1
            else:
                strange += 1
            between += killed + _LAST_BREATH < packet.time < back
    stage.report.check(
        f"on the web servers' cables: {plural(whole, 'whole judged request')}, {strange} other segments with "
        f"payload; {between} of the requests while there was no inspector, cleared by the kernel",
        whole > 0 and strange == 0,
    )


def stopped(stage: Stage) -> None:
    """SIGSTOP of the inspector: what the kernel clears is served, everything else waits."""
    lab, report = stage.lab, stage.report
    report.scene("The inspector is stopped (SIGSTOP): only what the kernel has cleared passes")
    pid = inspector(lab)
    assert pid is not None
    with (
        stage.captures(*stage.web_servers) as captures,
        Client(lab, fresh_address(lab)) as plain,
        Client(lab, fresh_address(lab)) as encoded,
        Client(lab, fresh_address(lab)) as attacker,
    ):
        freeze(pid)
        try:
            encoded.send(request("/l%61te"))
            attacker.send(ATTACK)
            meanwhile = plain.ask(request("/")).served_by
            time.sleep(_STOPPED_SECONDS)
        finally:
            until = time.time()
            os.kill(pid, signal.SIGCONT)
        answers = encoded.read().served_by, attacker.read().served_by
        seen = [p for host in stage.web_servers for p in packets(captures[host].stop())]
    passed = [p for p in seen if p.payload and p.destination == lab.vip and p.time < until]
    other = sum(p.payload != request("/") for p in passed)
    report.check(
        f"in {_STOPPED_SECONDS:g} s a plain request was answered by {meanwhile}; of an encoded one and an "
        f"attack there were {other} segments on the web servers' cables",
        meanwhile.startswith("web") and not other,
    )
    report.check(
        f"going on (SIGCONT), the encoded one was answered by {answers[0]}, the attack by {answers[1]}",
        answers[0].startswith("web") and answers[1] == "honeypot1",
    )


def supervisor_killed(stage: Stage) -> None:
    """SIGKILL of the supervisor, then of the inspector that nobody restarts now; then a new supervisor."""
    lab, report = stage.lab, stage.report
    report.scene("The supervisor is killed (SIGKILL): nothing uninspected passes")
    pids = status(lab)["pids"]
    first, second, marked = (fresh_address(lab) for _ in range(3))
    with (
        stage.captures(*stage.web_servers) as captures,
        Client(lab, first) as kept,
        Client(lab, second) as attacker,
    ):
        server = kept.ask(request("/")).served_by
        _kill(pids["supervisor"])
        alone = [stage.served_by(fresh_address(lab)), kept.ask(request("/")).served_by]
        with Client(lab, marked) as client:
            attacked = client.ask(ATTACK).served_by
            client.ask(request("/"))
        report.check(
            f"inspector and kernel go on alone: clean requests are answered by {', '.join(alone)}, an attack "
            f"by {attacked}",
            alone[0].startswith("web") and alone[1] == server and attacked == "honeypot1",
        )
        _kill(pids["inspector"])
        began = time.time()
        attacker.send(ATTACK)
        kept.send(request("/%6cate"))
        plain = stage.served_by(fresh_address(lab))
        time.sleep(_STOPPED_SECONDS)
        until = time.time()
        waiting = (kept.port, attacker.port)
        lab.start_director()
        late, attacked = kept.read().served_by, attacker.read().served_by
        still = stage.served_by(marked)
        paths = [captures[host].stop() for host in stage.web_servers]
    seen = [p for path in paths for p in packets(path) if p.payload and p.destination == lab.vip]
    passed = sum(1 for p in seen if began <= p.time < until and p.sport in waiting)
    bytes_of_attacks = sum(received(path, lab).count(b"phf") for path in paths)
    report.check(
        f"with both killed, a plain request was answered by {plain}, cleared by the kernel; of an encoded "
        f"one and an attack there were {passed} segments on the web servers' cables in {until - began:.1f} s",
        plain.startswith("web") and passed == 0,
    )
    report.check(
        f"a new supervisor took over: the open connection is answered by {late} as before, the attack that "
        f"was waiting by {attacked}, the source that was marked meanwhile by {still}",
        late == server and attacked == "honeypot1" and still == "honeypot1",
    )
    report.check(
        f"attacks on the web servers' cables in all this: {bytes_of_attacks}",
        bytes_of_attacks == 0,
    )


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes.start_time(pid) is None, seconds=2, every=0.01)
