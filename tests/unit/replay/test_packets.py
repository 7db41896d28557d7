# SPDX-License-Identifier: Apache-2.0
"""With which packets of a plain TCP connection rules of Suricata match. The table says what Suricata says:
where it is installed, it is asked.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "oracle"))
import suricata
from captures import write

pytest.importorskip("securedirect._core", reason="the extension is not built (make build)")

from securedirect.replay.capture import replay_capture
from securedirect.rules.capture import Site
from securedirect.rules.load import load_rule_files

ALL = list(range(1, 13))
CLIENT = [1, 3, 4, 6, 8, 10, 12]
STANDS = list(range(4, 13))
CONNECTION: list[tuple[str, list[int]]] = [
    # Nothing but the header, with ports or without: once for each direction.
    ("tcp any any -> any any ()", [1, 2]),
    ("tcp any any -> any 4444 ()", [1]),
    ("tcp any any <> any 4444 ()", [1, 2]),
    ("tcp any any -> any !80 ()", [1, 2]),
    ("ip 198.51.100.0/24 any -> any [4444,5555] ()", [1]),
    ("tcp any any -> any 4444 (flow:to_server;)", CLIENT),
    ("tcp any any -> any any (flow:established;)", STANDS),
    # The client's FIN, when all before it is acknowledged, has the stream judged.
    ('tcp any any -> any any (content:"foo";)', [10]),
    ('tcp any any -> any any (content:"attackfoobar";)', [10]),
    ('tcp any any -> any any (content:"foo"; offset:0;)', [6, 8, 10]),
    ('tcp any any -> any any (content:"foo"; startswith;)', [6]),
    ('tcp any any -> any any (content:"foo"; endswith;)', [10]),
    ('tcp any any -> any any (content:"foo"; dsize:6;)', [6]),
    ('tcp any any -> any any (content:"attack"; flowbits:set,one; noalert;)', []),
    ("tcp any any -> any any (flowbits:isset,one;)", [10, 11, 12]),
    ("tcp any any -> any any (xbits:isset,one,track ip_src;)", []),
    # SYN and FIN count, too.
    ("tcp any any -> any any (stream_size:client,=,7;)", [4, 5]),
    ("tcp any any -> any any (stream_size:client,>,6;)", STANDS),
    ('tcp any any -> any any (stream_size:client,>,6; content:"foo";)', [6, 8, 10]),
    ("tcp any any -> any any (flags:A+; threshold:type both,track by_both,count 3,seconds 60;)", [4]),
    # Numbers of the connection.
    ("tcp any any -> any any (flowint:sent,+,1; flags:A+;)", ALL[1:]),
    ("tcp any any -> any any (flowint:sent,>,2; flags:A+;)", STANDS),
    ("tcp any any -> any any (flowint:sent,==,3; flags:A+;)", [4]),
    ("tcp any any -> any any (flowint:first,notset; flowint:first,=,1; flags:A+;)", [2]),
    ("tcp any any -> any any (flowint:twice,+,1; flowint:twice,==,2; flags:A+;)", []),
    # What only packets show.
    ('tcp any any -> any any (tcp.hdr; content:"|02 04|"; offset:20; depth:2;)', [1, 2]),
    ('tcp any any -> any any (ipv4.hdr; content:"|06|"; offset:9; depth:1;)', ALL),
    ('tcp any any -> any any (ip.src; content:"|c6 33 64|"; startswith;)', CLIENT),
    ('tcp any any -> any any (content:"hello"; tcp.hdr; content:"|50|"; offset:12; depth:1;)', [8]),
    ("tcp any any -> any any (tcp.mss:1400-1461;)", [1, 2]),
    ("tcp any any -> any any (tcp.mss:>1460;)", []),
    ("tcp any any -> any any (ttl:63-65;)", ALL),
    ("tcp any any -> any any (flow.age:>0;)", [5, 6, 7, 8, 9, 10, 11, 12]),
    ("tcp any any -> any any (ip.dst; dataset:set,met,type ipv4;)", [1, 2]),
]


def segments(datas: list[bytes], **options: object) -> list[Packet]:
    """A client's connection to port 4444 that sends these, each acknowledged, and ends."""
    client, server = IP(src="198.51.100.11", dst="192.0.2.100"), IP(src="192.0.2.100", dst="198.51.100.11")
    there, back = TCP(sport=40000, dport=4444), TCP(sport=4444, dport=40000)

    def packet(ip: IP, tcp: TCP, **fields: object) -> Packet:
        segment = tcp.copy()
        for name, value in fields.items():
            setattr(segment, name, value)
        return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ip.copy() / segment

    mss = [("MSS", 1460)]
    packets = [
        packet(client, there, flags="S", seq=999, options=mss),
        packet(server, back, flags="SA", seq=4999, ack=1000, options=mss),
        packet(client, there, flags="A", seq=1000, ack=5000),
    ]
    seq = 1000
    for data in datas:
        packets.append(packet(client, there, flags="PA", seq=seq, ack=5000) / Raw(data))
        seq += len(data)
        packets.append(packet(server, back, flags="A", seq=5000, ack=seq))
    packets += [
        packet(client, there, flags="FA", seq=seq, ack=5000),
        packet(server, back, flags="FA", seq=5000, ack=seq + 1),
        packet(client, there, flags="A", seq=seq + 1, ack=5001),
    ]
    for number, one in enumerate(packets):
        one.time = 1_700_000_000 + number * 0.25
    return packets


