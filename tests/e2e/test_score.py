# SPDX-License-Identifier: Apache-2.0
"""The score: several different suspicious requests of one source divert it and mark it, one again and again
does not.

Over several connections they are added up where a server's clock is one for each pair of addresses. Linux
has given each connection a clock of its own since 2026 (6.18.44 is one of the first): there a connection
scores for itself (docs/policy.md).
"""

from __future__ import annotations

import socket

import pytest

from securedirect.lab import Lab
from securedirect.lab.traffic import Client, diversions, events, eventually, fresh_address, request

pytestmark = pytest.mark.root

NEEDED = 3
LAB = {"assignments": [f"attackers.score_sids={NEEDED}"]}
PROBES = ("/.env", "/.git/config", "/server-status", "/manager/html", "/jolokia/list", "/.htpasswd")
TCP_TIMESTAMP = 24
"""Socket option: the clock that a connection sends, in milliseconds."""


def served_by(lab: Lab, source: str, path: str = "/") -> str:
    with Client(lab, source) as client:
        return client.ask(request(path)).served_by


def one_clock_for_all() -> bool:
    """Whether this kernel's connections between the same addresses send the same clock."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clocks = []
        for _ in range(2):
            with socket.create_connection(listener.getsockname()[:2]):
                accepted, _ = listener.accept()
                with accepted:
                    clocks.append(accepted.getsockopt(socket.IPPROTO_TCP, TCP_TIMESTAMP))
    return abs(clocks[1] - clocks[0]) < 1000


def check_events(lab: Lab, scanner: str, matches: int) -> None:
    """``matches`` scored, and then the score decided."""
    alerts = [event for event in events(lab, "alert") if event["src_ip"] == scanner]
    (decided,) = [event for event in alerts if event["alert"]["action"] == "blocked"]
    assert (decided["alert"]["gid"], decided["alert"]["signature_id"]) == (1_000_000, 100)
    assert len({event["alert"]["signature_id"] for event in alerts if event.get("scored")}) == matches
    assert eventually(lambda: diversions(lab, scanner)), "told only when the honeypot has answered"


def test_different_suspicious_requests_divert_and_mark_their_source(lab: Lab) -> None:
    scanner, neighbour = fresh_address(lab), fresh_address(lab)
    with Client(lab, scanner) as client:
        served = [client.ask(request(path)).served_by for path in PROBES[:NEEDED]]
    assert served[-1] == "honeypot1" and served[0].startswith("web")
    assert served[0] == served[NEEDED - 2]
    assert eventually(lambda: served_by(lab, scanner) == "honeypot1"), "the source was not marked"
    for path in (PROBES[0], "/"):
        assert served_by(lab, neighbour, path).startswith("web")
    check_events(lab, scanner, NEEDED)
    assert not diversions(lab, neighbour)


@pytest.mark.skipif(not one_clock_for_all(), reason="this kernel gives each connection a clock of its own")
def test_they_are_added_up_over_several_connections(lab: Lab) -> None:
    scanner = fresh_address(lab)
    served: list[str] = []
    for path in PROBES:
        served.append(served_by(lab, scanner, path))
        if served[-1] == "honeypot1":
            break
    # The score is a source's with one server, so with two of them it takes up to two more each.
    assert served[-1] == "honeypot1"
    assert NEEDED <= len(served) <= len({*served[:-1]}) * (NEEDED - 1) + 1
    assert eventually(lambda: served_by(lab, scanner) == "honeypot1"), "the source was not marked"
    check_events(lab, scanner, len(served))


def test_the_same_request_again_and_again_does_not(lab: Lab) -> None:
    source = fresh_address(lab)
    with Client(lab, source) as client:
        for _ in range(2 * NEEDED):
            assert client.ask(request(PROBES[0])).served_by.startswith("web")
    assert served_by(lab, source).startswith("web")
    alerts = [event for event in events(lab, "alert") if event["src_ip"] == source]
    assert {event["alert"]["action"] for event in alerts} == {"allowed"}
