# SPDX-License-Identifier: Apache-2.0
"""What holds for any text: no crash, one entry for every rule, places inside the file, contents unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securedirect.errors import ConfigError
from securedirect.rules.compile import STATUSES
from securedirect.rules.load import load_rule_files
from securedirect.rules.options_content import decode_pattern
from securedirect.rules.parser import OptionTable, parse_quickly, parse_rule
from securedirect.rules.reader import HANDLERS

RELAXED = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)

latin = st.text(st.characters(min_codepoint=0, max_codepoint=255))
# Text that looks like rules: the interesting signs and words are common.
pieces = st.sampled_from(
    [
        "alert ", "drop ", "# alert ", "tcp ", "http ", "any ", "$HOME_NET ", "-> ", "<> ", "[80,", "]", "!",
        "80:", "(", ")", ";", ":", '"', "\\", "|", "|0d 0a|", "|0", "/", ",", "\n", "\r\n", " \\\n", "sid:1;",
        "sid:", 'msg:"x";', "0", "-1", "é", 'content:"a";', "content:",
        'pcre:"/a/";', "pcre:", "flow:", "to_server", "relative", "<>", "noalert;", "#",
    ]
)  # fmt: skip
rule_like = st.lists(st.one_of(pieces, st.sampled_from(sorted(HANDLERS)), latin), max_size=40).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rules")


def load_bytes(folder: Path, data: bytes, **options):
    file = folder / "any.rules"
    file.write_bytes(data)
    return load_rule_files([file], service_ports=None, **options)


@RELAXED
@given(
    text=st.one_of(latin, rule_like),
    dialect=st.sampled_from(["auto", "snort2", "snort3", "suricata"]),
    disabled=st.booleans(),
)
def test_any_text_is_read_without_a_crash(folder, text, dialect, disabled):
    data = text.encode("latin-1")
    report = load_bytes(folder, data, dialect=dialect, include_disabled=disabled)
    lines = data.decode("latin-1").split("\n")
    for entry in report.entries:
        assert entry.status in STATUSES
        assert 1 <= entry.line <= len(lines)
        if entry.status == "broken":
            assert entry.reason and 1 <= entry.column <= len(lines[entry.line - 1]) + 2
    json.loads(report.document)


@RELAXED
@given(text=rule_like)
def test_one_option_is_read_without_a_crash(folder, text):
    data = f'alert tcp any any -> any any (content:"a"; {text} sid:1;)'.encode("latin-1")
    load_bytes(folder, data)


@RELAXED
@given(pattern=st.binary(min_size=1, max_size=40), as_hex=st.lists(st.booleans(), min_size=40, max_size=40))
def test_contents_keep_their_bytes(folder, pattern, as_hex):
    """However the bytes are written, escaped or in hexadecimal, the document has them."""
    written = ""
    for byte, in_hex in zip(pattern, as_hex, strict=False):
        sign = chr(byte)
        if in_hex or byte in (0x0A, 0x0D):
            written += f"|{byte:02x}|"
        else:
            written += "\\" + sign if sign in '\\";:|' else sign
    assert decode_pattern(written) == pattern
    rule = f'alert tcp any any -> any any (content:"{written}"; sid:1;)'.encode("latin-1")
    (option,) = json.loads(load_bytes(folder, rule).document)["rules"][0]["options"]
    assert bytes.fromhex(option["bytes"]) == pattern


@RELAXED
@given(
    names=st.lists(
        st.sampled_from(["metadata", "sid", "rev", "reference", "classtype"]), min_size=1, max_size=6
    ),
    value=st.text(st.sampled_from('ab \t|()#,$[]!-<>\\"'), max_size=12),
    blanks=st.sampled_from(["", " ", "\t", "  "]),
)
def test_options_come_back_as_written(names, value, blanks):
    escaped = value.replace("\\", "\\\\")
    text = (
        "alert tcp any any -> any any ("
        + "".join(f"{blanks}{n}{blanks}:{escaped};" for n in names)
        + blanks
        + ")"
    )
    parsed = parse_rule(text)
    assert [option.name for option in parsed.options] == names
    for option in parsed.options:
        assert option.value == escaped.lstrip(" \t")
        assert text[option.at :].startswith(option.name)
        assert text[option.value_at :].startswith(option.value)


@RELAXED
@given(text=rule_like)
def test_parsing_raises_config_errors_only(text):
    try:
        parse_rule(text)
    except ConfigError as error:
        assert 1 <= error.column <= len(text) + 1


@RELAXED
@given(
    text=rule_like | rule_like.map(lambda text: f"alert tcp any any -> any any ({text};)"),
    start=st.integers(0, 3),
)
def test_the_quick_way_says_the_same_or_nothing(text, start):
    quick = parse_quickly(text, start, OptionTable())
    if quick is None:
        return
    parsed = parse_rule(text, start)
    assert quick.header == parsed.header
    assert [(o.name, o.value) for o in quick.options] == [(o.name, o.value) for o in parsed.options]


def test_long_lines_take_linear_time():
    """A line that ends badly after very many options is refused at once (no backtracking)."""
    with pytest.raises(ConfigError):
        parse_rule("alert tcp any any -> any any (" + "a\\;" * 200_000)
    with pytest.raises(ConfigError):
        parse_rule("alert tcp any any -> any any (content:" + '"' + "x\\" * 200_001)
    for body in ("a\\;" * 200_000, 'content:"' + "x\\" * 200_001, "\\" + "a" * 400_000, ";" * 400_000):
        assert parse_quickly(f"alert tcp any any -> any any ({body}", 0, OptionTable()) is None
