# SPDX-License-Identifier: Apache-2.0
"""Who is diverted, who is told of, and which line of the policy says so; attack classes."""

from __future__ import annotations

import json
import re

import pytest

from securedirect.errors import ConfigError
from securedirect.rules import load_rule_files
from securedirect.rules.classification import BUILTIN, read_classification


def rule(options="", *, action="alert", sid=1, uri="/cgi-bin/qwxzk.cgi", msg="m"):
    return (
        f'{action} tcp $EXTERNAL_NET any -> $HTTP_SERVERS any (msg:"{msg}"; uricontent:"{uri}"; '
        f"{options} sid:{sid};)"
    )


def decided(load, text, **options):
    (entry,) = load(text, **options).entries
    assert entry.status == "loaded"
    return entry.action, entry.decided_by


ATTACKS = [
    "web-application-attack",
    "attempted-admin",
    "attempted-user",
    "successful-admin",
    "successful-recon-limited",
    "shellcode-detect",
    "trojan-activity",
    "command-and-control",
    "exploit-kit",
    "targeted-activity",
]


@pytest.mark.parametrize("classtype", ATTACKS)
def test_attack_classes_divert(load, classtype):
    action, line = decided(load, rule(f"classtype:{classtype};"))
    assert action == "divert" and line.startswith(f"policy line 2: classtype {classtype}, specific (")


@pytest.mark.parametrize(
    "classtype",
    [
        "attempted-recon",
        "web-application-activity",
        "default-login-attempt",
        "misc-attack",
        "bad-unknown",
        "attempted-dos",
    ],
)
def test_weaker_classes_score(load, classtype):
    action, line = decided(load, rule(f"classtype:{classtype};"))
    assert action == "score" and line.startswith(f"policy line 3: classtype {classtype}")


@pytest.mark.parametrize("classtype", ["misc-activity", "network-scan", "not-suspicious"])
def test_low_priority_classes_alert(load, classtype):
    assert decided(load, rule(f"classtype:{classtype};")) == ("alert", "policy line 4: priority 3")


def test_a_rule_without_class_alerts(load):
    assert decided(load, rule()) == ("alert", "policy line 4: priority 3")


def test_an_unknown_class_alerts(load):
    assert decided(load, rule("classtype:my-own;"))[0] == "alert"


def test_priority_of_the_rule_beats_its_class(load):
    assert decided(load, rule("classtype:web-application-attack; priority:4;")) == (
        "alert",
        "policy line 4: priority 4",
    )


@pytest.mark.parametrize("action", ["drop", "reject", "block", "sdrop"])
def test_the_files_own_drop_diverts(load, action):
    assert decided(load, rule("classtype:misc-activity;", action=action)) == (
        "divert",
        f"policy line 2: the file says {action}",
    )


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("policy balanced-ips drop", "divert"),
        ("policy max-detect-ips drop, policy security-ips drop, service http", "divert"),
        ("policy max-detect-ips drop", "score"),
        ("policy balanced-ips alert", "score"),
        ("ruleset community", "score"),
    ],
)
def test_the_publishers_policy(load, metadata, expected):
    assert decided(load, rule(f"metadata:{metadata}; classtype:attempted-recon;"))[0] == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("signature_severity Major", "divert"),
        ("signature_severity Major, confidence High", "divert"),
        ("signature_severity Minor", "score"),
        ("signature_severity Informational", "score"),
        ("confidence Low, signature_severity Critical", "score"),
    ],
)
def test_severity_and_confidence(load, metadata, expected):
    assert decided(load, rule(f"metadata:{metadata}; classtype:attempted-admin;"))[0] == expected


@pytest.mark.parametrize("category", ["info", "hunting", "policy", "games", "user_agents"])
def test_quiet_categories_alert(load, category):
    text = rule("classtype:trojan-activity;")
    expected = ("alert", f"policy line 4: category {category}")
    assert decided(load, text, name=f"emerging-{category}.rules") == expected
    assert decided(load, text, name=f"{category}.rules") == expected


