# SPDX-License-Identifier: Apache-2.0
"""Rule texts, headers and options, and the exact place of every error."""

from __future__ import annotations

import pytest

from securedirect.errors import ConfigError
from securedirect.rules.lexer import as_text, rule_texts
from securedirect.rules.model import Addresses, Ports
from securedirect.rules.parser import parse_addresses, parse_header, parse_ports, parse_rule

GOOD = 'alert tcp $EXTERNAL_NET any -> $HTTP_SERVERS $HTTP_PORTS (msg:"m"; content:"c"; sid:1;)'


def texts(text, **options):
    return list(rule_texts(text, **options))


class TestTexts:
    def test_blank_lines_and_comments_are_no_rules(self):
        assert texts("\n  \n# a comment\n#\n\t# alerting is good\n# alert: see the manual\n") == texts("")

    def test_line_ends_of_windows(self):
        first, second = texts(f"{GOOD}\r\n\r\n{GOOD}\r\n")
        assert (first.line, second.line) == (1, 3)
        assert first.text == second.text == GOOD

    def test_byte_order_mark(self):
        (only,) = texts("\xef\xbb\xbf" + GOOD)
        assert parse_rule(only.text, only.start).header.action == "alert"

    def test_what_a_terminal_would_obey_is_not_shown(self):
        assert as_text("\x1b[2Ja\tb\xc2\x9b31m\xe2\x80\xae") == "\ufffd[2Ja\tb\ufffd31m\ufffd"
        assert as_text("caf\xc3\xa9 \x93x") == "caf\xc3\xa9 \ufffdx" and as_text("caf\xc3\xa9") == "caf\xe9"

    @pytest.mark.parametrize("sign", ["#", "# ", "  #", "##", "#\t"])
    def test_commented_rule(self, sign):
        (only,) = texts(sign + GOOD)
        assert only.disabled
        assert only.text[only.start :] == GOOD

    def test_continued_lines_are_one_rule_and_keep_their_places(self):
        (only,) = texts('alert tcp any any -> any any \\\r\n  (msg:"m"; \\\n\tsid:1;)\nalert')[:1]
        parsed = parse_rule(only.text, only.start)
        places = {option.name: only.place(option.at) for option in parsed.options}
        assert places == {"msg": (2, 4), "sid": (3, 2)}

    def test_continued_comment_goes_on_in_comments_only(self):
        commented, active = texts(f'# alert tcp any any -> any any \\\n#   (msg:"m"; sid:1;)\n{GOOD}')
        assert commented.disabled and not active.disabled
        parsed = parse_rule(commented.text, commented.start)
        assert commented.place(parsed.options[0].at) == (2, 6)

    def test_snort3_rule_over_several_lines(self):
        text = 'alert http (\n    msg:"m";\n    sid:1;\n)\n' + GOOD
        first, second = texts(text, multiline=True)
        assert (first.line, second.line) == (1, 5)
        assert [option.name for option in parse_rule(first.text).options] == ["msg", "sid"]

    def test_unclosed_snort3_rule_does_not_swallow_the_next(self):
        assert len(texts(f'alert http (\n  msg:"m";\n{GOOD}', multiline=True)) == 2

    def test_columns_are_characters_of_utf8_lines(self):
        (only,) = texts('alert tcp any any -> any any (msg:"grün"; sid:1;)'.encode().decode("latin-1"))
        parsed = parse_rule(only.text)
        assert only.place(parsed.options[1].at) == (1, 43)


class TestHeader:
    def test_whole(self):
        header = parse_header("alert tcp $EXTERNAL_NET any -> [$HOME_NET, !10.0.0.0/8] [80,8000:8080,!8001]")
        assert header.source == Addresses("variable", "EXTERNAL_NET")
        assert header.source_ports == Ports("any")
        assert header.destination == Addresses(
            "list",
            items=(Addresses("variable", "HOME_NET"), Addresses("address", "10.0.0.0/8", negated=True)),
        )
        assert header.destination_ports == Ports(
            "list",
            items=(
                Ports("range", low=80, high=80),
                Ports("range", low=8000, high=8080),
                Ports("range", negated=True, low=8001, high=8001),
            ),
        )

    def test_service_header_of_snort3(self):
        header = parse_header("alert http ")
        assert header.protocol == "http" and header.destination.kind == "any"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (":1023", Ports("range", low=0, high=1023)),
            ("1024:", Ports("range", low=1024)),
            ("!80", Ports("range", negated=True, low=80, high=80)),
            ("$HTTP_PORTS", Ports("variable", "HTTP_PORTS")),
            (
                "![80,443]",
                Ports(
                    "list",
                    negated=True,
                    items=(Ports("range", low=80, high=80), Ports("range", low=443, high=443)),
                ),
            ),
        ],
    )
    def test_ports(self, text, expected):
        assert parse_ports(text) == expected

    @pytest.mark.parametrize("text", ["99999", "80:70", ":", "http", "[80", "[80,]", "!any", "-1", "80-90"])
    def test_wrong_ports(self, text):
        with pytest.raises(ConfigError):
            parse_ports(text)

    @pytest.mark.parametrize(
        "text",
        [
            *("10.0.0.256", "10.0.0.0/33", "HOME_NET", "[]", "[10.0.0.1", "$", "!any"),
            *("10.0.0.9-10.0.0.1", "10.0.0.1-2001:db8::1", "fe80::1%eth0"),
        ],
    )
    def test_wrong_addresses(self, text):
        with pytest.raises(ConfigError):
            parse_addresses(text)


