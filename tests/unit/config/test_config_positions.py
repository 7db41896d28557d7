# SPDX-License-Identifier: Apache-2.0
"""The position scan finds every key of anything that the standard library's parser accepts."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from securedirect.config.positions import KeyPath, scan

DOCUMENTS = [
    "",
    "# only a comment",
    'a = 1\r\nb = """x\n"y" ]\\"" \n""" # c\nc = \'\'\'[[x]]\n\'\'\'\n',
    "a = [1, [2, 3], # x ]\n  {b = 1, 'c.d' = [ ]},\n]\nd = 1979-05-27 07:32:00\n",
    '[a."b.c"]\nd.e = 1\n"\\u0041 b" = "=#]"\n[[t]]\nx = 1\n[[t]]\nx = 2\n[t.sub]\ny = { z = "}" }\n'
    "[[t.many]]\nq = 1\n",
    'x = """"two quotes at the end"""""\ny = \'\'\n',
    "a = +1.5e3 # c\nb=true",
]


def places(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    if isinstance(value, dict):
        return {(*path, key) for key in value} | {p for k, v in value.items() for p in places(v, (*path, k))}
    if isinstance(value, list):
        return {p for index, v in enumerate(value) for p in {(*path, index)} | places(v, (*path, index))}
    return set()


@pytest.mark.parametrize("text", DOCUMENTS)
def test_every_place_is_found(text: str) -> None:
    found = scan(text)
    assert places(tomllib.loads(text)) == set(found.keys) | set(found.values)


def test_lines_and_columns() -> None:
    found = scan("\n [a . b]\n  c  = [ 1,\n   22 ]\n[[d]]\nx = 1\n[[d]]\n'x' = {y = 2}\n")
    assert found.keys["a", "b"] == (2, 7)
    assert found.keys["a", "b", "c"] == (3, 3)
    assert found.values["a", "b", "c", 1] == (4, 4)
    assert found.keys["d", 1] == (7, 3)
    assert found.values["d", 1, "x", "y"] == (8, 12)
    assert found.of_key(("d", 1, "nowhere")) == (7, 3)
    assert found.of_key(("nowhere",)) == (0, 0)
