# SPDX-License-Identifier: Apache-2.0
"""Cuts a rule file into blocks of some ten rules, so that of a changed file only what has changed is read.

A block ends behind a line that ends a rule in every dialect, where the line's own bytes say so: a change
moves no end but those of the lines that it touches, wherever in the file it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

_ONE_IN = 16
"""Lines, of which one ends a block."""


class Block(NamedTuple):
    """``line``: the number, from 1, of its first line. ``digest``: of its bytes, and of whether it is the
    first: a byte order mark is none elsewhere.
    """

    line: int
    data: bytes
    digest: bytes


def blocks(data: bytes) -> Iterator[Block]:
    """The blocks of a file, one after the other: without the line end between two."""
    lines = data.split(b"\n")
    crc = zlib.crc32
    # A closing parenthesis: no dialect continues such a line.
    ends = [
        index
        for index, line in enumerate(lines, 1)
        if line and not crc(line) % _ONE_IN and line.rstrip().endswith(b")")
    ]
    begin = 0
    for end in [*ends, len(lines)]:
        if begin < end:
            text = b"\n".join(lines[begin:end])
            yield Block(
                begin + 1, text, blake2b(text, digest_size=16, salt=b"" if begin else b"first").digest()
            )
        begin = end
