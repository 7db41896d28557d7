# SPDX-License-Identifier: Apache-2.0
"""Rules that are loaded again: the outcome is that of a first load, and only what has changed is read."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from securedirect.config import load_config
from securedirect.daemon.rulesets import Rulesets, load_rulesets
from securedirect.errors import ConfigError
from securedirect.rules import RuleService, reading
from securedirect.rules.blocks import blocks
from securedirect.rules.lexer import rule_texts
from securedirect.rules.load import Selection, load_for_services
from securedirect.rules.reading import ReadRules

SITE = """
[director]
interface = "lo"
vip = "192.0.2.1"

[[server]]
name = "web1"
address = "192.0.2.2"

[handoff]
method = "classic"

[[service]]
name = "web"
port = 80
{web}

[[service]]
name = "mail"
port = 25
protocol = "tcp"

[rules]
files = ["web.rules", "sub/other.rules"]
{rules}
"""
HEADER = "alert tcp $EXTERNAL_NET any -> $HTTP_SERVERS $HTTP_PORTS"


def rule(sid: int, path: str = "/cgi-bin/a-rare-program", more: str = "", header: str = HEADER) -> str:
    return (
        f'{header} (msg:"rule {sid}"; flow:to_server,established; content:"{path}{sid}"; http_uri; {more}'
        f"classtype:web-application-attack; sid:{sid}; rev:1;)\n"
    )


WEB = (
    rule(1)
    + rule(2, more="flowbits:set,seen; ")
    + rule(3, more="flowbits:isset,seen; ")
    + f"# {rule(4)}"
    + rule(5, more='pcre:"/a(/U"; ')  # the matcher refuses it
    + rule(6).replace("rule 6", "WordPress")
)
OTHER = (
    'alert tcp $EXTERNAL_NET any -> $SMTP_SERVERS 25 (msg:"mail"; content:"VRFY decode"; sid:20; rev:1;)\n'
    'alert tcp [192.0.2.7,198.51.100.0/24] any -> $HOME_NET any (msg:"listed"; sid:21; rev:1;)\n'
    + rule(22, header=HEADER.replace("$HTTP_PORTS", "8080"))
    + rule(23).replace("web-application-attack", "own-class")
)


class Site:
    """A configuration and its rule files, loaded again and again."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.read: list[int] = []
        (folder / "sub").mkdir()
        self.write("web.rules", WEB)
        self.write("sub/other.rules", OTHER)
        self.configure()
        original = reading.read_rule

        def counted(parsed: Any, dialect: Any) -> Any:
            found = original(parsed, dialect)
            self.read.append(found.sid)
            return found

        monkeypatch.setattr(reading, "read_rule", counted)
        self.rules = self.first()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def configure(self, *, web: str = "", rules: str = "", files: str = "") -> None:
        text = SITE.format(web=web, rules=rules)
        self.write("site.toml", text.replace('"web.rules"', files) if files else text)

    def first(self) -> Rulesets:
        return load_rulesets(load_config(self.folder / "site.toml"))

    def again(self) -> list[int]:
        """Load once more; the sids of the rules that were read. All else is as in a first load."""
        self.read.clear()
        self.rules = load_rulesets(load_config(self.folder / "site.toml"), self.rules)
        read = sorted(self.read)
        fresh = self.first()
        assert self.rules.collection() == fresh.collection()
        assert self.rules.reports == fresh.reports
        assert self.rules.listed == fresh.listed
        assert self.rules.unused_overrides() == fresh.unused_overrides()
        return read

    def entry(self, sid: int) -> Any:
        return next(entry for entry in self.rules.reports[0].entries if entry.sid == sid)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def test_the_cases_are_what_they_are_meant_to_be(site: Site) -> None:
    web, mail = site.rules.reports
    assert web.counts == {
        "loaded": 6,
        "not_applicable": 2,
        "unsupported": 1,
        "broken": 0,
        "disabled": 1,
    }
    assert mail.counts["loaded"] == 2 and len(site.rules.listed) == 2


def test_nothing_is_read_again_when_nothing_has_changed(site: Site) -> None:
    assert site.again() == []
    assert site.again() == []


