# SPDX-License-Identifier: Apache-2.0
"""Reads the options that look values up in sets of them: dataset and datarep."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import cast

from securedirect.rules.datasets import TYPES
from securedirect.rules.draft import Handler, Reader, option_parts, read_number
from securedirect.rules.model import Dataset, DatasetCommand, Option
from securedirect.rules.parser import fail

_HINT = "dataset:isset,NAME,type string,load FILE;"
_SIZE = re.compile(r"\d+[ \t]*([kmg]i?b|b)?\Z", re.IGNORECASE)
_FORMATS = ("json", "jsonline", "ndjson")
_WORDS = "type save load state memcap hashsize format value_key array_key context_key remove_key".split()


def _words(reader: Reader, option: Option, parts: list[str]) -> dict[str, str]:
    words: dict[str, str] = {}
    for part in parts:
        word, _, value = part.partition(" ")
        word, value = word.lower(), value.strip()
        if word not in _WORDS:
            fail(option.value_at, f"{option.name} has no argument {word!r}", f"known: {' '.join(_WORDS)}")
        if word in ("memcap", "hashsize") and not _SIZE.match(value):
            fail(option.value_at, f"{option.name}: {value!r} is no size", "for example memcap 10mb")
        words[word] = value
    if words.get("format") in _FORMATS or "value_key" in words:
        reader.unsupported[f"{option.name} of values in JSON"] = None
    if words.get("type", "string") not in TYPES:
        fail(option.value_at, f"{option.name} has no type {words['type']!r}", f"known: {' '.join(TYPES)}")
    for word in ("load", "state"):
        # Rules come from others: they shall not have files of this machine read that are not theirs.
        path = PurePosixPath(words.get(word, ""))
        if path.is_absolute() or ".." in path.parts:
            fail(
                option.value_at,
                f"{option.name}: {word} {path} is not a file beside the rules",
                f"{word} seen.lst",
            )
    if reader.sticky == "raw":
        fail(option.at, f"{option.name} looks a buffer up", f"http.uri; {_HINT}")
    return words


def _look_up(
    reader: Reader, name: str, words: dict[str, str], command: DatasetCommand, reputation: int = 0
) -> None:
    file = words.get("load", "") or words.get("state", "")
    reader.tests.append(
        Dataset(reader.sticky, name, words.get("type", ""), command, reputation, file, "state" in words)
    )


def _dataset(reader: Reader, option: Option) -> None:
    parts = option_parts(option)
    command = parts[0].lower()
    if command not in ("isset", "isnotset", "set", "unset") or len(parts) < 2 or not parts[1]:
        fail(option.value_at, "dataset needs isset, isnotset, set or unset and a name", _HINT)
    words = _words(reader, option, parts[2:])
    _look_up(reader, parts[1], words, cast(DatasetCommand, command))


def _datarep(reader: Reader, option: Option) -> None:
    parts = option_parts(option)
    operator = "==" if len(parts) > 2 and parts[1] == "=" else parts[1] if len(parts) > 2 else ""
    if operator not in ("<", ">", "==") or not parts[0]:
        hint = "datarep:NAME,>,200,load FILE,type string;"
        fail(option.value_at, "datarep needs a name, < > or ==, and a reputation", hint)
    words = _words(reader, option, parts[3:])
    _look_up(
        reader, parts[0], words, cast(DatasetCommand, operator), read_number(option, parts[2], 0, 0xFFFF)
    )


HANDLERS: dict[str, Handler] = {"dataset": _dataset, "datarep": _datarep}
