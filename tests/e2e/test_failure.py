# SPDX-License-Identifier: Apache-2.0
"""Fail closed: with the inspector or the supervisor gone, nothing passes that nobody judged, and nothing is
lost."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator

import pytest

from securedirect.lab import Lab
from securedirect.lab.traffic import (
    ATTACK,
    Client,
    alive,
    eventually,
    freeze,
    fresh_address,
    inspector,
    packets,
    received,
    request,
    status,
)

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def own_source(lab: Lab) -> Iterator[None]:
    """Leave the lab with a running inspector whatever the test did."""
    yield
    assert eventually(lambda: alive(status(lab)["pids"]["inspector"])), "the inspector did not come back"


def test_killed_under_load(lab: Lab) -> None:
    captures = {host: lab.capture(host) for host in ("web1", "web2")}
    load = lab.popen(
        "client1",
        ["wrk", "-t1", "-c8", "-d4s", f"http://{lab.vip}/contact.html"],
        stdout=-1,
        text=True,
    )
    time.sleep(1.5)
    old = inspector(lab)
    os.kill(old, signal.SIGKILL)
    assert eventually(lambda: alive(inspector(lab)) and inspector(lab) != old, seconds=20)
    output, _ = load.communicate(timeout=20)
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    requests = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    assert requests > 0
    whole = re.compile(rb"(?:GET /contact\.html HTTP/1\.1\r\nHost: [0-9.]+\r\n\r\n)*")
    for capture in captures.values():
        path = capture.stop()
        # Retransmissions aside, each server got whole requests of the load and nothing else.
        assert whole.fullmatch(received(path, lab)), "something else than judged requests"


def test_an_attack_while_there_is_no_inspector(lab: Lab) -> None:
    source = fresh_address(lab)
    captures = {host: lab.capture(host) for host in ("web1", "web2")}
    with Client(lab, source) as client:
        assert client.ask(request("/")).served_by.startswith("web")
        os.kill(inspector(lab), signal.SIGKILL)
        answer = client.ask(ATTACK)
        assert answer.served_by == "honeypot1", "retransmitted, judged by the new inspector, handed over"
    for capture in captures.values():
        assert b"phf" not in received(capture.stop(), lab)


def test_stopped_inspector_lets_nothing_pass(lab: Lab) -> None:
    pid = inspector(lab)
    captures = {host: lab.capture(host) for host in ("web1", "web2")}
    with Client(lab, fresh_address(lab)) as client:
        freeze(pid)
        try:
            client.send(request("/l%61te"))
            time.sleep(1.0)
        finally:
            stopped_until = time.time()
            os.kill(pid, signal.SIGCONT)
        assert client.read().served_by.startswith("web")
    for capture in captures.values():
        early = [
            p
            for p in packets(capture.stop())
            if p.payload and p.destination == lab.vip and p.time < stopped_until
        ]
        assert not early, "payload that the kernel cannot clear passed while the inspector was stopped"


def test_connections_outlive_the_inspector(lab: Lab) -> None:
    clients = [Client(lab, fresh_address(lab)) for _ in range(6)]
    servers = [client.ask(request("/")).served_by for client in clients]
    old = inspector(lab)
    os.kill(old, signal.SIGKILL)
    assert eventually(lambda: alive(inspector(lab)) and inspector(lab) != old)
    assert [client.ask(request("/")).served_by for client in clients] == servers
    for client in clients:
        client.close()


def test_killed_supervisor(lab: Lab) -> None:
    """The kernel program and the inspector go on: clean requests are served, attacks are not. A new one takes
    over."""
    source, marked = fresh_address(lab), fresh_address(lab)
    with Client(lab, marked) as client:
        assert client.ask(ATTACK).served_by == "honeypot1"
    captures = {host: lab.capture(host) for host in ("web1", "web2")}
    old = inspector(lab)
    with Client(lab, source) as kept:
        server = kept.ask(request("/")).served_by
        os.kill(int(status(lab)["pids"]["supervisor"]), signal.SIGKILL)
        time.sleep(0.3)
        with Client(lab, fresh_address(lab)) as attacker:
            assert attacker.ask(ATTACK).served_by == "honeypot1"
        lab.start_director()
        assert kept.ask(request("/")).served_by == server, "the flow table was taken over"
        assert eventually(lambda: inspector(lab) != old and not alive(old)), "the orphan was replaced"
        with Client(lab, marked) as client:
            assert client.ask(request("/")).served_by == "honeypot1", "marks were taken over"
    for capture in captures.values():
        assert b"phf" not in received(capture.stop(), lab)
