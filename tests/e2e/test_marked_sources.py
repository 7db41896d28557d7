# SPDX-License-Identifier: Apache-2.0
"""Marked sources: to the honeypot uninspected, nobody else with them, and not for ever."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from securedirect.lab import Lab
from securedirect.lab.traffic import (
    ATTACK,
    Client,
    eventually,
    fresh_address,
    request,
    status,
    undisturbed,
)

pytestmark = pytest.mark.root


def attackers(lab: Lab, *arguments: str) -> Any:
    command = [
        sys.executable,
        "-m",
        "securedirect",
        "attackers",
        *arguments,
        "--json",
        "--socket",
        str(lab.socket),
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def marked(lab: Lab) -> set[str]:
    listed = attackers(lab, "list")
    entries = listed["attackers"] if isinstance(listed, dict) else listed
    return {entry["address"] for entry in entries}


def served_by(lab: Lab, source: str) -> str:
    with Client(lab, source) as client:
        return client.ask(request("/")).served_by


def test_a_marked_source_passes_by_the_inspector(lab: Lab) -> None:
    attacker, neighbour = fresh_address(lab), fresh_address(lab)
    with Client(lab, attacker) as client:
        assert client.ask(ATTACK).served_by == "honeypot1"
        # At once, while the proof may still be on its way with a delayed ACK.
        assert served_by(lab, attacker) == "honeypot1"
        assert eventually(lambda: attacker in marked(lab))
    before = status(lab)["counters"]["requests_inspected"]
    assert [served_by(lab, attacker) for _ in range(4)] == ["honeypot1"] * 4
    assert status(lab)["counters"]["requests_inspected"] == before
    assert served_by(lab, neighbour).startswith("web")
    attackers(lab, "remove", attacker)
    assert served_by(lab, attacker).startswith("web")


def test_other_live_connections_follow_at_their_next_request(lab: Lab) -> None:
    def talk(second: Client) -> None:
        source = second.socket.getsockname()[0]
        with Client(lab, source) as first:
            assert first.ask(request("/")).served_by.startswith("web")
            assert second.ask(request("/")).served_by.startswith("web")
            assert first.ask(ATTACK).served_by == "honeypot1"
            assert eventually(lambda: source in marked(lab))
            assert second.ask(request("/")).served_by == "honeypot1"

    assert undisturbed(lab, talk) == (None, 0)


def test_added_by_hand_with_expiry(lab: Lab) -> None:
    source = fresh_address(lab)
    attackers(lab, "add", source, "--expiry", "2")
    assert served_by(lab, source) == "honeypot1"
    assert eventually(lambda: served_by(lab, source).startswith("web"), seconds=6, every=0.5)


def test_without_timestamps_only_the_connection_is_diverted(lab: Lab) -> None:
    """Nothing proves the source, and anybody can write any source address."""
    source = fresh_address(lab)
    lab.exec("client1", "sysctl", "-q", "-w", "net.ipv4.tcp_timestamps=0")
    try:
        with Client(lab, source) as client:
            assert client.ask(ATTACK).served_by == "honeypot1"
            assert client.ask(request("/")).served_by == "honeypot1"
        assert served_by(lab, source).startswith("web")
    finally:
        lab.exec("client1", "sysctl", "-q", "-w", "net.ipv4.tcp_timestamps=1")
    assert source not in marked(lab)
