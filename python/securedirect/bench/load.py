# SPDX-License-Identifier: Apache-2.0
"""One measured run: wrk's load, its figures, and the CPU time that the machine spent meanwhile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

THREADS = 2
CONNECTIONS = 32

_MARK = "SECUREDIRECT "
# wrk's own text rounds to three digits and mixes units. `done` runs once, after the load: it costs the load
# nothing.
SCRIPT = f"""-- Written by `securedirect bench`: wrk's figures as one line of JSON, times in microseconds.
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{_MARK}{{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,' ..
    '"errors":{{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.timeout, e.status))
end
"""


@dataclass(frozen=True)
class Load:
    """What wrk saw. Times in microseconds; ``errors`` by kind, only those that happened."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    errors: dict[str, int]


@dataclass(frozen=True)
class Cpu:
    """CPU time of the whole machine since boot, seconds. Time that the hypervisor took away is in neither."""

    busy: float
    idle: float

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.busy - before.busy, self.idle - before.idle)

    @property
    def share(self) -> float:
        """Busy part of the time, 0 to 1."""
        return self.busy / whole if (whole := self.busy + self.idle) else 0.0


@dataclass(frozen=True)
class Run:
    """One measured run of one row. ``problem``: why it does not count, "" when it does."""

    rps: float
    p50_us: float
    p99_us: float
    cpu_us: float
    busy: float
    problem: str = ""
    held_us: float | None = None
    """What 99 % of the requests were held at most by the inspector."""


def wrk_command(url: str, headers: Sequence[str], seconds: int, script: Path) -> list[str]:
    """How wrk is called; ``script`` is a file that holds ``SCRIPT``."""
    command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script)]
    for header in headers:
        command += ["-H", header]
    return [*command, url]


def parse_wrk(output: str) -> Load:
    """The line that ``SCRIPT`` writes. ValueError when there is none."""
    for line in output.splitlines():
        if line.startswith(_MARK):
            found = json.loads(line.removeprefix(_MARK))
            found["errors"] = {kind: count for kind, count in found["errors"].items() if count}
            return Load(**found)
    raise ValueError(f"wrk did not report: {output.strip() or 'it said nothing'}")


def parse_stat(text: str, ticks: int) -> Cpu:
    """The first line of /proc/stat: user nice system idle iowait irq softirq steal ..., in ticks."""
    user, nice, system, idle, iowait, irq, softirq = (int(field) for field in text.split(maxsplit=8)[1:8])
    return Cpu((user + nice + system + irq + softirq) / ticks, (idle + iowait) / ticks)


def cpu_now() -> Cpu:
    with Path("/proc/stat").open() as file:
        return parse_stat(file.readline(), os.sysconf("SC_CLK_TCK"))


def background(seconds: float = 0.5) -> float:
    """Busy share of the machine while the benchmark does nothing: what others use, 0 to 1."""
    before = cpu_now()
    time.sleep(seconds)
    return cpu_now().since(before).share


def judge(load: Load, cpu: Cpu, *, inspected: int | None, expected: bool) -> Run:
    """Figures of one run from wrk's report and the CPU time used.

    ``inspected``: requests that the inspector judged meanwhile, None where there is no inspector to ask.
    ``expected``: each request has to be among them (else none). A run that measured something else than it
    claims has a problem.
    """
    problem = ""
    if load.errors:
        problem = "errors: " + ", ".join(f"{count} {kind}" for kind, count in load.errors.items())
    elif not load.requests:
        problem = "no request was answered"
    elif expected and (inspected is None or inspected < load.requests):
        problem = f"of {load.requests} requests {inspected or 0} were inspected"
    elif not expected and inspected:
        problem = f"{inspected} requests were inspected"
    return Run(
        rps=load.requests / (load.duration_us / 1e6) if load.duration_us else 0.0,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
        cpu_us=cpu.busy * 1e6 / load.requests if load.requests else 0.0,
        busy=cpu.share,
        problem=problem,
    )