class TestOptions:
    def test_end_at_the_first_unescaped_semicolon_whatever_the_quotes_say(self):
        parsed = parse_rule(r'alert tcp any any -> any any (pcre:"/a"b\;c/"; content:"x\\"; sid:1;)')
        assert [(o.name, o.value) for o in parsed.options] == [
            ("pcre", r'"/a"b\;c/"'),
            ("content", r'"x\\"'),
            ("sid", "1"),
        ]

    def test_blanks_and_capitals(self):
        parsed = parse_rule('alert tcp any any -> any any ( MSG : "m" ;sid:1; nocase ; )')
        assert [(o.name, o.value) for o in parsed.options] == [
            ("msg", '"m" '),
            ("sid", "1"),
            ("nocase", None),
        ]

    def test_comment_after_the_rule(self):
        assert parse_rule("alert tcp any any -> any any (sid:1;) # why").options


# The text, the column of the error (from 1), and words of the message.
ERRORS = [
    ("alrt tcp any any -> any any (sid:1;)", 1, "unknown action 'alrt'"),
    ("alert tcp any any -> any any", 29, "no '('"),
    ("alert xyz any any -> any any (sid:1;)", 7, "unknown protocol 'xyz'"),
    ("alert tcp any any any any (sid:1;)", 26, "6 words instead of 7"),
    ("alert tcp any any -> any any any (sid:1;)", 30, "8 words instead of 7"),
    ("alert tcp any any <- any any (sid:1;)", 19, "unknown direction '<-'"),
    ("alert tcp 300.1.1.1 any -> any any (sid:1;)", 11, "'300.1.1.1' is no address"),
    ("alert tcp any 70000 -> any any (sid:1;)", 15, "'70000' is no port"),
    ("alert tcp [any any -> any any (sid:1;)", 11, "not closed with ']'"),
    ("alert tcp any any -> any [80,,81] (sid:1;)", 30, "element of the list is empty"),
    ("alert tcp any any -> any any (sid:1)", 31, "'sid' is not ended by ';'"),
    ("alert tcp any any -> any any (sid:1;", 37, "without its closing parenthesis"),
    ("alert tcp any any -> any any (sid:1;) x", 38, "text after the closing parenthesis"),
    ("alert tcp any any -> any any ()", 30, "no options"),
    ("alert tcp any any -> any any (sid:1;; rev:1;)", 37, "empty option"),
    ("alert tcp any any -> any any (sid:1; nocase)", 44, "a ':' or ';' is missing"),
    ("alert tcp any any -> any any (!x:1;)", 31, "must begin with its name"),
    ("nonsense", 1, "no rule begins with 'nonsense'"),
    ("include $RULE_PATH/web.rules", 1, "'include' is not followed"),
    ('alert tcp any any -> any any (msg:"m";)', 1, "no sid"),
    ("alert tcp any any -> any any (sid:x;)", 35, "sid needs a number"),
    ("alert tcp any any -> any any (sid:0;)", 35, "sid 0 is out of range"),
    ("alert tcp any any -> any any (sid;)", 31, "sid needs a value"),
    ("alert tcp any any -> any any (content:abc; sid:1;)", 39, "double quotes"),
    ('alert tcp any any -> any any (content:"abc; sid:1;)', 39, "not closed"),
    ('alert tcp any any -> any any (content:""; sid:1;)', 40, "content is empty"),
    ('alert tcp any any -> any any (content:"a|4G|"; sid:1;)', 43, "not hexadecimal"),
    ('alert tcp any any -> any any (content:"a|414|"; sid:1;)', 42, "odd digit"),
    ('alert tcp any any -> any any (content:"a|41"; sid:1;)', 41, "not closed with '|'"),
    (
        'alert tcp any any -> any any (content:"a" nocase; sid:1;)',
        43,
        "unexpected text after the closing quote",
    ),
    ("alert tcp any any -> any any (nocase; sid:1;)", 31, "nocase has no content before it"),
    ('alert tcp any any -> any any (content:"a"; nocase:1; sid:1;)', 51, "nocase takes no value"),
    ('alert tcp any any -> any any (content:"a"; depth:0; sid:1;)', 50, "depth 0 is out of range"),
    ('alert tcp any any -> any any (content:"a"; offset:-1; sid:1;)', 51, "offset cannot be negative"),
    ('alert tcp any any -> any any (content:"a"; within:4x; sid:1;)', 51, "within needs a number"),
    ("alert tcp any any -> any any (http_uri; sid:1;)", 31, "http_uri has no content before it"),
    ('alert tcp any any -> any any (content:"a",nocase, sideways; sid:1;)', 51, "no modifier 'sideways'"),
    ('alert tcp any any -> any any (content:"a",depth 3,offset y; sid:1;)', 58, "offset needs a number"),
    ('alert tcp any any -> any any (pcre:"abc"; sid:1;)', 37, "between two '/'"),
    ('alert tcp any any -> any any (pcre:"/abc/k"; sid:1;)', 42, "no flag 'k'"),
    ('alert tcp any any -> any any (pcre:"/abc/UP"; sid:1;)', 43, "two buffers"),
    ("alert tcp any any -> any any (urilen:a; sid:1;)", 38, "urilen needs"),
    ("alert tcp any any -> any any (urilen:9<>2; sid:1;)", 38, "ends before it begins"),
    ("alert tcp any any -> any any (flow:sideways; sid:1;)", 36, "no value 'sideways'"),
    ("alert tcp any any -> any any (flowbits:jump,x; sid:1;)", 40, "no command 'jump'"),
    ("alert tcp any any -> any any (flags:Q; sid:1;)", 37, "no TCP flags"),
    ("alert tcp any any -> any any (threshold:count 1; sid:1;)", 41, "needs a type"),
    ("alert tcp any any -> any any (isdataat:5,sideways; sid:1;)", 40, "no argument 'sideways'"),
]


