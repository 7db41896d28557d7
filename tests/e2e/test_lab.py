# SPDX-License-Identifier: Apache-2.0
"""The lab itself: that it is the network it claims to be, and that nothing of it stays behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.utils import RawPcapReader, checksum

from securedirect.errors import HostError
from securedirect.lab import Lab, netns, processes, running_labs, website
from securedirect.lab.plan import RUN_ROOT, netns_pattern

LAB = {"director": False, "clients": 2}

_SECUREDIRECT = [sys.executable, "-m", "securedirect"]


def _cli(*arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_SECUREDIRECT, "lab", *arguments], capture_output=True, text=True, input=input, timeout=60
    )


# The network.


def _asks_who_has(lab: Lab, address: str) -> bytes | None:
    """The MAC that answers an ARP request of the router, within half a second."""
    with lab.inside("router"), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as wire:
        wire.bind(("eth0", 0x0806))
        wire.settimeout(0.5)
        own = bytes.fromhex(lab.mac("router").replace(":", ""))
        asker, target = socket.inet_aton("192.0.2.1"), socket.inet_aton(address)
        arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, own, asker, b"\0" * 6, target)
        wire.send(b"\xff" * 6 + own + b"\x08\x06" + arp)
        with contextlib.suppress(TimeoutError):
            while True:
                frame = wire.recv(100)
                if frame[20:22] == b"\0\2" and frame[28:32] == target:
                    return frame[22:28]
    return None


def test_every_host_has_its_address_on_eth0(lab: Lab) -> None:
    for host in lab.hosts.values():
        if host.role != "switch":
            interfaces = json.loads(lab.exec(host.name, "ip", "-j", "address").stdout)
            by_name = {one["ifname"]: one for one in interfaces}
            assert host.address in [one["local"] for one in by_name["eth0"]["addr_info"]]
            assert by_name["eth0"]["address"] == lab.mac(host.name)
            assert all(one["family"] == "inet" for entry in interfaces for one in entry["addr_info"])


def test_the_vip_is_on_the_loopback_of_servers_and_honeypots_only(lab: Lab) -> None:
    for host in lab.hosts.values():
        listed = lab.exec(host.name, "ip", "-o", "address").stdout
        if host.role in ("server", "honeypot"):
            assert re.search(rf" lo +inet {lab.vip}/32 ", listed)
        else:
            assert lab.vip not in listed


def test_everybody_answers_arp_for_the_own_address_and_nobody_for_the_vip(lab: Lab) -> None:
    for host in ("web1", "web2", "honeypot1", "director"):
        answer = _asks_who_has(lab, lab.host(host).address)
        assert answer is not None and answer.hex(":") == lab.mac(host)
    assert _asks_who_has(lab, lab.vip) is None


def test_a_server_that_must_ask_does_not_give_the_vip_away(lab: Lab) -> None:
    lab.point_vip_at("web1")
    try:
        lab.exec("web1", "ip", "neighbour", "flush", "dev", "eth0")
        with lab.capture("web1", filter="arp") as capture:
            assert lab.get()[0] == 200
    finally:
        lab.point_vip_at(None)
    asked = [frame for frame, _ in RawPcapReader(str(capture.path)) if frame[20:22] == b"\0\1"]
    assert asked, "the server had to ask for the router"
    assert all(socket.inet_ntoa(frame[28:32]) != lab.vip for frame in asked)


def test_the_router_takes_answers_to_any_address_of_the_clients_network(lab: Lab) -> None:
    lab.exec("client1", "ip", "address", "add", "198.51.100.200/24", "dev", "eth0")
    lab.point_vip_at("web1")
    try:
        answer = lab.exec(
            "client1", "curl", "-sf", "--interface", "198.51.100.200", f"http://{lab.vip}/robots.txt"
        )
    finally:
        lab.point_vip_at(None)
    assert answer.stdout == website.pages(False)["robots.txt"]
    assert _last_line(lab.access_log("web1"), "198.51.100.200").startswith("198.51.100.200 - - [")


def test_nobody_but_the_router_forwards(lab: Lab) -> None:
    for host in lab.hosts.values():
        forwards = lab.exec(host.name, "cat", "/proc/sys/net/ipv4/ip_forward").stdout.strip()
        assert forwards == str(int(host.role == "router")), host.name


def test_clients_reach_each_other_and_the_site(lab: Lab) -> None:
    for target in ("198.51.100.12", "192.0.2.2", "192.0.2.21"):
        assert lab.exec("client1", "ping", "-c1", "-W1", target).returncode == 0


def _bad_segments(path: Path) -> tuple[int, list[str]]:
    """How many TCP segments a capture has, and what is wrong with some."""
    count, problems = 0, []
    for frame, facts in RawPcapReader(str(path)):
        if facts.wirelen > 1514:
            problems.append(f"frame of {facts.wirelen} bytes")
        packet = IP(frame[14:])
        if TCP not in packet:
            continue
        count += 1
        segment = frame[14 + packet.ihl * 4 : 14 + packet.len]
        pseudo = frame[26:34] + struct.pack("!HH", 6, len(segment))
        if checksum(pseudo + segment) != 0:
            problems.append(f"wrong checksum in segment {packet[TCP].seq}")
    return count, problems


def test_wires_carry_whole_packets_with_real_checksums(lab: Lab) -> None:
    body = b"x" * 200_000
    lab.point_vip_at("web1")
    try:
        with lab.capture("web1") as at_server, lab.capture("client1") as at_client:
            with lab.inside("client1"):
                connection = http.client.HTTPConnection(lab.vip, timeout=10)
                with contextlib.closing(connection):
                    connection.request("POST", "/download.bin", body)
                    answer = connection.getresponse()
                    assert answer.status == 200
                    assert answer.read() == website.download()
    finally:
        lab.point_vip_at(None)
    for capture in (at_server, at_client):
        count, problems = _bad_segments(capture.path)
        assert count > 10_000
        assert problems == []


# The web servers.


@contextlib.contextmanager
def _pointed(lab: Lab, host: str) -> Iterator[None]:
    lab.point_vip_at(host)
    try:
        yield
    finally:
        lab.point_vip_at(None)


def _status_and_server(answer: bytes) -> tuple[int, str]:
    head = answer.split(b"\r\n\r\n")[0].decode()
    served = re.search(r"^X-Served-By: (\S+)", head, re.MULTILINE)
    return int(head.split()[1]), served[1] if served else ""


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        ("GET / HTTP/1.1", 200),
        ("GET /nothing HTTP/1.1", 404),
        ("POST /login.html HTTP/1.1", 200),
        ("PUT /cart.html HTTP/1.1", 200),
        ("GET /products HTTP/1.1", 301),
        ("GET bad HTTP/1.1", 400),
        ("BREW / HTTP/9.9", 505),
    ],
)
def test_every_status_says_who_answered(lab: Lab, request_head: str, status: int) -> None:
    with _pointed(lab, "honeypot1"), lab.inside("client1"):
        with socket.create_connection((lab.vip, lab.port), timeout=5) as connection:
            lines = f"{request_head}\r\nHost: shop\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
            connection.sendall(lines.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert _status_and_server(answer) == (status, "honeypot1")


def _last_line(log: Path, wanted: str) -> str:
    """The log's last line once ``wanted`` is in it: nginx writes it just after the answer has left."""
    deadline = time.monotonic() + 5
    while True:
        last = (log.read_text().splitlines() or [""])[-1]
        if wanted in last or time.monotonic() > deadline:
            return last
        time.sleep(0.01)


