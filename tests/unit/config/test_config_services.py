# SPDX-License-Identifier: Apache-2.0
"""``[[service]]``: what is not said comes from the tables for all, and mistakes are told with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from securedirect.config import examine, load_config
from securedirect.daemon.rulesets import changed, with_rules_of

BASE = """\
[director]
interface = "eth0"
vip = "192.0.2.100"
[[server]]
name = "web1"
address = "192.0.2.11"
[[server]]
name = "web2"
address = "192.0.2.12"
[[honeypot]]
name = "pot"
address = "192.0.2.21"
[rules]
technologies = ["apache"]
[rules.actions]
"sid:1" = "off"
[handoff]
method = "classic"
"""
TWO = """\
[[service]]
name = "web"
port = 80
profile = "apache"
[[service]]
name = "mail"
port = 25
protocol = "tcp"
mode = "observe"
servers = ["web2"]
honeypots = []
technologies = []
[service.actions]
"sid:2" = "divert"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "securedirect.toml"
    path.write_text(text)
    return path


def test_without_any_there_is_one(tmp_path: Path) -> None:
    text = BASE.replace('vip = "192.0.2.100"', 'vip = "192.0.2.100"\nport = 8080')
    (one,) = load_config(write(tmp_path, text)).services
    assert (one.name, one.port, one.protocol, one.mode, one.handoff) == (
        "http",
        8080,
        "http",
        "inspect",
        "classic",
    )
    assert [machine.name for machine in one.servers] == ["web1", "web2"]


def test_each_has_its_own_and_else_what_holds_for_all(tmp_path: Path) -> None:
    web, mail = load_config(write(tmp_path, BASE + TWO)).services
    assert (web.profile, web.mode, web.technologies, web.actions) == (
        "apache",
        "inspect",
        ("apache",),
        {},
    )
    assert (mail.protocol, mail.mode, mail.technologies) == ("tcp", "observe", ())
    assert mail.actions == {"sid:2": "divert"}, "which go before those of all"
    assert [machine.name for machine in mail.servers] == ["web2"] and mail.honeypots == ()
    assert not web.adopts and not mail.adopts
    off = load_config(write(tmp_path, BASE + '[inspector]\nmode = "off"\n' + TWO))
    assert [service.mode for service in off.services] == ["off", "off"]


@pytest.mark.parametrize(
    ("old", "new", "message", "at"),
    [
        ("port = 25", "port = 80", "port 80 is used twice (also by the service web)", "port = 80\nprotocol"),
        ('name = "mail"', 'name = "web"', "the service 'web' stands twice", 'name = "web"\nport = 25'),
        ('["web2"]', '["web3"]', "'web3' is none of the servers", 'servers = ["web3"]'),
        ("honeypots = []", 'honeypots = ["web1"]', "'web1' is none of the honeypots", 'honeypots = ["web1"]'),
        ('mode = "observe"', 'profile = "iis"', "the service mail has a profile", 'profile = "iis"'),
        (
            'mode = "observe"',
            'mode = "off"',
            "service[2].mode = 'off': not one of inspect, observe",
            'mode = "off"',
        ),
        ('"sid:2"', '"sid:x"', "service[2].actions: 'sid:x' does not select rules", '"sid:x"'),
        ("port = 25\n", "", "'service[2].port' is missing", '[[service]]\nname = "mail"'),
        ("servers =", "server =", "unknown key 'service[2].server'", 'server = ["web2"]'),
    ],
)
def test_mistakes_have_their_place(tmp_path: Path, old: str, new: str, message: str, at: str) -> None:
    text = BASE + TWO.replace(old, new)
    _, problems = examine(write(tmp_path, text))
    assert len(problems) == 1
    assert message in problems[0].message
    assert problems[0].line == text[: text.index(at)].count("\n") + 1


def test_a_port_for_all_and_services_exclude_each_other(tmp_path: Path) -> None:
    text = (BASE + TWO).replace('vip = "192.0.2.100"', 'vip = "192.0.2.100"\nport = 80')
    _, (problem,) = examine(write(tmp_path, text))
    assert problem.message == "director.port and [[service]] exclude each other"
    assert problem.line == 4


def test_there_are_at_most_64(tmp_path: Path) -> None:
    services = "".join(f'[[service]]\nname = "s{n}"\nport = {1000 + n}\n' for n in range(65))
    _, (problem,) = examine(write(tmp_path, BASE + services))
    assert problem.message == "more than 64 services"


def test_what_a_reload_takes_over(tmp_path: Path) -> None:
    old = load_config(write(tmp_path, BASE + TWO))
    text = TWO.replace('"sid:2"', '"sid:3"').replace("port = 25", "port = 26").replace('"apache"', '"nginx"')
    new = load_config(write(tmp_path, BASE.replace('"sid:1" = "off"', '"sid:1" = "alert"') + text))
    now = with_rules_of(old, new)
    assert now.rules == new.rules and now.services[0].profile == "nginx"
    assert now.services[1].port == 25 and now.services[1].actions == {"sid:3": "divert"}
    assert changed(now, new) == ["[[service]]"]
    assert changed(now, now) == []
