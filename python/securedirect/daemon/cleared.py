# SPDX-License-Identifier: Apache-2.0
"""How much the kernel cleared, and for which reasons the rest travelled, from its counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = "travel_"
NOT_POSSIBLE = "this kernel cannot clear requests (Linux 6.9 or newer can): all go to the inspector"


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


def in_words(figures: Mapping[str, Any]) -> str:
    """One line for people."""
    if not figures["possible"]:
        return "nothing: " + NOT_POSSIBLE
    reasons = [f"{name} {one['share']:.1%}" for name, one in figures["travelled"].items() if one["count"]]
    if not figures["cleared"] and not reasons:
        return "no request so far"
    told = f"{figures['cleared']:,} requests, {figures['share']:.1%}"
    return told + (f"; travelled: {', '.join(reasons)}" if reasons else "")
