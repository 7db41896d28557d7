# SPDX-License-Identifier: Apache-2.0
"""The main job: the honeypot answers an attack on a live connection, and no server gets a byte of it."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator

import pytest

from securedirect.lab import Capture, Lab
from securedirect.lab.traffic import (
    ATTACK,
    ATTACK_PATH,
    Client,
    Packet,
    diversions,
    events,
    eventually,
    fresh_address,
    open_sockets,
    packets,
    reassembled,
    received,
    request,
    undisturbed,
)

pytestmark = pytest.mark.root


@pytest.fixture
def captures(lab: Lab) -> Iterator[dict[str, Capture]]:
    """Captures on every server and on the director's cable, stopped by the test."""
    running = {host: lab.capture(host) for host in lab.hosts if host.startswith("web")}
    running["director"] = lab.capture("director")
    yield running
    for capture in running.values():
        capture.abandon()


def test_third_request_is_answered_by_the_honeypot_on_the_same_socket(
    lab: Lab, captures: dict[str, Capture]
) -> None:
    client_side = lab.capture("client1")

    def talk(client: Client) -> tuple[str, int, str]:
        first = client.ask(request("/"))
        second = client.ask(request("/products.html"))
        assert first.served_by.startswith("web") and second.served_by == first.served_by
        third = client.ask(ATTACK)
        fourth = client.ask(request("/"))
        assert third.served_by == fourth.served_by == "honeypot1"
        assert fourth.status == 200
        return client.socket.getsockname()[0], client.port, first.served_by

    (source, port, spared), again = undisturbed(lab, talk)
    assert again == 0
    assert eventually(lambda: not open_sockets(lab, spared, port)), "the spared server's socket is gone"
    trace = [
        packet for packet in packets(client_side.stop()) if source in (packet.source, packet.destination)
    ]
    assert not [p for p in trace if p.reset and p.destination == source], "the client saw a reset"
    for host in ("web1", "web2"):
        path = captures[host].stop()
        assert b"phf" not in received(path, lab, port)
        if host == spared:
            resets = [p for p in packets(path) if p.reset and p.sport == port]
            assert len(resets) == 1
            expected = [p for p in packets(path) if p.sport == port and p.payload][-1]
            assert resets[0].seq == (expected.seq + len(expected.payload)) % 2**32, (
                "exactly what it expects next"
            )
    answers = [p for p in packets(captures["director"].stop()) if p.source == lab.vip]
    assert not answers, "server→client traffic crossed the director"

    found = eventually(lambda: diversions(lab, source))
    assert len(found) == 1
    diversion = found[0]["securedirect"]
    assert diversion["adopted"] is True and diversion["method"] == "adopt"
    assert diversion["server"]["name"] == spared and diversion["honeypot"]["name"] == "honeypot1"
    alert = next(e for e in events(lab, "alert") if e["flow_id"] == found[0]["flow_id"])
    assert alert["alert"]["action"] == "blocked" and alert["src_ip"] == source
    assert alert["match"]["buffer"] == "http_uri" and alert["match"]["length"] > 0
    assert alert["http"]["url"] == ATTACK_PATH


def test_an_attack_split_at_every_place(lab: Lab, captures: dict[str, Capture]) -> None:
    """A client repeats what was not acknowledged within 8 ms (tail loss probe). On a busy machine it does,
    whoever answers, so such a place is tried again; who answers and what the servers got never is."""
    attempts = 0
    for place in range(1, len(ATTACK)):
        for _ in range(5):
            attempts += 1
            with Client(lab, fresh_address(lab)) as client:
                assert client.ask(request("/")).served_by.startswith("web")
                client.send(ATTACK[:place])
                answer = client.ask(ATTACK[place:])
                assert answer.served_by == "honeypot1", f"split at {place}"
                assert client.ask(request("/")).served_by == "honeypot1"
                repeated = client.retransmissions()
            if repeated == 0:
                break
        assert repeated == 0, f"split at {place}"
    assert attempts < 1.5 * len(ATTACK), "more than a busy machine explains"
    got = [received(captures[host].stop(), lab) for host in ("web1", "web2")]
    assert b"phf" not in got[0] + got[1]
    assert got[0] + got[1] == request("/") * attempts, "the servers got the clean requests and nothing else"


def test_an_attack_in_single_bytes(lab: Lab, captures: dict[str, Capture]) -> None:
    with Client(lab, fresh_address(lab)) as client:
        for byte in ATTACK:
            client.send(bytes([byte]))
        assert client.read().served_by == "honeypot1"
    for host in ("web1", "web2"):
        assert b"phf" not in received(captures[host].stop(), lab)