def matches(capture: Path, rules: Path) -> dict[int, list[int]]:
    report = load_rule_files([rules], dialect="suricata", service_ports=None, site=Site())
    found: dict[int, list[int]] = defaultdict(list)

    def note(line: str) -> None:
        event = json.loads(line)
        if event["event_type"] == "alert":
            found[event["alert"]["signature_id"]].append(event.get("pcap_cnt"))

    replay_capture(capture, report, note)
    return found


def written(folder: Path, table: list[tuple[str, list[int]]]) -> Path:
    rules = folder / "test.rules"
    texts = (text.rpartition(")")[0] for text, _ in table)
    rules.write_text("".join(f"alert {text} sid:{number};)\n" for number, text in enumerate(texts)))
    rules.write_text(rules.read_text().replace("sid:0;", "sid:1000;"))
    return rules


def numbered(table: list[tuple[str, list[int]]]) -> list[tuple[int, str, list[int]]]:
    return [(number or 1000, text, packets) for number, (text, packets) in enumerate(table)]


DATAS = [b"attack", b"foobar", b"hello foo"]


def test_with_which_packets_rules_match(tmp_path: Path) -> None:
    capture, rules = write(tmp_path / "a.pcap", segments(DATAS)), written(tmp_path, CONNECTION)
    found = matches(capture, rules)
    for sid, text, packets in numbered(CONNECTION):
        assert found[sid] == packets, text


@pytest.mark.skipif(not suricata.version(), reason=suricata.MISSING)
def test_the_table_says_what_suricata_says(tmp_path: Path) -> None:
    capture, rules = write(tmp_path / "a.pcap", segments(DATAS)), written(tmp_path, CONNECTION)
    said = suricata.fired(capture, rules, options=("--set", "packet-alert-max=200"))
    for sid, text, packets in numbered(CONNECTION):
        assert [packet for one, packet in said if one == sid] == packets, text


def test_segments_with_an_older_time_are_left_out(tmp_path: Path) -> None:
    packets = segments([b"good", b"attack", b"good"])
    for number, one in enumerate(packets):
        client = one[TCP].dport == 4444
        stamp = 1 if Raw in one and one[Raw].load == b"attack" else 100 + number
        echo = 99 + number if number else 0
        one[TCP].options = [("NOP", None), ("NOP", None), ("Timestamp", (stamp + 500 * (not client), echo))]
    rules = written(tmp_path, [('tcp any any -> any any (flow:only_stream; content:"attack";)', [])])
    assert matches(write(tmp_path / "a.pcap", packets), rules)[1000] == []


def test_a_repeated_syn_begins_no_other_connection(tmp_path: Path) -> None:
    packets = segments([b"att", b"ack"])
    again = packets[0].copy()
    again.time = packets[5].time
    packets.insert(6, again)
    rules = written(
        tmp_path, [("tcp any any -> any any ()", []), ('tcp any any -> any any (content:"attack";)', [])]
    )
    found = matches(write(tmp_path / "a.pcap", packets), rules)
    assert (found[1000], found[1]) == ([1, 2], [9])


def odd(kind: str) -> list[Packet]:
    """A connection of which one packet is not what it should be."""
    packets = segments([b"first", b"attack", b"last"])
    if kind == "no ack":
        packets[5][TCP].flags = "P"
    elif kind == "reset with data":
        packets[5][TCP].flags = "RA"
        del packets[6:]
    elif kind == "midstream":
        del packets[:3]
    return packets


ODD: list[tuple[str, str, list[int]]] = [
    ("no ack", 'tcp any any -> any any (flow:only_stream; content:"attack";)', []),
    ("no ack", 'tcp-pkt any any -> any any (content:"attack";)', [6]),
    ("reset with data", 'tcp any any -> any any (content:"attack";)', []),
    ("reset with data", 'tcp-pkt any any -> any any (content:"attack";)', [6]),
    ("midstream", "tcp any any -> any any (flow:not_established;)", [1]),
    ("midstream", "tcp any any -> any any (flow:established; dsize:>0;)", [3, 5]),
    ("midstream", 'tcp any any -> any any (flow:established; content:"attack";)', [7]),
]


@pytest.mark.parametrize(("kind", "rule", "packets"), ODD)
def test_odd_packets(tmp_path: Path, kind: str, rule: str, packets: list[int]) -> None:
    capture, rules = write(tmp_path / "a.pcap", odd(kind)), written(tmp_path, [(rule, packets)])
    assert matches(capture, rules)[1000] == packets


@pytest.mark.skipif(not suricata.version(), reason=suricata.MISSING)
def test_odd_packets_are_what_suricata_says(tmp_path: Path) -> None:
    for kind in dict.fromkeys(kind for kind, _, _ in ODD):
        table = [(rule, packets) for one, rule, packets in ODD if one == kind]
        capture, rules = write(tmp_path / "a.pcap", odd(kind)), written(tmp_path, table)
        said = suricata.fired(capture, rules, options=("--set", "stream.midstream=true"))
        for sid, text, packets in numbered(table):
            assert [packet for one, packet in said if one == sid] == packets, (kind, text)
