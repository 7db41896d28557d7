# SPDX-License-Identifier: Apache-2.0
"""Scenes of the balancer: round robin, and a server that comes and goes."""

from __future__ import annotations

import time
from collections import Counter

from securedirect.demo.stage import Stage
from securedirect.lab.traffic import Client, eventually, request, state

HEALTH = {"interval": 0.5, "timeout": 0.5, "rise": 2, "fall": 3}
"""The demo's [health]: quicker than the defaults, so that nobody has to wait."""
_LOOK_SECONDS = 0.3
"""What looking (by the status command) may add to a measured time."""


def four_and_four(stage: Stage) -> None:
    """Round robin per connection."""
    lab, report = stage.lab, stage.report
    report.scene("Eight clean connections over two servers")
    answered = []
    for _ in range(8):
        with Client(lab) as client:
            answered.append(client.ask(request("/")).served_by)
    report.say("in this order: " + " ".join(answered))
    counts = Counter(answered)
    report.check(
        ", ".join(f"{server}: {counts[server]}" for server in sorted(counts)),
        counts == {"web1": 4, "web2": 4},
    )


def comes_and_goes(stage: Stage) -> None:
    """A server that stops answering pings leaves the pool and returns."""
    lab, report = stage.lab, stage.report
    report.scene("A server stops answering pings, and answers again")
    interval, timeout = HEALTH["interval"], HEALTH["timeout"]
    report.say(
        f"configured: a check every {interval:g} s that may take {timeout:g} s; out after {HEALTH['fall']} "
        f"failures, back after {HEALTH['rise']} successes"
    )
    try:
        _answer_pings(stage, "web1", False)
        _await_state(stage, "web1", "down", HEALTH["fall"] * interval + timeout)
        answered = [stage.served_by(lab.host("client1").address) for _ in range(4)]
        report.check(
            f"4 new connections were answered by {', '.join(sorted(set(answered)))}",
            set(answered) == {"web2"},
        )
    finally:
        _answer_pings(stage, "web1", True)
    _await_state(stage, "web1", "up", HEALTH["rise"] * interval + timeout)
    answered = [stage.served_by(lab.host("client1").address) for _ in range(4)]
    report.check(
        f"4 new connections were answered by {', '.join(sorted(set(answered)))}",
        set(answered) == {"web1", "web2"},
    )


def _answer_pings(stage: Stage, host: str, answer: bool) -> None:
    stage.lab.exec(host, "sysctl", "-q", "-w", f"net.ipv4.icmp_echo_ignore_all={int(not answer)}")


def _await_state(stage: Stage, host: str, wanted: str, limit: float) -> None:
    began = time.monotonic()
    reached = eventually(lambda: state(stage.lab, host) == wanted, seconds=limit + 5, every=0.02)
    took = time.monotonic() - began
    stage.report.check(
        f"{host} is {wanted if reached else 'not ' + wanted} after {took:.2f} s (at most {limit:.1f} s)",
        bool(reached) and took <= limit + _LOOK_SECONDS,
    )
