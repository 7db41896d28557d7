# SPDX-License-Identifier: Apache-2.0
"""Reads the options of a parsed rule in its dialect and makes the internal form of it.

A wrong value is a ``ConfigError`` (column = offset + 1); an option that this version cannot judge, or one
that concerns traffic SecureDirect never sees, is noted in the rule. Syntax that has only one meaning is
taken in every dialect (``http.uri`` in a Snort file); what means different things is read as the dialect
says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, cast

from securedirect.rules import vocabulary
from securedirect.rules.lexer import as_text
from securedirect.rules.model import (
    Base64,
    ByteExtract,
    ByteJump,
    ByteTest,
    Content,
    Count,
    Dialect,
    Field,
    FlowBits,
    IsDataAt,
    Number,
    Option,
    ParsedRule,
    Pcre,
    Rule,
    Size,
    SourceBit,
    TcpFlags,
    TcpNumber,
    Test,
    buffer_of,
)
from securedirect.rules.parser import fail

_BLANKS = " \t\r\n\f\v"
_QUOTED = re.compile(r'(!?)[ \t\r\n]*"((?:[^"\\]++|\\.)*+)"[ \t\r\n]*', re.DOTALL)
_PATTERN_PART = re.compile(r"\\(.)|\|([^|]*)\||([^\\|]+)", re.DOTALL)
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*\Z")
_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9A-Fa-f]+|\d+)\Z")
_SIZE = re.compile(r"(<=|>=|<|>|!|=)?[ \t]*(\d+)\Z")
_RANGE = re.compile(r"(\d+)[ \t]*(<>|<=>)[ \t]*(\d+)\Z")
_FLAGS = re.compile(
    r"([!*+]?)[ \t]*([FSRPAUCE120]+)[ \t]*([!*+]?)[ \t]*(?:,[ \t]*([FSRPAUCE120]+))?\Z", re.IGNORECASE
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

_BYTE_OPERATOR = re.compile(r"(!)?[ \t]*(<=|>=|<|>|=|&|\^)?\Z")
_MATH_OPERATORS = frozenset("+ - * / << >>".split())
_DECODED = "base64_data"

_SizeKind = Literal["urilen", "bsize", "dsize"]
_Operator = Literal["=", "<", ">", "<=", ">="]


class _Draft:
    """A content while its modifiers are still being read."""

    __slots__ = (
        "at",
        "buffer",
        "depth",
        "distance",
        "endswith",
        "fast",
        "negated",
        "nocase",
        "offset",
        "pattern",
        "startswith",
        "within",
    )

    def __init__(self, buffer: str, pattern: bytes, negated: bool, at: int) -> None:
        self.buffer = buffer
        self.pattern = pattern
        self.negated = negated
        self.at = at
        self.nocase = self.startswith = self.endswith = self.fast = False
        self.offset: Number | None = None
        self.depth: Number | None = None
        self.distance: Number | None = None
        self.within: Number | None = None

    def freeze(self) -> Content:
        return Content(
            self.buffer,
            self.pattern,
            self.nocase,
            self.negated,
            self.offset,
            self.depth,
            self.distance,
            self.within,
            self.startswith,
            self.endswith,
            self.fast,
        )


class _Reader:
    """What is known of one rule while its options are read in order."""

    def __init__(self, dialect: Dialect, options: tuple[Option, ...]) -> None:
        self.dialect = dialect
        self.options = options
        self.tests: list[_Draft | Test] = []
        self.last: _Draft | None = None
        self.sticky = "raw"
        self.sid = 0
        self.gid = 1
        self.rev = 0
        self.msg = ""
        self.classtype = ""
        self.priority: int | None = None
        self.metadata: list[tuple[str, str]] = []
        self.references: list[str] = []
        self.services: list[str] = []
        self.noalert = False
        self.unsupported: dict[str, None] = {}  # ordered set
        self.foreign: dict[str, None] = {}
        self.segments = False
        """The rule asks for single segments (flow:no_stream)."""


def read_rule(parsed: ParsedRule, dialect: Dialect) -> Rule:
    """The internal form of ``parsed`` read as ``dialect``. ConfigError (column = offset + 1) for a wrong
    value.
    """
    reader = _Reader(dialect, parsed.options)
    handlers = _HANDLERS
    for option in parsed.options:
        handler = handlers.get(option.name)
        if handler is not None:
            handler(reader, option)
        else:
            _other(reader, option)
    if not reader.sid:
        fail(0, "the rule has no sid", "give each rule a number of its own: sid:1000001;")
    tests = _nested([test.freeze() if isinstance(test, _Draft) else test for test in reader.tests])
    if reader.services and not vocabulary.HTTP_SERVICES.intersection(reader.services):
        reader.foreign[f"for service {', '.join(reader.services)}, not http"] = None
    return Rule(
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
        unsupported=tuple(reader.unsupported),
        foreign=tuple(reader.foreign),
    )


def _nested(tests: list[Test]) -> tuple[Test, ...]:
    """What looks into the decoded buffer belongs to the base64_decode before it."""
    kept: list[Test] = []
    inner: list[Test] = []
    place = None
    for test in tests:
        if isinstance(test, Base64):
            place, inner = len(kept), []
        elif buffer_of(test) == _DECODED:
            inner.append(test)
            if place is not None:
                kept[place] = replace(cast(Base64, kept[place]), tests=tuple(inner))
            continue
        kept.append(test)
    return tuple(kept)


# Values


def _value(option: Option) -> str:
    if option.value is None or not (value := option.value.strip(_BLANKS)):
        fail(option.at, f"{option.name} needs a value", f"write {option.name}:VALUE;")
    return value


def _plain(option: Option) -> None:
    if option.value is not None and option.value.strip(_BLANKS):
        fail(option.value_at, f"{option.name} takes no value", f"write {option.name};")


def _number(option: Option, text: str, low: int, high: int) -> int:
    if not _INTEGER.match(text):
        fail(option.value_at, f"{option.name} needs a number, not {text!r}", f"from {low} to {high}")
    number = int(text, 16) if "x" in text.lower() else int(text)
    if not low <= number <= high:
        fail(option.value_at, f"{option.name} {number} is out of range", f"from {low} to {high}")
    return number


def _variable_number(reader: _Reader, option: Option, text: str, low: int, high: int) -> Number:
    """A number, or the name of one that an option before this one takes from the request."""
    if _IDENTIFIER.match(text) and any(o.name in ("byte_extract", "byte_math") for o in reader.options):
        return text.lower()
    return _number(option, text, low, high)


def _quoted(option: Option) -> tuple[bool, str, int, str]:
    """(negated, what stands between the quotes, its offset, what follows the closing quote)."""
    value = option.value or ""
    found = _QUOTED.match(value)
    if found is None:
        stripped = value.lstrip("! \t")
        if not stripped.startswith('"'):
            fail(
                option.value_at,
                f"the value of {option.name} must stand in double quotes",
                f'{option.name}:"...";',
            )
        fail(
            option.value_at + value.index('"'),
            f"the quotes of {option.name} are not closed",
            'a quote inside the value is written \\"',
        )
    return bool(found[1]), found[2], option.value_at + found.start(2), value[found.end() :]


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


def _sizes(
    reader: _Reader, option: Option, text: str, *, inclusive: bool
) -> list[tuple[_Operator, int]] | None:
    """Comparisons of which all must hold; None when the form is one that cannot be expressed (noted)."""
    found = _RANGE.match(text)
    if found:
        low, high = int(found[1]), int(found[3])
        if low > high:
            fail(
                option.value_at,
                f"{option.name} range {text} ends before it begins",
                "write the smaller number first",
            )
        if inclusive or found[2] == "<=>":
            return [(">=", low), ("<=", high)]
        return [(">", low), ("<", high)]
    found = _SIZE.match(text)
    if found is None:
        fail(
            option.value_at,
            f"{option.name} needs N, <N, >N or N<>M, not {text!r}",
            f"for example {option.name}:>100;",
        )
    value = int(found[2])
    match found[1]:
        case "<":
            return [("<", value)]
        case ">":
            return [(">", value)]
        case "<=":
            return [("<=", value)]
        case ">=":
            return [(">=", value)]
        case "!":
            reader.unsupported[f"{option.name}:!N"] = None
            return None
        case _:
            return [("=", value)]


# Options


def _msg(reader: _Reader, option: Option) -> None:
    value = _value(option)
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    reader.msg = as_text(_ESCAPED.sub(r"\1", value) if "\\" in value else value)


def _sid(reader: _Reader, option: Option) -> None:
    reader.sid = _number(option, _value(option), 1, 0xFFFFFFFF)


def _gid(reader: _Reader, option: Option) -> None:
    reader.gid = _number(option, _value(option), 0, 0xFFFFFFFF)


def _rev(reader: _Reader, option: Option) -> None:
    reader.rev = _number(option, _value(option), 0, 0xFFFFFFFF)


def _classtype(reader: _Reader, option: Option) -> None:
    reader.classtype = _value(option).lower()


def _priority(reader: _Reader, option: Option) -> None:
    reader.priority = _number(option, _value(option), 1, 255)


def _metadata(reader: _Reader, option: Option) -> None:
    if option.value is None:
        return
    add = reader.metadata.append
    for part in option.value.split(","):
        key, _, value = part.strip(_BLANKS).partition(" ")
        if key == "service":
            reader.services.append(value.strip().lower())
        if key:
            add((key.lower(), value.strip(_BLANKS)))


def _reference(reader: _Reader, option: Option) -> None:
    if option.value is not None:
        reader.references.append(option.value.strip(_BLANKS))


def _service(reader: _Reader, option: Option) -> None:
    reader.services += [name.strip().lower() for name in _value(option).split(",")]


def _add_content(reader: _Reader, option: Option, buffer: str) -> None:
    negated, text, at, rest = _quoted(option)
    pattern = decode_pattern(text, at)
    if not pattern:
        fail(at, f"{option.name} is empty", "give it at least one byte to find")
    draft = _Draft(buffer, pattern, negated, option.at)
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
            begin = at + len(part) - len(part.lstrip(_BLANKS))
            at += len(part) + 1
            name, _, value = part.strip(_BLANKS).partition(" ")
            inner = Option(name.lower(), value.strip(_BLANKS) or None, begin, begin + len(name) + 1)
            handler = _CONTENT_OPTIONS.get(inner.name)
            if handler is None:
                fail(
                    begin,
                    f"{option.name} has no modifier {name!r}",
                    "for example nocase, depth 4, within 10",
                )
            handler(reader, inner)


def _content(reader: _Reader, option: Option) -> None:
    _add_content(reader, option, reader.sticky)


def _uricontent(reader: _Reader, option: Option) -> None:
    _add_content(reader, option, "http_uri")


def _need_content(reader: _Reader, option: Option) -> _Draft:
    if reader.last is None:
        fail(
            option.at,
            f"{option.name} has no content before it",
            f'write content:"..."; {option.name} after it',
        )
    return reader.last


def _nocase(reader: _Reader, option: Option) -> None:
    _plain(option)
    _need_content(reader, option).nocase = True


def _startswith(reader: _Reader, option: Option) -> None:
    _plain(option)
    _need_content(reader, option).startswith = True


def _endswith(reader: _Reader, option: Option) -> None:
    _plain(option)
    _need_content(reader, option).endswith = True


def _fast_pattern(reader: _Reader, option: Option) -> None:
    _need_content(reader, option).fast = True


def _rawbytes(reader: _Reader, option: Option) -> None:
    _need_content(reader, option).buffer = "raw"


def _offset(reader: _Reader, option: Option) -> None:
    draft = _need_content(reader, option)
    draft.offset = _variable_number(reader, option, _value(option), -65535, 65535)
    if isinstance(draft.offset, int) and draft.offset < 0:
        fail(option.value_at, "offset cannot be negative", "it counts from the beginning of the buffer")


def _depth(reader: _Reader, option: Option) -> None:
    draft = _need_content(reader, option)
    draft.depth = _variable_number(reader, option, _value(option), 1, 65535)


def _distance(reader: _Reader, option: Option) -> None:
    draft = _need_content(reader, option)
    draft.distance = _variable_number(reader, option, _value(option), -1048576, 1048576)


def _within(reader: _Reader, option: Option) -> None:
    draft = _need_content(reader, option)
    draft.within = _variable_number(reader, option, _value(option), 1, 1048576)


def _buffer_modifier(reader: _Reader, option: Option) -> None:
    name = option.name
    if reader.dialect == "snort3":
        sticky = vocabulary.STICKY_SNORT3.get(name)
        if sticky is not None:
            _snort3_sticky(reader, option, sticky)
            return
    if reader.last is None:
        hint = "it changes the content before it; in a Snort 3 file it stands first: use --dialect snort3"
        fail(option.at, f"{name} has no content before it", hint)
    _plain(option)
    reader.last.buffer = vocabulary.CONTENT_MODIFIERS[name]


def _snort3_sticky(reader: _Reader, option: Option, buffer: str) -> None:
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


def _sticky(reader: _Reader, option: Option) -> None:
    reader.sticky = vocabulary.STICKY[option.name]


def _url_decode(reader: _Reader, option: Option) -> None:
    if reader.dialect == "suricata" and reader.sticky == "http_client_body":
        reader.sticky = "http_client_body_decoded"
    else:
        reader.unsupported[f"url_decode of {reader.sticky}"] = None


def _snort3_only_sticky(reader: _Reader, option: Option) -> None:
    _snort3_sticky(reader, option, vocabulary.STICKY_SNORT3[option.name])


def _response(reader: _Reader, option: Option) -> None:
    reader.foreign[f"{option.name} looks at the server's response"] = None


def _pcre(reader: _Reader, option: Option) -> None:
    value = (option.value or "").strip(_BLANKS)
    at = option.value_at
    negated = value.startswith("!")
    if negated:
        inner = value[1:].lstrip(_BLANKS)
        at += len(value) - len(inner)
        value = inner
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        fail(at, "the value of pcre must stand in double quotes", 'pcre:"/expression/flags";')
    body = value[1:-1].strip(_BLANKS)
    at += value.index(body, 1) if body else 1
    if body.startswith("m") and len(body) > 1:
        body, at = body[1:], at + 1
    delimiter = body[:1]
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
    reader: _Reader, option: Option, kind: _SizeKind, buffer: str, *, inclusive: bool, text: str | None = None
) -> None:
    for operator, value in (
        _sizes(reader, option, _value(option) if text is None else text, inclusive=inclusive) or ()
    ):
        reader.tests.append(Size(kind, operator, value, buffer))


def _urilen(reader: _Reader, option: Option) -> None:
    text, comma, which = _value(option).partition(",")
    which = which.strip(_BLANKS).lower()
    if comma and which not in ("raw", "norm"):
        fail(
            option.value_at,
            f"urilen measures 'raw' or 'norm', not {which!r}",
            "for example urilen:>100,norm;",
        )
    # Snort 2 measures the URI as sent and takes a<>b with its ends, Suricata the normalised one without them.
    raw = which == "raw" if comma else reader.dialect == "snort2"
    buffer = "http_raw_uri" if raw else "http_uri"
    _length(reader, option, "urilen", buffer, inclusive=reader.dialect == "snort2", text=text.strip(_BLANKS))


def _bsize(reader: _Reader, option: Option) -> None:
    _length(reader, option, "bsize", reader.sticky, inclusive=False)


def _bufferlen(reader: _Reader, option: Option) -> None:
    text, comma, how = _value(option).partition(",")
    if comma and how.strip(_BLANKS).lower() != "relative":
        fail(option.value_at, f"bufferlen has no argument {how!r}", "for example bufferlen:>100,relative;")
    for operator, value in _sizes(reader, option, text.strip(_BLANKS), inclusive=False) or ():
        reader.tests.append(Size("bsize", operator, value, _place(reader, bool(comma)), bool(comma)))


def _dsize(reader: _Reader, option: Option) -> None:
    _length(reader, option, "dsize", "raw", inclusive=reader.dialect == "snort2")


def _isdataat(reader: _Reader, option: Option) -> None:
    parts = [part.strip(_BLANKS).lower() for part in _value(option).split(",")]
    text = parts[0]
    negated = text.startswith("!")
    if negated:
        text = text[1:].strip(_BLANKS)
    for part in parts[1:]:
        if part not in ("relative", "rawbytes"):
            fail(option.value_at, f"isdataat has no argument {part!r}", "for example isdataat:10,relative;")
    relative = "relative" in parts[1:]
    buffer = "raw" if "rawbytes" in parts[1:] else _place(reader, relative)
    value = _variable_number(reader, option, text, 0, 1048576)
    # Relative, the document counts the bytes that must follow, as Suricata does; Snort asks for one more.
    if relative and reader.dialect != "suricata":
        if isinstance(value, str):
            reader.unsupported[f"isdataat:{value},relative (a value taken from the request)"] = None
            return
        value += 1
    reader.tests.append(IsDataAt(buffer, value, relative, negated))


def _place(reader: _Reader, relative: bool) -> str:
    """The buffer that an option without one of its own looks into: relative to the last match, the buffer of
    the content or pcre before it.
    """
    if not relative:
        return reader.sticky
    return next((t.buffer for t in reversed(reader.tests) if isinstance(t, _Draft | Pcre)), reader.sticky)


def _parts(option: Option) -> list[str]:
    return [part.strip(_BLANKS) for part in _value(option).split(",")]


class _Arguments:
    """What follows the leading arguments of a byte option: words, and words with a value."""

    def __init__(self, reader: _Reader, option: Option, parts: list[str], known: str) -> None:
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
                reader.unsupported[f"{option.name} with dce"] = None
            elif word not in f"relative big little string dec hex oct bitmask {known}".split():
                fail(
                    option.value_at,
                    f"{option.name} has no argument {part!r}",
                    f"known: relative, little, {known}",
                )
            self.words[word] = value.strip()

    def number(self, word: str, otherwise: int) -> int:
        text = self.words.get(word, "")
        return _number(self.option, text, -65535, 0xFFFFFFFF) if text else otherwise

    def field(self, size: str, offset: str) -> Field:
        reader, option, words = self.reader, self.option, self.words
        relative = "relative" in words
        base = next(
            (one for one in ("dec", "hex", "oct") if one in words), "dec" if "string" in words else ""
        )
        low = 0 if base else 1
        return Field(
            _place(reader, relative),
            _variable_number(reader, option, size, low, 23 if base else 8),
            _variable_number(reader, option, offset or "0", -1048576, 1048576),
            relative,
            "little" in words,
            base,
            _number(option, words["bitmask"], 0, 0xFFFFFFFFFFFFFFFF) if "bitmask" in words else None,
        )


def _byte_test(reader: _Reader, option: Option) -> None:
    parts = _parts(option)
    found = _BYTE_OPERATOR.match(parts[1]) if len(parts) > 3 else None
    if found is None:
        hint = "for example byte_test:2,>,512,0,relative;"
        fail(option.value_at, "byte_test needs bytes, operator, value and offset", hint)
    arguments = _Arguments(reader, option, parts[4:], "")
    value = _variable_number(reader, option, parts[2], 0, 0xFFFFFFFFFFFFFFFF)
    field = arguments.field(parts[0], parts[3])
    reader.tests.append(ByteTest(field, found[2] or "=", bool(found[1]), value))


def _byte_jump(reader: _Reader, option: Option) -> None:
    parts = _parts(option)
    if len(parts) < 2:
        fail(option.value_at, "byte_jump needs bytes and offset", "for example byte_jump:2,0,relative;")
    known = "multiplier align from_beginning from_end post_offset"
    arguments = _Arguments(reader, option, parts[2:], known)
    words = arguments.words
    start = "beginning" if "from_beginning" in words else "end" if "from_end" in words else "field"
    post_offset = _variable_number(reader, option, words.get("post_offset", "0"), -1048576, 1048576)
    field = arguments.field(parts[0], parts[1])
    align = 4 if "align" in words else 0
    reader.tests.append(ByteJump(field, arguments.number("multiplier", 1), align, start, post_offset))


def _byte_extract(reader: _Reader, option: Option) -> None:
    parts = _parts(option)
    if len(parts) < 3 or not _IDENTIFIER.match(parts[2]):
        fail(
            option.value_at,
            "byte_extract needs bytes, offset and a name",
            "for example byte_extract:2,0,size;",
        )
    arguments = _Arguments(reader, option, parts[3:], "multiplier align")
    field = arguments.field(parts[0], parts[1])
    align = arguments.number("align", 4) if "align" in arguments.words else 0
    reader.tests.append(ByteExtract(field, parts[2].lower(), arguments.number("multiplier", 1), align))


def _byte_math(reader: _Reader, option: Option) -> None:
    named: dict[str, str] = {}
    rest = []
    for part in _parts(option):
        word, _, value = part.partition(" ")
        if word.lower() in ("bytes", "offset", "oper", "rvalue", "result"):
            named[word.lower()] = value.strip()
        else:
            rest.append(part)
    operator, name = named.get("oper", ""), named.get("result", "")
    if (
        operator not in _MATH_OPERATORS
        or not {"bytes", "rvalue"} <= named.keys()
        or not _IDENTIFIER.match(name)
    ):
        hint = "for example byte_math:bytes 2,offset 0,oper +,rvalue 4,result size;"
        fail(option.value_at, "byte_math needs bytes, oper, rvalue and result", hint)
    field = _Arguments(reader, option, rest, "").field(named["bytes"], named.get("offset", "0"))
    operand = _variable_number(reader, option, named["rvalue"], 0, 0xFFFFFFFF)
    reader.tests.append(ByteExtract(field, name.lower(), operator=operator, operand=operand))


def _base64_decode(reader: _Reader, option: Option) -> None:
    words: dict[str, str] = {}
    for part in (option.value or "").split(","):
        word, _, value = part.strip(_BLANKS).lower().partition(" ")
        if word and word not in ("bytes", "offset", "relative"):
            fail(option.value_at, f"base64_decode has no argument {word!r}", "bytes 20, offset 4, relative")
        words[word] = value.strip()
    relative = "relative" in words
    size = _number(option, words["bytes"], 1, 65535) if words.get("bytes") else None
    offset = _number(option, words["offset"], 0, 65535) if words.get("offset") else 0
    reader.tests.append(Base64(_place(reader, relative), size, offset, relative, ()))


def _base64_data(reader: _Reader, option: Option) -> None:
    if not any(isinstance(test, Base64) for test in reader.tests):
        fail(option.at, "base64_data has no base64_decode before it", "write base64_decode; base64_data; ...")
    reader.sticky = _DECODED


def _stream_size(reader: _Reader, option: Option) -> None:
    if _parts(option)[0].lower() == "server":
        reader.foreign["stream_size measures what the server sends"] = None
    else:
        reader.unsupported["stream_size"] = None


def _ip_proto(reader: _Reader, option: Option) -> None:
    value = _value(option).lower()
    if value not in ("tcp", "6", "!17", "!udp", "!1", "!icmp"):
        reader.foreign[f"ip_proto:{value}: another protocol than TCP"] = None


def _sameip(reader: _Reader, option: Option) -> None:
    reader.foreign["sameip: no connection comes from the server itself"] = None


def _flags(reader: _Reader, option: Option) -> None:
    text = _value(option)
    found = _FLAGS.match(text)
    if found is None:
        fail(
            option.value_at,
            f"{text!r} are no TCP flags",
            "letters of F S R P A U C E, with + * or ! before them",
        )
    mode: Literal["=", "+", "*", "!"]
    match found[1] or found[3]:
        case "+":
            mode = "+"
        case "*":
            mode = "*"
        case "!":
            mode = "!"
        case _:
            mode = "="
    reader.tests.append(TcpFlags(_flag_letters(found[2]), mode, _flag_letters(found[4] or "")))


def _flag_letters(text: str) -> str:
    letters = text.upper().replace("1", "C").replace("2", "E").replace("0", "")
    return "".join(dict.fromkeys(letters))


def _tcp_number(reader: _Reader, option: Option) -> None:
    text = _value(option)
    if not _INTEGER.match(text):
        reader.unsupported[f"{option.name}:{text}"] = None
        return
    kind: Literal["ack", "seq"] = "ack" if option.name in ("ack", "tcp.ack") else "seq"
    reader.tests.append(TcpNumber(kind, _number(option, text, 0, 0xFFFFFFFF)))


def _flow(reader: _Reader, option: Option) -> None:
    for part in _value(option).split(","):
        match part.strip(_BLANKS).lower():
            case (
                "established"
                | "to_server"
                | "from_client"
                | "only_stream"
                | "stateless"
                | "not_established"
                | "no_frag"
            ):
                pass
            case "to_client" | "from_server":
                reader.foreign["looks at what the server sends (flow to_client)"] = None
            case "no_stream":
                reader.segments = True
            case "only_frag":
                reader.unsupported["flow:only_frag"] = None
            case other:
                fail(
                    option.value_at, f"flow has no value {other!r}", "for example flow:established,to_server;"
                )


def _flowbits(reader: _Reader, option: Option) -> None:
    parts = _parts(option)
    command = parts[0].lower()
    if command == "noalert":
        reader.noalert = True
    elif command == "reset":
        reader.unsupported["flowbits:reset"] = None
    elif command in ("set", "setx", "unset", "toggle", "isset", "isnotset"):
        if len(parts) < 2 or not parts[1]:
            fail(option.value_at, f"flowbits:{command} names no bit", "flowbits:set,name;")
        # A third argument is a group, which only setx and reset need.
        either = "|" in parts[1]
        names = tuple(name.strip(_BLANKS) for name in re.split(r"[|&]", parts[1]))
        reader.tests.append(FlowBits("set" if command == "setx" else command, names, either))
    else:
        fail(
            option.value_at,
            f"flowbits has no command {command!r}",
            "set, unset, isset, isnotset, toggle, noalert",
        )


def _xbits(reader: _Reader, option: Option) -> None:
    parts = _parts(option)
    command = parts[0].lower()
    if command == "noalert":
        reader.noalert = True
        return
    if command not in ("set", "unset", "toggle", "isset", "isnotset") or len(parts) < 2:
        hint = "xbits:set,name,track ip_src,expire 60;"
        fail(option.value_at, f"{option.name} needs a command and a name", hint)
    seconds = 30 if option.name == "xbits" else 300
    for part in parts[2:]:
        word, _, value = part.lower().partition(" ")
        if word == "expire":
            seconds = _number(option, value.strip(), 1, 0x7FFFFFFF)
        elif word.isdigit():  # hostbits may name a time alone
            seconds = int(word)
        elif (word, value.strip()) not in (
            ("track", "ip_src"),
            ("track", "ip_pair"),
            ("src", ""),
            ("both", ""),
        ):
            reader.unsupported[f"{option.name}:{command} with {part}"] = None
    reader.tests.append(SourceBit(command, parts[1], seconds))


def _count(
    reader: _Reader, option: Option, words: dict[str, str], how: Literal["threshold", "both", "filter"]
) -> None:
    track = words.get("track", "")
    if track not in ("by_src", "by_both", "by_dst", "by_rule"):
        reader.unsupported[f"{option.name}:track {track}"] = None
        return
    count = _number(option, words.get("count", ""), 1, 0x7FFFFFFF)
    seconds = _number(option, words.get("seconds", ""), 1, 0x7FFFFFFF)
    reader.tests.append(Count(how, count, seconds, track in ("by_src", "by_both")))


def _words(option: Option) -> dict[str, str]:
    pairs = (part.lower().partition(" ") for part in _parts(option))
    return {key: value.strip(_BLANKS) for key, _, value in pairs}


def _threshold(reader: _Reader, option: Option) -> None:
    words = _words(option)
    kind = words.get("type", "")
    match kind:
        case "limit":
            pass  # it only says how often to tell; the others are part of the match
        case "threshold" | "both":
            _count(reader, option, words, "threshold" if kind == "threshold" else "both")
        case "backoff":
            reader.unsupported["threshold:type backoff"] = None
        case _:
            fail(
                option.value_at,
                f"threshold needs a type, not {kind!r}",
                "threshold:type limit, track by_src, count 1, seconds 60;",
            )


def _detection_filter(reader: _Reader, option: Option) -> None:
    _count(reader, option, _words(option), "filter")


def _noalert(reader: _Reader, option: Option) -> None:
    reader.noalert = True


def _app_layer_protocol(reader: _Reader, option: Option) -> None:
    value = _value(option).lower()
    if value.split(",")[0] not in ("http", "http1"):
        reader.foreign[f"app-layer-protocol:{value}"] = None


def _ignored(reader: _Reader, option: Option) -> None:
    return


def _other(reader: _Reader, option: Option) -> None:
    name = option.name
    if name in vocabulary.UNSUPPORTED:
        reader.unsupported[name] = None
    elif name.startswith(vocabulary.OTHER_SERVICE_PREFIXES):
        reader.foreign[f"{name} is for another protocol than HTTP"] = None
    else:
        reader.unsupported[f"{name} (no known option)"] = None


_Handler = Callable[[_Reader, Option], None]

_CONTENT_OPTIONS: dict[str, _Handler] = {
    "nocase": _nocase,
    "offset": _offset,
    "depth": _depth,
    "distance": _distance,
    "within": _within,
    "fast_pattern": _fast_pattern,
    "fast_pattern_offset": _ignored,
    "fast_pattern_length": _ignored,
    "startswith": _startswith,
    "endswith": _endswith,
    "rawbytes": _rawbytes,
}

_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(vocabulary.IGNORED, _ignored),
    **_CONTENT_OPTIONS,
    **dict.fromkeys(vocabulary.STICKY, _sticky),
    **dict.fromkeys(vocabulary.STICKY_SNORT3, _snort3_only_sticky),
    **dict.fromkeys(vocabulary.CONTENT_MODIFIERS, _buffer_modifier),
    **dict.fromkeys(vocabulary.RESPONSE, _response),
    "msg": _msg,
    "sid": _sid,
    "gid": _gid,
    "rev": _rev,
    "classtype": _classtype,
    "priority": _priority,
    "metadata": _metadata,
    "reference": _reference,
    "service": _service,
    "content": _content,
    "uricontent": _uricontent,
    "pcre": _pcre,
    "urilen": _urilen,
    "bsize": _bsize,
    "bufferlen": _bufferlen,
    "dsize": _dsize,
    "isdataat": _isdataat,
    "flags": _flags,
    "tcp.flags": _flags,
    "ack": _tcp_number,
    "seq": _tcp_number,
    "tcp.ack": _tcp_number,
    "tcp.seq": _tcp_number,
    "flow": _flow,
    "flowbits": _flowbits,
    "xbits": _xbits,
    "hostbits": _xbits,
    "byte_test": _byte_test,
    "byte_jump": _byte_jump,
    "byte_extract": _byte_extract,
    "byte_math": _byte_math,
    "base64_decode": _base64_decode,
    "base64_data": _base64_data,
    "stream_size": _stream_size,
    "ip_proto": _ip_proto,
    "sameip": _sameip,
    "threshold": _threshold,
    "detection_filter": _detection_filter,
    "noalert": _noalert,
    "url_decode": _url_decode,
    "app-layer-protocol": _app_layer_protocol,
}
