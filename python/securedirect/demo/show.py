# SPDX-License-Identifier: Apache-2.0
"""The demo from beginning to end: build the lab, play the scenes, remove the lab whatever happens."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn, TextIO

from securedirect.demo import attack, balance, failure, mistakes
from securedirect.demo.report import Report
from securedirect.demo.stage import Stage
from securedirect.errors import HostError
from securedirect.lab import Lab
from securedirect.lab.state import need_root
from securedirect.lab.traffic import status

NAME = "demo"
SCENES: tuple[Callable[[Stage], None], ...] = (
    attack.same_socket,
    attack.split_attack,
    attack.long_transfer,
    attack.late_attack,
    attack.marked_source,
    balance.four_and_four,
    balance.comes_and_goes,
    failure.killed_under_load,
    failure.stopped,
    failure.supervisor_killed,
    mistakes.bad_input,
)

_PICTURE = """\
client1 ── router ──┬── director    {vip}:{port} belongs to nobody; the director answers ARP for it,
                    │               judges each request and hands it on by its MAC address
                    ├── web1 web2   answer the clients directly
                    └── honeypot1   looks like them; takes over the connections of attackers"""


def run(to: TextIO, scenes: tuple[Callable[[Stage], None], ...] = SCENES) -> bool:
    """Play the scenes and print the report; True when every measurement is as promised.

    HostError when the lab cannot be built. Ended by a signal, it removes the lab all the same.
    """
    need_root()
    began = time.monotonic()
    report = Report(to)
    with _only_one(), _ended_by_signals():
        lab = Lab(NAME, assignments=[f"health.{key}={value}" for key, value in balance.HEALTH.items()])
        lab.down()  # what a killed demo left
        report.title("SecureDirect: the main job, live")
        report.say("building a site of network namespaces on this machine ...")
        try:
            lab.up()
            report.say(f"built in {time.monotonic() - began:.1f} s: {', '.join(_machines(lab))}")
            report.say()
            report.say(_PICTURE.format(vip=lab.vip, port=lab.port))
            for scene in scenes:
                _play(scene, Stage(lab, report))
            _account(lab, report)
        finally:
            _undisturbed(lab.down)
        report.say("the lab is removed")
    report.summary(time.monotonic() - began)
    return not report.failed


def _play(scene: Callable[[Stage], None], stage: Stage) -> None:
    """One scene; whatever ends it early is a mark against it, and the next one is played."""
    try:
        scene(stage)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        stage.report.check(f"the scene ended early: {type(error).__name__}: {first}", False)


def _machines(lab: Lab) -> list[str]:
    return [f"{host.name} {host.address}" for host in lab.hosts.values() if host.addresses]


def _account(lab: Lab, report: Report) -> None:
    """The director's own counters since its last start."""
    try:
        counters = status(lab)["counters"]
    except HostError as error:
        report.check(f"the director does not answer: {error.message}", False)
        return
    report.say()
    drops = {reason: count for reason, count in counters.pop("drops").items() if count}
    report.say("the director's own account: " + _listed({k: v for k, v in counters.items() if v}))
    report.say("dropped, with the reason: " + (_listed(drops) or "nothing"))


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """One demo at a time: they share a lab. The kernel frees an abstract socket with its process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        try:
            lock.bind("\0securedirect-demo")
        except OSError as error:
            raise HostError("a demo is running already on this machine", "wait until it is over") from error
        yield


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A hang-up or a plain `kill` ends the demo as Ctrl-C does: with the lab removed."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _undisturbed(work: Callable[[], object]) -> None:
    """Do it to its end: a second Ctrl-C must not leave half a lab."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        work()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


__all__ = ["NAME", "SCENES", "run"]