def test_the_access_log_is_combined_and_not_buffered(lab: Lab) -> None:
    with _pointed(lab, "web2"):
        lab.exec("client2", "curl", "-s", "-A", "agent x", "-e", "from", f"http://{lab.vip}/cart.html?q=1")
    assert re.fullmatch(
        r'198\.51\.100\.12 - - \[[^]]+\] "GET /cart\.html\?q=1 HTTP/1\.1" 200 \d+ "from" "agent x"',
        _last_line(lab.access_log("web2"), "agent x"),
    )


def test_the_honeypot_has_other_secrets(lab: Lab) -> None:
    bodies = {}
    for host in ("web1", "honeypot1"):
        with _pointed(lab, host):
            status, served, bodies[host] = lab.get("/admin/orders.html")
        assert (status, served) == (200, host)
    assert bodies["web1"] != bodies["honeypot1"]


# The commands.


def test_up_prints_what_a_program_needs(lab_name: Callable[[], str]) -> None:
    name = lab_name()
    try:
        made = _cli("up", "--no-director", "--no-access-log", "--servers=1", "--name", name, "--json")
        assert made.returncode == 0, made.stderr
        document = json.loads(made.stdout)
        assert document["hosts"]["client1"] == {"netns": f"sd-{name}-client1", "addresses": ["198.51.100.11"]}
        assert (document["vip"], document["port"]) == ("192.0.2.100", 80)
        assert name in running_labs()
        assert not Path(document["run_dir"], "web1", "access.log").exists()

        again = _cli("up", "--no-director", "--name", name)
        assert again.returncode == 1
        assert "running already" in again.stderr and f"lab down --name {name}" in again.stderr
        assert _cli("exec", "--name", name, "web1", "true").returncode == 0, "the first one runs on"
    finally:
        assert _cli("down", "--name", name).returncode == 0
    assert name not in running_labs()
    assert _cli("down", "--name", name).returncode == 0


