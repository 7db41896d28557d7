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