@pytest.mark.parametrize("timestamps", [True, False], ids=["timestamps", "no-timestamps"])
def test_a_long_post_and_a_long_answer(lab: Lab, captures: dict[str, Capture], timestamps: bool) -> None:
    """200 KB up and 20 MB down over the adopted connection, checksums right on both sides."""
    lab.exec("client1", "sysctl", "-q", "-w", f"net.ipv4.tcp_timestamps={int(timestamps)}")
    try:
        body = bytes(i * 7 % 251 for i in range(200_000))
        attack = request("/download.bin?x=/etc/passwd", method="POST", body=body)
        expected = (lab.run_dir / "honeypot1" / "www" / "download.bin").read_bytes()

        def talk(client: Client) -> int:
            assert client.ask(request("/")).served_by.startswith("web")
            answer = client.ask(attack)
            assert answer.served_by == "honeypot1"
            assert hashlib.md5(answer.body).digest() == hashlib.md5(expected).digest()
            return client.port

        port, again = undisturbed(lab, talk)
        assert again == 0
        assert eventually(lambda: "POST /download.bin" in lab.access_log("honeypot1").read_text())
    finally:
        lab.exec("client1", "sysctl", "-q", "-w", "net.ipv4.tcp_timestamps=1")
    for host in ("web1", "web2"):
        assert b"/etc/passwd" not in received(captures[host].stop(), lab, port)


def test_an_attack_at_the_end_of_a_long_body(lab: Lab, captures: dict[str, Capture]) -> None:
    """Longer than what is held back: all but the segment that completes the attack may have streamed."""
    attack = request(
        "/contact.html", method="POST", body=b"x" * 150_000 + b"&id=1+union+select+null,null--" + b"y" * 2000
    )
    with Client(lab, fresh_address(lab), timeout=20) as client:
        spared = client.ask(request("/")).served_by
        assert client.ask(attack).served_by == "honeypot1"
        port = client.port
    got = reassembled(captures[spared].stop(), lab, port).removeprefix(request("/"))
    assert len(got) > 8192 and attack.startswith(got), "it was streaming"
    assert b"null" not in got and not got.endswith(b"y")


def test_a_pipeline_is_answered_in_order_by_the_right_machines(lab: Lab) -> None:
    with Client(lab, fresh_address(lab)) as client:
        client.send(request("/") + ATTACK)
        assert client.read().served_by.startswith("web")
        assert client.read().served_by == "honeypot1"


@pytest.mark.parametrize("timestamps", [True, False], ids=["timestamps", "no-timestamps"])
def test_windows_and_options_go_on_as_agreed(lab: Lab, timestamps: bool) -> None:
    """Over an adopted connection the honeypot never sends beyond the window that the client had announced,
    with the scale of its SYN, and reads the client's acknowledgements with the options of the handshake."""
    source = fresh_address(lab)
    capture = lab.capture("client1", filter=f"host {source}")
    lab.exec("client1", "sysctl", "-q", "-w", f"net.ipv4.tcp_timestamps={int(timestamps)}")
    try:
        with Client(lab, source, timeout=20) as client:
            assert client.ask(request("/")).served_by.startswith("web")
            answer = client.ask(request("/download.bin?x=/etc/passwd"))
            assert answer.served_by == "honeypot1" and len(answer.body) == 20_000_000
            info = client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            (there,) = sockets(lab, "honeypot1", client.port)
    finally:
        lab.exec("client1", "sysctl", "-q", "-w", "net.ipv4.tcp_timestamps=1")
    options, scales = struct.unpack_from("BB", info, 5)
    theirs, ours = scales & 15, scales >> 4
    assert options & 7 == (7 if timestamps else 6), "SACK, window scale and timestamps as asked for"
    assert there["wscale"] == f"{ours},{theirs}", "the honeypot's socket scales as the handshake said"
    assert ("ts" in there, "sack" in there) == (timestamps, True)
    trace = list(packets(capture.stop()))
    assert beyond_the_window(trace, source, ours) == 0


def sockets(lab: Lab, host: str, port: int) -> list[dict[str, str]]:
    """What ss(8) says of a host's connections with this remote port: options by name, with their values."""
    said = lab.exec(host, "ss", "-tinoH", "dport", "=", f":{port}").stdout
    words = [line.split() for line in said.splitlines() if line.startswith(("\t", " "))]
    return [{word.partition(":")[0]: word.partition(":")[2] for word in line} for line in words]


def beyond_the_window(trace: list[Packet], client: str, scale: int) -> int:
    """Bytes sent to the client behind the right edge of what it had announced by then (RFC 9293, 3.8.6).
    How many come again is nothing to go by: on a busy machine real servers repeat some, too."""
    edge: int | None = None
    beyond = 0
    for packet in trace:
        if packet.source == client and packet.flags & 16:
            announced = packet.ack + (packet.window if packet.flags & 2 else packet.window << scale)
            edge = announced if edge is None or later(announced, edge) > 0 else edge
        elif packet.payload and edge is not None:
            beyond = max(beyond, later(packet.seq + len(packet.payload), edge))
    return beyond


def later(one: int, other: int) -> int:
    """How far a sequence number is behind another one, modulo 2^32."""
    return (one - other + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000
