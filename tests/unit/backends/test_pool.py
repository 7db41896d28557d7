# SPDX-License-Identifier: Apache-2.0
"""The pool writes what it knows, keeps indexes, and never mixes servers with honeypots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from securedirect.backends.health import Healthy, TcpProfile
from securedirect.backends.pool import Backend, Pool, assign_indexes
from securedirect.config import Config
from securedirect.errors import HostError
from securedirect.events.eve import EveLog

MACS = {"192.0.2.11": b"\2\0\0\0\0\1", "192.0.2.12": b"\2\0\0\0\0\2", "192.0.2.21": b"\2\0\0\0\0\3"}


class Table:
    def __init__(self) -> None:
        self.backends: dict[int, dict[str, Any]] = {}
        self.schedules: list[tuple[list[int], list[int]]] = []
        self.of_service: dict[int, tuple[list[int], list[int]]] = {}

    def set_backend(self, index: int, **facts: Any) -> None:
        self.backends[index] = facts

    def set_schedule(self, service: int, servers: list[int], honeypots: list[int]) -> None:
        self.schedules.append((servers, honeypots))
        self.of_service[service] = (servers, honeypots)


def config(**more: Any) -> Config:
    machines = [{"name": f"web{n}", "address": f"192.0.2.1{n}"} for n in (1, 2)]
    return Config.model_validate(
        {
            "director": {"interface": "eth0", "vip": "192.0.2.100"},
            "server": machines,
            "honeypot": [{"name": "honeypot1", "address": "192.0.2.21"}],
            **more,
        }
    )


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def pool(table: Table, tmp_path: Path) -> Pool:
    made = Pool(table, config(), EveLog(tmp_path / "eve.json"), tmp_path)
    made.open(taken_over=False)
    return made


def alive(pool: Pool, backend: Backend, profile: TcpProfile | None = None) -> None:
    for service, offer in backend.offers.items():
        pool.health(backend, service, True, not offer.healthy, "", Healthy(0.001, profile))


def all_alive(pool: Pool) -> None:
    for address, mac in MACS.items():
        pool.resolved(address, mac)
    for backend in pool.backends:
        alive(pool, backend, TcpProfile(7, True, True, 1460))


def test_nothing_is_written_before_everybody_was_looked_at(pool: Pool, table: Table) -> None:
    all_alive(pool)
    assert table.backends == {} and table.schedules == []
    pool.activate()
    assert table.schedules == [([0, 1], [2])]
    assert {index: facts["mac"] for index, facts in table.backends.items()} == {
        0: MACS["192.0.2.11"],
        1: MACS["192.0.2.12"],
        2: MACS["192.0.2.21"],
    }
    assert [facts["adopt"] for facts in table.backends.values()] == [False, False, True]


def test_a_machine_without_a_mac_is_not_up(pool: Pool, table: Table) -> None:
    for backend in pool.backends:
        alive(pool, backend)
    pool.activate()
    assert table.schedules == [([], [])]
    assert pool.backends[0].shown()["reason"] == "its MAC address is not known yet"
    pool.resolved("192.0.2.11", MACS["192.0.2.11"])
    assert table.schedules[-1] == ([0], [])


def test_a_moved_machine_is_written_at_once_without_a_new_schedule(pool: Pool, table: Table) -> None:
    all_alive(pool)
    pool.activate()
    pool.resolved("192.0.2.12", b"\2\0\0\0\0\x99")
    assert table.backends[1]["mac"] == b"\2\0\0\0\0\x99"
    assert len(table.schedules) == 1


def test_a_changed_offer_is_written(pool: Pool, table: Table) -> None:
    all_alive(pool)
    pool.activate()
    alive(pool, pool.backends[0], TcpProfile(10, False, True, 1400))
    facts = table.backends[0]
    assert (facts["wscale"], facts["sack"], facts["timestamps"], facts["mss"]) == (10, False, True, 1400)
    assert len(table.schedules) == 1


def test_a_server_with_the_honeypots_down_changes_nothing_for_honeypots(pool: Pool, table: Table) -> None:
    all_alive(pool)
    pool.activate()
    pool.health(pool.backends[2], 0, False, True, "silent", None)
    assert table.schedules[-1] == ([0, 1], [])
    assert table.backends[2]["up"] is False
    pool.health(pool.backends[0], 0, False, True, "silent", None)
    assert table.schedules[-1] == ([1], [])
    lines = [json.loads(line)["securedirect"] for line in pool.events.path.read_text().splitlines()]
    assert lines[-2:] == [
        {
            "event": "honeypot_down",
            "name": "honeypot1",
            "address": "192.0.2.21",
            "service": "http",
            "reason": "silent",
        },
        {
            "event": "server_down",
            "name": "web1",
            "address": "192.0.2.11",
            "service": "http",
            "reason": "silent",
        },
    ]


def test_classic_handoff_adopts_nothing(table: Table, tmp_path: Path) -> None:
    pool = Pool(table, config(handoff={"method": "classic"}), EveLog(tmp_path / "eve.json"), tmp_path)
    pool.open(taken_over=False)
    all_alive(pool)
    pool.activate()
    assert table.backends[2]["adopt"] is False


def test_indexes_are_kept_and_not_given_to_others() -> None:
    first = assign_indexes([("server", "a"), ("honeypot", "b")], {})
    assert first == {"server a": 0, "honeypot b": 1}
    assert assign_indexes([("server", "c"), ("honeypot", "b")], first) == {"server c": 2, "honeypot b": 1}
    # A server that became a honeypot is another machine for the kernel's tables.
    assert assign_indexes([("honeypot", "a")], first) == {"honeypot a": 2}
    with pytest.raises(HostError, match="too many"):
        assign_indexes([("server", "new")], {f"server {n}": n for n in range(256)})


def test_removed_machines_stay_removed_over_two_takeovers(table: Table, tmp_path: Path) -> None:
    eve = EveLog(tmp_path / "eve.json")
    (tmp_path / "backends.json").write_text(json.dumps({"server 192.0.2.99": 0, "server 192.0.2.11": 1}))
    for _ in range(2):
        pool = Pool(table, config(), eve, tmp_path)
        pool.open(taken_over=True)
        assert [backend.index for backend in pool.backends] == [1, 2, 3]
        pool.activate()
        assert table.backends[0]["mac"] is None
    pool.open(taken_over=False)
    assert [backend.index for backend in pool.backends] == [0, 1, 2]
    pool.close()
    assert not (tmp_path / "backends.json").exists()


def test_each_service_has_its_machines(table: Table, tmp_path: Path) -> None:
    services = [{"name": "web", "port": 80, "servers": ["web1", "web2"]}]
    services += [{"name": "mail", "port": 25, "protocol": "tcp", "servers": ["web2"], "honeypots": []}]
    made = Pool(table, config(service=services), EveLog(tmp_path / "eve.json"), tmp_path)
    made.open(taken_over=False)
    all_alive(made)
    made.activate()
    assert table.of_service == {0: ([0, 1], [2]), 1: ([1], [])}
    made.health(made.backends[1], 1, False, True, "nothing listens on TCP port 25", None)
    assert table.of_service == {0: ([0, 1], [2]), 1: ([], [])}
    assert made.backends[1].shown()["state"] == "partly"
    assert made.backends[1].shown()["services"]["mail"]["state"] == "down"
    assert table.backends[1]["up"], "its other connections go on"
    assert "no server is up for mail: nobody is served" in made.warnings()
    assert "no honeypot is configured for mail: attackers' traffic is dropped" in made.warnings()
