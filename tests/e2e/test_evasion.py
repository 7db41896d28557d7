# SPDX-License-Identifier: Apache-2.0
"""Segments that would make a server read another stream than the one that was judged."""

from __future__ import annotations

from securedirect.lab import Lab
from securedirect.lab.traffic import Client, fresh_address, inject, packets, request, status

ACK, URG = 0x10, 0x20


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
