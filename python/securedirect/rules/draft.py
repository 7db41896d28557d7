# SPDX-License-Identifier: Apache-2.0
"""What is known of one rule while its options are read, and how their values are read.

A wrong value is a ``ConfigError`` (column = offset + 1).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from securedirect.rules.model import (
    Content,
    Dialect,
    Number,
    Operator,
    Option,
    Pcre,
    Test,
    TransformStep,
    buffer_of,
)
from securedirect.rules.parser import fail

BLANKS = " \t\r\n\f\v"


_QUOTED = re.compile(r'(!?)[ \t\r\n]*"((?:[^"\\]++|\\.)*+)"[ \t\r\n]*', re.DOTALL)


IDENTIFIER = re.compile(r"\w[\w.-]*\Z")


INTEGER = re.compile(r"[+-]?(?:0[xX][0-9A-Fa-f]+|\d+)\Z")


_SIZE = re.compile(r"(<=|>=|<|>|!=?|=)?[ \t]*(\d+)\Z")


_RANGE = re.compile(r"(\d+)[ \t]*(<>|<=>|-)[ \t]*(\d+)\Z")


DECODED = "base64_data"


TRANSFORMED = "|"
"""While a rule is read, its buffers with transformations are called ``buffer|number``, a number of
``Reader.transforms``."""


class Draft:
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


class Reader:
    """What is known of one rule while its options are read in order."""

    def __init__(self, dialect: Dialect, options: tuple[Option, ...]) -> None:
        self.dialect = dialect
        self.options = options
        self.tests: list[Draft | Test] = []
        self.last: Draft | None = None
        self.sticky = "raw"
        self.before = ""
        """The option in front of the one that is read."""
        self.transforms: list[tuple[TransformStep, ...]] = []
        self.names: set[str] = set()
        """Of numbers that options before this one take from the request."""
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
        self.stream_only = False
        self.side: Literal["", "client", "server"] = ""
        self.established: bool | None = None
        self.flow = False
        self.flow_start = False
        self.http = False
        self.files = ""
        """The option that looks into files, as long as it is not known whose."""


def ignored(reader: Reader, option: Option) -> None:
    """It says nothing about what matches."""


def option_text(option: Option) -> str:
    if option.value is None or not (value := option.value.strip(BLANKS)):
        fail(option.at, f"{option.name} needs a value", f"write {option.name}:VALUE;")
    return value


def no_value(option: Option) -> None:
    if option.value is not None and option.value.strip(BLANKS):
        fail(option.value_at, f"{option.name} takes no value", f"write {option.name};")


def read_number(option: Option, text: str, low: int, high: int) -> int:
    if not INTEGER.match(text):
        fail(option.value_at, f"{option.name} needs a number, not {text!r}", f"from {low} to {high}")
    number = int(text, 16) if "x" in text.lower() else int(text)
    if not low <= number <= high:
        fail(option.value_at, f"{option.name} {number} is out of range", f"from {low} to {high}")
    return number


def read_number_or_name(reader: Reader, option: Option, text: str, low: int, high: int) -> Number:
    """A number, or the name of one that an option before this one takes from the request."""
    if reader.names and text.lower() in reader.names:
        return text.lower()
    taken = any(one.name in ("byte_extract", "byte_math") for one in reader.options)
    if taken and IDENTIFIER.match(text) and not INTEGER.match(text):
        fail(
            option.value_at,
            f"{option.name}: {text!r} has no value yet",
            "byte_extract or byte_math before it gives it one",
        )
    return read_number(option, text, low, high)


def read_quoted(option: Option) -> tuple[bool, str, int, str]:
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


def read_sizes(option: Option, text: str, *, inclusive: bool) -> list[tuple[Operator, int]]:
    """Comparisons of which all must hold."""
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
        case "!" | "!=":
            return [("!=", value)]
        case _:
            return [("=", value)]


def last_content(reader: Reader, option: Option) -> Draft:
    if reader.last is None:
        fail(
            option.at,
            f"{option.name} has no content before it",
            f'write content:"..."; {option.name} after it',
        )
    return reader.last


def buffer_for(reader: Reader, relative: bool) -> str:
    """The buffer that an option without one of its own looks into: relative to the last match, the buffer of
    the content or pcre before it; in Suricata the one that is named, if there is one.
    """
    if not relative or (reader.dialect == "suricata" and reader.sticky != "raw"):
        return reader.sticky
    return next((t.buffer for t in reversed(reader.tests) if isinstance(t, Draft | Pcre)), reader.sticky)


_OF_MANY = frozenset({"http_request_header", "http_file_name", "http_file_data"})


def buffer_again(reader: Reader, buffer: str) -> str:
    """``buffer``, or, named once more in a rule of Suricata, what may be another one of a request's several:
    another header, another file.
    """
    if buffer not in _OF_MANY or reader.dialect != "suricata":
        return buffer
    if not any(own_buffer(test).partition(TRANSFORMED)[0] == buffer for test in reader.tests):
        return buffer
    reader.transforms.append(())
    return f"{buffer}{TRANSFORMED}{len(reader.transforms) - 1}"


def own_buffer(test: Draft | Test) -> str:
    return test.buffer if isinstance(test, Draft) else buffer_of(test)


def option_parts(option: Option) -> list[str]:
    return [part.strip(BLANKS) for part in option_text(option).split(",")]


def option_words(option: Option) -> dict[str, str]:
    pairs = (part.lower().partition(" ") for part in option_parts(option))
    return {key: value.strip(BLANKS) for key, _, value in pairs}


PACKET_BYTES = "packet:"
"""While a rule is read, bytes that only a packet has are a buffer of this name and what they are."""


Handler = Callable[[Reader, Option], None]
