# SPDX-License-Identifier: Apache-2.0
"""The score: several different suspicious requests of one proven source divert it, one again and again does
not."""

from __future__ import annotations

import pytest

from securedirect.lab import Lab
from securedirect.lab.traffic import Client, diversions, events, eventually, fresh_address, request

pytestmark = pytest.mark.root

NEEDED = 3
LAB = {"assignments": [f"attackers.score_sids={NEEDED}"]}
PROBES = (
    "/.env",
    "/.git/config",
    "/server-status",
    "/manager/html",
    "/jolokia/list",
    "/.htpasswd",
    "/solr/admin/info",
)


def served_by(lab: Lab, source: str, path: str = "/") -> str:
    with Client(lab, source) as client:
        return client.ask(request(path)).served_by


def test_different_suspicious_requests_over_several_connections_divert_their_source(lab: Lab) -> None:
    scanner, neighbour = fresh_address(lab), fresh_address(lab)
    served: list[str] = []
    for path in PROBES:
        served.append(served_by(lab, scanner, path))
        if served[-1] == "honeypot1":
            break
    # The score is a source's with one server, so with two of them it takes up to two more each.
    assert served[-1] == "honeypot1"
    assert NEEDED <= len(served) <= len({*served[:-1]}) * (NEEDED - 1) + 1
    assert eventually(lambda: served_by(lab, scanner) == "honeypot1"), "the source was not marked"
    assert served_by(lab, neighbour, PROBES[0]).startswith("web")
    assert served_by(lab, neighbour).startswith("web")

    alerts = [event for event in events(lab, "alert") if event["src_ip"] == scanner]
    (decided,) = [event for event in alerts if event["alert"]["action"] == "blocked"]
    assert (decided["alert"]["gid"], decided["alert"]["signature_id"]) == (1_000_000, 100)
    assert len({event["alert"]["signature_id"] for event in alerts if event.get("scored")}) == len(served)
    assert len(diversions(lab, scanner)) >= 1 and not diversions(lab, neighbour)


def test_the_same_request_again_and_again_does_not(lab: Lab) -> None:
    source = fresh_address(lab)
    for _ in range(2 * NEEDED + 2):
        assert served_by(lab, source, PROBES[0]).startswith("web")
    assert served_by(lab, source).startswith("web")
    alerts = [event for event in events(lab, "alert") if event["src_ip"] == source]
    assert {event["alert"]["action"] for event in alerts} == {"allowed"}
