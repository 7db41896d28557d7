# SPDX-License-Identifier: Apache-2.0
"""``mode = "observe"``: everything is judged and recorded, nothing is diverted."""

from __future__ import annotations

import pytest

from securedirect.lab import Lab
from securedirect.lab.traffic import (
    ATTACK,
    Client,
    diversions,
    events,
    eventually,
    fresh_address,
    request,
    status,
)

pytestmark = pytest.mark.root

LAB = {"assignments": ['inspector.mode="observe"']}


def test_an_attack_reaches_its_server_and_is_recorded(lab: Lab) -> None:
    source = fresh_address(lab)
    with Client(lab, source) as client:
        answers = [client.ask(data) for data in (request("/"), ATTACK, request("/"))]
    assert len({answer.served_by for answer in answers}) == 1
    assert answers[0].served_by.startswith("web")

    def own() -> list[dict[str, object]]:
        return [e["securedirect"] for e in events(lab, "securedirect") if e.get("src_ip") == source]

    observed = eventually(own)
    # The first of those that the inspector has seen: the one before it was cleared by the kernel.
    assert [(one["event"], one["would_divert"], one["request"]) for one in observed] == [
        ("observed", True, 0)
    ]
    assert observed[0]["server"]["name"] == answers[0].served_by
    alerts = [e for e in events(lab, "alert") if e["src_ip"] == source]
    assert {(e["alert"]["action"], e["would_divert"]) for e in alerts} == {("allowed", True)}
    assert not diversions(lab, source)
    with Client(lab, source) as client:
        assert client.ask(request("/")).served_by.startswith("web"), "the source was marked"
    now = status(lab)
    assert now["counters"]["would_divert"] == 1 and now["counters"]["connections_diverted"] == 0
    assert now["inspector"]["mode"] == "observe"
    assert any("observes" in warning for warning in now["warnings"])
