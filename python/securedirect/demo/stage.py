# SPDX-License-Identifier: Apache-2.0
"""What every scene has at hand: the lab, the report, captures, and the commands that a user would type."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securedirect.demo.report import Report
from securedirect.lab import Capture, Lab
from securedirect.lab.traffic import Answer, Client, packets, request

PROGRAM = (sys.executable, "-m", "securedirect")


@dataclass(frozen=True)
class Stage:
    """Where a scene plays."""

    lab: Lab
    report: Report

    @property
    def web_servers(self) -> list[str]:
        return [host.name for host in self.lab.hosts.values() if host.role == "server"]

    @contextlib.contextmanager
    def captures(self, *hosts: str) -> Iterator[dict[str, Capture]]:
        """Captures of the service's traffic on these hosts, by name; those not stopped are thrown away."""
        running: dict[str, Capture] = {}
        try:
            for host in hosts:
                running[host] = self.lab.capture(host, filter=f"tcp port {self.lab.port}")
            yield running
        finally:
            for capture in running.values():
                capture.abandon()

    def command(self, *words: str) -> str:
        """Run ``securedirect WORDS`` and return what it printed; CalledProcessError unless it exits 0."""
        done = subprocess.run([*PROGRAM, *words], check=True, capture_output=True, text=True, timeout=30)
        return done.stdout

    def served_by(self, source: str, path: str = "/") -> str:
        """Who answers a harmless request on a new connection of ``source``."""
        with Client(self.lab, source) as client:
            return client.ask(request(path)).served_by

    def ask_and_tell(self, client: Client, number: int, label: str, data: bytes) -> Answer:
        """Send a request, print who answered and how fast."""
        began = time.monotonic()
        answer = client.ask(data)
        milliseconds = (time.monotonic() - began) * 1000
        shown = label if len(label) <= 48 else label[:45] + "..."
        self.report.say(
            f"request {number}  {shown:<48}  {answer.status}  {answer.served_by:<10} {milliseconds:7.1f} ms"
        )
        return answer


def resets_towards(path: Path, address: str) -> int:
    """Resets in a capture that were meant for this address."""
    return sum(1 for packet in packets(path) if packet.reset and packet.destination == address)


def moment(stamp: str) -> float:
    """The time stamp of an event in seconds of the epoch."""
    return datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
