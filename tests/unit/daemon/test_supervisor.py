# SPDX-License-Identifier: Apache-2.0
"""The supervisor against a director in memory: order, failures, takeover, control socket, shutdown."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import signal
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fake_site import MAC, FakeDirector, FakeProber, surroundings

from securedirect.api.client import AnswerError, ask
from securedirect.backends.health import TcpProfile
from securedirect.cli.status import overview
from securedirect.config import load_config
from securedirect.daemon.instance import INSPECTOR_MODULE, start_time
from securedirect.daemon.supervisor import Supervisor
from securedirect.errors import EXIT_CONFIG, EXIT_FAILURE, ConfigError, HostError

CONFIG = """\
[director]
interface = "sdfake0"
vip = "192.0.2.100"
[inspector]
hold_ms = 120
[health]
interval = 0.05
timeout = 0.05
rise = 2
fall = 3
[[server]]
name = "web1"
address = "192.0.2.11"
[[server]]
name = "web2"
address = "192.0.2.12"
[[honeypot]]
name = "honeypot1"
address = "192.0.2.21"
[attackers]
allow = ["203.0.113.0/24"]
[rules]
files = ["one.rules"]
[events]
eve = "eve.json"
[control]
socket = "control.sock"
state_dir = "state"
"""
RULE = 'alert tcp any any -> any 80 (msg:"X"; content:"/x.cgi"; classtype:web-application-attack; sid:9;)\n'


class Site:
    """A folder with a configuration, and what runs of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prober = FakeProber()
        self.path = folder / "securedirect.toml"
        self.path.write_text(CONFIG)
        (folder / "one.rules").write_text(RULE)
        key = folder / "adopt.key"
        key.write_text("0123456789abcdef" * 2)
        key.chmod(0o600)

    @property
    def director(self) -> FakeDirector:
        return FakeDirector.instances[-1]

    @property
    def socket(self) -> Path:
        return self.folder / "control.sock"

    def events(self) -> list[dict[str, Any]]:
        lines = (self.folder / "eve.json").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def names(self) -> list[str]:
        return [event["securedirect"]["event"] for event in self.events()]

    def supervisor(self) -> Supervisor:
        return Supervisor(load_config(self.path), self.path, surroundings(self.folder, self.prober))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Supervisor]:
        supervisor = self.supervisor()
        task = asyncio.create_task(supervisor.run())
        try:
            await until(lambda: supervisor.state == "serving" or task.done())
            if task.done():
                task.result()
            yield supervisor
        finally:
            supervisor.stop.set()
            with suppress(HostError):
                await task

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(ask, self.socket, command, **arguments)


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is somebody else's state
            await asyncio.sleep(0.01)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    FakeDirector.instances.clear()
    FakeDirector.fail_at = ""
    yield Site(tmp_path)
    FakeDirector.fail_at = ""


def test_a_whole_run(site: Site) -> None:
    async def main() -> None:
        async with site.running() as supervisor:
            director = site.director
            # Nothing is attached before everybody was checked, the tables are filled and the inspector is
            # there.
            assert director.log[0] == "load"
            assert director.log[-1] == "attach"
            assert (
                director.log.index("configure")
                < director.log.index("set_schedule")
                < director.log.index("attach")
            )
            assert director.schedule == ([0, 1], [2])
            assert director.backends[0] == {
                "kind": "server",
                "address": "192.0.2.11",
                "mac": bytes([2, 0, 0, 0, 1, 0]),
                "up": True,
                "adopt": False,
                "wscale": 10,
                "mss": 1460,
                "sack": True,
                "timestamps": True,
            }
            assert director.backends[2]["adopt"]
            assert director.settings == {
                "vip": "192.0.2.100",
                "ports": [80],
                "mac": MAC,
                "flow_timeout": 240.0,
                "closed_timeout": 10.0,
                "inspect": True,
                "attacker_expiry": 86400.0,
                "allow": ["203.0.113.0/24"],
            }
            status = await site.ask("status")
            assert status["state"] == "serving"
            assert status["pids"] == {"supervisor": os.getpid(), "inspector": supervisor.keeper.pid}  # type: ignore[union-attr]
            assert [(one["name"], one["address"], one["state"]) for one in status["servers"]] == [
                ("web1", "192.0.2.11", "up"),
                ("web2", "192.0.2.12", "up"),
            ]
            assert [one["name"] for one in status["honeypots"]] == ["honeypot1"]
            assert status["rules"]["loaded"] == 1
            assert status["counters"]["requests_inspected"] == 7
            assert status["counters"]["connections_diverted"] == 0
            assert status["counters"]["drops"] == {"no_flow": 2, "malformed": 0}
            assert status["warnings"] == []
            assert status["clearing"]["possible"]
            assert status["clearing"]["rules"][0]["sid"] == 1070
            assert stat.S_IMODE(site.socket.stat().st_mode) == 0o600
            inspector = status["pids"]["inspector"]
        assert director.log[-1] == "detach"
        assert start_time(inspector) is None
        assert not site.socket.exists()
        assert not (site.folder / "pins" / "sdfake0").exists()
        assert [file.name for file in (site.folder / "state").iterdir()] == ["attackers.json"]
        names = site.names()
        assert names[-1] == "stopped"
        assert {"server_up", "honeypot_up", "started", "inspector_started"} <= set(names)

    asyncio.run(main())


