# SPDX-License-Identifier: Apache-2.0
"""What ``--set`` means, and that the written file says what was meant."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securedirect.errors import EXIT_USAGE, HostError
from securedirect.lab.plan import Plan
from securedirect.lab.settings import generate, parse_assignment, to_toml


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("attackers.expiry=60", ["attackers", "expiry"], 60),
        ("health.interval = 0.5", ["health", "interval"], 0.5),
        ("handoff.method=classic", ["handoff", "method"], "classic"),
        ('handoff.method="classic"', ["handoff", "method"], "classic"),
        ("attackers.allow=['203.0.113.0/24']", ["attackers", "allow"], ["203.0.113.0/24"]),
        ("rules.files=some/a b.rules", ["rules", "files"], "some/a b.rules"),
        ("rules.actions.sid:1234=off", ["rules", "actions", "sid:1234"], "off"),
        ('rules.actions."file:web.rules"=alert', ["rules", "actions", "file:web.rules"], "alert"),
        ("events.eve=a=b", ["events", "eve"], "a=b"),
        ("x.y=", ["x", "y"], ""),
        ("x.y=true", ["x", "y"], True),
    ],
)
def test_an_assignment_is_a_path_and_a_value(text: str, path: list[str], value: Any) -> None:
    assert parse_assignment(text) == (path, value)


@pytest.mark.parametrize("text", ["", "expiry=60", "attackers.expiry", "=1", ".x=1", "a..b=1", 'a."b=1'])
def test_what_is_no_assignment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(HostError) as caught:
        parse_assignment(text)
    assert caught.value.exit_code == EXIT_USAGE
    assert repr(text) in caught.value.message
    assert "attackers.expiry=60" in caught.value.hint


def test_machines_cannot_be_set() -> None:
    with pytest.raises(HostError, match="--servers"):
        generate(Plan(), [], ["server.name=x"])


def test_assignments_change_and_add_keys_and_the_last_one_counts() -> None:
    tables = generate(
        Plan(),
        [Path("some.rules")],
        ["director.port=81", "attackers.expiry=5", "attackers.expiry=6", "new.section.key=1"],
    )
    assert tables["director"]["port"] == 81
    assert tables["director"]["vip"] == "192.0.2.100"
    assert tables["attackers"] == {"expiry": 6}
    assert tables["new"] == {"section": {"key": 1}}
    assert tables["rules"]["files"] == [str(Path("some.rules").resolve())]


def test_without_rule_files_the_default_is_left_to_the_product() -> None:
    assert "rules" not in generate(Plan(), [], [])


def test_the_file_names_every_machine() -> None:
    text = to_toml(generate(Plan("x", servers=3, honeypots=2), [], []))
    read = tomllib.loads(text)
    assert [one["name"] for one in read["server"]] == ["web1", "web2", "web3"]
    assert [one["address"] for one in read["server"]] == ["192.0.2.11", "192.0.2.12", "192.0.2.13"]
    assert [one["address"] for one in read["honeypot"]] == ["192.0.2.21", "192.0.2.22"]
    assert read["control"]["socket"] == "/run/securedirect/x/control.sock"


_words = st.text(max_size=12)
_scalars = st.one_of(_words, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
_values = st.one_of(_scalars, st.lists(_scalars, max_size=3))
_tables = st.recursive(
    st.dictionaries(_words, _values, max_size=4),
    lambda inner: st.dictionaries(
        _words,
        st.one_of(_values, inner, st.lists(st.dictionaries(_words, _values), min_size=1, max_size=3)),
        max_size=4,
    ),
    max_leaves=10,
)


@given(_tables)
def test_what_is_written_is_read_back(tables: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(tables)) == tables
