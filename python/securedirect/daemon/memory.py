# SPDX-License-Identifier: Apache-2.0
"""Gives memory that is free back to the system."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """What reading rules took and needs no longer: the C library would keep it for the next time."""
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
