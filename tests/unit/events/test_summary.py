# SPDX-License-Identifier: Apache-2.0
"""What the event log says about each rule, and the command that shows it."""

from __future__ import annotations

import gzip
import json
from typing import get_args

import pytest
from click.testing import CliRunner

from securedirect.cli.rules import command
from securedirect.config import load_config
from securedirect.config.model import RuleAction
from securedirect.errors import HostError
from securedirect.events.summary import summarise


def alert(sid, source="192.0.2.1", **more):
    action = more.pop("action", "allowed")
    line = {"timestamp": "2026-01-31T12:00:00.000000+0000", "event_type": "alert", "src_ip": source}
    line["alert"] = {"action": action, "gid": 1, "signature_id": sid, "signature": f"rule {sid}"}
    line["http"] = {"http_method": "GET", "url": f"/{sid}\x1b[31m", "hostname": "shop.example"}
    return json.dumps({**line, **more}).encode() + b"\n"


LINES = [
    alert(1, would_divert=True),
    alert(1, "192.0.2.2", would_divert=True),
    alert(1, "192.0.2.2", would_divert=True),
    alert(2, action="blocked"),
    alert(3, scored=True),
    alert(3),
    alert(4),
    b'{"event_type": "securedirect", "securedirect": {"event": "started"}}\n',
    b"no json\n",
    b'{"event_type": "alert"}\n',
    b"\n",
]


def test_each_request_counts_once_for_a_rule():
    found, wrong = summarise(LINES)
    assert wrong == 2
    assert [(s.sid, s.diverted, s.would_divert, s.scored, s.alerted, len(s.sources)) for s in found] == [
        (1, 0, 3, 0, 0, 2),
        (2, 1, 0, 0, 0, 1),
        (3, 0, 0, 1, 1, 1),
        (4, 0, 0, 0, 1, 1),
    ]
    assert found[0].example == "GET /1\\x1b[31m (host shop.example)", "nothing that a terminal would obey"


def test_what_is_odd_is_counted_like_what_is_told():
    anomaly = {"type": "applayer", "event": "CONNECT", "gid": 1000000, "signature_id": 65, "signature": "odd"}
    line = {"event_type": "anomaly", "src_ip": "192.0.2.1", "anomaly": anomaly}
    found, wrong = summarise([json.dumps(line).encode()])
    assert (wrong, [(s.gid, s.sid, s.signature, s.alerted) for s in found]) == (0, [(1000000, 65, "odd", 1)])


def test_services_apart():
    found, _ = summarise([alert(1, service="shop"), alert(1, service="blog")])
    assert {(one.service, one.requests) for one in found} == {("shop", 1), ("blog", 1)}


@pytest.fixture
def site(tmp_path):
    (tmp_path / "adopt.key").write_text("00" * 16)
    (tmp_path / "eve.json").write_bytes(b"".join(LINES))
    (tmp_path / "my.rules").write_text(
        'alert tcp any any -> any 80 (msg:"rule 1"; content:"/cgi-bin/qwxzk";'
        " classtype:attempted-admin; sid:1;)\n"
    )
    path = tmp_path / "securedirect.toml"
    path.write_text(
        '# mine\n[director]\ninterface = "eth0"\nvip = "192.0.2.100"\n[rules]\nfiles = ["my.rules"]\n'
        '[[server]]\nname = "web1"\naddress = "192.0.2.11"\n'
        '[[honeypot]]\nname = "pot"\naddress = "192.0.2.21"\n'
        '[events]\neve = "eve.json"\n'
    )
    return path


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_report_says_who_and_why(site):
    output = run("report", "-c", site).output
    for words in (
        "1:1  rule 1",
        "3 would have been diverted; of 2 sources",
        "now: divert (policy line 2: classtype attempted-admin, specific (",
        "such as: GET /1",
        "1 rules were only told of",
    ):
        assert words in output
    assert "1:4" not in output and "1:4" in run("report", "-c", site, "--all").output


def test_the_report_as_json_of_other_logs(site, tmp_path):
    old = tmp_path / "eve.json.1.gz"
    old.write_bytes(gzip.compress(LINES[0]))
    found = json.loads(run("report", "-c", site, "--json", old).output)
    (rule,) = found["rules"]
    assert (rule["sid"], rule["would_divert"], rule["sources"], rule["action"]) == (1, 1, 1, "divert")
    assert rule["specific_bits"] > 20


def test_a_damaged_compressed_log_is_told(site, tmp_path):
    good = gzip.compress(b"x" * 100_000 + LINES[0])
    for name, data in (("a.gz", b"no gzip"), ("b.gz", good[:-20]), ("c.gz", good[:30] + b"~~~~" + good[34:])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(HostError, match="cannot read"):
            run("report", "-c", site, tmp_path / name)


@pytest.mark.parametrize("action", get_args(RuleAction))
def test_every_action_that_can_be_set_can_be_read(site, action):
    assert run("set", 1, action, "-c", site, "--write").exit_code == 0
    assert load_config(site).rules.actions == {"sid:1": action}


def test_an_action_that_the_configuration_does_not_have_cannot_be_set(site):
    assert "'pass' is not one of" in run("set", 1, "pass", "-c", site).output


def test_setting_shows_the_line_and_changes_nothing(site):
    before = site.read_text()
    assert run("set", 1, "alert", "-c", site).output == '[rules.actions]\n"sid:1" = "alert"\n'
    assert site.read_text() == before


def test_setting_writes_and_keeps_what_was(site):
    before = site.read_text()
    site.chmod(0o640)
    assert run("set", 1, "alert", "-c", site, "--write").exit_code == 0
    assert run("set", 2, "divert", "-c", site, "--write").exit_code == 0
    first = site.read_text()
    assert first.startswith(before) and '"sid:1" = "alert"' in first and '"sid:2" = "divert"' in first
    assert run("set", 1, "score", "-c", site, "--write").exit_code == 0
    assert site.read_text() == first.replace('"sid:1" = "alert"', '"sid:1" = "score"')
    assert site.with_name("securedirect.toml.bak").read_text() == first
    assert site.stat().st_mode & 0o777 == 0o640
    assert "now: score (override sid:1)" in run("report", "-c", site).output
    assert not list(site.parent.glob("*.new"))


def test_setting_leaves_a_file_that_it_does_not_understand(site):
    text = site.read_text().replace(
        'files = ["my.rules"]', 'files = ["my.rules"]\nactions = { "sid:9" = "off" }'
    )
    site.write_text(text)
    result = CliRunner().invoke(command, ["set", "1", "alert", "-c", str(site), "--write"])
    assert "write it yourself" in str(result.exception)
    assert site.read_text() == text and not site.with_name("securedirect.toml.bak").exists()
