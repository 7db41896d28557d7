# SPDX-License-Identifier: Apache-2.0
"""Reads the options that look for bytes: contents and their modifiers, buffers, expressions, lengths."""

from __future__ import annotations

import re
from typing import Literal

from securedirect.rules import vocabulary
from securedirect.rules.draft import (
    BLANKS,
    Draft,
    Handler,
    Reader,
    buffer_again,
    buffer_for,
    ignored,
    last_content,
    no_value,
    option_text,
    read_number_or_name,
    read_quoted,
    read_sizes,
)
from securedirect.rules.model import IsDataAt, Option, Pcre, Size
from securedirect.rules.parser import fail

_CAPTURES = re.compile(r",[ \t]*(?:flow|pkt|alert|tx):[\w, \t:]*\Z")
_PATTERN_PART = re.compile(r"\\(.)|\|([^|]*)\||([^\\|]+)", re.DOTALL)


_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


_SizeKind = Literal["urilen", "bsize", "dsize"]


def decode_pattern(text: str, at: int = 0) -> bytes:
    """The bytes of a content: ``\\x`` stands for x, ``|41 42|`` for bytes in hexadecimal. ``at``: offset for
    errors.
    """
    if "\\" not in text:
        if "|" not in text:
            return text.encode("latin-1", "replace")
        if text.count("|") % 2:
            fail(
                at + text.rindex("|"),
                "a hexadecimal part is not closed with '|'",
                "a literal '|' is written \\| or |7C|",
            )
    out = bytearray()
    position = 0
    while position < len(text):
        found = _PATTERN_PART.match(text, position)
        if found is None:
            if text[position] == "\\":
                fail(
                    at + position,
                    "the content ends with a single '\\'",
                    "a literal backslash is written \\\\ or |5C|",
                )
            fail(
                at + position,
                "a hexadecimal part is not closed with '|'",
                "a literal '|' is written \\| or |7C|",
            )
        escaped, digits, literal = found.groups()
        if literal is not None:
            out += literal.encode("latin-1", "replace")
        elif escaped is not None:
            out += escaped.encode("latin-1", "replace")
        else:
            pairs = "".join(digits.split())  # blanks may stand anywhere, inside a pair too
            try:
                out += bytes.fromhex(pairs)
            except ValueError:
                strange = next(
                    (i for i, c in enumerate(digits) if c not in _HEX_DIGITS and not c.isspace()), None
                )
                message = (
                    f"|{digits}| is not hexadecimal"
                    if strange is not None
                    else f"|{digits}| has an odd digit"
                )
                fail(at + position + 1 + (strange or 0), message, "pairs of digits, for example |0D 0A|")
        position = found.end()
    return bytes(out)


def _add_content(reader: Reader, option: Option, buffer: str) -> None:
    negated, text, at, rest = read_quoted(option)
    pattern = decode_pattern(text, at)
    if not pattern:
        fail(at, f"{option.name} is empty", "give it at least one byte to find")
    draft = Draft(buffer, pattern, negated, option.at)
    reader.last = draft
    reader.tests.append(draft)
    if rest:
        if not rest.startswith(","):
            fail(
                option.value_at + len(option.value or "") - len(rest),
                f"unexpected text after the closing quote of {option.name}",
                "a quote inside the value is written \\\"; options are separated by ';'",
            )
        # Snort 3: modifiers inside the option.
        at = option.value_at + len(option.value or "") - len(rest) + 1
        for part in rest[1:].split(","):
            begin = at + len(part) - len(part.lstrip(BLANKS))
            at += len(part) + 1
            name, _, value = part.strip(BLANKS).partition(" ")
            inner = Option(name.lower(), value.strip(BLANKS) or None, begin, begin + len(name) + 1)
            handler = CONTENT_OPTIONS.get(inner.name)
            if handler is None:
                fail(
                    begin,
                    f"{option.name} has no modifier {name!r}",
                    "for example nocase, depth 4, within 10",
                )
            handler(reader, inner)


def _content(reader: Reader, option: Option) -> None:
    _add_content(reader, option, reader.sticky)


def _uricontent(reader: Reader, option: Option) -> None:
    _add_content(reader, option, "http_uri")


def _nocase(reader: Reader, option: Option) -> None:
    no_value(option)
    last_content(reader, option).nocase = True


def _startswith(reader: Reader, option: Option) -> None:
    no_value(option)
    last_content(reader, option).startswith = True


def _endswith(reader: Reader, option: Option) -> None:
    no_value(option)
    last_content(reader, option).endswith = True


def _fast_pattern(reader: Reader, option: Option) -> None:
    last_content(reader, option).fast = True


def _rawbytes(reader: Reader, option: Option) -> None:
    last_content(reader, option).buffer = "raw"