def test_a_kernel_that_cannot_clear_is_told_of_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(FakeDirector, "clears", False)

    async def main() -> None:
        async with site.running() as supervisor:
            assert not supervisor.status()["clearing"]["possible"]
            assert "this kernel cannot clear" in overview(supervisor.status())
        assert caplog.text.count("this kernel cannot clear") == 1

    asyncio.run(main())


def test_the_inspector_gets_what_it_needs(site: Site) -> None:
    async def main() -> None:
        async with site.running() as supervisor:
            user = pwd.getpwnam("nobody")
            assert supervisor._inspector_config(bytes(16)) == {
                "interface": "sdfake0",
                "vip": "192.0.2.100",
                "services": [{"name": "http", "port": 80, "method": "adopt", "observe": False}],
                "director_mac": MAC.hex(),
                "hold_bytes": 8192,
                "hold_ms": 120,
                "depth": 1048576,
                "adopt_key": "00" * 16,
                "attacker_expiry": 86400.0,
                "without_timestamps": "connection",
                "score_sids": 5,
                "score_window": 600.0,
                "uid": user.pw_uid,
                "gid": user.pw_gid,
                "names": {"0": "web1", "1": "web2", "2": "honeypot1"},
            }

    asyncio.run(main())


def test_sigterm_ends_it(site: Site) -> None:
    async def main() -> None:
        supervisor = site.supervisor()
        task = asyncio.create_task(supervisor.run())
        await until(lambda: supervisor.state == "serving")
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await task
        assert not site.director.attached

    asyncio.run(main())


