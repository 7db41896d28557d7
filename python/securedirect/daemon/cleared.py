# SPDX-License-Identifier: Apache-2.0
"""How much the kernel cleared, and for which reasons and rules the rest travelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TOP = 10
SHOWN = 5
_PREFIX = "travel_"
NOT_POSSIBLE = (
    "this kernel cannot clear requests (Linux 6.9 or newer can, on x86-64, without PREEMPT_RT): "
    "all go to the inspector"
)


def cleared(counters: Mapping[str, int], *, possible: bool) -> dict[str, Any]:
    """``possible``: whether the kernel's program is one that clears. Shares are of all payload of clients
    that XDP decided about."""
    travelled = {
        name.removeprefix(_PREFIX): count for name, count in counters.items() if name.startswith(_PREFIX)
    }
    mine = counters.get("cleared", 0)
    total = mine + sum(travelled.values())

    def share(count: int) -> float:
        return round(count / total, 4) if total else 0.0

    return {
        "possible": possible,
        "cleared": mine,
        "share": share(mine),
        "travelled": {
            reason: {"count": count, "share": share(count)}
            for reason, count in sorted(travelled.items(), key=lambda one: -one[1])
        },
    }


def reasons(
    looked_at: int, counted: Sequence[tuple[int, str, int, int]], services: Sequence[str]
) -> dict[str, Any]:
    """Why requests were not cleared for what they are, from a sample: the top reasons, and the top rules.

    ``counted``: service, reason, sid or 0, and how often."""

    def top(entries: Iterable[tuple[str, str | int, int]], what: str) -> list[dict[str, Any]]:
        most = sorted(entries, key=lambda one: (-one[2], one[0], one[1]))[:TOP]
        return [
            {"service": name, what: of, "count": count, "share": round(count / max(looked_at, 1), 4)}
            for name, of, count in most
        ]

    of_services = [one for one in counted if one[0] < len(services)]
    return {
        "looked_at": looked_at,
        "reasons": top(((services[at], words, n) for at, words, sid, n in of_services if not sid), "reason"),
        "rules": top(((services[at], sid, n) for at, _, sid, n in of_services if sid), "sid"),
    }


def reasons_in_words(figures: Mapping[str, Any]) -> list[str]:
    """Lines for people: of the requests that XDP judged and left to the inspector."""
    several = len({one["service"] for one in (*figures["reasons"], *figures["rules"])}) > 1

    def told(one: Mapping[str, Any], what: str) -> str:
        return f"{what} {one['share']:.0%}" + (f" ({one['service']})" if several else "")

    lines = [
        f"nothing of {one['service']}, whose requests all travel: {one['why']}"
        + (f": {', '.join(map(str, one['rules'][:SHOWN]))}" if one["rules"] else "")
        + (", ..." if len(one["rules"]) > SHOWN else "")
        for one in figures.get("services", ())
        if not one["cleared"]
    ]
    if figures["reasons"]:
        lines.append("not for: " + ", ".join(told(one, one["reason"]) for one in figures["reasons"][:SHOWN]))
    if figures["rules"]:
        lines.append("by rules: " + ", ".join(told(one, str(one["sid"])) for one in figures["rules"][:SHOWN]))
    return lines


def in_words(figures: Mapping[str, Any]) -> str:
    """One line for people."""
    if not figures["possible"]:
        return "nothing: " + NOT_POSSIBLE
    reasons = [f"{name} {one['share']:.1%}" for name, one in figures["travelled"].items() if one["count"]]
    if not figures["cleared"] and not reasons:
        return "no request so far"
    told = f"{figures['cleared']:,} requests, {figures['share']:.1%}"
    return told + (f"; travelled: {', '.join(reasons)}" if reasons else "")