def _offset(reader: Reader, option: Option) -> None:
    draft = last_content(reader, option)
    draft.offset = read_number_or_name(reader, option, option_text(option), -65535, 65535)
    if isinstance(draft.offset, int) and draft.offset < 0:
        fail(option.value_at, "offset cannot be negative", "it counts from the beginning of the buffer")


def _depth(reader: Reader, option: Option) -> None:
    draft = last_content(reader, option)
    draft.depth = read_number_or_name(reader, option, option_text(option), 1, 65535)


def _distance(reader: Reader, option: Option) -> None:
    draft = last_content(reader, option)
    draft.distance = read_number_or_name(reader, option, option_text(option), -1048576, 1048576)


def _within(reader: Reader, option: Option) -> None:
    draft = last_content(reader, option)
    draft.within = read_number_or_name(reader, option, option_text(option), 1, 1048576)


def _buffer_modifier(reader: Reader, option: Option) -> None:
    name = option.name
    if reader.dialect == "snort3":
        sticky = vocabulary.STICKY_SNORT3.get(name)
        if sticky is not None:
            _snort3_sticky(reader, option, sticky)
            return
    if reader.last is None:
        hint = "it changes the content before it; in a Snort 3 file it stands first: use --dialect snort3"
        fail(option.at, f"{name} has no content before it", hint)
    no_value(option)
    reader.last.buffer = vocabulary.CONTENT_MODIFIERS[name]


def _snort3_sticky(reader: Reader, option: Option, buffer: str) -> None:
    reader.sticky = buffer
    if option.value is None:
        return
    for part in option.value.split(","):
        words = part.lower().split()
        if words[:1] == ["field"] and len(words) == 2 and buffer in ("http_header", "http_raw_header"):
            field = vocabulary.HEADER_FIELDS.get(words[1])
            if field is None:
                reader.unsupported[f"{option.name}:field {words[1]}"] = None
            else:
                reader.sticky = field
        elif words and words != ["request"]:
            reader.unsupported[f"{option.name}:{' '.join(words)}"] = None


def _sticky(reader: Reader, option: Option) -> None:
    reader.sticky = buffer_again(reader, vocabulary.STICKY[option.name])


def _snort3_only_sticky(reader: Reader, option: Option) -> None:
    _snort3_sticky(reader, option, vocabulary.STICKY_SNORT3[option.name])


def _response(reader: Reader, option: Option) -> None:
    reader.foreign[f"{option.name} looks at the server's response"] = None


def _pcre(reader: Reader, option: Option) -> None:
    value = (option.value or "").strip(BLANKS)
    at = option.value_at
    negated = value.startswith("!")
    if negated:
        inner = value[1:].lstrip(BLANKS)
        at += len(value) - len(inner)
        value = inner
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    # Suricata takes an expression without quotes, too.
    body = value[1:-1].strip(BLANKS) if quoted else value
    at += value.index(body, 1) if quoted and body else 0
    if body.startswith("m") and len(body) > 1:
        body, at = body[1:], at + 1
    delimiter = body[:1]
    if delimiter == '"':
        fail(at, "the quotes of pcre are not closed", 'pcre:"/expression/flags";')
    # What follows the flags names the captures, which nothing asks for.
    captures = _CAPTURES.search(body)
    if captures is not None and delimiter in body[1 : captures.start()]:
        body = body[: captures.start()]
    last = body.rfind(delimiter) if delimiter else 0
    if not delimiter or delimiter.isalnum() or last < 1:
        fail(at, "a pcre stands between two '/'", 'pcre:"/expression/flags";')
    text, flags = body[1:last], body[last + 1 :]
    if not text:
        fail(at, "the expression of pcre is empty", 'pcre:"/expression/flags";')
    buffer = reader.sticky
    kept: set[str] = set()
    named = ""
    for index, flag in enumerate(flags):
        if flag in vocabulary.PCRE_PLAIN:
            kept.add(flag)
        elif flag == "B" and reader.dialect == "suricata":
            continue  # it names no buffer there
        elif flag in vocabulary.PCRE_BUFFERS:
            if named and vocabulary.PCRE_BUFFERS[flag] != vocabulary.PCRE_BUFFERS.get(named):
                fail(
                    at + last + 1 + index,
                    f"pcre flags {named} and {flag} name two buffers",
                    "one buffer an expression",
                )
            named = flag
            buffer = vocabulary.PCRE_BUFFERS[flag]
        elif flag in vocabulary.PCRE_RESPONSE:
            reader.foreign[f"pcre flag {flag} looks at the server's response"] = None
        elif flag not in "O \t":
            fail(
                at + last + 1 + index,
                f"pcre has no flag '{flag}'",
                "known: i s m x A E G R and the letters of buffers, U P H ...",
            )
    if "R" in kept and named and named != "B" and reader.dialect == "snort2":
        fail(
            at + last + 1,
            f"pcre flags R and {named} exclude each other in Snort 2",
            "in Suricata rules: --dialect suricata",
        )
    reader.tests.append(Pcre(buffer, text.encode("latin-1", "replace"), frozenset(kept), negated))


