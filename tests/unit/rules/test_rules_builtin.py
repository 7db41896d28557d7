# SPDX-License-Identifier: Apache-2.0
"""Built-in rules: their table, other actions for them, and what a request shows of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from securedirect import _core
from securedirect.errors import ConfigError
from securedirect.replay.explain import explain_request
from securedirect.rules import RuleReport, load_rule_files
from securedirect.rules.builtin import GID, builtin_rules, overridden

REQUEST = b"GET /%zz/../.. HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"


def report(folder: Path, actions: dict[str, str]) -> RuleReport:
    rules = folder / "one.rules"
    rules.write_text('alert tcp any any -> any 80 (msg:"one"; content:"nothing"; sid:27; rev:1;)\n')
    return load_rule_files([rules], overrides=actions)


def test_the_table() -> None:
    rules = builtin_rules()
    assert {rule.gid for rule in rules.values()} == {GID}
    assert (rules[6].action, rules[30].action, rules[27].action) == ("divert", "alert", "off")


def test_actions_of_built_in_rules(tmp_path: Path) -> None:
    actions = {"builtin:27": "divert", "builtin:30": "off", "builtin:11": "score"}
    loaded = report(tmp_path, actions)
    assert json.loads(loaded.document)["builtin"] == {"11": "score", "27": "divert", "30": None}
    assert not loaded.unused_overrides
    matched = {one.sid: one.action for one in explain_request(loaded, REQUEST).matched}
    assert matched == {11: "score", 27: "divert"}
    plain = report(tmp_path, {})
    assert "builtin" not in json.loads(plain.document)
    found = {one.sid: (one.action, one.msg) for one in explain_request(plain, REQUEST).matched}
    assert found == {11: ("divert", builtin_rules()[11].msg), 30: ("alert", builtin_rules()[30].msg)}


def test_there_is_no_such_built_in_rule(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no built-in rule 9999"):
        report(tmp_path, {"builtin:9999": "alert"})
    with pytest.raises(ConfigError, match="names no rules"):
        report(tmp_path, {"builtin:x": "alert"})
    assert overridden({"sid:5": "alert"}) == {}


def test_the_profile_decides_the_readings() -> None:
    def readings(profile: str) -> list[bytes]:
        buffers, _ = _core.normalise(b"GET /a%2fb%5cc HTTP/1.1\r\n\r\n", profile)
        return next(r for name, dialect, r in buffers if (name, dialect) == ("http_uri", "suricata"))

    assert readings("nginx") == [b"/a/b\\c"]
    assert readings("iis") == [b"/a/b\\c", b"/a/b/c"]
    with pytest.raises(ValueError, match="no profile"):
        readings("tomcat")