@pytest.mark.parametrize(("text", "column", "message"), ERRORS, ids=[e[2] for e in ERRORS])
def test_every_error_names_its_place(load, text, column, message):
    report = load("# first\n\n\t" + text + "\n", dialect="snort2")
    (entry,) = report.entries
    assert entry.status == "broken"
    assert message in entry.reason
    assert (entry.line, entry.column) == (3, column + 1)
    assert entry.hint
    with pytest.raises(ConfigError) as caught:
        report.raise_if_broken()
    assert str(caught.value).startswith(f"{entry.file}:3:{column + 1}: ")


def test_an_error_in_a_continued_line_names_that_line(load):
    (entry,) = load('alert tcp any any -> any any (msg:"m"; \\\n   content:"a"; depth:x; sid:1;)').entries
    assert (entry.line, entry.column) == (2, 23)
    assert entry.source == '   content:"a"; depth:x; sid:1;)'


def test_other_rules_of_the_file_survive_a_broken_one(load):
    report = load(f"{GOOD}\nalert tcp (\n{GOOD.replace('sid:1', 'sid:2')}")
    assert [entry.status for entry in report.entries] == ["loaded", "broken", "loaded"]


@pytest.mark.parametrize("option", ["msg", "content", "uricontent", "pcre"])
def test_a_quote_that_is_not_closed_is_a_mistake_where_it_opens(option: str) -> None:
    text = f'alert tcp any any -> any 80 ({option}:"/x; sid:1;)'
    with pytest.raises(ConfigError) as error:
        parse_rule(text)
    assert error.value.column == text.index('"') + 1
    assert "not closed" in error.value.message


@pytest.mark.parametrize("file", ["/etc/shadow", "../seen.lst", "lists/../../seen.lst"])
@pytest.mark.parametrize("word", ["load", "state"])
def test_a_rule_has_no_files_read_but_those_beside_it(load, word: str, file: str) -> None:
    rule = f"alert http any any -> any any (http.uri; dataset:isset,seen,type string,{word} {file}; sid:1;)"
    (entry,) = load(rule, dialect="suricata").entries
    assert entry.status == "broken" and "not a file beside the rules" in entry.reason and entry.hint
