# SPDX-License-Identifier: Apache-2.0
"""Cuts a rule file into blocks of some ten rules, so that of a changed file only what has changed is read.

A block ends behind a line that ends a rule in every dialect, where the line's own bytes say so (its sid ends
with a zero): a change moves no end but those of the lines that it touches, wherever in the file it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

_SID = re.compile(rb"sid:[ ]?[0-9]*+(?<=0);")


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
    line, begin, place = 1, 0, 0
    while found := _SID.search(data, place):
        end = data.find(b"\n", found.end())
        if end < 0:
            break
        place = end + 1
        # No dialect continues a line with a closing parenthesis at its end.
        if data[found.end() : end].rstrip().endswith(b")"):
            yield _block(line, data, begin, end)
            line += data.count(b"\n", begin, place)
            begin = place
    yield _block(line, data, begin, len(data))


def _block(line: int, data: bytes, begin: int, end: int) -> Block:
    digest = blake2b(data[begin:end], digest_size=16, salt=b"" if begin else b"first").digest()
    return Block(line, begin, end, digest)
