# SPDX-License-Identifier: Apache-2.0
"""Which rules are for a service that is not HTTP, and what becomes of the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from securedirect.rules import RuleService, load_rule_files, reading
from securedirect.rules.load import Selection, load_for_services

MAIL = RuleService("mail", 25, "tcp")
PUBLISHED = Path(__file__).parents[4] / "shared" / "rules" / "gpl-snort-2.0"


def loaded(tmp_path: Path, header: str, options: str = 'content:"c";', service: RuleService = MAIL):
    path = tmp_path / "one.rules"
    path.write_text(f'alert {header} (msg:"m"; {options} sid:1;)\n')
    report = load_rule_files([path], service=service)
    return report.entries[0], json.loads(report.document)


@pytest.mark.parametrize(
    "header",
    [
        "tcp $EXTERNAL_NET any -> $SMTP_SERVERS 25",
        "tcp any any -> $HOME_NET any",
        "tcp any any -> any !80",
        "tcp any any -> any [25,$HTTP_PORTS]",
        "tcp-stream any any -> any any",
        "smtp any any -> any any",
        "tcp any any -> $SMTP_SERVERS $SMTP_PORTS",
    ],
)
def test_rules_that_a_mail_service_can_meet(tmp_path: Path, header: str) -> None:
    entry, document = loaded(tmp_path, header)
    assert entry.status == "loaded", entry.reason
    assert len(document["rules"]) == 1
    assert document["service"] == {"name": "mail", "port": 25, "protocol": "tcp", "profile": "generic"}


@pytest.mark.parametrize(
    ("header", "options", "reason"),
    [
        (
            "tcp any any -> $HTTP_SERVERS $HTTP_PORTS",
            'content:"c";',
            "$HTTP_SERVERS is none of the protected",
        ),
        ("tcp any any -> $HOME_NET $HTTP_PORTS", 'content:"c";', "only for port 80"),
        ("tcp any any -> $HOME_NET 21", 'content:"c";', "only for port 21"),
        ("http any any -> any any", 'content:"c";', "protocol http is not this service's"),
        ("ftp any any -> any any", 'content:"c";', "protocol ftp is not this service's"),
        ("tcp any any -> any any", 'content:"c"; http_uri;', "about HTTP requests"),
        ("udp any any -> any 25", 'content:"c";', "protocol udp"),
    ],
)
def test_rules_that_it_cannot_meet(tmp_path: Path, header: str, options: str, reason: str) -> None:
    entry, document = loaded(tmp_path, header, options)
    assert entry.status == "not_applicable"
    assert reason in entry.reason
    assert document["rules"] == []


def test_an_http_service_leaves_other_ports_to_others(tmp_path: Path) -> None:
    entry, _ = loaded(tmp_path, "tcp any any -> any 25", service=RuleService("web", 8080))
    assert (entry.status, entry.reason) == ("not_applicable", "only for port 25")


def test_several_services_read_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.rules"
    path.write_text('alert tcp any any -> any any (msg:"m"; content:"c"; sid:1;)\n')
    read = []
    original = reading.read_rule
    monkeypatch.setattr(reading, "read_rule", lambda *rule: (read.append(rule), original(*rule))[1])
    reports = load_for_services([path], [Selection(service=RuleService()), Selection(service=MAIL)])
    assert [report.counts["loaded"] for report in reports] == [1, 1]
    assert len(read) == 1


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="Snort's rule files are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "port", "least"), [("smtp", 25, 23), ("ftp", 21, 49), ("pop3", 110, 11), ("imap", 143, 9)]
)
def test_published_rules_for_dialogues(name: str, port: int, least: int) -> None:
    counts = load_rule_files([PUBLISHED / f"{name}.rules"], service=RuleService(name, port, "tcp")).counts
    assert counts["loaded"] >= least
    assert counts["unsupported"] == counts["broken"] == 0
