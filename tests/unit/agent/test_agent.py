# SPDX-License-Identifier: Apache-2.0
"""The honeypot's agent: what it insists on, what it advises, and that it leaves in order."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from securedirect.agent import run as agent
from securedirect.daemon.host import (
    CAPABILITIES,
    DIRECTOR_CAPABILITIES,
    find_interface,
    need_adopt_kernel,
    need_capabilities,
)
from securedirect.errors import HostError

VIP = IPv4Address("192.0.2.100")


def settings(folder: Path, **values: int) -> Path:
    usual = {"tcp_syncookies": 1, "tcp_sack": 1, "tcp_timestamps": 1, "tcp_window_scaling": 1}
    (folder / "conf/all").mkdir(parents=True, exist_ok=True)
    (folder / "conf/all/arp_ignore").write_text(f"{values.pop('arp_ignore', 1)}\n")
    for name, value in (usual | values).items():
        (folder / name).write_text(f"{value}\n")
    return folder


def test_good_settings_need_no_advice(tmp_path: Path) -> None:
    assert agent.check_settings(VIP, settings(tmp_path)) == []


def test_syn_cookies_must_not_be_off(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="tcp_syncookies is 0") as caught:
        agent.check_settings(VIP, settings(tmp_path, tcp_syncookies=0))
    assert caught.value.hint == "sysctl -w net.ipv4.tcp_syncookies=1"


@pytest.mark.parametrize("name", ["tcp_sack", "tcp_timestamps", "tcp_window_scaling", "arp_ignore"])
def test_poor_settings_are_told_with_the_command_that_mends_them(tmp_path: Path, name: str) -> None:
    (advice,) = agent.check_settings(VIP, settings(tmp_path, **{name: 0}))
    assert f"{name}=1" in advice


def test_a_kernel_without_the_kfunc(tmp_path: Path) -> None:
    symbols = tmp_path / "kallsyms"
    symbols.write_text("0000000000000000 T bpf_sk_assign_tcp_reqsk_not\n0000000000000000 t other [module]\n")
    with pytest.raises(HostError, match="cannot adopt connections") as caught:
        need_adopt_kernel(symbols)
    assert caught.value.exit_code == 69
    assert "6.9" in caught.value.hint and "CONFIG_SYN_COOKIES" in caught.value.hint
    symbols.write_text("0000000000000000 T bpf_sk_assign_tcp_reqsk\n")
    need_adopt_kernel(symbols)


def test_missing_capabilities_are_named() -> None:
    everything = sum(1 << bit for bit in CAPABILITIES.values())
    need_capabilities(DIRECTOR_CAPABILITIES, "the director", everything)
    with pytest.raises(HostError, match=r"the director needs CAP_NET_ADMIN, CAP_NET_RAW\n") as caught:
        without = everything & ~(1 << CAPABILITIES["CAP_NET_ADMIN"]) & ~(1 << CAPABILITIES["CAP_NET_RAW"])
        need_capabilities(DIRECTOR_CAPABILITIES, "the director", without)
    assert caught.value.exit_code == 77
    # CAP_SYS_ADMIN still stands for what was split from it.
    need_capabilities(["CAP_BPF"], "it", 1 << CAPABILITIES["CAP_SYS_ADMIN"])
    with pytest.raises(HostError, match="CAP_BPF"):
        need_capabilities(["CAP_BPF"], "it", 0)


def test_an_unknown_interface_lists_those_there_are() -> None:
    with pytest.raises(HostError, match="no interface 'nowhere0'") as caught:
        find_interface("nowhere0")
    assert "lo" in caught.value.hint


def test_a_host_without_the_vip_is_told_how_to_get_it() -> None:
    with pytest.raises(HostError, match=r"does not have the VIP 203\.0\.113\.200") as caught:
        agent.check_vip(IPv4Address("203.0.113.200"))
    assert caught.value.hint == "ip addr add 203.0.113.200/32 dev lo"
    agent.check_vip(IPv4Address("127.0.0.1"))


@pytest.mark.parametrize(("address", "vip"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "203.0.113.200")])
def test_a_listener_is_found(address: str, vip: str) -> None:
    with socket.socket() as sock:
        sock.bind((address, 0))
        port = sock.getsockname()[1]
        assert not agent.listens(IPv4Address(vip), port), "bound is not listening"
        sock.listen()
        assert agent.listens(IPv4Address(vip), port)
        if address != "0.0.0.0":
            assert not agent.listens(IPv4Address("203.0.113.200"), port)
    assert not agent.listens(IPv4Address(vip), port)


class FakeAdopter:
    def __init__(self, interface: str, *, vip: str, ports: list[int], key: bytes) -> None:
        self.given = (interface, vip, ports, key)
        self.detached = False

    def counters(self) -> dict[str, int]:
        return {"adopted": 3, "refused": 1}

    def detach(self) -> None:
        self.detached = True


def test_it_waits_for_the_web_server_runs_and_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "need_capabilities", lambda *_: None)
    monkeypatch.setattr(agent, "need_adopt_kernel", lambda: None)
    monkeypatch.setattr(agent, "find_interface", lambda _: None)
    monkeypatch.setattr(agent, "_POLL_SECONDS", 0.01)
    said: list[str] = []
    loaded: list[FakeAdopter] = []

    def load(*args: Any, **options: Any) -> FakeAdopter:
        loaded.append(FakeAdopter(*args, **options))
        return loaded[0]

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]

        def world() -> None:
            time.sleep(0.1)
            assert not loaded, "nothing is attached before there is a web server"
            sock.listen()
            while len(said) < 3:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        thread = threading.Thread(target=world)
        thread.start()
        try:
            agent.run_agent(
                "eth0",
                IPv4Address("127.0.0.1"),
                [port],
                bytes(16),
                stats_interval=0.05,
                load=load,
                say=said.append,
            )
        finally:
            thread.join()
            for number, handler in before.items():
                signal.signal(number, handler)
    assert loaded[0].given == ("eth0", "127.0.0.1", [port], bytes(16))
    assert loaded[0].detached
    assert said[0] == f"adopting connections to 127.0.0.1 port {port} on eth0"
    assert said[1] == "adopted=3 refused=1"