@pytest.mark.parametrize(
    ("change", "read"),
    [
        (lambda text: text + rule(9), [9]),
        (lambda text: rule(9) + text, [9]),
        (lambda text: text.replace("program1", "programme"), [1]),
        (lambda text: text.replace(rule(1), ""), []),
        (lambda text: text.replace(f"# {rule(4)}", rule(4)), [4]),
        (lambda text: text.replace(rule(1), f"#{rule(1)}"), []),
        (lambda text: text.replace(rule(2, more="flowbits:set,seen; "), ""), []),
        (lambda text: text.replace("\n", "\n\n"), []),
        (lambda text: "".join(reversed(text.splitlines(keepends=True))), []),
        (lambda _: "", []),
    ],
)
def test_of_a_changed_file_only_changed_rules_are_read(
    site: Site, change: Callable[[str], str], read: list[int]
) -> None:
    site.write("web.rules", change(WEB))
    assert site.again() == read
    site.write("web.rules", WEB)
    site.again()
    assert site.again() == []


def written(dice: random.Random) -> list[str]:
    """Lines of rules of all kinds: some are broken into several lines, commented out, for other ports, wait
    for others, or are lists of addresses. Numbers and whole rules come more than once.
    """
    sid = dice.randrange(1, 60)
    text = rule(sid, more=dice.choice(["", "flowbits:set,a; ", "flowbits:isset,a; ", "bsize:>3; "])).rstrip()
    match dice.randrange(9):
        case 0:
            text = f"# {text}"
        case 1:
            text = text.replace("; ", "; \\\n  ", 3)
        case 2:
            text = f"# {text}".replace("; ", "; \\\n#  ", 3)
        case 3:
            text = text.replace("; ", ";\n  ") if dice.randrange(2) else f"{text}\r"
        case 4:
            text = text.replace("$HTTP_PORTS", "25").replace("; http_uri", "")
        case 5:
            text = f'alert tcp [192.0.2.{sid},198.51.100.0/24] any -> any any (msg:"listed"; sid:{sid};)'
        case 6:
            text = dice.choice(["", "# nothing (to see)", "\xef\xbb\xbf" + text])
    return text.split("\n")


def edited(lines: list[str], dice: random.Random) -> list[str]:
    """Some lines after one change."""
    at, other = sorted(dice.randrange(len(lines) + 1) for _ in range(2))
    match dice.randrange(7):
        case 0:
            return lines[:at] + written(dice) + lines[at:]
        case 1:
            return lines[:at] + lines[min(other, at + 3) :]
        case 2:
            return lines[:at] + lines[other:] + lines[at:other]
        case 3:
            return lines[:other] + lines[at:]  # twice
        case 4:
            return [line.replace(f"sid:{at % 60};", "sid:61;") for line in lines]
        case 5:
            return lines[:at] + [f"{line} " for line in lines[at : at + 2]] + lines[at + 2 :]
    return ["", *lines]


@pytest.mark.parametrize("seed", range(6))
def test_any_changes_come_out_as_in_a_first_load(site: Site, seed: int) -> None:
    """Places of mistakes, too."""
    dice = random.Random(seed)
    files = {
        name: [line for _ in range(80) for line in written(dice)] for name in ("web.rules", "sub/other.rules")
    }
    read = ReadRules()
    actions = {}
    for _ in range(20):
        name = dice.choice(list(files))
        files[name] = edited(files[name], dice)[:400]
        for one, lines in files.items():
            (site.folder / one).write_text("\n".join(lines), "latin-1")
        match dice.randrange(8):
            case 0:
                actions = {f"sid:{dice.randrange(60)}": "alert"}
            case 1:
                files = dict(reversed(files.items()))
        services = [
            Selection(service=RuleService(), overrides=actions),
            Selection(service=RuleService("mail", 25, "tcp"), technologies=["apache"]),
        ]
        paths = [site.folder / one for one in files]
        dialect = dice.choice(["auto", "auto", "snort3"])
        read = ReadRules(read)
        again = load_for_services(paths, services, dialect=dialect, read=read)
        assert again == load_for_services(paths, services, dialect=dialect)
    assert sum(report.counts["loaded"] for report in again) > 20
    assert sum(report.counts["broken"] for report in again) > 0


@pytest.mark.parametrize("multiline", [False, True])
def test_blocks_cut_no_rule_apart(multiline: bool) -> None:
    dice = random.Random(1)
    lines = [line for _ in range(2000) for line in written(dice)]
    text = "\n".join(lines)
    data = text.encode("latin-1")
    cut = list(blocks(data))
    assert len(cut) > 50 and b"\n".join(data[block.begin : block.end] for block in cut) == data
    apart = [
        one
        for block in cut
        for one in rule_texts(text[block.begin : block.end], multiline=multiline, before=block.line - 1)
    ]
    assert apart == list(rule_texts(text, multiline=multiline))


