# SPDX-License-Identifier: Apache-2.0
"""``securedirect rules explain`` says what a rule matches, what that does, and why."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from securedirect.cli.rules import command

RULES = """\
alert tcp any any -> $HTTP_SERVERS any (msg:"one"; content:"cmd|00|"; nocase; http_uri; \
content:"x"; distance:2; byte_test:2,>,5,0,relative; classtype:web-application-attack; sid:7;)
alert tcp any any -> $HTTP_SERVERS any (msg:"two"; content:"x"; geoip:src,US; sid:8;)
"""


@pytest.fixture
def run(tmp_path):
    file = tmp_path / "web.rules"
    file.write_text(RULES.replace("; \\\n", "; "))
    return lambda *arguments: CliRunner().invoke(
        command, ["explain", arguments[0], str(file), *arguments[1:]]
    )


def test_text(run):
    result = run("7")
    assert result.exit_code == 0
    for words in (
        "1:7:0 one",
        "web.rules:1, read as snort2",
        "a match: divert (policy line 2: classtype web-application-attack, specific (",
        "ordinary requests matches (20 divert, 14.3 score)",
        'bits  http_uri "cmd\\x00"',
        'http_uri: "cmd\\x00" (nocase)',
        'raw: "x" (distance 2)',
        "raw: the number of 2 bytes (big) 0 after the last match is > 5",
    ):
        assert words in result.output


def test_json(run):
    (rule,) = json.loads(run("7", "--json").output)["rules"]
    assert (rule["status"], rule["action"], len(rule["tests"])) == ("loaded", "divert", 3)


def test_a_rule_that_is_not_loaded(run):
    assert "unsupported: geoip" in run("8").output


def test_no_such_rule(run):
    result = run("9")
    assert result.exit_code == 1
    assert "no rule has the sid 9" in result.output


def test_where_a_match_has_to_stand(tmp_path):
    file = tmp_path / "web.rules"
    file.write_text(
        'alert tcp any any -> any 80 (msg:"m"; uricontent:"/root.exe"; classtype:attempted-admin; sid:7;)\n'
    )
    output = CliRunner().invoke(command, ["explain", "1:7", str(file)]).output
    assert 'where "/root.exe" stands in the address\'s path, as a whole name; elsewhere it scores' in output


def test_built_in_rules(run):
    output = run("1000000:15").output
    assert "1000000:15 HTTP ambiguous: a way up" in output
    assert "a match: divert" in output and '"builtin:15" = "alert" in [rules.actions]' in output
    assert "a match: off" in run("1000000:27").output
    assert "attackers.score_sids" in run("1000000:100").output
    assert "builtin:" not in run("1000000:100").output
    (rule,) = json.loads(run("1000000:6", "--json").output)["rules"]
    assert (rule["gid"], rule["action"]) == (1_000_000, "divert")
    missing = run("1000000:9999")
    assert missing.exit_code == 1 and "no built-in rule 9999" in missing.output
    assert "write 1054 or 1000000:30" in run("x").output