def test_noalert_is_off_and_never_reported(load):
    for option in ("noalert;", "flowbits:set,x; flowbits:noalert;"):
        report = load(
            rule(f"{option} classtype:attempted-admin;", action="drop"), overrides={"sid:1": "divert"}
        )
        assert (report.entries[0].action, report.entries[0].decided_by) == ("off", "policy line 1: noalert")
        # What changes bits is judged, as others may wait for them, and never reported.
        assert [rule["silent"] for rule in json.loads(report.document)["rules"]] == [True] * ("set" in option)


@pytest.mark.parametrize("uri", ["/robots.txt", "robots.txt", "/robot.txt", "ROBOTS.TXT"])
@pytest.mark.parametrize(
    "options", ["nocase; classtype:web-application-attack;", "metadata:policy balanced-ips drop;"]
)
def test_robots_txt_never_diverts_by_itself(load, uri, options):
    text = rule(options, uri=uri, action="drop")
    assert decided(load, text) == ("alert", "policy line 1: robots.txt")
    assert decided(load, text, overrides={"file:test": "divert"})[0] == "alert"
    assert decided(load, text, overrides={"sid:1": "divert"}) == ("divert", "override sid:1")


def test_robots_txt_with_something_else_is_an_ordinary_rule(load):
    text = rule('content:"() {"; classtype:attempted-admin;', uri="/robots.txt")
    assert decided(load, text)[0] == "divert"


class TestOverrides:
    @pytest.mark.parametrize(
        "key", ["sid:1", "file:test.rules", "file:test", "classtype:attempted-recon", "SID: 1"]
    )
    def test_each_kind(self, load, key):
        action, line = decided(load, rule("classtype:attempted-recon;"), overrides={key: "divert"})
        assert action == "divert" and line.startswith("override ")

    def test_the_narrowest_wins(self, load):
        overrides = {"classtype:attempted-recon": "off", "file:test": "divert", "sid:1": "alert"}
        assert decided(load, rule("classtype:attempted-recon;"), overrides=overrides) == (
            "alert",
            "override sid:1",
        )
        del overrides["sid:1"]
        assert decided(load, rule("classtype:attempted-recon;"), overrides=overrides) == (
            "divert",
            "override file:test",
        )

    def test_those_of_the_service_go_before_all_others(self, load):
        everywhere, service = {"sid:1": "divert"}, {"classtype:attempted-recon": "score"}
        options = {"overrides": everywhere, "service_overrides": service}
        expected = ("score", "override classtype:attempted-recon of the service")
        assert decided(load, rule("classtype:attempted-recon;"), **options) == expected
        assert decided(load, rule("classtype:misc-attack;"), **options) == ("divert", "override sid:1")
        with pytest.raises(ConfigError, match=r"service\.actions"):
            load(rule(), service_overrides={"sid:1": "drop"})

    def test_off_leaves_the_document(self, load):
        report = load(rule() + "\n" + rule(sid=2), overrides={"sid:1": "off"})
        assert [entry.action for entry in report.entries] == ["off", "alert"]
        assert [r["sid"] for r in json.loads(report.document)["rules"]] == [2]

    def test_an_override_that_meets_no_rule_is_reported(self, load):
        report = load(rule(), overrides={"sid:1": "off", "sid:77": "off"})
        assert report.unused_overrides == ("sid:77",)

    @pytest.mark.parametrize(
        "overrides", [{"sid:x": "off"}, {"1": "off"}, {"rule:1": "off"}, {"sid:": "off"}, {"sid:1": "drop"}]
    )
    def test_wrong_ones_are_refused(self, load, overrides):
        with pytest.raises(ConfigError, match=r"rules\.actions") as caught:
            load(rule(), overrides=overrides)
        assert caught.value.hint


