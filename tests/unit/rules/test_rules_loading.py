# SPDX-License-Identifier: Apache-2.0
"""Addresses and ports, dialects, the report, the matcher's veto, and the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from securedirect.cli.rules import command
from securedirect.errors import ConfigError
from securedirect.rules import DEFAULT_RULES, RuleService, load_rule_files
from securedirect.rules import load as load_module
from securedirect.rules.dialect import guess_dialect, signs

WEB = 'alert tcp $EXTERNAL_NET any -> $HTTP_SERVERS $HTTP_PORTS (msg:"m"; content:"c"; sid:1;)'


def with_header(header):
    return f'alert {header} (msg:"m"; content:"c"; sid:1;)'


@pytest.mark.parametrize(
    "header",
    [
        "tcp any any -> any any",
        "tcp $EXTERNAL_NET any -> $HOME_NET any",
        "http any any -> [$HOME_NET,$HTTP_SERVERS] any",
        "tcp !$HOME_NET any -> $HTTP_SERVERS any",
        "tcp [$EXTERNAL_NET,!10.0.0.0/8] any -> [$HTTP_SERVERS,!192.0.2.1] any".replace(",!10.0.0.0/8", ""),
        "ip any any -> any any",
        "tcp any any -> !$SMTP_SERVERS any",
        "tcp $HOME_NET any <> $EXTERNAL_NET any",
        "tcp $EXTERNAL_NET any <> $HOME_NET any",
        "tcp $EXTERNAL_NET 1024: -> $HOME_NET any",
        "tcp $EXTERNAL_NET !80 -> $HOME_NET any",
        "tcp $HTTP_SERVERS any -> $EXTERNAL_NET $HTTP_PORTS",
        "http",
    ],
)
def test_headers_that_requests_can_meet(load, header):
    assert load(with_header(header)).entries[0].status == "loaded"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("udp any any -> any any", "protocol udp"),
        ("icmp any any -> any any", "protocol icmp"),
        ("dns any any -> any any", "protocol dns"),
        ("tls any any -> any any", "protocol tls"),
        ("tcp $HOME_NET any -> $EXTERNAL_NET any", "$EXTERNAL_NET is none of the protected servers"),
        ("http $HOME_NET any -> any any", "only connections from $HOME_NET"),
        ("tcp any any -> $SMTP_SERVERS 25", "$SMTP_SERVERS is none"),
        ("tcp any any -> !$HOME_NET any", "!$HOME_NET is none"),
        ("tcp any any -> [any,!$HTTP_SERVERS] any", "none of the protected"),
        ("tcp any any -> 198.51.100.7 any", "198.51.100.7 is none"),
        ("tcp $EXTERNAL_NET $HTTP_PORTS -> $HOME_NET any", "looks at answers"),
        ("tcp $EXTERNAL_NET 80 -> $HOME_NET any", "is a server's"),
        ("tcp any any -> any !$HTTP_PORTS", "destination ports exclude"),
        ("tcp any any -> any [!$HTTP_PORTS,1024:]", "destination ports exclude"),
    ],
)
def test_headers_that_no_request_can_meet(load, header, reason):
    (entry,) = load(with_header(header), service=RuleService("http", 80, "http")).entries
    assert entry.status == "not_applicable"
    assert reason in entry.reason


@pytest.mark.parametrize("header", ["tcp any any -> $SMTP_SERVERS 25", "tcp any any -> any !$HTTP_PORTS"])
def test_without_a_service_rules_for_any_tcp_service_are_usable(load, header):
    (entry,) = load(with_header(header)).entries
    assert (entry.status, "only for port" in entry.reason) == ("loaded", True)


@pytest.mark.parametrize(
    ("header", "sources", "ports"),
    [
        (
            "tcp [192.0.2.9,192.0.2.10] any -> $HOME_NET any",
            {"in": ["192.0.2.9", "192.0.2.10"], "not": []},
            None,
        ),
        ("tcp 192.0.2.0/24 any -> $HOME_NET any", {"in": ["192.0.2.0/24"], "not": []}, None),
        (
            "tcp [$EXTERNAL_NET,!192.0.2.0/24] any -> $HOME_NET any",
            {"in": [], "not": ["192.0.2.0/24"]},
            None,
        ),
        ("tcp $EXTERNAL_NET 5000 -> $HOME_NET any", None, [[5000, 5000]]),
        ("tcp $EXTERNAL_NET 1024: -> $HOME_NET any", None, [[1024, 65535]]),
    ],
)
def test_what_headers_say_of_clients(load, header, sources, ports):
    report = load(with_header(header))
    assert [entry.status for entry in report.entries] == ["loaded"]
    (rule,) = json.loads(report.document)["rules"]
    assert (rule.get("sources"), rule.get("src_ports")) == (sources, ports)


def test_rules_about_addresses_alone_are_lists(load):
    text = (
        """
    alert tcp [192.0.2.9,198.51.100.0/24] any -> $HOME_NET any (msg:"bad"; flags:S; threshold:type limit,track
    """.strip().replace("\n    ", " ")
        + " by_src,count 1,seconds 60; classtype:misc-attack; sid:7; rev:2;)"
    )
    report = load(text, dialect="suricata")
    document = json.loads(report.document)
    assert document["rules"] == []
    (entry,) = document["reputation"]
    assert (entry["sid"], entry["rev"], entry["action"], entry["priority"]) == (7, 2, "alert", 2)
    (listed,) = report.reputation
    assert listed == {"networks": ["192.0.2.9/32", "198.51.100.0/24"], "except": [], **entry}
    assert (report.entries[0].status, report.entries[0].decided_by) == ("loaded", "a list of addresses")


@pytest.mark.parametrize("header", ["ip any any <> 127.0.0.0/8 any", "ip 127.0.0.0/8 any <> any any"])
def test_a_rule_for_both_directions_lists_the_end_that_clients_are(load, header):
    report = load(f'alert {header} (msg:"loopback"; sid:8;)', dialect="snort2")
    assert json.loads(report.document)["rules"] == []
    assert [one["networks"] for one in report.reputation] == [["127.0.0.0/8"]]


def test_rules_that_match_every_request_never_divert(load):
    report = load(
        'drop tcp any any -> $HOME_NET any (msg:"all"; flow:established,to_server; sid:1;)\n'
        'pass tcp any any -> $HOME_NET any (msg:"ours"; content:"x"; sid:2;)',
        dialect="suricata",
    )
    assert [(entry.status, entry.action) for entry in report.entries] == [
        ("loaded", "alert"),
        ("loaded", "pass"),
    ]


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ("any", None),
        ("$HTTP_PORTS", None),
        ("[$HTTP_PORTS,8443]", None),
        ("80", [[80, 80]]),
        ("!80", [[0, 79], [81, 65535]]),
        ("[80,81,8000:8080]", [[80, 81], [8000, 8080]]),
        ("[1:100,!80]", [[1, 79], [81, 100]]),
        ("![22,80]", [[0, 21], [23, 79], [81, 65535]]),
        ("!1024:", [[0, 1023]]),
        ("$SHELLCODE_PORTS", [[0, 79], [81, 65535]]),
    ],
)
def test_destination_ports(documented, ports, expected):
    assert documented(with_header(f"tcp any any -> any {ports}"))["dst_ports"] == expected


def test_rules_for_other_ports_are_loaded_but_not_in_the_document(load):
    text = with_header("tcp any any -> any 2301")
    elsewhere = load(text, service_ports=[80])
    assert elsewhere.counts["loaded"] == 1
    assert elsewhere.entries[0].reason == "only for port 2301"
    assert json.loads(elsewhere.document)["rules"] == []
    assert len(json.loads(load(text, service_ports=[80, 2301]).document)["rules"]) == 1


def test_the_document_says_all_that_the_contract_asks(documented):
    text = (
        'drop tcp any any -> $HTTP_SERVERS any (msg:"m"; gid:3; rev:7; sid:12; classtype:attempted-recon; '
        'content:"a"; nocase; offset:1; depth:2; pcre:!"/b/iU"; urilen:5;)'
    )
    assert documented("\n" + text, name="x.rules") == {
        "gid": 3,
        "sid": 12,
        "rev": 7,
        "msg": "m",
        "classtype": "attempted-recon",
        "category": "Attempted Information Leak",
        "priority": 2,
        "action": "divert",
        "file": "x.rules",
        "line": 2,
        "scope": "http",
        "dialect": "snort2",
        "silent": False,
        "dst_ports": None,
        "dst_ports_negated": False,
        "options": [
            {
                "kind": "content",
                "buffer": "raw",
                "bytes": "61",
                "nocase": True,
                "negated": False,
                "offset": 1,
                "depth": 2,
                "startswith": False,
                "endswith": False,
                "fast_pattern": False,
            },
            {
                "kind": "pcre",
                "buffer": "http_uri",
                "pattern": "62",
                "negated": True,
                "nocase": True,
                "dotall": False,
                "multiline": False,
                "extended": False,
                "anchored": False,
                "dollar_endonly": False,
                "ungreedy": False,
                "relative": False,
            },
            {"kind": "urilen", "op": "=", "value": 5, "buffer": "http_raw_uri"},
        ],
    }


class TestDisabled:
    SECOND = WEB.replace("sid:1", "sid:2")
    TEXT = f"# {WEB}\n# alert yourself\n#{SECOND}\n# alert tcp any any -> any any (broken\n"

    def test_commented_rules_are_listed_only(self, load):
        report = load(self.TEXT)
        assert [(e.status, e.sid, e.line) for e in report.entries] == [("disabled", 1, 1), ("disabled", 2, 3)]
        assert json.loads(report.document)["rules"] == []

    def test_and_loaded_on_request(self, load):
        report = load(self.TEXT, include_disabled=True)
        assert report.counts["loaded"] == 2


class TestDialect:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ('content:"a"; nocase;', "snort2"),
            ('content:"a"; http_uri; nocase;', "snort2"),
            ('uricontent:"a";', "snort2"),
            ('content:"a",nocase;', "snort3"),
            ('http_uri; content:"a"; service:http;', "snort3"),
            ('http_uri; content:"a",fast_pattern,nocase;', "snort3"),
            ("bufferlen:5;", "snort3"),
            ('http.uri; content:"a";', "suricata"),
            ('content:"a"; endswith;', "suricata"),
            ('content:"a"; http_user_agent;', "suricata"),
        ],
    )
    def test_guess(self, options, expected):
        text = with_header("tcp any any -> any any").replace('content:"c";', options)
        assert guess_dialect([signs(text)]) == expected

    def test_service_headers(self):
        assert guess_dialect([signs("alert http (sid:1;)")]) == "snort3"
        suricata = signs("alert http $EXTERNAL_NET any -> $HOME_NET any (sid:1;)")
        assert guess_dialect([suricata]) == "suricata"

    def test_told(self, documented):
        text = 'alert tcp any any -> any any (content:"a"; http_uri; content:"b"; sid:1;)'
        assert [o["buffer"] for o in documented(text)["options"]] == ["http_uri", "raw"]
        assert [o["buffer"] for o in documented(text, dialect="snort3")["options"]] == ["raw", "http_uri"]

    def test_unknown(self, load):
        with pytest.raises(ConfigError):
            load(WEB, dialect="snort4")


class TestReport:
    def test_every_rule_is_exactly_one_entry(self, load):
        report = load(
            "\n".join(
                [
                    WEB,
                    "#" + WEB,
                    "x",
                    with_header("udp any any -> any any"),
                    WEB.replace("content", "asn1"),
                ]
            )
        )
        assert dict(report.counts) == {
            "loaded": 1,
            "not_applicable": 1,
            "unsupported": 1,
            "broken": 1,
            "disabled": 1,
        }

    def test_nothing_broken_raises_nothing(self, load):
        load(WEB).raise_if_broken()

    def test_several_broken_are_counted(self, load):
        with pytest.raises(ConfigError, match="1 more broken"):
            load("x\ny").raise_if_broken()

    def test_missing_file(self, tmp_path):
        with pytest.raises(ConfigError, match="no such rule file") as caught:
            load_rule_files([tmp_path / "none.rules"])
        assert caught.value.file.endswith("none.rules") and caught.value.hint

    def test_folder(self, tmp_path):
        with pytest.raises(ConfigError, match="this is a folder"):
            load_rule_files([tmp_path])

    def test_same_input_same_document(self, load):
        assert load(WEB).document == load(WEB).document

    def test_what_the_matcher_refuses_is_unsupported(self, load, monkeypatch):
        def refuse(document):
            sids = [rule["sid"] for rule in json.loads(document)["rules"]]
            return [(sids.index(2), "look-behind is not supported")]

        monkeypatch.setattr(load_module, "_matcher", lambda: refuse)
        report = load("\n".join(WEB.replace("sid:1", f"sid:{sid}") for sid in (1, 2, 3)))
        assert [e.status for e in report.entries] == ["loaded", "unsupported", "loaded"]
        assert report.entries[1].reason == "look-behind is not supported"
        assert report.entries[1].action == ""
        assert [r["sid"] for r in json.loads(report.document)["rules"]] == [1, 3]


class TestCommand:
    def run(self, *args):
        return CliRunner().invoke(command, ["check", *map(str, args)])

    @pytest.fixture
    def files(self, tmp_path):
        good, bad = tmp_path / "good.rules", tmp_path / "bad.rules"
        good.write_text(f"{WEB}\n# {WEB}\n{with_header('udp any any -> any any')}\n")
        bad.write_text('alert tcp any any -> any any (content:"a"; depth:-; sid:9;)\n')
        return good, bad

    def test_json(self, files):
        result = self.run(files[0], "--json")
        assert result.exit_code == 0
        found = json.loads(result.output)
        assert list(found) == ["loaded", "not_applicable", "unsupported", "broken", "disabled", "rules"]
        assert (found["loaded"], found["not_applicable"], found["disabled"]) == (1, 1, 1)
        first = found["rules"][0]
        assert {"file", "line", "sid", "status", "reason", "action"} <= set(first)
        assert (first["file"], first["line"], first["sid"]) == (str(files[0]), 1, 1)

    def test_table(self, files):
        result = self.run(files[0])
        assert result.exit_code == 0
        assert "good.rules" in result.output and "protocol udp" in result.output

    def test_broken_rules_are_shown_with_a_caret(self, files):
        result = self.run(*files)
        assert result.exit_code == 78
        lines = result.output.splitlines()
        at = next(i for i, line in enumerate(lines) if f"{files[1]}:1:50: depth needs a number" in line)
        assert lines[at + 1][lines[at + 2].index("^")] == "-"
        assert json.loads(self.run(*files, "--json").output)["broken"] == 1

    def test_a_technology_that_no_rule_is_for_is_told(self, files):
        result = CliRunner().invoke(command, ["check", str(files[0]), "--technologies", "phpp,nginx"])
        (line,) = result.stderr.splitlines()
        assert line == "warning: technologies: 'phpp' is none that rules are for; did you mean 'php'?"

    def test_technologies_and_disabled(self, files, tmp_path):
        (tmp_path / "web-iis.rules").write_text(WEB)
        found = json.loads(
            self.run(tmp_path / "web-iis.rules", "--technologies", "php,nginx", "--json").output
        )
        assert found["rules"][0]["action"] == "off"
        assert json.loads(self.run(files[0], "--include-disabled", "--json").output)["loaded"] == 2

    def test_without_files_the_shipped_rules_are_checked(self):
        found = json.loads(self.run("--json").output)
        assert found["loaded"] == len(found["rules"]) > 50
        assert {rule["file"] for rule in found["rules"]} == {str(DEFAULT_RULES)}

    def test_help_says_what_the_words_mean(self):
        output = self.run("--help").output
        for word in ("loaded", "not applicable", "unsupported", "broken", "disabled", "Exit status"):
            assert word in output
