# SPDX-License-Identifier: Apache-2.0
"""Mail and FTP beside the web site: sessions as ever, and attacks that end before a server sees them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from securedirect.api.client import AnswerError, ask
from securedirect.lab import Lab
from securedirect.lab.dialogues import RULES
from securedirect.lab.traffic import (
    ATTACK,
    Client,
    Dialogue,
    diversions,
    eventually,
    fresh_address,
    inspector,
    received,
    request,
    status,
)
from securedirect.rules import DEFAULT_RULES

pytestmark = pytest.mark.root

PUBLISHED = Path(__file__).parents[3] / "shared" / "rules" / "gpl-snort-2.0"
MAIL, FTP = 25, 21
LOGIN = ("USER anonymous", "PASS me@example.test")

# Port, what is said before, the attack, sid of the rule that it meets: the lab's own, then Snort's.
ATTACKS = [
    (MAIL, ("HELO client",), "EXPN root", 9001001),
    (MAIL, ("HELO client",), "vrfy decode", 9001002),
    (MAIL, ("HELO client",), "ETRN " + "x" * 600, 9001003),
    (MAIL, ("HELO client", "MAIL FROM:<a@b.test>"), 'RCPT TO:<"|/bin/sh"@b.test>', 9001004),
    (FTP, LOGIN, "SITE EXEC /bin/sh", 9001020),
    (FTP, LOGIN, "CWD ~root", 9001021),
    (FTP, (), "USER " + "x" * 200, 9001022),
]
SNORT = [
    (MAIL, ("HELO client",), "expn decode", 659),
    (MAIL, ("HELO client",), "expn root", 660),
    (MAIL, (), "HELO " + "x" * 600, 1549),
    (MAIL, ("HELO client",), "ETRN " + "x" * 600, 1550),
    (FTP, LOGIN, "SITE EXEC /x", 361),
    (FTP, LOGIN, "CWD  ~root", 336),
    (FTP, LOGIN, "CWD " + "x" * 150, 1919),
]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that a test can change it."""
    path = tmp_path_factory.mktemp("rules") / "site.rules"
    path.write_text(RULES.read_text())
    return path


@pytest.fixture(scope="module")
def site(make_lab: Any, rules: Path) -> Lab:
    lab: Lab = make_lab(dialogues=True, rules=[DEFAULT_RULES, rules])
    return lab


@pytest.fixture
def captures(site: Lab) -> Iterator[list[Any]]:
    """What reaches the servers."""
    running = [site.capture(host) for host in ("web1", "web2")]
    yield running
    for one in running:
        one.stop()


def at_servers(lab: Lab, captures: list[Any], port: int) -> bytes:
    """Everything that the servers got of a client's connection."""
    return b"".join(received(one.stop(), lab, port) for one in captures)


def attacked(
    lab: Lab, captures: list[Any], port: int, before: tuple[str, ...], attack: str, sid: int
) -> None:
    attacker, neighbour = fresh_address(lab), fresh_address(lab)
    with Dialogue(lab, port, attacker, timeout=0.5) as client, Dialogue(lab, port, neighbour) as other:
        assert client.served_by.startswith("web")
        for line in before:
            assert client.ask(line)[0] in "23"
        with pytest.raises(TimeoutError):
            client.ask(attack)
        found = eventually(lambda: diversions(lab, attacker))
        assert found[0]["securedirect"]["sid"] == sid
        assert not found[0]["securedirect"]["adopted"]
        assert found[0]["service"] == {MAIL: "mail", FTP: "ftp"}[port]
        assert eventually(lambda: attacker in marked(lab)), (
            "the client has answered the question for its proof"
        )
        with Dialogue(lab, port, attacker) as again:
            assert again.served_by == "honeypot1"
            assert again.ask("NOOP"), "it answers"
        with Client(lab, attacker) as web:
            assert web.ask(request("/")).served_by == "honeypot1", "of every service"
        assert other.ask("NOOP")[0] == "2" or port == FTP
        source_port = client.port
    with Dialogue(lab, port, neighbour) as other:
        assert other.served_by.startswith("web")
    seen = at_servers(lab, captures, source_port)
    assert seen.startswith("".join(f"{line}\r\n" for line in before).encode())
    assert attack.encode() not in seen
    if len(attack) < 100:
        assert seen == "".join(f"{line}\r\n" for line in before).encode()


def marked(lab: Lab) -> set[str]:
    return {entry["address"] for entry in ask(lab.socket, "attackers.list")["attackers"]}