class TestSpecific:
    """By what it asks for a rule diverts or only scores, not by its number."""

    @pytest.mark.parametrize(
        "options",
        [
            'content:"rm%20"; nocase;',  # "form "
            'content:"nc%20"; nocase;',  # "sync "
            'content:"|00|"; content:":";',  # any upload
            'content:"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";',  # padding in base64
            'content:"Content-Disposition|3A|"; content:"form-data|3B|";',  # any form with a file
            'content:"=https|3A|//"; http_uri; content:".php?"; http_uri;',  # share this page
            'content:"SELECT"; nocase; http_uri; content:"FROM"; nocase; http_uri;',  # words
            'content:"union"; nocase; http_uri; content:"select"; nocase; http_uri;',
            'content:"Host"; pcre:"/^Host[^\\r\\n]{100,}/m";',
            'pcre:"/(?:select|index)/U";',
            'content:"<?php"; nocase; http_client_body;',  # articles and tickets about code
            'content:"#!/usr/bin/"; http_client_body;',
            'content:"() {"; http_client_body;',
            'content:"<script>"; nocase;',
            'content:"/usr/bin/tail"; nocase;',
            'content:"import java.util."; http_client_body;',
            'content:"SELECT COUNT(*) FROM"; nocase; http_client_body;',
            'content:"information_schema"; nocase; http_uri;',  # searched for
            'content:"ls%20"; http_uri;',  # an address in an address
            'content:"????????????"; http_uri;',  # what a client could not write
        ],
    )
    def test_what_ordinary_requests_have_does_not_divert(self, load, options):
        text = f'alert tcp any any -> any 80 (msg:"m"; {options} classtype:web-application-attack; sid:1;)'
        action, line = decided(load, text)
        if action == "divert":  # as it stands in attacks only
            assert re.search(
                r"where .* stands .*(?:request line|behind .*marks).*; elsewhere it scores", line
            )
        else:
            assert action in ("score", "alert") and "but not specific (" in line

    @pytest.mark.parametrize(
        "options",
        [
            'content:"../../../"; http_raw_uri;',
            'content:"/etc/passwd"; http_uri;',
            'content:"/_vti_bin/..%"; http_raw_uri;',
            'content:"cmd.exe"; nocase; http_uri;',
            'content:"() {"; http_header;',
            'content:"() {"; http_user_agent;',
            'content:"<?php"; http_user_agent;',
            'content:"/bin/sh"; http_header;',
            'content:"</script>"; nocase; http_uri;',
            'content:"/cgi-bin/ping"; http_uri;',
            'content:"${jndi|3A|"; nocase; http_header;',
            'content:"|90 90 e8 c0 ff ff ff|/bin/sh";',
            'content:"/index.php?"; http_uri; content:"catid="; http_uri; content:"UNION"; http_uri;'
            ' content:"SELECT"; http_uri;',
            'content:"POST"; http_method; content:"/wls-wsat/"; http_uri;',
            'pcre:"/union\\s+select\\s+(?:null|@@version|0x[0-9a-f]+)\\s*,/Ui";',
        ],
    )
    def test_what_nobody_sends_by_chance_does(self, load, options):
        text = f'alert tcp any any -> any 80 (msg:"m"; {options} classtype:web-application-attack; sid:1;)'
        assert decided(load, text)[0] == "divert"

    def test_more_is_more(self, load):
        def bits(options):
            (entry,) = load(
                f'alert tcp any any -> any 80 (msg:"m"; {options} classtype:x; priority:1; sid:1;)'
            ).entries
            return entry.measure.bits

        alone = bits('content:"adminz";')
        assert bits('content:"adminz"; depth:6;') > alone
        assert bits('content:"adminz"; content:"|3C|x|3E|";') > alone
        assert bits('content:"adminz"; content:"admin";') == alone
        assert bits('content:"adminz"; content:!"other";') == alone


