# SPDX-License-Identifier: Apache-2.0
"""What ``status`` says of what the kernel cleared."""

from __future__ import annotations

from securedirect.daemon.cleared import cleared, in_words, reasons, reasons_in_words


def test_shares() -> None:
    figures = cleared(
        {"cleared": 90, "cleared_again": 5, "travel_flow": 2, "travel_request": 8, "travel_off": 0, "x": 7},
        possible=True,
    )
    assert figures["share"] == 0.9
    assert figures["travelled"]["request"] == {"count": 8, "share": 0.08}
    assert in_words(figures) == "90 requests, 90.0%; travelled: request 8.0%, flow 2.0%"
    assert in_words(cleared({}, possible=True)) == "no request so far"
    assert in_words(cleared({}, possible=False)).startswith("nothing: this kernel cannot")


def test_reasons_and_rules() -> None:
    counted = [
        (0, "a content of rules", 0, 5),
        (0, "a content of rules", 1070, 4),
        (0, "a content of rules", 1122, 1),
        (0, "'%' in the target", 0, 15),
        (1, "'%' in the target", 0, 1),
        (7, "a service of before", 0, 99),
    ]
    figures = reasons(20, counted, ["http", "shop"])
    assert figures["looked_at"] == 20
    assert [(one["service"], one["share"]) for one in figures["reasons"]] == [
        ("http", 0.75),
        ("http", 0.25),
        ("shop", 0.05),
    ]
    assert figures["rules"][0] == {"service": "http", "sid": 1070, "count": 4, "share": 0.2}
    assert reasons_in_words(reasons(20, counted[:4], ["http"])) == [
        "not for: '%' in the target 75%, a content of rules 25%",
        "by rules: 1070 20%, 1122 5%",
    ]
    assert reasons_in_words(figures)[1] == "by rules: 1070 20% (http), 1122 5% (http)"
    assert reasons_in_words(reasons(0, [], ["http"])) == []


def test_a_service_of_which_nothing_is_cleared_is_told_with_its_rules():
    services = [
        {"service": "http", "cleared": True, "table_bytes": 4, "questions": 0},
        {"service": "shop", "cleared": False, "why": "6 rules have no content", "rules": [1, 2, 3, 4, 5, 6]},
        {"service": "wiki", "cleared": False, "why": "too large", "rules": []},
    ]
    assert reasons_in_words(reasons(0, [], ["http"]) | {"services": services}) == [
        "nothing of shop, whose requests all travel: 6 rules have no content: 1, 2, 3, 4, 5, ...",
        "nothing of wiki, whose requests all travel: too large",
    ]
