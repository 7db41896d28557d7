# SPDX-License-Identifier: Apache-2.0
"""Reads the options that take numbers from a buffer, and base64."""

from __future__ import annotations

import re

from securedirect.rules.draft import (
    BLANKS,
    DECODED,
    IDENTIFIER,
    Handler,
    Reader,
    buffer_for,
    option_parts,
    read_number,
    read_number_or_name,
)
from securedirect.rules.model import Base64, ByteExtract, ByteJump, ByteTest, Field, Option
from securedirect.rules.parser import fail

_BYTE_OPERATOR = re.compile(r"(!)?[ \t]*(<=|>=|<|>|=|&|\^)?\Z")


_MATH_OPERATORS = frozenset("+ - * / << >>".split())


class _Arguments:
    """What follows the leading arguments of a byte option: words, and words with a value."""

    def __init__(self, reader: Reader, option: Option, parts: list[str], known: str) -> None:
        self.words: dict[str, str] = {}
        self.reader = reader
        self.option = option
        for part in parts:
            word, _, value = part.lower().partition(" ")
            if word == "string" and value.strip():  # Snort 3: string hex
                self.words["string"] = ""
                word, value = value.strip(), ""
            if word == "endian":
                word, value = value.strip(), ""
            if word == "dce":
                reader.foreign[f"{option.name} of DCE/RPC"] = None
            elif word not in f"relative big little string dec hex oct bitmask {known}".split():
                fail(
                    option.value_at,
                    f"{option.name} has no argument {part!r}",
                    f"known: relative, little, {known}",
                )
            self.words[word] = value.strip()

    def number(self, word: str, otherwise: int) -> int:
        text = self.words.get(word, "")
        return read_number(self.option, text, -65535, 0xFFFFFFFF) if text else otherwise

    def field(self, size: str, offset: str, least: int = 1) -> Field:
        reader, option, words = self.reader, self.option, self.words
        relative = "relative" in words
        base = next(
            (one for one in ("dec", "hex", "oct") if one in words), "dec" if "string" in words else ""
        )
        low = 0 if base else least
        return Field(
            buffer_for(reader, relative),
            read_number_or_name(reader, option, size, low, 23 if base else 8),
            read_number_or_name(reader, option, offset or "0", -1048576, 1048576),
            relative,
            "little" in words,
            base,
            read_number(option, words["bitmask"], 0, 0xFFFFFFFFFFFFFFFF) if "bitmask" in words else None,
        )


def _byte_test(reader: Reader, option: Option) -> None:
    parts = option_parts(option)
    found = _BYTE_OPERATOR.match(parts[1]) if len(parts) > 3 else None
    if found is None:
        hint = "for example byte_test:2,>,512,0,relative;"
        fail(option.value_at, "byte_test needs bytes, operator, value and offset", hint)
    arguments = _Arguments(reader, option, parts[4:], "")
    value = read_number_or_name(reader, option, parts[2], 0, 0xFFFFFFFFFFFFFFFF)
    field = arguments.field(parts[0], parts[3])
    reader.tests.append(ByteTest(field, found[2] or "=", bool(found[1]), value))


def _byte_jump(reader: Reader, option: Option) -> None:
    parts = option_parts(option)
    if len(parts) < 2:
        fail(option.value_at, "byte_jump needs bytes and offset", "for example byte_jump:2,0,relative;")
    known = "multiplier align from_beginning from_end post_offset"
    arguments = _Arguments(reader, option, parts[2:], known)
    words = arguments.words
    start = "beginning" if "from_beginning" in words else "end" if "from_end" in words else "field"
    post_offset = read_number_or_name(reader, option, words.get("post_offset", "0"), -1048576, 1048576)
    field = arguments.field(parts[0], parts[1], least=0)
    align = 4 if "align" in words else 0
    reader.tests.append(ByteJump(field, arguments.number("multiplier", 1), align, start, post_offset))


def _byte_extract(reader: Reader, option: Option) -> None:
    parts = option_parts(option)
    if len(parts) < 3 or not IDENTIFIER.match(parts[2]) or parts[2].isdecimal():
        fail(
            option.value_at,
            "byte_extract needs bytes, offset and a name",
            "for example byte_extract:2,0,size;",
        )
    arguments = _Arguments(reader, option, parts[3:], "multiplier align")
    field = arguments.field(parts[0], parts[1])
    align = arguments.number("align", 4) if "align" in arguments.words else 0
    reader.tests.append(ByteExtract(field, parts[2].lower(), arguments.number("multiplier", 1), align))
    reader.names.add(parts[2].lower())


def _byte_math(reader: Reader, option: Option) -> None:
    named: dict[str, str] = {}
    rest = []
    for part in option_parts(option):
        word, _, value = part.partition(" ")
        if word.lower() in ("bytes", "offset", "oper", "rvalue", "result"):
            named[word.lower()] = value.strip()
        else:
            rest.append(part)
    operator, name = named.get("oper", ""), named.get("result", "")
    if (
        operator not in _MATH_OPERATORS
        or not {"bytes", "rvalue"} <= named.keys()
        or not IDENTIFIER.match(name)
    ):
        hint = "for example byte_math:bytes 2,offset 0,oper +,rvalue 4,result size;"
        fail(option.value_at, "byte_math needs bytes, oper, rvalue and result", hint)
    field = _Arguments(reader, option, rest, "").field(named["bytes"], named.get("offset", "0"))
    operand = read_number_or_name(reader, option, named["rvalue"], 0, 0xFFFFFFFF)
    reader.tests.append(ByteExtract(field, name.lower(), operator=operator, operand=operand))
    reader.names.add(name.lower())


def _base64_decode(reader: Reader, option: Option) -> None:
    words: dict[str, str] = {}
    for part in (option.value or "").split(","):
        word, _, value = part.strip(BLANKS).lower().partition(" ")
        if word and word not in ("bytes", "offset", "relative"):
            fail(option.value_at, f"base64_decode has no argument {word!r}", "bytes 20, offset 4, relative")
        words[word] = value.strip()
    relative = "relative" in words
    size = read_number(option, words["bytes"], 1, 65535) if words.get("bytes") else None
    offset = read_number(option, words["offset"], 0, 65535) if words.get("offset") else 0
    reader.tests.append(Base64(buffer_for(reader, relative), size, offset, relative, ()))


def _base64_data(reader: Reader, option: Option) -> None:
    if not any(isinstance(test, Base64) for test in reader.tests):
        fail(option.at, "base64_data has no base64_decode before it", "write base64_decode; base64_data; ...")
    reader.sticky = DECODED


HANDLERS: dict[str, Handler] = {
    "byte_test": _byte_test,
    "byte_jump": _byte_jump,
    "byte_extract": _byte_extract,
    "byte_math": _byte_math,
    "base64_decode": _base64_decode,
    "base64_data": _base64_data,
}