def test_a_letter_is_delivered(site: Lab) -> None:
    with Dialogue(site, MAIL, fresh_address(site)) as client:
        assert client.served_by.startswith("web")
        for line in ("EHLO client", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>", "DATA"):
            assert client.ask(line)[0] in "23", line
        assert (
            client.ask("Subject: x\r\n\r\nWe EXPNd and rooted it.\r\n" + "long line " * 300 + "\r\n.")[0]
            == "2"
        )
        assert client.ask("QUIT").startswith("221")


def test_a_file_transfer_control_session(site: Lab) -> None:
    with Dialogue(site, FTP, fresh_address(site)) as client:
        assert client.served_by.startswith("web")
        answers = [
            client.ask(line)[:3] for line in (*LOGIN, "PWD", "CWD /", "SIZE readme.txt", "SYST", "QUIT")
        ]
        assert answers == ["331", "230", "257", "250", "213", "215", "221"]


def test_the_web_site_is_as_ever(site: Lab) -> None:
    with Client(site, fresh_address(site)) as client:
        assert client.ask(request("/")).served_by.startswith("web")
        assert client.ask(ATTACK).served_by == "honeypot1"


@pytest.mark.parametrize("case", ATTACKS, ids=lambda case: str(case[3]))
def test_an_attack_ends_before_a_server_sees_it(site: Lab, captures: list[Any], case: Any) -> None:
    attacked(site, captures, *case)


def test_an_attack_in_many_segments(site: Lab, captures: list[Any]) -> None:
    source = fresh_address(site)
    with Dialogue(site, MAIL, source, timeout=0.5) as client:
        client.ask("HELO client")
        for byte in "EXPN root\r\n":
            client.send(byte)
        with pytest.raises(TimeoutError):
            client.read()
        assert eventually(lambda: diversions(site, source))
        seen = at_servers(site, captures, client.port)
    assert b"EXPN roo" in seen and b"EXPN root" not in seen


def test_sessions_outlive_inspector_and_supervisor(site: Lab) -> None:
    source = fresh_address(site)
    with Dialogue(site, MAIL, source) as mail, Dialogue(site, FTP, source) as ftp:
        assert mail.ask("HELO client")[0] == "2" and ftp.ask(LOGIN[0])[0] == "3"
        old = inspector(site)
        assert old is not None
        os.kill(old, signal.SIGKILL)
        assert mail.ask("NOOP")[0] == "2" and ftp.ask(LOGIN[1])[0] == "2"
        os.kill(site.pid("director", "director"), signal.SIGKILL)
        assert mail.ask("NOOP")[0] == "2"
        site.start_director()
        assert status(site)["taken_over"]
        assert mail.ask("MAIL FROM:<a@b.test>")[0] == "2" and ftp.ask("PWD")[0] == "2"
        mail.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            mail.ask("EXPN root")


def test_a_reload_is_of_all_services_or_of_none(site: Lab, rules: Path) -> None:
    old = rules.read_text()
    more = old.replace("vrfy decode", "vrfy games").replace("~root", "~toor")
    try:
        with Dialogue(site, MAIL, fresh_address(site), timeout=0.5) as mail:
            assert mail.ask("HELO client")[0] == "2"
            rules.write_text(more + 'alert tcp any any -> any 21 (msg:"x"; content:"y;)\n')
            with pytest.raises(AnswerError):
                ask(site.socket, "reload", seconds=60)
            assert mail.ask("VRFY games"), "the server answers: the old rules stay"
            rules.write_text(more)
            answer = ask(site.socket, "reload", seconds=60)
            assert answer["needs_restart"] == []
            with Dialogue(site, FTP, fresh_address(site)) as ftp:
                for line in LOGIN:
                    ftp.ask(line)
                assert ftp.ask("CWD ~root")[:3] == "550", "no rule any more"
            with pytest.raises(TimeoutError):
                mail.ask("VRFY games")
    finally:
        rules.write_text(old)
        ask(site.socket, "reload", seconds=60)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="Snort's rule files are not beside this checkout")
def test_the_published_rules(make_lab: Any) -> None:
    lab = make_lab(
        dialogues=True,
        rules=[PUBLISHED / "smtp.rules", PUBLISHED / "ftp.rules"],
        assignments=[
            f'rules.actions."classtype:{name}"=divert'
            for name in ("attempted-recon", "attempted-admin", "bad-unknown")
        ],
    )
    loaded = {service["name"]: service["rules"]["loaded"] for service in status(lab)["services"]}
    assert loaded["mail"] >= 23 and loaded["ftp"] >= 49 and loaded["http"] == 0
    for case in SNORT:
        attacked(lab, [lab.capture(host) for host in ("web1", "web2")], *case)
