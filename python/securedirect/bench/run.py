# SPDX-License-Identifier: Apache-2.0
"""The rounds of the benchmark: each variant in turn, round after round, so that what changes on the machine
meanwhile changes all rows alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from securedirect import _core
from securedirect.bench import load, report, results, rulesets
from securedirect.bench.rig import Rig, need_programs
from securedirect.bench.variants import (
    BARE_HEADERS,
    BROWSER_HEADERS,
    MODSECURITY,
    RULES_516,
    RULES_ET,
    Row,
    order,
    plain_request,
    unknown_requests,
)
from securedirect.rules import RuleService, load_rule_files

_SLOW_ROUNDS = 3
"""Of ModSecurity, whose figure is a hundredth of the others' and needs no more."""


SINGLE_RUNS = 2000


@dataclass(frozen=True)
class Options:
    """``rows``: what to measure. ``seconds``: of one measured run. ``rules_dir``: where the published rules
    are."""

    rows: tuple[Row, ...]
    rounds: int
    seconds: int
    rules_dir: Path


def _judge(rules: dict[str, rulesets.RuleSet]) -> dict[str, float]:
    """XDP's nanoseconds for a request that it clears: wrk's own and one with a browser's headers, again and
    again, and browsers' requests in single runs, whose lines it remembers or has never seen."""
    found = rules.get(RULES_516) or rules.get(RULES_ET)
    if found is None:
        return {}
    document = load_rule_files(found.files, service=RuleService(), overrides=found.actions).document
    requests = [plain_request(headers) for headers in (BARE_HEADERS, BROWSER_HEADERS)]
    clearing = _core.Clearing(document)
    times = dict(zip(("judge", "judge_browser"), clearing.measure(requests), strict=False))
    once = {
        "judge_browser_once": requests[1:] * SINGLE_RUNS,
        "judge_browser_cold": unknown_requests(SINGLE_RUNS),
    }
    for name, asked in once.items():
        measured = clearing.measure_once(asked)
        if measured is not None:
            times[name] = measured
    return times


def run(options: Options, progress: Callable[[str], None]) -> report.Outcome:
    """Build the lab, measure, remove the lab. HostError when the machine lacks something."""
    variants = list(dict.fromkeys(row.variant for row in options.rows))
    need_programs(variants)
    rules = {
        name: rulesets.find(name, options.rules_dir) for name in (RULES_516, RULES_ET) if name in variants
    }
    warnings = [f"{name} ran with {found.text}." for name, found in rules.items() if found.substitute]
    for warning in warnings:
        progress(f"NOTE: {warning}")
    runs: dict[Row, list[load.Run]] = {row: [] for row in options.rows}
    others: list[float] = []
    progress("building the lab")
    with Rig(variants, rules) as rig:
        page_bytes = rig.page_bytes()
        for number in range(options.rounds):
            others.append(load.background())
            for variant in order(variants, number):
                if variant == MODSECURITY and number >= _SLOW_ROUNDS:
                    continue
                rig.use(variant)
                for row in options.rows:
                    if row.variant == variant:
                        done = rig.measure(row, options.seconds)
                        runs[row].append(done)
                        progress(_line(number, options.rounds, row, done))
        loaded = rig.loaded
    progress("measuring the XDP program")
    xdp_ns = _core.measure_xdp() | _judge(rules)
    background = median(others)
    if background > report.QUIET:
        warnings.append(
            f"other programs used {background:.0%} of this machine: the figures, CPU time most of all, are "
            "disturbed. Repeat when it is quiet."
        )
    summary = results.summarise(runs)
    for result in summary:
        if result.problems:
            warnings.append(
                f"{len(result.problems)} runs of {result.name} do not count: {result.problems[0]}."
            )
    return report.Outcome(
        results=summary,
        verdicts=results.verdicts(summary, xdp_ns),
        xdp_ns=xdp_ns,
        rounds=options.rounds,
        seconds=options.seconds,
        page_bytes=page_bytes,
        background=background,
        rules={name: f"{found.text}; {loaded.get(name, 0)} loaded" for name, found in rules.items()},
        warnings=warnings,
        machine=report.machine(),
    )


def _line(number: int, rounds: int, row: Row, done: load.Run) -> str:
    start = f"round {number + 1}/{rounds}  {row.name:<24}"
    if done.problem:
        return f"{start}does not count: {done.problem}"
    return f"{start}{done.rps:>10,.0f} requests/s {done.cpu_us:>8.1f} µs CPU/request"
