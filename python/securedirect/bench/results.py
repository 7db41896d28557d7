# SPDX-License-Identifier: Apache-2.0
"""Medians, ratios and verdicts of the runs. Nothing is asked of the machine here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from securedirect.bench.load import Run
from securedirect.bench.variants import (
    BROWSER_SUFFIX,
    DIRECT,
    HAPROXY,
    MODSECURITY,
    RULES_516,
    RULES_ET,
    UNINSPECTED,
    Row,
)


@dataclass(frozen=True)
class Result:
    """One row: medians over its valid runs. The comparisons are None when the other row was not measured.

    ``added_us``: CPU time per request above ``direct``. ``held_us``: what 99 % of the requests were held at
    most. ``rps_least``, ``rps_most``: of the valid runs.
    ``problems``: why runs did not count.
    """

    name: str
    rps: float
    p50_us: float
    p99_us: float
    cpu_us: float
    busy: float
    rps_least: float
    rps_most: float
    runs: int
    to_uninspected: float | None
    to_direct: float | None
    added_us: float | None
    held_us: float | None
    problems: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The row as it stands in the JSON file."""
        return {
            "name": self.name,
            "rps": round(self.rps),
            "p50_us": round(self.p50_us),
            "p99_us": round(self.p99_us),
            "cpu_us": round(self.cpu_us, 1),
            "to_uninspected": _rounded(self.to_uninspected, 4),
            "to_direct": _rounded(self.to_direct, 4),
            "cpu_above_direct_us": _rounded(self.added_us, 1),
            "held_p99_us": _rounded(self.held_us, 1),
            "machine_busy": round(self.busy, 3),
            "rps_least": round(self.rps_least),
            "rps_most": round(self.rps_most),
            "runs": self.runs,
            "invalid": list(self.problems),
        }


@dataclass(frozen=True)
class Verdict:
    """One bar and whether it was reached. ``measured`` in the bar's unit."""

    what: str
    bar: float
    unit: str
    at_most: bool
    measured: float

    @property
    def reached(self) -> bool:
        return self.measured <= self.bar if self.at_most else self.measured >= self.bar

    def document(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "bar": self.bar,
            "unit": self.unit,
            "at_most": self.at_most,
            "measured": round(self.measured, 4),
            "reached": self.reached,
        }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def summarise(runs: Mapping[Row, Sequence[Run]]) -> list[Result]:
    """Medians of the valid runs of each row, in the order given. A row without a valid run has zeros."""
    valid = {row: [run for run in done if not run.problem] for row, done in runs.items()}

    def middle(row: Row, figure: str) -> float | None:
        values = [getattr(run, figure) for run in valid.get(row, ())]
        return median(values) if values else None

    def ratio(row: Row, other: Row) -> float | None:
        mine, theirs = middle(row, "rps"), middle(other, "rps")
        return mine / theirs if mine and theirs else None

    def added(row: Row) -> float | None:
        mine, theirs = middle(row, "cpu_us"), middle(Row(DIRECT, row.browser), "cpu_us")
        return None if mine is None or theirs is None else mine - theirs

    def held(row: Row) -> float | None:
        values = [run.held_us for run in valid.get(row, ()) if run.held_us is not None]
        return median(values) if values else None

    found = []
    for row, done in runs.items():
        rates = [run.rps for run in valid[row]] or [0.0]
        found.append(
            Result(
                name=row.name,
                rps=middle(row, "rps") or 0.0,
                p50_us=middle(row, "p50_us") or 0.0,
                p99_us=middle(row, "p99_us") or 0.0,
                cpu_us=middle(row, "cpu_us") or 0.0,
                busy=middle(row, "busy") or 0.0,
                rps_least=min(rates),
                rps_most=max(rates),
                runs=len(valid[row]),
                to_uninspected=ratio(row, Row(UNINSPECTED, row.browser)),
                to_direct=ratio(row, Row(DIRECT, row.browser)),
                added_us=added(row),
                held_us=held(row),
                problems=tuple(run.problem for run in done if run.problem),
            )
        )
    return found


def verdicts(results: Sequence[Result], xdp_ns: Mapping[str, float]) -> list[Verdict]:
    """The bars that can be judged from what was measured."""
    by_name = {result.name: result for result in results}
    found: list[Verdict] = []

    def add(what: str, bar: float, unit: str, measured: float | None, *, at_most: bool = False) -> None:
        if measured is not None:
            found.append(Verdict(what, bar, unit, at_most, measured))

    def times(mine: Result, other: str) -> float | None:
        theirs = by_name.get(other)
        return mine.rps / theirs.rps if theirs and theirs.rps and mine.rps else None

    for suffix, whose in (("", ""), (BROWSER_SUFFIX, ", a browser's request")):
        mine = by_name.get(RULES_516 + suffix)
        if mine is None:
            continue
        add(f"{RULES_516} to {UNINSPECTED}{whose}", 0.95, "times", mine.to_uninspected)
        if (plain := by_name.get(UNINSPECTED + suffix)) is not None and plain.runs:
            above = mine.cpu_us - plain.cpu_us
            add(f"CPU per request of {RULES_516} above {UNINSPECTED}{whose}", 2, "µs", above, at_most=True)
        add(f"{RULES_516} to {HAPROXY}{whose}", 1.3, "times", times(mine, HAPROXY + suffix))
        add(f"{RULES_516} to {MODSECURITY}{whose}", 50, "times", times(mine, MODSECURITY + suffix))
        add(f"CPU per request of {RULES_516} above {DIRECT}{whose}", 10, "µs", mine.added_us, at_most=True)
    for suffix, whose in (("", ""), (BROWSER_SUFFIX, ", a browser's request")):
        if (mine := by_name.get(RULES_ET + suffix)) is not None:
            add(f"{RULES_ET} to {UNINSPECTED}{whose}", 0.90, "times", mine.to_uninspected)
    for name in (RULES_516, RULES_ET):
        for suffix in ("", BROWSER_SUFFIX):
            if (mine := by_name.get(name + suffix)) is not None:
                add(f"{mine.name}: 99 % of requests held", 1000, "µs", mine.held_us, at_most=True)
    add("XDP, packet of a known connection", 60, "ns", xdp_ns.get("flow_hit"), at_most=True)
    return found
