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
    """The bytes ``data[begin:end]`` of a file, with their digest, which also says whether they are its first:
    a byte order mark is none elsewhere. ``line``: the number, from 1, of the first line.
    """

    line: int
    begin: int
    end: int
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
    first = begin = 0
    for last in [*ends, len(lines)]:
        if first < last:
            text = b"\n".join(lines[first:last])
            end = begin + len(text)
            digest = blake2b(text, digest_size=16, salt=b"" if first else b"first").digest()
            yield Block(first + 1, begin, end, digest)
            first, begin = last, end + 1
