# SPDX-License-Identifier: Apache-2.0
"""The distribution of how long requests are held."""

from __future__ import annotations

from securedirect.daemon.held import percentile, take_held


def test_counters_become_a_distribution() -> None:
    counters = {"alerts": 3, "held_10us": 90, "held_20us": 9, "held_1000us": 1, "held_longer": 0}
    held = take_held(counters)
    assert counters == {"alerts": 3}
    assert held == {
        "requests": 100,
        "p50_us": 10,
        "p99_us": 20,
        "up_to_us": {"10": 90, "20": 9, "1000": 1},
        "longer": 0,
    }


def test_no_request_and_too_long_ones_have_no_figure() -> None:
    assert take_held({})["p99_us"] is None
    assert percentile({10: 1}, 1, 0.99) is None
    assert percentile({10: 1}, 1, 0.5) == 10
