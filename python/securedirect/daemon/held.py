# SPDX-License-Identifier: Apache-2.0
"""How long requests are held: the inspector's counters of it, as a distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = "held_"
_LONGER = f"{_PREFIX}longer"


def take_held(counters: dict[str, int]) -> dict[str, Any]:
    """Take the counters of held requests out of ``counters``: the distribution, and what it says."""
    names = [name for name in counters if name.startswith(_PREFIX) and name != _LONGER]
    steps = {int(name.removeprefix(_PREFIX).removesuffix("us")): counters.pop(name) for name in names}
    longer = counters.pop(_LONGER, 0)
    return {
        "requests": sum(steps.values()) + longer,
        "p50_us": percentile(steps, longer, 0.50),
        "p99_us": percentile(steps, longer, 0.99),
        "up_to_us": {str(limit): count for limit, count in sorted(steps.items())},
        "longer": longer,
    }


def percentile(steps: Mapping[int, int], longer: int, share: float) -> int | None:
    """Microseconds that this share of requests was held at most; None: longer than any step, or none."""
    wanted = share * (sum(steps.values()) + longer)
    reached = 0
    for limit, count in sorted(steps.items()):
        reached += count
        if reached and reached >= wanted:
            return limit
    return None
