# SPDX-License-Identifier: Apache-2.0
"""What ``status`` says of what the kernel cleared."""

from __future__ import annotations

from securedirect.daemon.cleared import cleared, in_words


def test_shares() -> None:
    figures = cleared(
        {"cleared": 90, "cleared_again": 5, "travel_flow": 2, "travel_request": 8, "travel_off": 0, "x": 7},
        possible=True,
    )
    assert figures["share"] == 0.9
    assert figures["travelled"]["request"] == {"count": 8, "share": 0.08}
    assert in_words(figures) == "90 requests, 90.0%; travelled: request 8.0%, flow 2.0%"
    assert in_words(cleared({}, possible=True)) == "no request so far"
    assert in_words(cleared({}, possible=False)).startswith("nothing: this kernel cannot")
