# SPDX-License-Identifier: Apache-2.0
"""The kernel clears what no rule can match: served without the inspector, and nothing else is."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from securedirect import _core
from securedirect.bench.variants import BARE_HEADERS, BROWSER_HEADERS, plain_request, unknown_requests
from securedirect.lab import Lab
from securedirect.lab.traffic import (
    ATTACK,
    Client,
    eventually,
    freeze,
    fresh_address,
    inject,
    inspector,
    packets,
    received,
    request,
    status,
)
from securedirect.rules import DEFAULT_RULES, load_rule_files

pytestmark = pytest.mark.root

ENCODED = request("/%63ontact.html")
"""Clean, but not plain: the inspector has to look at it."""


@contextmanager
def stopped(lab: Lab) -> Iterator[None]:
    pid = inspector(lab)
    freeze(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def cleared(lab: Lab) -> int:
    return int(status(lab)["counters"]["cleared"])


def test_plain_requests_are_served_while_the_inspector_stands_still(lab: Lab) -> None:
    captures = {host: lab.capture(host) for host in ("web1", "web2")}
    before = cleared(lab)
    with Client(lab, fresh_address(lab)) as client, Client(lab, fresh_address(lab)) as waiting:
        with stopped(lab):
            for path in ("/", "/contact.html", "/"):
                assert client.ask(request(path)).served_by.startswith("web")
            waiting.send(ENCODED)
            waiting.socket.settimeout(1.0)
            with pytest.raises(TimeoutError):
                waiting.read()
            early = time.time()
        waiting.socket.settimeout(8.0)
        assert waiting.read().served_by.startswith("web")

        def given_back() -> bool:
            # What was repeated meanwhile may reach the inspector late, and keeps the next request with it.
            assert waiting.ask(request("/")).served_by.startswith("web")
            return cleared(lab) >= before + 4

        assert eventually(given_back)
    for capture in captures.values():
        passed = [
            p for p in packets(capture.stop()) if p.payload and p.destination == lab.vip and p.time < early
        ]
        assert all(b"%" not in p.payload for p in passed), "an uninspected byte passed"


def _load(lab: Lab, seconds: int) -> subprocess.Popen[str]:
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", f"http://{lab.vip}/contact.html"]
    return lab.popen("client1", command, stdout=subprocess.PIPE, text=True)


def _rate(load: subprocess.Popen[str]) -> float:
    """Requests a second; none may have failed."""
    output, _ = load.communicate(timeout=40)
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    return float(re.search(r"Requests/sec: +([\d.]+)", output)[1])  # type: ignore[index]


@pytest.mark.timeout(240)
def test_ten_seconds_without_the_inspector(lab: Lab) -> None:
    """Under load: nobody notices but who asks for what has to be inspected, and he waits."""
    ratios = []
    # The rate of before and after; again on a machine that has other things to do meanwhile.
    for _ in range(5):
        around = [_rate(_load(lab, 3))]
        with Client(lab, fresh_address(lab)) as waiting:
            mine = f"src host {waiting.socket.getsockname()[0]}"
            captures = [lab.capture(host, filter=mine) for host in ("web1", "web2")]
            load = _load(lab, 11)
            time.sleep(0.5)
            with stopped(lab):
                waiting.send(request("/%61"))
                waiting.socket.settimeout(10.0)
                with pytest.raises(TimeoutError):
                    waiting.read()
                early = time.time()
            waiting.socket.settimeout(10.0)
            answer = waiting.read()
            assert answer.status == 404 and answer.served_by.startswith("web")
            without = _rate(load)
        passed = [p for capture in captures for p in packets(capture.stop()) if p.payload]
        assert passed and all(p.time >= early for p in passed), "an uninspected byte passed"
        around.append(_rate(_load(lab, 3)))
        ratios.append(without / (sum(around) / 2))
        if ratios[-1] >= 0.9:
            return
    pytest.fail(f"without the inspector the rate was only {ratios} of that with it")


def test_why_requests_travel(lab: Lab) -> None:
    sought = request("/?file=/etc/passwd")
    for asked in (ENCODED, sought):
        with Client(lab, fresh_address(lab)) as client:
            client.ask(asked)
    clearing = status(lab)["clearing"]
    reasons = {one["reason"] for one in clearing["reasons"]}
    assert {"'%' in the target", "a content of rules"} <= reasons
    sids = _core.Clearing(load_rule_files([DEFAULT_RULES]).document).judge(sought)[2]
    assert sids and set(sids) <= {one["sid"] for one in clearing["rules"]}
    assert clearing["looked_at"] >= 2


def test_an_attack_right_behind_a_cleared_request(lab: Lab) -> None:
    captures = {host: lab.capture(host) for host in ("web1", "web2")}
    before = cleared(lab)
    with Client(lab, fresh_address(lab)) as client:
        assert client.ask(request("/")).served_by.startswith("web")
        assert cleared(lab) > before
        assert client.ask(ATTACK).served_by == "honeypot1"
    with Client(lab, fresh_address(lab)) as client:
        client.send(request("/") + ATTACK)
        assert client.read().served_by.startswith("web")
        assert client.read().served_by == "honeypot1"
    for capture in captures.values():
        assert b"phf" not in received(capture.stop(), lab)


def test_attacks_do_not_stop_the_clearing_of_others(lab: Lab) -> None:
    with Client(lab, fresh_address(lab)) as client:
        client.ask(request("/"))
        before = cleared(lab)
        for _ in range(10):
            with Client(lab, fresh_address(lab)) as attacker:
                assert attacker.ask(ATTACK).served_by == "honeypot1"
                assert client.ask(request("/")).served_by.startswith("web")
        # Sources whose proof is outstanding are known by a hash: one may be the client's.
        assert cleared(lab) >= before + 9


def test_the_same_place_with_other_bytes_is_an_attack(lab: Lab) -> None:
    captures = {host: lab.capture(host) for host in ("web1", "web2")}
    with Client(lab, fresh_address(lab)) as client:
        plain, other = request("/contact.html"), request("/contacd.html")
        assert client.ask(plain).served_by.startswith("web")
        files = {host: capture.stop() for host, capture in captures.items()}
        sent = [
            p for f in files.values() for p in packets(f) if p.payload == plain and p.sport == client.port
        ]
        captures = {host: lab.capture(host) for host in ("web1", "web2")}
        before = status(lab)["counters"]["connections_diverted"]
        inject(lab, client, sent[0].seq, sent[0].ack, other)
        assert eventually(lambda: status(lab)["counters"]["connections_diverted"] > before)
    for capture in captures.values():
        assert other not in [p.payload for p in packets(capture.stop())]


def test_a_wrong_checksum_is_not_cleared(lab: Lab) -> None:
    captures = {host: lab.capture(host) for host in ("web1", "web2")}
    with Client(lab, fresh_address(lab)) as client:
        plain, other = request("/contact.html"), request("/contacd.html")
        assert client.ask(plain).served_by.startswith("web")
        files = {host: capture.stop() for host, capture in captures.items()}
        sent = [
            p for f in files.values() for p in packets(f) if p.payload == plain and p.sport == client.port
        ]
        captures = {host: lab.capture(host) for host in ("web1", "web2")}
        inject(lab, client, sent[0].seq + len(plain), sent[0].ack + 1, other, wrong_checksum=True)
        time.sleep(0.2)
        assert client.ask(plain).served_by.startswith("web")
    for capture in captures.values():
        assert other not in [p.payload for p in packets(capture.stop())]


def test_the_kernel_judges_like_the_reference() -> None:
    """Requests of all kinds, and the hash by which a repetition is known."""
    clearing = _core.Clearing(load_rule_files([DEFAULT_RULES]).document, kernel=True)
    bare, browser = (plain_request(headers) for headers in (BARE_HEADERS, BROWSER_HEADERS))
    requests = [
        bare,
        browser,
        ATTACK,
        ENCODED,
        request("/", method="POST", body=b"a=b"),
        bare[:-1],
        b"\r\n" * 20,
    ]
    # Line ends at every place of the four beginnings, and what is not plain anywhere.
    requests += [request("/" + "a" * n, headers=f"X: {'b' * (n % 37)}\r\nY: c\r\n") for n in range(0, 300, 7)]
    requests += [
        bytes((*browser[:n], byte, *browser[n + 1 :]))
        for n in range(len(browser))
        for byte in (0, 10, 37, 255)
    ]
    answers = [clearing.judge(one) for one in requests]
    assert [answer[0] for answer in answers] == [answer[4] for answer in answers]
    assert sum(answer[0] for answer in answers) > 40
    assert all(0 < ns < 100_000 for ns in clearing.measure([bare, browser], repeat=1000))
    assert 0 < (clearing.measure_once(unknown_requests(20)) or 0) < 1_000_000


def _document(path: Path, content: str) -> bytes:
    path.write_text(f'alert tcp any any -> any 80 (msg:"one"; content:"{content}"; nocase; sid:900001;)\n')
    return load_rule_files([path]).document


def test_the_kernel_forgets_lines_when_rules_change(tmp_path: Path) -> None:
    """A line that it has cleared before may be what a new rule looks for."""
    other, new = _document(tmp_path / "a.rules", "never-asked-for"), _document(tmp_path / "b.rules", "en-gb")
    clearing = _core.Clearing(other, kernel=True)
    browser = plain_request(BROWSER_HEADERS)

    def answers() -> tuple[bool, bool | None, bool]:
        cleared, _, _, matches, kernel = clearing.judge(browser)
        return cleared, kernel, bool(matches)

    for _ in range(3):
        assert answers() == (True, True, False)
        clearing.reload(new)
        assert answers() == (False, False, True)
        clearing.reload(other)
    assert answers() == (True, True, False)


GUARDED = """
alert tcp any 6000:6005 -> any any (msg:"a client's port"; flow:established; sid:900001;)
alert tcp any any -> any any (msg:"long"; dsize:>200; sid:900003;)
"""


def test_a_guard_comes_and_goes_with_its_rule(tmp_path: Path) -> None:
    """On both sides of its boundary, asked of the kernel, the reference and the matcher."""
    (tmp_path / "a.rules").write_text(GUARDED)
    guarded, other = load_rule_files([tmp_path / "a.rules"]).document, _document(tmp_path / "b.rules", "q7q7")
    clearing = _core.Clearing(other, kernel=True)
    short, long = request("/"), request("/" + "a" * 200)
    for document, travel in ((other, False), (guarded, True), (other, False), (guarded, True)):
        clearing.reload(document)
        for port in (5999, 6000, 6005, 6006):
            for asked in (short, long):
                cleared, _, sids, matches, kernel = clearing.judge(asked, port=port)
                mine = travel * ([900001] * (6000 <= port <= 6005) + [900003] * (asked is long))
                assert (cleared, kernel, sids) == (not mine, not mine, mine), (port, len(asked))
                assert sorted(matches) == [str(sid) for sid in mine]


def test_lines_that_the_kernel_knows_are_judged_together() -> None:
    """What a request must have and must not have twice, when each of its lines is known by itself."""
    clearing = _core.Clearing(load_rule_files([DEFAULT_RULES]).document, kernel=True)
    lines = ["GET / HTTP/1.1", *BROWSER_HEADERS, "A: b", f"X: {'y' * 400}", f"Z: {'y' * 230}"]
    assert clearing.judge(_joined(lines))[4] is True
    shuffled = random.Random(5)
    cleared = []
    for _ in range(3000):
        some = [lines[0], *shuffled.choices(lines[1:], k=shuffled.randrange(1, 9))]
        if shuffled.random() < 0.1:
            some.reverse()
        answer = clearing.judge(_joined(some))
        assert answer[0] == answer[4], some
        cleared.append(answer[0])
    assert 100 < sum(cleared) < 2900
    assert clearing.judge(_joined(lines[1:]))[4] is False
    assert clearing.judge(_joined([lines[0], *lines]))[4] is False


def _joined(lines: list[str]) -> bytes:
    return "\r\n".join((*lines, "", "")).encode()


def test_more_lines_than_the_kernel_remembers(tmp_path: Path) -> None:
    """Of every length."""
    clearing = _core.Clearing(_document(tmp_path / "a.rules", "never-asked-for"), kernel=True)
    for _ in range(2):
        for n in range(2500):
            one = _joined([f"GET /{n} HTTP/1.1", f"Host: h{n}", f"A{n}: {'v' * (n % 300 + 1)}"])
            answer = clearing.judge(one)
            assert answer[0] and answer[4], one