def test_a_dead_server_leaves_the_pool_and_returns(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            site.prober.dead = {"192.0.2.12"}
            await until(lambda: site.director.schedule == ([0], [2]))
            assert site.director.backends[1]["up"] is False
            status = await site.ask("status")
            assert status["servers"][1]["state"] == "down"
            assert status["servers"][1]["reason"] == "no answer to ping within 1 s"
            site.prober.dead = set()
            await until(lambda: site.director.schedule == ([0, 1], [2]))
        changes = [e["securedirect"] for e in site.events() if e["securedirect"].get("name") == "web2"]
        assert [one["event"] for one in changes] == ["server_up", "server_down", "server_up"]

    asyncio.run(main())


def test_a_dead_honeypot_never_means_production(site: Site) -> None:
    async def main() -> None:
        site.prober.dead = {"192.0.2.21"}
        async with site.running():
            assert site.director.schedule == ([0, 1], [])
            assert (
                "no honeypot is up: attackers' traffic is dropped" in (await site.ask("status"))["warnings"]
            )

    asyncio.run(main())


def test_an_incompatible_honeypot_is_a_warning(site: Site) -> None:
    async def main() -> None:
        site.prober.profiles["192.0.2.21"] = TcpProfile(None, False, True, 1460)
        async with site.running():
            warnings = (await site.ask("status"))["warnings"]
            assert len(warnings) == 2
            assert "honeypot1 does not offer SACK but web1, web2 does" in warnings[0]
            assert "net.ipv4.tcp_window_scaling=1" in warnings[1]
            assert site.director.backends[2]["wscale"] is None

    asyncio.run(main())


@pytest.mark.parametrize("step", ["load", "configure", "attach"])
def test_a_failed_start_leaves_nothing_behind(site: Site, step: str) -> None:
    async def main() -> None:
        FakeDirector.fail_at = step
        with pytest.raises(HostError, match=f"no {step} today") as caught:
            await site.supervisor().run()
        assert caught.value.exit_code == 77  # EPERM
        assert caught.value.hint
        assert not (site.folder / "pins" / "sdfake0").exists()
        assert not site.socket.exists()
        assert not (site.folder / "state" / "inspector.json").exists()
        FakeDirector.fail_at = ""
        async with site.running():
            pass

    asyncio.run(main())


def test_an_inspector_that_does_not_start_ends_the_start(site: Site) -> None:
    async def main() -> None:
        outside = surroundings(site.folder, site.prober)
        object.__setattr__(outside, "inspector_command", ("/bin/false", INSPECTOR_MODULE))
        with pytest.raises(HostError, match="the inspector does not start"):
            await Supervisor(load_config(site.path), site.path, outside).run()
        assert "attach" not in site.director.log
        assert site.director.log[-1] == "detach"

    asyncio.run(main())


def test_a_broken_rule_file_is_found_before_anything_is_touched(site: Site) -> None:
    (site.folder / "one.rules").write_text(RULE + "alert tcp any any -> any 80 (content; sid:1\n")
    with pytest.raises(ConfigError) as caught:
        asyncio.run(site.supervisor().run())
    assert caught.value.line == 2
    assert FakeDirector.instances == []
    assert not site.socket.exists()


def test_a_second_supervisor_is_refused(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            with pytest.raises(HostError, match=f"already runs on sdfake0 .process {os.getpid()}."):
                await site.supervisor().run()
            assert (await site.ask("ping"))["state"] == "serving"
            assert site.director.attached

    asyncio.run(main())


def test_what_a_killed_supervisor_left_is_taken_over(site: Site) -> None:
    async def main() -> None:
        async with site.running() as first:
            # As if killed: what it did to kernel and disk stays.
            first.pool.close = lambda: None  # type: ignore[method-assign]
            site.director.detach = lambda: None  # type: ignore[method-assign]
            state = (site.folder / "state" / "backends.json").read_text()
        assert (site.folder / "pins" / "sdfake0").exists()
        assert json.loads(state) == {"server 192.0.2.11": 0, "server 192.0.2.12": 1, "honeypot 192.0.2.21": 2}
        # web1 was taken out of the configuration meanwhile, another machine came.
        site.path.write_text(
            site.path.read_text().replace("web1", "web3").replace("192.0.2.11", "192.0.2.13")
        )
        async with site.running():
            assert (await site.ask("status"))["taken_over"] is True
            director = site.director
            assert director.schedule == ([3, 1], [2])
            assert director.backends[0]["mac"] is None, "connections of web1 must go nowhere, not to web3"
            assert director.backends[0]["up"] is False

    asyncio.run(main())


def test_a_takeover_that_fails_early_leaves_the_site_as_it_is(site: Site) -> None:
    async def main() -> None:
        pins = site.folder / "pins" / "sdfake0"
        pins.mkdir(parents=True)
        (pins / "flows").touch()
        FakeDirector.fail_at = "configure"
        with pytest.raises(HostError):
            await site.supervisor().run()
        assert "detach" not in site.director.log
        assert (pins / "flows").exists()

    asyncio.run(main())


def test_attackers_over_the_control_socket(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            added = await site.ask("attackers.add", address="198.51.100.7", expiry=60)
            assert added["address"] == "198.51.100.7"
            assert added["by"] == "operator"
            assert site.director.marks["198.51.100.7"]["expires"] == 60
            listed = (await site.ask("attackers.list"))["attackers"]
            assert [one["address"] for one in listed] == ["198.51.100.7"]
            for bad in ("198.51.100.300", "::1", None, 7):
                with pytest.raises(AnswerError, match="not an IPv4 address"):
                    await site.ask("attackers.add", address=bad)
            for bad in (0, -1, "60", True):
                with pytest.raises(AnswerError, match="expiry"):
                    await site.ask("attackers.add", address="198.51.100.8", expiry=bad)
            with pytest.raises(AnswerError, match="allow-list"):
                await site.ask("attackers.add", address="203.0.113.5")
            removed = await site.ask("attackers.remove", address="198.51.100.7")
            assert removed == {"address": "198.51.100.7", "removed": True}
            assert (await site.ask("attackers.remove", address="198.51.100.7"))["removed"] is False
        marks = [e for e in site.events() if "source" in e["securedirect"]["event"]]
        assert [(e["src_ip"], e["securedirect"]["event"]) for e in marks] == [
            ("198.51.100.7", "source_marked"),
            ("198.51.100.7", "source_removed"),
        ]

    asyncio.run(main())


def test_marks_outlive_a_restart(site: Site) -> None:
    async def main() -> None:
        async with site.running():
            site.director.marks["198.51.100.9"] = {
                "since": -5.0,
                "expires": 500.0,
                "sid": 9,
                "connections": 4,
            }
            await until(lambda: "source_marked" in site.names())
        async with site.running():
            assert 490 < site.director.marks["198.51.100.9"]["expires"] <= 500
            assert site.director.marks["198.51.100.9"]["sid"] == 9
            listed = (await site.ask("attackers.list"))["attackers"]
            assert listed[0]["signature"] == "X"
        assert site.names().count("source_marked") == 1, "a restored mark is no news"

    asyncio.run(main())


def test_inspection_off_starts_no_inspector_and_says_so(site: Site) -> None:
    async def main() -> None:
        site.path.write_text(CONFIG.replace("[inspector]", '[inspector]\nmode = "off"'))
        async with site.running():
            assert site.director.settings["inspect"] is False
            status = await site.ask("status")
            assert status["pids"]["inspector"] is None
            assert any("inspection is off" in warning for warning in status["warnings"])

    asyncio.run(main())


def test_rules_are_reloaded_and_refused(site: Site) -> None:
    async def main() -> None:
        async with site.running() as supervisor:
            rules = site.folder / "one.rules"
            rules.write_text(RULE + RULE.replace("x.cgi", "y.cgi").replace("sid:9", "sid:10"))
            site.path.write_text(CONFIG.replace("hold_ms = 120", "hold_ms = 100"))
            answer = await site.ask("reload")
            assert (answer["generation"], answer["rules"]) == (2, 2)
            assert answer["needs_restart"] == ["[inspector]"]
            assert supervisor.config.inspector.hold_ms == 120
            status = await site.ask("status")
            assert (status["rules"]["generation"], status["rules"]["loaded"]) == (2, 2)
            for wrong, said, code in (
                ('alert tcp any any -> any 80 (content:"', "one.rules:1", EXIT_CONFIG),
                (RULE.replace('msg:"X"', 'msg:"refuse-me"'), "refuses", EXIT_FAILURE),
            ):
                rules.write_text(wrong)
                with pytest.raises(AnswerError) as refused:
                    await site.ask("reload")
                assert said in refused.value.message and refused.value.exit_code == code
            assert (await site.ask("status"))["rules"]["loaded"] == 2
            rules.write_text(RULE)
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: supervisor.generation == 3)
            assert [n for n in site.names() if "reload" in n] == [
                "rules_reloaded",
                "reload_refused",
                "reload_refused",
                "rules_reloaded",
            ]

    asyncio.run(main())


def test_a_refused_reload_changes_neither_the_inspector_nor_the_kernels_lists(site: Site) -> None:
    async def main() -> None:
        async with site.running() as supervisor:
            rules = site.folder / "one.rules"
            listing = 'alert tcp 203.0.113.0/24 any -> any 80 (msg:"Listed"; sid:20;)\n'
            rules.write_text(RULE + listing)
            await site.ask("reload")
            before = site.director.listed
            assert [network for network, *_ in before] == ["203.0.113.0/24"]
            # The inspector refuses; then the kernel does, before the inspector is asked.
            rules.write_text(RULE.replace('msg:"X"', 'msg:"refuse-me"'))
            with pytest.raises(AnswerError, match="refuses"):
                await site.ask("reload")
            assert site.director.listed == before
            site.director.fail_at = "set_listed"
            rules.write_text(RULE)
            with pytest.raises(AnswerError, match="lists of addresses"):
                await site.ask("reload")
            assert supervisor.keeper is not None
            assert b"Listed" in os.pread(supervisor.keeper._rules_fd, 1 << 20, 0)

    asyncio.run(main())


def test_observing_is_passed_on_and_warned_about(site: Site) -> None:
    async def main() -> None:
        site.path.write_text(CONFIG.replace("hold_ms = 120", 'mode = "observe"'))
        async with site.running() as supervisor:
            assert site.director.settings["inspect"] is True
            assert (
                supervisor.keeper is not None and supervisor.keeper._config["services"][0]["observe"] is True
            )
            assert any("observes" in warning for warning in (await site.ask("status"))["warnings"])

    asyncio.run(main())
