# SPDX-License-Identifier: Apache-2.0
"""The balancer: who answers, who leaves the pool, what is ignored in silence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from securedirect.lab import Lab
from securedirect.lab.traffic import Client, eventually, packets, request, state, status

pytestmark = pytest.mark.root


def test_eight_connections_land_four_and_four(lab: Lab) -> None:
    answered = []
    for _ in range(8):
        with Client(lab) as client:
            answered.append(client.ask(request("/")).served_by)
    assert Counter(answered) == {"web1": 4, "web2": 4}


def test_a_connection_stays_with_its_server(lab: Lab) -> None:
    with Client(lab) as client:
        assert len({client.ask(request(f"/?{i}")).served_by for i in range(10)}) == 1


def test_a_server_without_pings_leaves_and_returns(lab: Lab) -> None:
    lab.exec("web1", "sysctl", "-q", "-w", "net.ipv4.icmp_echo_ignore_all=1")
    try:
        assert eventually(lambda: state(lab, "web1") == "down", seconds=30)
        for _ in range(4):
            with Client(lab) as client:
                assert client.ask(request("/")).served_by == "web2"
    finally:
        lab.exec("web1", "sysctl", "-q", "-w", "net.ipv4.icmp_echo_ignore_all=0")
    assert eventually(lambda: state(lab, "web1") == "up", seconds=12)
    answered = set()
    for _ in range(4):
        with Client(lab) as client:
            answered.add(client.ask(request("/")).served_by)
    assert answered == {"web1", "web2"}


def test_the_router_learns_the_directors_mac_and_nobody_owns_the_vip(lab: Lab) -> None:
    lab.exec("router", "ip", "neigh", "flush", "all")
    with Client(lab) as client:
        client.ask(request("/"))
    neighbours = lab.exec("router", "ip", "neigh", "show", lab.vip).stdout
    assert lab.mac("director") in neighbours
    assert lab.vip not in lab.exec("director", "ip", "addr").stdout


def test_anything_else_for_the_vip_is_ignored_in_silence(lab: Lab) -> None:
    before = status(lab)["counters"]["drops"]
    capture = lab.capture("client1", filter="host " + lab.vip)
    ping = lab.exec("client1", "ping", "-c", "1", "-W", "1", lab.vip, check=False)
    assert ping.returncode != 0
    other = f"import socket; s=socket.socket(); s.settimeout(0.5); s.connect(('{lab.vip}', 8080))"
    tried = lab.exec("client1", sys.executable, "-c", other, check=False)
    assert "timed out" in tried.stderr
    assert not [p for p in packets(capture.stop()) if p.source == lab.vip]
    after = status(lab)["counters"]["drops"]
    assert sum(after.values()) >= sum(before.values()) + 2, "each with a reason"


def test_status_has_what_it_promises(lab: Lab) -> None:
    command = [sys.executable, "-m", "securedirect", "status", "--json", "--socket", str(lab.socket)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert {"supervisor", "inspector"} <= answer["pids"].keys()
    assert [m["name"] for m in answer["servers"]] == ["web1", "web2"]
    assert all({"name", "address", "state"} <= m.keys() for m in answer["servers"] + answer["honeypots"])
    assert answer["rules"]["loaded"] > 0
    assert {"requests_inspected", "connections_diverted", "drops"} <= answer["counters"].keys()


UNKNOWN = """
import sys
from scapy.all import IP, TCP, sr1, conf
conf.verb = 0
segment = TCP(sport=4242, dport=80, flags="PA", seq=1000, ack=777)
answer = sr1(IP(dst=sys.argv[1]) / segment / b"GET / HTTP/1.0", timeout=2)
sums = answer[IP].chksum, answer[TCP].chksum
del answer[IP].chksum, answer[TCP].chksum
again = IP(bytes(answer[IP]))
print(again[TCP].flags, again[TCP].seq, again.src, sums == (again.chksum, again[TCP].chksum))
"""


def test_a_connection_that_is_not_in_the_table_is_reset(lab: Lab) -> None:
    """After the idle timeout, or a start without the old tables: told at once instead of hanging."""
    answer = lab.exec("client1", sys.executable, "-c", UNKNOWN, lab.vip)
    assert answer.stdout.split() == ["R", "777", lab.vip, "True"]
