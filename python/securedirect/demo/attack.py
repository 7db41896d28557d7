# SPDX-License-Identifier: Apache-2.0
"""Scenes of the main job: attacks on live connections, and what becomes of their sources."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass

from securedirect.demo.report import plural
from securedirect.demo.stage import Stage, resets_towards
from securedirect.lab.traffic import (
    ATTACK,
    ATTACK_PATH,
    Answer,
    Client,
    diversions,
    events,
    eventually,
    fresh_address,
    open_sockets,
    packets,
    reassembled,
    received,
    request,
    status,
    undisturbed,
)

POST_BYTES = 200_000
LATE_BYTES = 150_000
_SPLIT_EVERY = 11
_TRIES = 3
_EXPIRY_SECONDS = 1.0


def same_socket(stage: Stage) -> None:
    """Two harmless requests, an attack, a harmless one: one connection, two machines."""
    lab, report = stage.lab, stage.report
    report.scene("A live attack is answered by the honeypot, on the same socket")
    with stage.captures(*stage.web_servers, "director", "client1") as captures:

        def talk(client: Client) -> tuple[str, int, list[str]]:
            source, port = client.socket.getsockname()
            report.say(f"one TCP connection, {source}:{port} to {lab.vip}:{lab.port}")
            asked = (
                ("GET /", request("/")),
                ("GET /products.html", request("/products.html")),
                (f"GET {ATTACK_PATH}", ATTACK),
                ("GET /products.html", request("/products.html")),
            )
            answers = [
                stage.ask_and_tell(client, number, label, data)
                for number, (label, data) in enumerate(asked, 1)
            ]
            return source, port, [answer.served_by for answer in answers]

        (source, port, answered), again = undisturbed(lab, talk)
        spared = answered[0]
        gone = eventually(lambda: not open_sockets(lab, spared, port))
        report.check(
            f"1 and 2 were answered by {spared}, the attack and all that follows by {answered[2]}",
            spared.startswith("web") and answered == [spared, spared, "honeypot1", "honeypot1"],
        )
        resets = resets_towards(captures["client1"].stop(), source)
        report.check(
            f"seen by the client: {plural(again, 'retransmission')}, {plural(resets, 'reset')}",
            again == resets == 0,
        )
        clean = request("/") + request("/products.html")
        got = {host: received(captures[host].stop(), lab, port) for host in stage.web_servers}
        extra = sum(map(len, got.values())) - len(clean)
        report.check(
            f"bytes of the attack on the web servers' cables: {extra} of {len(ATTACK)}; {spared} got "
            f"exactly the {len(clean)} bytes of requests 1 and 2",
            got.get(spared) == clean and extra == 0,
        )
        report.check(f"{spared}'s socket of this connection is gone", bool(gone))
        seen = list(packets(captures["director"].stop()))
        replies = sum(1 for packet in seen if packet.source == lab.vip)
        report.check(
            f"server-to-client packets on the director's cable: {replies} "
            f"(client-to-server: {sum(1 for packet in seen if packet.destination == lab.vip)})",
            replies == 0,
        )
    _tell_events(stage, source, spared)


def _tell_events(stage: Stage, source: str, spared: str) -> None:
    """What the event log says of it."""
    lab, report = stage.lab, stage.report
    found = eventually(lambda: diversions(lab, source))
    if not found:
        report.check("the event log tells of the diversion", False)
        return
    diversion = found[0]
    alerts = [one for one in events(lab, "alert") if one["flow_id"] == diversion["flow_id"]]
    report.say("the event log, EVE JSON, joined by flow_id:")
    for event in (*alerts[:1], diversion):
        report.quote(json.dumps(event, indent=2))
    told = diversion["securedirect"]
    report.check(
        f"it names the rule (sid {told.get('sid')}), the server that was spared ({told['server']['name']}), "
        f"the honeypot ({told['honeypot']['name']}), the place of the match, and that the connection "
        f"was adopted",
        bool(alerts)
        and told["server"]["name"] == spared
        and told["honeypot"]["name"] == "honeypot1"
        and told["match"]["length"] > 0
        and told["adopted"] is True,
    )


@dataclass(frozen=True)
class _Split:
    """What came of an attack in two segments."""

    place: int
    answered: tuple[str, str]
    retransmissions: int
    port: int


def _split_at(stage: Stage, place: int) -> _Split:
    with Client(stage.lab, fresh_address(stage.lab)) as client:
        client.ask(request("/"))
        client.send(ATTACK[:place])
        answered = client.ask(ATTACK[place:]).served_by, client.ask(request("/")).served_by
        return _Split(place, answered, client.retransmissions(), client.port)


def split_attack(stage: Stage) -> None:
    """The same attack in two segments, divided at various places, and in single bytes.

    With two segments outstanding, the client's kernel sends the last one again when nothing has come back for
    two of its clock's ticks (tail loss probe, RFC 8985; 8 ms at 250 Hz). The handoff is done by then, unless
    this machine is busy with other things; such a place is tried again, and that is told.
    """
    lab, report = stage.lab, stage.report
    report.scene("The attack is split over segments")
    places = range(1, len(ATTACK), _SPLIT_EVERY)
    tries: list[_Split] = []
    last: list[_Split] = []
    with stage.captures(*stage.web_servers, "client1") as captures:
        for place in places:
            for _ in range(_TRIES):
                tries.append(_split_at(stage, place))
                if not tries[-1].retransmissions:
                    break
            last.append(tries[-1])
        with Client(lab, fresh_address(lab)) as client:
            for byte in ATTACK:
                client.send(bytes([byte]))
            slowly = client.read().served_by
            ports = {client.port, *(one.port for one in tries)}
        trace = [packet for packet in packets(captures["client1"].stop()) if packet.dport in ports]
        got = b"".join(received(captures[host].stop(), lab) for host in stage.web_servers)
    resets = sum(1 for packet in trace if packet.reset and packet.source == lab.vip)
    report.say(
        f"split behind byte {', '.join(map(str, places))} of {len(ATTACK)} (the tests try every place)"
    )
    moved = sum(one.answered == ("honeypot1", "honeypot1") for one in tries)
    report.check(
        f"answered by the honeypot on the same socket, with the request after it: {moved} of {len(tries)}; "
        f"in {len(ATTACK)} segments of one byte: by {slowly}",
        moved == len(tries) and slowly == "honeypot1",
    )
    again = sum(one.retransmissions for one in last)
    if len(tries) > len(last):
        late = sorted({one.place for one in tries if one.retransmissions})
        report.say(f"this machine was busy: tried again, as the client had sent a segment twice: {late}")
    report.check(
        f"seen by the clients: {plural(again, 'retransmission')}, {plural(resets, 'reset')}",
        again == resets == 0,
    )
    extra = len(got) - len(tries) * len(request("/"))
    report.check(
        f"bytes of the attacks on the web servers' cables: {extra} (requests before them: {len(tries)})",
        got == request("/") * len(tries),
    )


def long_transfer(stage: Stage) -> None:
    """A long request, replayed to the honeypot, and a long answer from it."""
    lab, report = stage.lab, stage.report
    report.scene("200 KB up, 20 MB down, over an adopted connection")
    body = bytes(index * 7 % 251 for index in range(POST_BYTES))
    attack = request("/download.bin?x=/etc/passwd", method="POST", body=body)
    with stage.captures(*stage.web_servers) as captures:
        upwards = lab.capture("honeypot1", filter=f"dst port {lab.port}")

        def talk(client: Client) -> tuple[int, Answer]:
            stage.ask_and_tell(client, 1, "GET /", request("/"))
            return client.port, stage.ask_and_tell(client, 2, "POST /download.bin?x=/etc/passwd", attack)

        (port, answer), again = undisturbed(lab, talk)
        arrived = reassembled(upwards.stop(), lab, port)[-POST_BYTES:]
        got = b"".join(received(captures[host].stop(), lab, port) for host in stage.web_servers)
    wanted = (lab.run_dir / "honeypot1" / "www" / "download.bin").read_bytes()
    for what, sent, came in (("up", body, arrived), ("down", wanted, answer.body)):
        digests = [hashlib.md5(data, usedforsecurity=False).hexdigest() for data in (sent, came)]
        report.check(
            f"{what:<4} {len(came):>10,} bytes, md5 {digests[1]}, sent as {digests[0]}",
            digests[0] == digests[1],
        )
    report.check(
        f"answered by {answer.served_by}; client's retransmissions: {again}; bytes on the web servers' "
        f"cables: {len(got) - len(request('/'))}",
        answer.served_by == "honeypot1" and again == 0 and got == request("/"),
    )


def late_attack(stage: Stage) -> None:
    """A body longer than what is held back, with the attack at its end: it has been streaming by then."""
    lab, report = stage.lab, stage.report
    report.scene("An attack at the end of a long body, which was streaming already")
    harmless, end = b"x" * LATE_BYTES, b"&id=1+union+select+null,null--" + b"y" * 2000
    attack = request("/contact.html", method="POST", body=harmless + end)
    source = fresh_address(lab)
    with stage.captures(*stage.web_servers) as captures:
        upwards = lab.capture("honeypot1", filter=f"src host {source}")
        with Client(lab, source, timeout=20) as client:
            first = stage.ask_and_tell(client, 1, "GET /", request("/"))
            answer = stage.ask_and_tell(client, 2, f"POST /contact.html, {len(attack):,} bytes", attack)
            port = client.port
        honeypot = reassembled(upwards.stop(), lab, port)
        server = b"".join(reassembled(captures[host].stop(), lab, port) for host in stage.web_servers)
    forwarded = server.removeprefix(request("/"))
    report.check(
        f"of the attack's {len(attack):,} bytes {first.served_by} got the first {len(forwarded):,}, all of "
        f"them harmless: not the segment that completes the attack, nor any after it",
        attack.startswith(forwarded) and b"null" not in forwarded and b"y" not in forwarded[-2000:],
    )
    report.check(
        f"{answer.served_by} got it from its first byte ({len(honeypot):,} bytes) and answered on the same "
        f"socket",
        honeypot == attack and answer.served_by == "honeypot1",
    )


def marked_source(stage: Stage) -> None:
    """From then on the source is sent to the honeypot, uninspected; nobody else is; and not for ever."""
    lab, report = stage.lab, stage.report
    report.scene("The attacker's source is marked, and nobody else's")
    attacker, neighbour = fresh_address(lab), fresh_address(lab)
    socket = ("--socket", str(lab.socket))

    def marks() -> list[str]:
        listed = json.loads(stage.command("attackers", "list", "--json", *socket))
        return [one["address"] for one in listed["attackers"]]

    with Client(lab, attacker) as first, Client(lab, attacker) as second:
        before = second.ask(request("/")).served_by
        began = time.monotonic()
        first.ask(ATTACK)
        first.ask(request("/"))
        marked = eventually(lambda: attacker in marks())
        report.say(
            f"marked when it had proved its address, {time.monotonic() - began:.1f} s after the attack:"
        )
        lines = stage.command("attackers", "list", *socket).splitlines()
        report.quote("\n".join(line for line in lines if line.startswith(("ADDRESS", attacker))))
        follows = second.ask(request("/")).served_by
        report.check(
            f"its other live connection, so far with {before}: the next request is answered by {follows}",
            bool(marked) and before.startswith("web") and follows == "honeypot1",
        )
    counted = [status(lab)["counters"]]
    answered = [stage.served_by(attacker) for _ in range(4)]
    counted.append(status(lab)["counters"])
    report.check(
        f"its next 4 connections were answered by {', '.join(sorted(set(answered)))}; requests inspected: "
        f"{counted[0]['requests_inspected']} before, {counted[1]['requests_inspected']} after; packets given "
        f"to the inspector: {counted[0]['to_inspector']} and {counted[1]['to_inspector']}",
        answered == ["honeypot1"] * 4
        and all(counted[0][name] == counted[1][name] for name in ("requests_inspected", "to_inspector")),
    )
    beside = stage.served_by(neighbour)
    report.check(
        f"{neighbour}, behind the same router, is answered by {beside}",
        beside.startswith("web") and neighbour not in marks(),
    )
    said = stage.command("attackers", "remove", attacker, *socket).strip()
    after = stage.served_by(attacker)
    report.check(f"`securedirect attackers remove {attacker}`: {said}, by {after}", after.startswith("web"))
    passing = fresh_address(lab)
    stage.command("attackers", "add", passing, "--expiry", f"{_EXPIRY_SECONDS:g}s", *socket)
    during = stage.served_by(passing)
    over = eventually(
        lambda: (found := stage.served_by(passing)).startswith("web") and found, _EXPIRY_SECONDS + 3
    )
    report.check(
        f"{passing}, marked by hand for {_EXPIRY_SECONDS:g} s, is answered by {during}, then by {over}",
        during == "honeypot1" and bool(over),
    )