class TestTechnologies:
    @pytest.mark.parametrize(
        ("options", "msg", "runs", "stays"),
        [
            ("", "WordPress plugin x", ["wordpress"], True),
            ("", "WordPress plugin x", ["php"], False),
            ('uricontent:"/a.php?x=";', "x", ["joomla"], True),
            ('uricontent:"/a.php?x=";', "x", ["iis"], False),
            ('uricontent:"/a.asp";', "x", ["sharepoint"], True),
            ('uricontent:"/p.cgi?page=http|3A|//e/x.php";', "x", ["perl"], True),
            ("metadata:attack_target Networking_Equipment;", "x", ["php"], False),
            ("metadata:attack_target IoT;", "x", ["iot"], True),
            ("metadata:affected_product Atlassian_Confluence;", "x", ["tomcat"], False),
        ],
    )
    def test_what_a_rule_is_for(self, load, options, msg, runs, stays):
        text = rule(f"{options} classtype:attempted-admin;", msg=msg)
        assert (decided(load, text, technologies=runs)[0] == "divert") == stays

    @pytest.mark.parametrize(
        ("name", "msg", "metadata", "product"),
        [
            ("web-iis.rules", "WEB-IIS x", "", "iis"),
            ("web-coldfusion.rules", "x", "", "coldfusion"),
            ("web-frontpage.rules", "x", "", "frontpage"),
            ("web-php.rules", "x", "", "php"),
            ("community.rules", "SERVER-IIS x", "", "iis"),
            ("x.rules", "ET WEB Wordpress plugin x", "", "wordpress"),
            ("x.rules", "x", "metadata:affected_product Apache_Tomcat, created_at 2024;", "tomcat"),
        ],
    )
    def test_products_that_do_not_run_are_off(self, load, name, msg, metadata, product):
        text = rule(f"{metadata} classtype:attempted-admin;", msg=msg)
        assert decided(load, text, name=name)[0] == "divert"
        assert decided(load, text, name=name, technologies=[product.upper(), "other"])[0] == "divert"
        action, line = decided(load, text, name=name, technologies=["other"])
        assert (action, line) == ("off", f"technologies: for {product}, which is not among them")

    def test_rules_for_any_product_stay(self, load):
        text = rule("classtype:attempted-admin; metadata:affected_product Web_Server_Applications;")
        assert decided(load, text, technologies=[])[0] == "divert"

    def test_an_override_brings_a_rule_back(self, load):
        text = rule("classtype:attempted-admin;", msg="WEB-IIS x")
        assert decided(load, text, technologies=[], overrides={"sid:1": "alert"})[0] == "alert"


class TestClassification:
    def test_descriptions_and_priorities_are_in_the_document(self, documented):
        found = documented(rule("classtype:web-application-attack;"))
        assert (found["category"], found["priority"]) == ("Web Application Attack", 1)
        assert documented(rule("classtype:my-own;"))["priority"] == 3

    def test_a_file_beside_the_rules_counts(self, tmp_path):
        (tmp_path / "classification.config").write_text(
            "# mine\n\nconfig classification: my-own,Mine alone, 1\n"
            "config classification:attempted-recon,Looking,4\n"
        )
        (tmp_path / "a.rules").write_text(
            rule("classtype:my-own;") + "\n" + rule("classtype:attempted-recon;", sid=2)
        )
        report = load_rule_files([tmp_path / "a.rules"])
        rules = json.loads(report.document)["rules"]
        assert [(r["category"], r["priority"]) for r in rules] == [("Mine alone", 1), ("Looking", 4)]
        assert report.entries[1].decided_by == "policy line 4: priority 4"

    def test_a_wrong_line_names_its_place(self, tmp_path):
        (tmp_path / "classification.config").write_text("\n  config classification: name only\n")
        with pytest.raises(ConfigError) as caught:
            read_classification(tmp_path / "classification.config")
        assert (caught.value.line, caught.value.column) == (2, 3)

    def test_every_class_has_a_priority(self):
        assert all(1 <= c.priority <= 4 and c.description for c in BUILTIN.values())
