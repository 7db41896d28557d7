# SPDX-License-Identifier: Apache-2.0
"""A director in memory, and surroundings without a network: what the supervisor needs none of root for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from securedirect.backends.health import CheckError, Healthy, TcpProfile
from securedirect.config import Config
from securedirect.daemon.host import Interface
from securedirect.daemon.instance import INSPECTOR_MODULE
from securedirect.daemon.supervisor import Surroundings

MAC = bytes.fromhex("020000000001")


class FakeDirector:
    """Does what ``_core.Director`` says it does, with dictionaries. ``log``: the names of the calls in
    order."""

    fail_at = ""
    clears = True
    instances: list[FakeDirector] = []  # noqa: RUF012 - cleared by the fixture

    def __init__(self, interface: str, *, pin_dir: str, **options: Any) -> None:
        self.interface = interface
        self.pins = Path(pin_dir)
        self.options = options
        self.log: list[str] = []
        self.backends: dict[int, dict[str, Any]] = {}
        self.schedules: dict[int, tuple[list[int], list[int]]] = {}
        self.settings: dict[str, Any] = {}
        self.listed: list[tuple[str, int, int, int]] = []
        self.marks: dict[str, dict[str, Any]] = {}
        self.attached = False
        self._note("load")
        self.pins.mkdir(parents=True, exist_ok=True)
        (self.pins / "flows").touch()
        FakeDirector.instances.append(self)

    def _note(self, call: str) -> None:
        self.log.append(call)
        if self.fail_at == call:
            raise OSError(1, f"no {call} today")

    def configure(self, **settings: Any) -> None:
        self._note("configure")
        self.settings = settings

    def set_listed(self, networks: list[tuple[str, int, int, int]]) -> None:
        self._note("set_listed")
        self.listed = networks

    def set_backend(self, index: int, **facts: Any) -> None:
        self.log.append("set_backend")
        self.backends[index] = facts

    def set_schedule(self, service: int, servers: list[int], honeypots: list[int]) -> None:
        self.log.append("set_schedule")
        self.schedules[service] = (servers, honeypots)

    @property
    def schedule(self) -> tuple[list[int], list[int]]:
        return self.schedules.get(0, ([], []))

    def attach(self) -> str:
        self._note("attach")
        self.attached = True
        return "native"

    def detach(self) -> None:
        self.log.append("detach")
        self.attached = False
        for pin in self.pins.glob("*"):
            pin.unlink()
        if self.pins.is_dir():
            self.pins.rmdir()

    def counters(self) -> dict[str, int]:
        return {"requests_inspected": 7, "new_flows": 3, "drop_no_flow": 2, "drop_malformed": 0}

    def travelled(self) -> tuple[int, list[tuple[int, str, int, int]]]:
        return 4, [(0, "a content of rules", 0, 1), (0, "a content of rules", 1070, 1)]

    def attackers(self) -> list[dict[str, Any]]:
        return [{"address": address, **mark} for address, mark in self.marks.items()]

    def attacker_add(self, address: str, *, expiry: float, sid: int = 0) -> None:
        self.marks[address] = {"since": 0.0, "expires": expiry, "sid": sid, "connections": 0}

    def attacker_remove(self, address: str) -> bool:
        return self.marks.pop(address, None) is not None

    def inspector_fds(self) -> dict[str, int]:
        return {"flows": 0} | ({"automata": 0} if self.clears else {})


class FakeNeighbours:
    """Everybody answers ARP at once."""

    def __init__(
        self, interface: str, addresses: Iterable[str], learned: Callable[[str, bytes], None]
    ) -> None:
        self.addresses = list(addresses)
        self.learned = learned

    async def open(self) -> None:
        for number, address in enumerate(self.addresses):
            self.learned(address, bytes([2, 0, 0, 0, 1, number]))

    async def resolve(self, seconds: float) -> list[str]:
        return []

    async def close(self) -> None:
        pass


class FakeProber:
    """Machines in ``dead`` fail their checks, and so do (machine, port)s in ``closed``."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.closed: set[tuple[str, int]] = set()
        self.profiles: dict[str, TcpProfile] = {}

    async def __call__(self, address: str, port: int) -> Healthy:
        if address in self.dead:
            raise CheckError("no answer to ping within 1 s")
        if (address, port) in self.closed:
            raise CheckError(f"nothing listens on TCP port {port}")
        return Healthy(0.001, self.profiles.get(address, TcpProfile(10, True, True, 1460)))


INSPECTOR = (
    "import json, os, socket, sys, time; fds = json.loads(sys.argv[-1]);"
    "said = {'event_type': 'securedirect', 'securedirect': {'event': 'inspector_started'}};"
    "os.write(fds['events'], json.dumps(said).encode() + b'\\n')\n"
    "control = socket.socket(fileno=fds['control'])\n"
    "while length := control.recv(8, socket.MSG_WAITALL):\n"
    "    rules = control.recv(int.from_bytes(length, 'little'), socket.MSG_WAITALL)\n"
    "    answer = {'ok': b'refuse-me' not in rules, 'error': 'no', 'rules': 1, 'left_out': 0, 'ms': 1}\n"
    "    control.sendall(json.dumps(answer).encode() + b'\\n')\n"
    "time.sleep(60)"
)


def surroundings(folder: Path, prober: FakeProber) -> Surroundings:
    """A host on which all is well. Pins are files below ``folder``."""

    def check(config: Config) -> Interface:
        return Interface(config.director.interface, MAC, IPv4Interface("192.0.2.2/24"))

    return Surroundings(
        FakeDirector,
        check=check,
        ensure_bpffs=lambda: None,
        pin_dir=lambda interface: folder / "pins" / interface,
        neighbours=FakeNeighbours,
        prober=lambda config: prober,
        inspector_command=(sys.executable, "-c", INSPECTOR, INSPECTOR_MODULE),
    )
