# SPDX-License-Identifier: Apache-2.0
"""Rules change under a running director: nothing is lost, and what is held is judged by the new ones."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from securedirect.api.client import AnswerError, ask
from securedirect.errors import EXIT_CONFIG
from securedirect.lab import Lab
from securedirect.lab.traffic import (
    ATTACK,
    Client,
    diversions,
    events,
    eventually,
    fresh_address,
    inspector,
    request,
    status,
)

pytestmark = pytest.mark.root

RULE = (
    'alert tcp $EXTERNAL_NET any -> $HTTP_SERVERS $HTTP_PORTS (msg:"{name}"; flow:to_server,established; '
    'uricontent:"{path}"; pcre:"/{name}(?!never)/U"; classtype:web-application-attack; sid:{sid}; rev:1;)\n'
)
FIRST = RULE.format(name="phf", path="/cgi-bin/phf", sid=1000001)
SECOND = RULE.format(name="contact", path="/contact.html", sid=1000002)
MANY = "".join(RULE.format(name=f"x{n}", path=f"/none/x{n}", sid=2000000 + n) for n in range(1000))


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "site.rules"
    path.write_text(FIRST)
    return path


@pytest.fixture(scope="module")
def site(make_lab: Any, rules: Path) -> Lab:
    lab: Lab = make_lab(rules=[rules])
    return lab


@pytest.fixture(autouse=True)
def first_rules(site: Lab, rules: Path) -> None:
    rules.write_text(FIRST)
    reload(site)


def reload(lab: Lab) -> dict[str, Any]:
    answer: dict[str, Any] = ask(lab.socket, "reload", seconds=120)
    return answer


def served_by(lab: Lab, data: bytes) -> str:
    with Client(lab, fresh_address(lab)) as client:
        return client.ask(data).served_by


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_no_request_is_lost_under_load_and_memory_returns(site: Lab, rules: Path) -> None:
    pid = inspector(site)
    assert pid is not None
    before = status(site)
    load = site.popen(
        "client1", ["wrk", "-t1", "-c8", "-d12s", f"http://{site.vip}/index.html"], stdout=-1, text=True
    )
    sizes = []
    while load.poll() is None and len(sizes) < 6:
        for text in (MANY + FIRST, FIRST):
            rules.write_text(text)
            reload(site)
        time.sleep(0.6)  # an idle queue lets go of the old rules at its next look
        sizes.append(resident(pid))
    output, _ = load.communicate(timeout=40)
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    assert int(re.search(r"(\d+) requests in", output)[1]) > 0  # type: ignore[index]
    after = status(site)
    assert inspector(site) == pid and after["inspector"]["restarts"] == before["inspector"]["restarts"]
    assert after["rules"]["generation"] == before["rules"]["generation"] + 2 * len(sizes)
    assert len(sizes) >= 3
    # A queue may have let go of the last rules (7 MB) after free memory went back; all of them would be 70.
    assert sizes[-1] < sizes[0] + 16 * 2**20, sizes


PUBLISHED = Path(__file__).resolve().parents[2].parent / "shared" / "rules" / "et-open-2024-04"


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published rules are not beside this checkout")
def test_a_large_set_is_reloaded_under_load(
    make_lab: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of ET: no request fails, memory comes to rest. How long it took is shown: that is the machine's."""
    files = []
    for file in sorted(PUBLISHED.glob("*.rules")):
        files.append(tmp_path / file.name)
        shutil.copyfile(file, files[-1])
    site = make_lab(rules=files)
    supervisor, pid = status(site)["pids"]["supervisor"], inspector(site)
    assert pid is not None
    load = site.popen(
        "client1", ["wrk", "-t1", "-c8", "-d60s", f"http://{site.vip}/index.html"], stdout=-1, text=True
    )
    sizes, told = [], []
    sids = itertools.count(3_900_000_000)
    for changed in (files, files[:1], files[:1], [], files):
        for sid, file in zip(sids, changed, strict=False):
            new = RULE.format(name=f"x{sid}", path=f"/none/x{sid}", sid=sid)
            file.write_bytes(new.encode() + file.read_bytes())
        answer = reload(site)
        taken = f"{answer['ms']} ms, {answer['compile_ms']} of them the inspector's"
        told.append(f"{len(changed)} of {len(files)} files changed: {taken}")
        time.sleep(0.6)
        sizes.append((resident(supervisor), resident(pid)))
    assert load.poll() is None, "no request came during the last reload"
    load.send_signal(signal.SIGINT)
    output, _ = load.communicate(timeout=40)
    with capsys.disabled():
        print("", *told, "resident, supervisor and inspector, MiB:", sep="\n  ")
        print("  ", *(f"{one >> 20}+{other >> 20}" for one, other in sizes))
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    assert inspector(site) == pid
    for process in (0, 1):
        assert sizes[-1][process] < 1.15 * sizes[1][process], sizes


