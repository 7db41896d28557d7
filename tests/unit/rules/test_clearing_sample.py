# SPDX-License-Identifier: Apache-2.0
"""A sample of ``make equivalence``: what is cleared of real requests matches nothing, in the kernel, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


def test_what_is_cleared_of_real_requests_matches_nothing() -> None:
    if not (CHECKOUT.parent / "shared" / "corpora" / "requests").is_dir():
        pytest.skip("the corpora are not beside the checkout: ../shared/corpora")
    program = CHECKOUT / "tests" / "oracle" / "clearing.py"
    sets = ("516 rules", "snort3-community")
    command = [sys.executable, program, "--every", "211", *(f"--only={name}" for name in sets)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no exception" in done.stdout
    for name in sets:
        assert f"{name}: {{" in done.stdout