def test_exec_is_transparent(lab: Lab) -> None:
    said = _cli(
        "exec", "--name", lab.name, "client1", "--", "sh", "-c", "cat; ip -o -4 a; exit 3", input="in"
    )
    assert said.returncode == 3
    assert said.stdout.startswith("in") and "198.51.100.11/24" in said.stdout
    assert _cli("exec", "--name", lab.name, "client1", "ip", "--help").returncode != 2
    missing = _cli("exec", "--name", lab.name, "client1", "--", "no-such-program")
    assert missing.returncode == 127 and "no-such-program" in missing.stderr
    nobody = _cli("exec", "--name", lab.name, "web9", "--", "true")
    assert nobody.returncode == 2 and "its hosts are client1" in nobody.stderr


def test_without_a_lab_exec_says_how_to_get_one(lab_name: Callable[[], str]) -> None:
    answer = _cli("exec", "--name", lab_name(), "client1", "--", "true")
    assert answer.returncode == 1
    assert "securedirect lab up" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_missing_rule_file_is_named(lab_name: Callable[[], str]) -> None:
    name = lab_name()
    answer = _cli("up", "--name", name, "--rules", "/no/such.rules")
    assert answer.returncode == 2
    assert "/no/such.rules" in answer.stderr
    assert _traces(name) == []


# What stays behind: nothing.


def _traces(name: str) -> list[str]:
    """Everything on this machine that belongs to a lab."""
    pattern = netns_pattern(name)
    found = [one for one in netns.names() if pattern.fullmatch(one)]
    if (RUN_ROOT / name).exists():
        found.append(str(RUN_ROOT / name))
    marks = (f"{RUN_ROOT / name}/".encode(), f"sd-{name}-".encode())
    for pid in processes.all_processes():
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if any(mark in command for mark in marks):
                found.append(command.decode(errors="replace"))
    return found


def _pins(lab: Lab) -> list[Path]:
    """The lab's folders on bpffs; they carry the number of the director's namespace."""
    found = netns.identity(netns.NETNS_DIR / lab.host("director").netns)
    assert found is not None
    return list(Path("/sys/fs/bpf/securedirect").glob(f"{found[1]}-*"))


def test_down_removes_the_lab_and_only_it(lab_name: Callable[[], str]) -> None:
    name = lab_name()
    neighbour = f"{name}-web1"  # its namespaces' names begin with those of the first lab's
    outsider = subprocess.Popen(["sleep", "60"])
    try:
        with Lab(neighbour, director=False, servers=1, honeypots=0) as other:
            with Lab(name, director=False, servers=1) as lab:
                inside = lab.popen("web1", ["sleep", "60"])
                assert _traces(name) != []
            assert _traces(name) == []
            assert inside.wait(5) == -signal.SIGTERM
            assert other.get(address=other.host("web1").address)[0] == 200
        assert _traces(neighbour) == []
        assert outsider.poll() is None
    finally:
        outsider.kill()
        outsider.wait()


def test_a_process_that_ignores_the_end_is_killed(lab_name: Callable[[], str]) -> None:
    with Lab(lab_name(), director=False, servers=1, honeypots=0) as lab:
        stubborn = lab.popen(
            "client1", ["sh", "-c", "trap '' TERM; echo ready; sleep 60"], stdout=subprocess.PIPE
        )
        assert stubborn.stdout.readline() == b"ready\n"
    with stubborn.stdout:
        assert stubborn.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