def test_a_held_request_is_judged_by_the_new_rules(site: Lab, rules: Path) -> None:
    wanted = request("/contact.html")
    assert served_by(site, wanted).startswith("web")
    source = fresh_address(site)
    with Client(site, source) as client:
        assert client.ask(wanted).served_by.startswith("web")
        client.send(wanted[:30])
        rules.write_text(FIRST + SECOND)
        assert reload(site)["rules"] == 2
        client.send(wanted[30:])
        assert client.read().served_by == "honeypot1"
    found = eventually(lambda: diversions(site, source))
    assert found[0]["securedirect"]["sid"] == 1000002


GUARDED = """
alert tcp any 6000:6005 -> any any (msg:"X11"; flow:established; sid:1000227;)
alert tcp any any -> any any (msg:"IRC"; content:"NICK "; flowbits:set,irc; flowbits:noalert; sid:1000228;)
alert tcp any any -> any any (msg:"after IRC"; flowbits:isset,irc; sid:1000229;)
"""
"""Without a content: a client's port, and a bit that another rule sets."""


def test_rules_without_a_content_come_and_go_while_requests_are_cleared(site: Lab, rules: Path) -> None:
    def told(source: str, sid: int) -> int:
        alerts = [e for e in events(site, "alert") if e["src_ip"] == source]
        return sum(e["alert"]["signature_id"] == sid for e in alerts)

    def is_cleared(client: Client, data: bytes = request("/")) -> bool:
        """Whether the kernel cleared it."""
        before = status(site)["counters"]["cleared"]
        assert client.ask(data).served_by.startswith("web")
        return bool(status(site)["counters"]["cleared"] > before)

    rules.write_text(FIRST + GUARDED)
    reload(site)
    listed, other = fresh_address(site), fresh_address(site)
    with Client(site, listed, port=6003) as mine, Client(site, other, port=6006) as theirs:
        assert not is_cleared(mine) and eventually(lambda: is_cleared(theirs))
        assert eventually(lambda: told(listed, 1000227) == 1)
        shown = status(site)["clearing"]
        assert 1000227 in {one["sid"] for one in shown["rules"]} and shown["travelled"]["header"]["count"]
        rules.write_text(FIRST)
        reload(site)
        assert eventually(lambda: is_cleared(mine)) and is_cleared(mine)
        rules.write_text(FIRST + GUARDED)
        reload(site)
        assert not is_cleared(mine)
        assert eventually(lambda: told(listed, 1000227) == 2)
    assert told(other, 1000227) == 0
    with Client(site, other) as client:
        assert eventually(lambda: is_cleared(client))
        assert not is_cleared(client, request("/", headers="X: NICK a\r\n"))
        assert eventually(lambda: told(other, 1000229) == 1)
        assert not is_cleared(client) and not is_cleared(client), (
            "a connection with the bit stays with the inspector"
        )
        assert eventually(lambda: told(other, 1000229) == 3)
    with Client(site, other) as client:
        assert eventually(lambda: is_cleared(client))


def test_rules_that_are_wrong_change_nothing(site: Lab, rules: Path) -> None:
    generation = status(site)["rules"]["generation"]
    rules.write_text(SECOND + 'alert tcp any any -> any 80 (msg:"x"; content:"y;)\n')
    with pytest.raises(AnswerError) as refused:
        reload(site)
    assert refused.value.exit_code == EXIT_CONFIG
    assert "site.rules:2" in refused.value.message
    assert status(site)["rules"]["generation"] == generation
    assert served_by(site, ATTACK) == "honeypot1"
    assert served_by(site, request("/contact.html")).startswith("web")
    told = [e["securedirect"] for e in events(site, "securedirect")]
    last = [one for one in told if one["event"] == "reload_refused"][-1]
    assert "site.rules:2" in last["message"] and last["by"] == "operator"


def test_sighup_reloads_and_a_restarted_inspector_has_the_new_rules(site: Lab, rules: Path) -> None:
    generation = status(site)["rules"]["generation"]
    rules.write_text(SECOND)
    os.kill(status(site)["pids"]["supervisor"], signal.SIGHUP)
    assert eventually(lambda: status(site)["rules"]["generation"] == generation + 1)
    assert served_by(site, ATTACK).startswith("web")
    assert served_by(site, request("/contact.html")) == "honeypot1"
    old = inspector(site)
    assert old is not None
    os.kill(old, signal.SIGKILL)
    assert eventually(lambda: inspector(site) not in (None, old))
    assert served_by(site, request("/contact.html")) == "honeypot1"
    rules.write_text(FIRST)
    assert eventually(lambda: _reloads(site)), "the new inspector takes rules, too"
    assert served_by(site, ATTACK) == "honeypot1"


def _reloads(lab: Lab) -> bool:
    try:
        return bool(reload(lab))
    except AnswerError:
        return False