def test_a_byte_order_mark_is_none_behind_another_block(site: Site) -> None:
    file = site.folder / "web.rules"
    cut = next(one for sid in range(100, 1000) if len(list(blocks((one := rule(sid)).encode()))) > 1)
    read = ReadRules()
    for before, broken in (("", 0), (cut, 1), ("", 0)):
        file.write_text(f"{before}\xef\xbb\xbf{WEB}", "latin-1")
        read = ReadRules(read)
        (report,) = load_for_services([file], [Selection()], read=read)
        assert report.counts["broken"] == broken
        assert [report] == load_for_services([file], [Selection()])


def test_what_is_gone_is_not_kept(site: Site) -> None:
    site.write("web.rules", WEB.replace(rule(1), ""))
    assert site.again() == []
    site.write("web.rules", WEB)
    assert site.again() == [1]


def test_a_file_may_get_another_name(site: Site) -> None:
    (site.folder / "web.rules").rename(site.folder / "web-new.rules")
    site.configure(files='"web-new.rules"')
    assert site.again() == []
    assert site.entry(1).file.endswith("web-new.rules")
    assert b'"web-new.rules"' in site.rules.collection()


@pytest.mark.parametrize(
    ("rules", "sid", "action"),
    [
        ('[rules.actions]\n"sid:1" = "off"', 1, "off"),
        ('[rules.actions]\n"file:web" = "alert"', 1, "alert"),
        ('[rules.actions]\n"classtype:web-application-attack" = "score"', 1, "score"),
        ('[rules.actions]\n"sid:99" = "off"', 1, "divert"),
        ('[rules.actions]\n"builtin:27" = "alert"', 1, "divert"),
    ],
)
def test_overrides_have_their_effect(site: Site, rules: str, sid: int, action: str) -> None:
    assert site.entry(sid).action == "divert"
    site.configure(rules=rules)
    assert site.again() == []
    assert site.entry(sid).action == action
    site.configure()
    assert site.again() == []
    assert site.entry(sid).action == "divert"


def test_what_a_service_says_has_its_effect(site: Site) -> None:
    site.configure(web='actions = { "sid:1" = "alert" }')
    assert site.again() == []
    assert site.entry(1).action == "alert"
    site.configure(web='technologies = ["apache"]')
    assert site.again() == []
    assert (site.entry(1).action, site.entry(6).action) == ("divert", "off")
    site.configure(web='technologies = ["wordpress"]')
    assert site.again() == []
    assert site.entry(6).action == "divert"
    site.configure(web='profile = "iis"')
    assert site.again() == []
    assert b'"profile":"iis"' in site.rules.collection()


def test_the_dialect_has_its_effect(site: Site) -> None:
    everything = [1, 2, 3, 5, 6, 20, 21, 22, 23]
    site.configure(rules='dialect = "suricata"')
    assert site.again() == everything
    assert b'"dialect":"suricata"' in site.rules.collection()
    site.configure()
    site.write("web.rules", rule(9, more="http.uri; bsize:>5; ") + WEB)  # it is guessed to be another now
    assert site.again() == [9, 20, 21, 22, 23]
    assert site.entry(1).dialect == "suricata"


def test_classes_have_their_effect(site: Site) -> None:
    classes = site.folder / "sub" / "classification.config"
    classes.write_text("config classification: own-class,Our own,1\n")
    assert site.again() == []
    assert b'"category":"Our own","priority":1' in site.rules.collection()
    classes.write_text("config classification: own-class,Our other,2\n")
    assert site.again() == []
    assert b'"category":"Our other","priority":2' in site.rules.collection()
    classes.unlink()
    assert site.again() == []


def test_rules_that_are_refused_leave_everything_as_it_was(site: Site) -> None:
    before = site.rules.collection()
    site.write("web.rules", rule(9) + WEB + 'alert tcp any any -> any 80 (msg:"x"; content:"y;)\n')
    with pytest.raises(ConfigError):
        load_rulesets(load_config(site.folder / "site.toml"), site.rules)
    assert site.rules.collection() == before
    site.write("web.rules", WEB)
    assert site.again() == []
    site.write("web.rules", rule(9) + WEB)
    assert site.again() == [9]


def test_published_rules_come_out_the_same(
    shared_rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, monkeypatch)
    text = (shared_rules / "gpl-snort-2.8.5-debian" / "web-misc.rules").read_text("latin-1")
    site.write("web.rules", text)
    site.again()
    site.write("web.rules", rule(9) + text)
    assert site.again() == [9]
    site.configure(rules='[rules.actions]\n"classtype:web-application-activity" = "off"')
    assert site.again() == []