def test_down_after_a_kill_in_the_middle(lab_name: Callable[[], str], delay: float) -> None:
    name = lab_name()
    command = [*_SECUREDIRECT, "lab", "up", "--no-director", "--name", name]
    building = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not (RUN_ROOT / name).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(delay)
    building.kill()
    building.wait()
    assert _traces(name) != []
    if delay == 0.1:
        with Lab(name, director=False) as lab:  # `up` clears the ruins away too
            assert lab.get(address=lab.host("web1").address)[0] == 200
    else:
        assert _cli("down", "--name", name).returncode == 0
    assert _traces(name) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_up_that_is_interrupted_clears_up_itself(
    lab_name: Callable[[], str], number: signal.Signals
) -> None:
    name = lab_name()
    building = subprocess.Popen(
        [*_SECUREDIRECT, "lab", "up", "--no-director", "--name", name],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 10
    while not (RUN_ROOT / name).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    building.send_signal(number)
    assert building.wait(20) != 0
    assert _traces(name) == []


def test_an_up_that_fails_says_why_and_leaves_nothing(
    lab_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = lab_name()
    monkeypatch.setattr(website, "nginx_configuration", lambda *_, **__: "nonsense;")
    with pytest.raises(HostError) as caught:
        Lab(name, director=False).up()
    assert "nginx on web1 has stopped" in caught.value.message
    assert 'unknown directive "nonsense"' in caught.value.message
    assert _traces(name) == []


def test_two_at_once_cannot_build_the_same_lab(lab_name: Callable[[], str]) -> None:
    name = lab_name()
    command = [*_SECUREDIRECT, "lab", "up", "--no-director", "--name", name]
    both = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    results = [(one.communicate(timeout=60)[1], one.returncode) for one in both]
    try:
        assert sorted(code for _, code in results) == [0, 1]
        (complaint,) = [said for said, code in results if code]
        assert "running already" in complaint or "by another process" in complaint
        assert Lab.of(name).get(address="192.0.2.11")[0] == 200
    finally:
        assert _cli("down", "--name", name).returncode == 0
    assert _traces(name) == []


def test_without_root_the_lab_says_what_it_needs(lab_name: Callable[[], str]) -> None:
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            Lab(lab_name(), director=False).up()
        except HostError as error:
            os._exit(error.exit_code)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77


# With the director.


def test_the_router_learns_the_directors_mac_for_the_vip(lab_name: Callable[[], str]) -> None:
    with Lab(lab_name()) as lab:
        pins = _pins(lab)
        assert pins
        listed = json.loads(lab.exec("router", "ip", "-j", "neighbour", "show", lab.vip).stdout)
        assert [one["lladdr"] for one in listed] == [lab.mac("director")]
        served = {lab.get()[1] for _ in range(4)}
        assert served == {"web1", "web2"}
    assert not any(folder.exists() for folder in pins)
    assert _traces(lab.name) == []


def test_down_clears_up_after_a_killed_supervisor(lab_name: Callable[[], str]) -> None:
    with Lab(lab_name(), servers=1) as lab:
        pins = _pins(lab)
        session = lab.pid("director", "director")
        os.kill(session, signal.SIGKILL)
    assert processes.members_of({session}) == []
    assert not any(folder.exists() for folder in pins)
    assert _traces(lab.name) == []


def test_a_director_that_was_killed_is_started_again(lab_name: Callable[[], str]) -> None:
    with Lab(lab_name(), servers=1) as lab:
        os.kill(lab.pid("director", "director"), signal.SIGKILL)
        lab.start_director()
        assert lab.get()[:2] == (200, "web1")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--set", "nosuch.key=1"], 78, "unknown table 'nosuch'"),
        (["--set", "director.interface=eth7"], 1, "there is no interface 'eth7'"),
        (["--rules", __file__], 78, f"{Path(__file__).name}:"),
    ],
)
def test_what_the_director_refuses_is_passed_on(
    lab_name: Callable[[], str], options: list[str], status: int, said: str
) -> None:
    name = lab_name()
    answer = _cli("up", "--name", name, *options)
    assert answer.returncode == status, answer.stderr
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert _traces(name) == []


def test_settings_reach_the_director(lab_name: Callable[[], str]) -> None:
    with Lab(lab_name(), servers=1, honeypots=1, assignments=["handoff.method=classic"]) as lab:
        status = subprocess.run(
            [*_SECUREDIRECT, "status", "--json", "--socket", str(lab.socket)], capture_output=True, check=True
        )
        assert json.loads(status.stdout)["services"][0]["handoff"] == "classic"
        with pytest.raises(HostError, match="agent does not run"):
            lab.pid("honeypot1", "agent")
