# SPDX-License-Identifier: Apache-2.0
"""Reads the options of a parsed rule in its dialect and makes the internal form of it.

A wrong value is a ``ConfigError`` (column = offset + 1); an option that this version cannot judge, or one
that concerns traffic SecureDirect never sees, is noted in the rule. Syntax that has only one meaning is
taken in every dialect (``http.uri`` in a Snort file); what means different things is read as the dialect
says. The options themselves: ``options_content``, ``options_transform``, ``options_bytes``,
``options_request``, ``options_state``, ``options_data``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import cast

from securedirect.rules import (
    options_bytes,
    options_content,
    options_data,
    options_request,
    options_state,
    options_transform,
    vocabulary,
)
from securedirect.rules.draft import (
    BLANKS,
    DECODED,
    PACKET_BYTES,
    TRANSFORMED,
    Draft,
    Handler,
    Reader,
    ignored,
    option_text,
    read_number,
)
from securedirect.rules.lexer import as_text
from securedirect.rules.model import (
    Base64,
    ByteExtract,
    ByteJump,
    ByteTest,
    Content,
    Dataset,
    Dialect,
    IsDataAt,
    Option,
    PacketBytes,
    PacketBytesOf,
    ParsedRule,
    Pcre,
    Rule,
    Size,
    Test,
    Transformed,
    buffer_of,
)
from securedirect.rules.parser import fail
from securedirect.rules.refused import refuse

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def read_rule(parsed: ParsedRule, dialect: Dialect) -> Rule:
    """The internal form of ``parsed`` read as ``dialect``. ConfigError (column = offset + 1) for a wrong
    value.
    """
    reader = Reader(dialect, parsed.options)
    handlers = HANDLERS
    for option in parsed.options:
        handler = handlers.get(option.name)
        if handler is not None:
            handler(reader, option)
        else:
            _other(reader, option)
        reader.before = option.name
    if reader.files:
        options_request.whose_files(reader, parsed.header)
    if parsed.header.hook:
        options_request.hooked(reader, parsed.header)
    if not reader.sid:
        fail(0, "the rule has no sid", "give each rule a number of its own: sid:1000001;")
    tests = _nested([test.freeze() if isinstance(test, Draft) else test for test in reader.tests])
    if reader.transforms:
        tests = _transformed(reader, tests)
    if any(buffer_of(test).startswith(PACKET_BYTES) for test in tests):
        tests = _of_packets(tests)
    rule = Rule(
        header=parsed.header,
        dialect=dialect,
        sid=reader.sid,
        gid=reader.gid,
        rev=reader.rev,
        msg=reader.msg,
        classtype=reader.classtype,
        priority=reader.priority,
        metadata=tuple(reader.metadata),
        references=tuple(reader.references),
        tests=tests,
        noalert=reader.noalert,
        segments=reader.segments,
        stream_only=reader.stream_only,
        flow=reader.flow,
        side=reader.side,
        established=reader.established,
        flow_start=reader.flow_start,
        http=reader.http,
        services=tuple(dict.fromkeys(reader.services)),
        unsupported=tuple(reader.unsupported),
        foreign=tuple(reader.foreign),
    )
    if dialect == "suricata":
        refuse(parsed.options, rule)
    return rule


def _nested(tests: list[Test]) -> tuple[Test, ...]:
    """What looks into the decoded buffer belongs to the base64_decode before it."""
    kept: list[Test] = []
    inner: list[Test] = []
    place = None
    for test in tests:
        if isinstance(test, Base64):
            place, inner = len(kept), []
        elif buffer_of(test) == DECODED:
            inner.append(test)
            if place is not None:
                kept[place] = replace(cast(Base64, kept[place]), tests=tuple(inner))
            continue
        kept.append(test)
    return tuple(kept)


def _looking_into(test: Test, buffer: str) -> Test:
    match test:
        case ByteTest() | ByteJump() | ByteExtract():
            return replace(test, field=replace(test.field, buffer=buffer))
        case Content() | Pcre() | Size() | IsDataAt() | Base64() | Dataset():
            return replace(test, buffer=buffer)
        case _:
            return test


def _transformed(reader: Reader, tests: tuple[Test, ...]) -> tuple[Test, ...]:
    """What looks into one transformed buffer is one test, at the place of the first."""
    kept: dict[str | int, Test | list[Test]] = {}
    for number, test in enumerate(tests):
        buffer = buffer_of(test)
        if TRANSFORMED in buffer:
            found = kept.setdefault(buffer, [])
            assert isinstance(found, list)
            found.append(_looking_into(test, buffer.partition(TRANSFORMED)[0]))
        else:
            kept[number] = test
    made: list[Test] = []
    for name, one in kept.items():
        if isinstance(one, list):
            buffer, _, index = str(name).partition(TRANSFORMED)
            made.append(Transformed(buffer, reader.transforms[int(index)], tuple(one)))
        else:
            made.append(one)
    return tuple(made)


def _of_packets(tests: tuple[Test, ...]) -> tuple[Test, ...]:
    """What looks into one header is one test."""
    inner: dict[str, list[Test]] = {}
    for test in tests:
        buffer = buffer_of(test)
        if buffer.startswith(PACKET_BYTES):
            inner.setdefault(buffer, []).append(_looking_into(test, "raw"))
    made = [
        PacketBytes(cast(PacketBytesOf, name.removeprefix(PACKET_BYTES)), tuple(found))
        for name, found in inner.items()
    ]
    return (*(test for test in tests if not buffer_of(test).startswith(PACKET_BYTES)), *made)


def _msg(reader: Reader, option: Option) -> None:
    value = option_text(option)
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    reader.msg = as_text(_ESCAPED.sub(r"\1", value) if "\\" in value else value)


def _sid(reader: Reader, option: Option) -> None:
    reader.sid = read_number(option, option_text(option), 1, 0xFFFFFFFF)


def _gid(reader: Reader, option: Option) -> None:
    reader.gid = read_number(option, option_text(option), 0, 0xFFFFFFFF)


def _rev(reader: Reader, option: Option) -> None:
    reader.rev = read_number(option, option_text(option), 0, 0xFFFFFFFF)


def _classtype(reader: Reader, option: Option) -> None:
    reader.classtype = option_text(option).lower()


def _priority(reader: Reader, option: Option) -> None:
    reader.priority = min(max(read_number(option, option_text(option), 0, 0xFFFFFFFF), 1), 255)


def _metadata(reader: Reader, option: Option) -> None:
    if option.value is None:
        return
    pairs = [pair for pair in map(_pair, option.value.split(",")) if pair[0]]
    reader.metadata += pairs
    if "service" in option.value:
        reader.services += [value.strip().lower() for key, value in pairs if key == "service"]


@lru_cache(maxsize=8192)
def _pair(part: str) -> tuple[str, str]:
    """A key and its value: a set has the same few thousand in all its rules."""
    key, _, value = part.strip(BLANKS).partition(" ")
    return key.lower(), value.strip(BLANKS)


def _reference(reader: Reader, option: Option) -> None:
    if option.value is not None:
        reader.references.append(option.value.strip(BLANKS))


def _service(reader: Reader, option: Option) -> None:
    reader.services += [name.strip().lower() for name in option_text(option).split(",")]


def _other(reader: Reader, option: Option) -> None:
    name = option.name
    if name in vocabulary.UNSUPPORTED:
        reader.unsupported[name] = None
    elif name.startswith(vocabulary.OTHER_SERVICE_PREFIXES):
        reader.foreign[f"{name} is for another protocol than HTTP"] = None
    else:
        reader.unsupported[f"{name} (no known option)"] = None


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(vocabulary.IGNORED, ignored),
    **options_content.HANDLERS,
    **options_bytes.HANDLERS,
    **options_request.HANDLERS,
    **options_state.HANDLERS,
    **options_transform.HANDLERS,
    **options_data.HANDLERS,
    "msg": _msg,
    "sid": _sid,
    "gid": _gid,
    "rev": _rev,
    "classtype": _classtype,
    "priority": _priority,
    "metadata": _metadata,
    "reference": _reference,
    "service": _service,
}