def _length(
    reader: Reader, option: Option, kind: _SizeKind, buffer: str, *, inclusive: bool, text: str | None = None
) -> None:
    for operator, value in read_sizes(
        option, option_text(option) if text is None else text, inclusive=inclusive
    ):
        reader.tests.append(Size(kind, operator, value, buffer))


def _urilen(reader: Reader, option: Option) -> None:
    text, comma, which = option_text(option).partition(",")
    which = which.strip(BLANKS).lower()
    if comma and which not in ("raw", "norm"):
        fail(
            option.value_at,
            f"urilen measures 'raw' or 'norm', not {which!r}",
            "for example urilen:>100,norm;",
        )
    # Snort 2 measures the URI as sent and takes a<>b with its ends, Suricata the normalised one without them.
    raw = which == "raw" if comma else reader.dialect == "snort2"
    buffer = "http_raw_uri" if raw else "http_uri"
    if reader.dialect == "suricata" and reader.sticky != buffer:
        reader.sticky = "raw"  # it is another buffer, which does not stay
    _length(reader, option, "urilen", buffer, inclusive=reader.dialect == "snort2", text=text.strip(BLANKS))


def _bsize(reader: Reader, option: Option) -> None:
    _length(reader, option, "bsize", reader.sticky, inclusive=False)


def _bufferlen(reader: Reader, option: Option) -> None:
    text, comma, how = option_text(option).partition(",")
    if comma and how.strip(BLANKS).lower() != "relative":
        fail(option.value_at, f"bufferlen has no argument {how!r}", "for example bufferlen:>100,relative;")
    for operator, value in read_sizes(option, text.strip(BLANKS), inclusive=False):
        reader.tests.append(Size("bsize", operator, value, buffer_for(reader, bool(comma)), bool(comma)))


def _dsize(reader: Reader, option: Option) -> None:
    _length(reader, option, "dsize", "raw", inclusive=reader.dialect == "snort2")


def _ends_content(reader: Reader, buffer: str) -> bool:
    """Suricata reads ``isdataat:!1,relative`` behind a content as its ``endswith``: one that must not be
    found must not be there at the end.
    """
    last = reader.last
    if last is None or reader.tests[-1] is not last or last.buffer != buffer:
        return False
    last.endswith = True
    return True


def _isdataat(reader: Reader, option: Option) -> None:
    parts = [part.strip(BLANKS).lower() for part in option_text(option).split(",")]
    text = parts[0]
    negated = text.startswith("!")
    if negated:
        text = text[1:].strip(BLANKS)
    for part in parts[1:]:
        if part not in ("relative", "rawbytes"):
            fail(option.value_at, f"isdataat has no argument {part!r}", "for example isdataat:10,relative;")
    relative = "relative" in parts[1:]
    buffer = "raw" if "rawbytes" in parts[1:] else buffer_for(reader, relative)
    value = read_number_or_name(reader, option, text, 0, 1048576)
    if relative and negated and value == 1 and reader.dialect == "suricata" and _ends_content(reader, buffer):
        return
    # Relative, the document counts the bytes that must follow, as Suricata does; Snort asks for one more. The
    # matcher adds it where the number is taken from the request.
    if relative and reader.dialect != "suricata" and isinstance(value, int):
        value += 1
    reader.tests.append(IsDataAt(buffer, value, relative, negated))


CONTENT_OPTIONS: dict[str, Handler] = {
    "nocase": _nocase,
    "offset": _offset,
    "depth": _depth,
    "distance": _distance,
    "within": _within,
    "fast_pattern": _fast_pattern,
    "fast_pattern_offset": ignored,
    "fast_pattern_length": ignored,
    "startswith": _startswith,
    "endswith": _endswith,
    "rawbytes": _rawbytes,
}
"""They change the content before them, or stand inside it (Snort 3)."""

HANDLERS: dict[str, Handler] = {
    **CONTENT_OPTIONS,
    **dict.fromkeys(vocabulary.STICKY, _sticky),
    **dict.fromkeys(vocabulary.STICKY_SNORT3, _snort3_only_sticky),
    **dict.fromkeys(vocabulary.CONTENT_MODIFIERS, _buffer_modifier),
    **dict.fromkeys(vocabulary.RESPONSE, _response),
    "content": _content,
    "uricontent": _uricontent,
    "pcre": _pcre,
    "urilen": _urilen,
    "bsize": _bsize,
    "bufferlen": _bufferlen,
    "dsize": _dsize,
    "isdataat": _isdataat,
}
