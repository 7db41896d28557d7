# SPDX-License-Identifier: Apache-2.0
"""Segments that would make a server read another stream than the one that was judged."""

from __future__ import annotations

import time

from securedirect.lab import Lab
from securedirect.lab.traffic import Client, fresh_address, inject, packets, request, status

SYN, ACK, URG = 0x02, 0x10, 0x20


def test_no_urgent_byte_is_cut_out_of_a_servers_stream(lab: Lab) -> None:
    """A server's kernel keeps from its program the byte that an urgent pointer names; a bare acknowledgement
    can name it, long before it comes."""
    captures = {host: lab.capture(host) for host in ("web1", "web2")}
    plain, padded = request("/contact.html"), request("/contactX.html")
    with Client(lab, fresh_address(lab)) as client:
        assert client.ask(plain).status == 200
        assert client.ask(padded).status == 404
        sent = [
            p
            for capture in captures.values()
            for p in packets(capture.stop())
            if p.payload == padded and p.sport == client.port
        ]
        before = status(lab)["counters"]["drops"]["bad_flags"]
        # The pointer is to the byte behind the urgent one, as nearly every stack has it (RFC 6093).
        place = padded.index(b"X") + 1
        acknowledged = client.ask(plain)
        inject(
            lab,
            client,
            sent[0].seq + len(padded) + len(plain),
            sent[0].ack + 1,
            flags=ACK | URG,
            urgent=place,
        )
        assert acknowledged.status == 200
        assert client.ask(padded).status == 404, "the server has read another request than the inspector"
    assert status(lab)["counters"]["drops"]["bad_flags"] == before + 1


def test_a_new_connection_begins_behind_the_last_one(lab: Lab) -> None:
    """A SYN into a connection that its server has not closed: the server keeps to the old numbers, and would
    leave out the beginning of what is judged by the new ones."""
    plain = hidden = request("/contact.html")
    before = b"POST /x HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % len(hidden)
    ours = lab.capture("client1")
    with Client(lab, fresh_address(lab)) as client:
        answer, port = client.ask(plain), client.port
        assert answer.status == 200
        time.sleep(1.1)
        sent = [p for p in packets(ours.stop()) if p.sport == port]
        end, ack = next(p.seq for p in sent if p.payload == plain) + len(plain), sent[-1].ack
        dropped = status(lab)["counters"]["drops"]["syn_in_use"]
        captures = {host: lab.capture(host) for host in ("web1", "web2")}
        # Servers take turns: one of two tries would find the one that has the connection.
        for isn in (end - len(before) - 1, end - len(before) - 2):
            inject(lab, client, isn, 0, flags=SYN)
            time.sleep(1.0)
        inject(lab, client, end - len(before), ack, before + hidden)
        time.sleep(0.3)
    answers = [
        p
        for capture in captures.values()
        for p in packets(capture.stop())
        if p.dport == port and p.payload.startswith(b"HTTP/1.1")
    ]
    assert not answers, f"{answer.served_by} has answered what stood in a body"
    assert status(lab)["counters"]["drops"]["syn_in_use"] == dropped + 2
