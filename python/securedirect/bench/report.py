# SPDX-License-Identifier: Apache-2.0
"""The benchmark's outcome as text (a Markdown table that can be read as it is) and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from securedirect.bench.load import CONNECTIONS, THREADS
from securedirect.bench.results import Result, Verdict
from securedirect.bench.variants import VARIANTS

QUIET = 0.1
"""Share of the machine that others may use before the figures are called disturbed."""


@dataclass(frozen=True)
class Outcome:
    """All that is reported. ``rules``: what the inspected rows ran with. ``warnings``: what to know before
    one believes the figures. ``background``: busy share of the machine between the rounds, 0 to 1."""

    results: Sequence[Result]
    verdicts: Sequence[Verdict]
    xdp_ns: Mapping[str, float]
    rounds: int
    seconds: int
    page_bytes: int
    background: float
    rules: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    when: datetime = field(default_factory=lambda: datetime.now(UTC))

    def document(self) -> dict[str, Any]:
        """build/bench.json."""
        return {
            "rows": [result.document() for result in self.results],
            "xdp_ns": {path: round(ns, 1) for path, ns in self.xdp_ns.items()},
            "verdicts": [verdict.document() for verdict in self.verdicts],
            "machine": dict(self.machine),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "load": {
                "program": "wrk",
                "threads": THREADS,
                "connections": CONNECTIONS,
                "page_bytes": self.page_bytes,
            },
            "rules": dict(self.rules),
            "background": round(self.background, 3),
            "warnings": list(self.warnings),
            "measured": self.when.isoformat(timespec="seconds"),
        }

    def text(self) -> str:
        """build/bench.md."""
        parts = ["# SecureDirect beside its peers", "", self._about(), ""]
        parts += [f"**Note:** {warning}" + "\n" for warning in self.warnings]
        parts += _table(
            (
                "row",
                "requests/s",
                "x uninspected",
                "x direct",
                "p50 µs",
                "p99 µs",
                "CPU µs/req.",
                "above direct",
                "least..most requests/s",
            ),
            [_line(result) for result in self.results],
        )
        if self.verdicts:
            parts += ["", "## The bar", ""]
            parts += _table(("", "bar", "measured", ""), [_judged(verdict) for verdict in self.verdicts])
        if self.xdp_ns:
            parts += ["", "## The XDP program, ns a packet (BPF_PROG_TEST_RUN)", ""]
            parts += _table(("path", "ns"), [(path, f"{ns:.0f}") for path, ns in self.xdp_ns.items()])
        names = {name for result in self.results for name in VARIANTS if result.name.startswith(name)}
        parts += ["", "## The rows", ""]
        parts += [
            f"- `{name}`: {text}" + (f"; here: {self.rules[name]}" if name in self.rules else "")
            for name, text in VARIANTS.items()
            if name in names
        ]
        parts.append("- `...-browser`: the same with the headers that a browser sends")
        return "\n".join(parts) + "\n"

    def _about(self) -> str:
        machine = self.machine
        return (
            f"{self.when:%Y-%m-%d %H:%M} UTC, {machine.get('cpu', '?')}, Linux {machine.get('kernel', '?')}; "
            f"{machine.get('cores', '?')} cores shared by client, router, director and server. "
            f"Medians of {self.rounds} interleaved rounds of {self.seconds} s, "
            f"wrk -t{THREADS} -c{CONNECTIONS}, keep-alive, a page of {self.page_bytes} bytes. "
            f"Between the rounds the machine was {self.background:.0%} busy."
        )


def _line(result: Result) -> tuple[str, ...]:
    if not result.runs:
        return (result.name, "no valid run", *[""] * 7)
    return (
        result.name,
        f"{result.rps:,.0f}",
        _number(result.to_uninspected),
        _number(result.to_direct),
        f"{result.p50_us:,.0f}",
        f"{result.p99_us:,.0f}",
        f"{result.cpu_us:.1f}",
        "" if result.added_us is None else f"{result.added_us:+.1f}",
        f"{result.rps_least:,.0f}..{result.rps_most:,.0f}",
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def _judged(verdict: Verdict) -> tuple[str, ...]:
    digits = 2 if verdict.unit == "times" else 1
    bar = f"{'at most' if verdict.at_most else 'at least'} {verdict.bar:g} {verdict.unit}"
    reached = "pass" if verdict.reached else "FALLS SHORT"
    return verdict.what, bar, f"{verdict.measured:.{digits}f}", reached


def _table(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> list[str]:
    """A Markdown table with its columns aligned: the first to the left, the others to the right."""
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]

    def row(cells: tuple[str, ...]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "-" * (widths[0] + 2) + "|" + "|".join("-" * (width + 1) + ":" for width in widths[1:]) + "|"
    return [row(head), rule, *(row(line) for line in lines)]


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {"kernel": platform.release(), "cpu": _cpu_model(), "cores": os.cpu_count() or 0}


def _cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    for line in cpuinfo.read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
