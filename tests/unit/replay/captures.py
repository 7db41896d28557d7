# SPDX-License-Identifier: Apache-2.0
"""Captures for tests, made with scapy's layers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

ATTACK = b"GET /cgi-bin/phf?Qalias=x HTTP/1.1\r\nHost: shop\r\n\r\n"
GOOD = b"GET /index.html HTTP/1.1\r\nHost: shop\r\n\r\n"

RULES = (
    'alert tcp $EXTERNAL_NET any -> $HTTP_SERVERS $HTTP_PORTS (msg:"phf"; flow:to_server,established; '
    'uricontent:"/phf"; nocase; content:"Qalias"; classtype:web-application-attack; sid:886; rev:1;)\n'
    'alert tcp $EXTERNAL_NET any -> $HTTP_SERVERS $HTTP_PORTS (msg:"index"; flow:to_server,established; '
    'uricontent:"/index.html"; content:"nobody"; classtype:web-application-attack; sid:7; rev:1;)\n'
)


def connection(requests: Iterable[bytes], port: int = 40000) -> list[Packet]:
    """A client's and a server's packets."""
    client = Ether() / IP(src="198.51.100.11", dst="192.0.2.100")
    server = Ether() / IP(src="192.0.2.100", dst="198.51.100.11")
    seq, ack = 1000, 5000
    packets = [
        client / TCP(sport=port, dport=80, flags="S", seq=seq),
        server / TCP(sport=80, dport=port, flags="SA", seq=ack, ack=seq + 1),
        client / TCP(sport=port, dport=80, flags="A", seq=seq + 1, ack=ack + 1),
    ]
    seq, ack = seq + 1, ack + 1
    for request in requests:
        packets.append(client / TCP(sport=port, dport=80, flags="PA", seq=seq, ack=ack) / Raw(request))
        seq += len(request)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        packets.append(server / TCP(sport=80, dport=port, flags="PA", seq=ack, ack=seq) / Raw(answer))
        ack += len(answer)
        packets.append(client / TCP(sport=port, dport=80, flags="A", seq=seq, ack=ack))
    packets.append(client / TCP(sport=port, dport=80, flags="FA", seq=seq, ack=ack))
    start = 1_700_000_000.0
    for number, packet in enumerate(packets):
        packet.time = start + number * 0.02
    return packets


def write(path: Path, packets: list[Packet]) -> Path:
    """A pcap file."""
    wrpcap(str(path), packets)
    return path
