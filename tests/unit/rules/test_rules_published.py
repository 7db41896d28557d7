# SPDX-License-Identifier: Apache-2.0
"""The published rule sets load as they are; how each rule ends is pinned, so that a change is seen.

The sets are no part of this repository; without them these tests are skipped.
"""

from __future__ import annotations

import json
from functools import cache

import pytest
import rule_reference

from securedirect.rules import load as load_module
from securedirect.rules import load_rule_files

WEB = ("attacks", "cgi", "coldfusion", "frontpage", "iis", "misc", "php")
NEWEST_OF_516 = 1457

# Set: dialects; loaded, not applicable, unsupported, broken, disabled; loaded: divert, score, alert.
PINNED = {
    "gpl-snort-2.0": ({"snort2"}, (1247, 573, 3, 0, 52), (398, 699, 150)),
    "gpl-snort-2.8.5-debian": ({"snort2"}, (3091, 830, 13, 0, 127), (1526, 1052, 393)),
    "snort-2.2.0-web": ({"snort2"}, (1019, 3, 0, 0, 27), (278, 719, 21)),
    "snort-2.9-community": ({"snort2"}, (91, 407, 0, 0, 3459), (50, 1, 0)),
    "snort3-community": ({"snort3"}, (2200, 1816, 0, 0, 0), (940, 1002, 215)),
    "et-open-2024-04": ({"suricata", "snort2"}, (9010, 15812, 5, 0, 10023), (6531, 678, 1694)),
}

# Rules about HTTP that are usable, and of these unsupported.
WEB_RULES = {
    "gpl-snort-2.0": (816, 0),
    "gpl-snort-2.8.5-debian": (1714, 0),
    "snort-2.2.0-web": (996, 0),
    "snort-2.9-community": (1202, 0),
    "snort3-community": (1250, 0),
    "et-open-2024-04": (6622, 0),
}


@pytest.fixture(autouse=True)
def _parser_alone(monkeypatch):
    # The numbers are those of the parser and compiler; what the matcher refuses is its own tests' matter.
    monkeypatch.setattr(load_module, "_matcher", lambda: None)


@cache
def of_set(folder):
    return load_rule_files(sorted(folder.glob("*.rules")), service_ports=None)


@pytest.mark.parametrize("name", PINNED)
def test_how_every_rule_ends(shared_rules, name):
    report = of_set(shared_rules / name)
    dialects, counts, actions = PINNED[name]
    assert tuple(report.counts.values()) == counts
    assert {entry.dialect for entry in report.entries} == dialects
    loaded = [entry.action for entry in report.entries if entry.status == "loaded"]
    assert tuple(loaded.count(action) for action in ("divert", "score", "alert")) == actions
    for entry in report.entries:
        assert entry.reason or entry.status == "loaded", entry
        assert bool(entry.action) == bool(entry.decided_by) == (entry.status == "loaded"), entry
    document = json.loads(report.document)
    told = [rule for rule in document["rules"] if not rule["silent"]] + document["reputation"]
    assert len(told) == sum(1 for action in loaded if action != "off")
    # Of all that could concern a protected server on any TCP port.
    usable = report.counts["loaded"] + report.counts["unsupported"]
    assert report.counts["unsupported"] <= 0.005 * usable


def test_at_most_one_in_two_hundred_web_rules_is_unsupported(shared_rules):
    """Of the rules about HTTP requests that could concern a protected server."""
    found = {}
    for name in PINNED:
        report = of_set(shared_rules / name) if name != "snort-2.9-community" else whole_29(shared_rules)
        web = [
            entry.status
            for entry in report.entries
            if entry.http and entry.status in ("loaded", "unsupported")
        ]
        found[name] = (len(web), web.count("unsupported"))
    assert found == WEB_RULES
    assert all(unsupported <= 0.005 * number for number, unsupported in found.values())


@cache
def whole_29(folder):
    # Nearly all of this set is commented out by its authors: whoever uses it picks from those.
    return load_rule_files(
        sorted((folder / "snort-2.9-community").glob("*.rules")), service_ports=None, include_disabled=True
    )


@pytest.fixture(scope="module")
def the_516(shared_rules):
    paths = [shared_rules / "gpl-snort-2.0" / f"web-{name}.rules" for name in WEB]

    def entries(**options):
        report = load_rule_files(paths, service_ports=None, **options)
        return [entry for entry in report.entries if entry.sid <= NEWEST_OF_516]

    return entries


def test_the_516_rules(the_516):
    entries = the_516()
    assert len(entries) == 516
    statuses = [entry.status for entry in entries]
    assert (statuses.count("loaded"), statuses.count("disabled")) == (495, 21)


def test_the_516_load_whole_on_request(the_516):
    rest = [entry for entry in the_516(include_disabled=True) if entry.status != "loaded"]
    # This one, commented out by its author, looks at the server's answer.
    assert [(entry.sid, entry.status) for entry in rest] == [(1045, "not_applicable")]


def test_89_of_the_516_are_for_iis(the_516):
    entries = the_516(include_disabled=True, technologies=["coldfusion", "frontpage", "php", "domino"])
    off = [entry for entry in entries if entry.action == "off"]
    assert len([entry for entry in off if entry.file.endswith("web-iis.rules")]) == 88  # and sid 1045
    assert all("iis" in entry.decided_by or entry.file.endswith("web-misc.rules") for entry in off)


def test_odd_rules_of_the_516(shared_rules):
    """Rules about segments and about other ports mean what Snort means by them."""
    report = load_rule_files([shared_rules / "gpl-snort-2.0" / "web-misc.rules"], service_ports=None)
    rules = {rule["sid"]: rule for rule in json.loads(report.document)["rules"]}
    assert rules[1133]["scope"] == rules[1104]["scope"] == rules[1087]["scope"] == "packet"
    assert {o["kind"] for o in rules[1133]["options"]} == {"content", "flags", "ack"}
    assert [rules[sid]["dst_ports"] for sid in (1132, 1199, 1232)] == [
        [[457, 457]],
        [[2301, 2301]],
        [[1812, 1812]],
    ]
    assert (
        rules[1255]["dst_ports"] is None
    )  # a web server that fetches: judged like Snort's shipped variables do


def test_no_published_rule_diverts_who_fetches_robots_txt(shared_rules):
    request = (
        b"GET /robots.txt HTTP/1.1\r\nHost: www.example.org\r\n"
        b"User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1)\r\n"
        b"Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\r\n"
    )
    found = rule_reference.buffers(request)
    met = []
    for name in PINNED:
        for rule in json.loads(of_set(shared_rules / name).document)["rules"]:
            if rule["scope"] == "http" and rule["dst_ports"] is None and _first_content(rule, found):
                if rule_reference.matches(rule, found):
                    met.append((name, rule["sid"], rule["action"]))
    assert {sid for _, sid, _ in met} >= {1852}
    assert [one for one in met if one[2] == "divert"] == []


def _first_content(rule, found):
    """A quick look before the slow matcher: the first content that must be there is there."""
    for option in rule["options"]:
        if option["kind"] == "content" and not option["negated"]:
            return bytes.fromhex(option["bytes"]).lower() in found.get(option["buffer"], b"").lower()
    return False  # expressions alone are left to the matcher's own tests


def test_a_rule_with_a_bare_quote_in_its_expression(shared_rules):
    report = of_set(shared_rules / "et-open-2024-04")
    assert {entry.sid: entry.status for entry in report.entries}[2029732] != "broken"
