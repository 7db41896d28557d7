# SPDX-License-Identifier: Apache-2.0
"""How specific a rule is: how improbable it is that an ordinary request has what the rule asks for.

The measure is in bits: of 2^N ordinary requests about one is expected to match. It is derived from the
rule's own options and from a model of ordinary requests, never from a list of rules:

- The model (``ordinary.tsv``, made by ``tools/ordinary_table.py``) says how probable a character is behind
  the two before it, in addresses, in the rest of a message (headers, forms, JSON, markup, prose) and in
  source text, whose common words it knows too. Uploads and tokens are modelled as what they are: any bytes,
  any letters.
- People write about code, and send it: articles, tickets, scripts. So ``<?php`` or ``/bin/sh`` is worth
  little where a body may have it; a parameter of an address has code less often, words of it rather than
  marks; a header has none.
- A content is worth its improbability at one place, less the number of places where it may stand: at the
  beginning only, within a few bytes, anywhere. So ``rm%20`` anywhere is worth little (every "form " has
  it), a path with an odd name much, and ``../../`` or ``;`` before a command much, for nobody writes that.
- Runs of one byte are padding: beyond the third each adds little.
- Contents add up, as far as they do not repeat one another; so do the literal parts of an expression, of
  alternatives the likeliest. Negations, and tests of numbers, add nothing or little: ordinary requests pass
  them.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:  # its name from Python 3.11 on
    from re import _parser as sre  # type: ignore[attr-defined]
except ImportError:  # pragma: no cover
    import sre_parse as sre

from securedirect.rules.model import (
    Absent,
    Base64,
    ByteTest,
    Content,
    IsDataAt,
    Pcre,
    Rule,
    Size,
    Test,
    Transformed,
    buffer_of,
)

if TYPE_CHECKING:
    from securedirect.rules.standing import Standing

ALPHABET = "abcdefghijklmnopqrstuvwxyz0 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\n\x00\x80"
"""Letters without case, one for all digits, marks, line feed, one for control characters, one for 8-bit
bytes."""
GRADES = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BITS = {grade: index / 4 for index, grade in enumerate(GRADES)}
WORD = "[a-z_][a-z_0]{2,}"
"""Words of source text, folded."""
_TABLE = Path(__file__).with_name("ordinary.tsv")

# Bits by which the places in a buffer of ordinary length lower the worth of a content, and what the buffer
# is like.
_PLACES = {
    "raw": (10.0, "any"),
    "http_client_body": (9.0, "any"),
    "http_raw_body": (9.0, "any"),
    "http_header": (9.0, "message"),
    "http_raw_header": (9.0, "message"),
    "http_start": (9.0, "message"),
    "http_cookie": (7.0, "message"),
    "http_user_agent": (6.5, "message"),
    "http_referer": (6.0, "uri"),
    "http_uri": (6.0, "uri"),
    "http_raw_uri": (6.0, "uri"),
    "http_request_line": (6.0, "uri"),
}
_SHORT = (5.0, "message")
_METHODS = {
    b"GET": 0.5,
    b"POST": 2.0,
    b"HEAD": 5.0,
    b"PUT": 5.0,
    b"OPTIONS": 5.0,
    b"DELETE": 5.0,
    b"PATCH": 6.0,
}
_OTHER_METHOD = 10.0
_UPLOAD = 6.0
"""One request in 2^6 carries a file of any bytes, of some 2^17; one in 2^5 a text of tokens in base64."""
_UPLOAD_SIZE = 17.0
_TOKENS, _TOKENS_SIZE = 5.0, 14.0
_CODE, _CODE_SIZE = 7.0, 13.0
"""One body in 2^7 is or quotes source text, of some 2^13 characters."""
_SOUGHT, _QUOTED, _SEARCH_SIZE = 9.0, 18.0, 6.0
"""One address in 2^9 has words of code in some 2^6 characters (a search, a title, a name); one in 2^18 has
code with its marks (a translator, a query in a console): that is what attacks look like, too."""
_NESTED = 6.0
"""One address in 2^6 carries another, whose own escapes are left when the outer ones are decoded."""
_LOST = 8.0
"""One address in 2^8 has text in an alphabet that its client could not write: question marks."""
_RUN = 0.3
"""What a byte of a run adds behind the third."""
_UNRESERVED = 6.0
"""An escape of a character that needs none."""
_ORDINARY_LENGTH = 512
_MOST = 200.0
_DIGIT = math.log2(10)
_LINE_END = 14.0
_KNOWN = 6.0
"""At most for what is a part of a common header or form: at least one message in so many has it."""
_TOPIC = 0.25
"""Plain words of one topic come together: of a rule's words the rarest counts, of the others this share."""


def fold(data: bytes) -> str:
    """The model's characters for bytes."""
    return data.decode("latin-1").translate(_fold_table())


@cache
def _fold_table() -> dict[int, str]:
    table = {}
    for code in range(256):
        character = chr(code).lower() if code < 128 else "\x80"
        if character.isdecimal():
            character = "0"
        elif character == "\r":
            character = ""
        elif character not in ALPHABET:
            character = " " if character == "\t" else "\x00"
        table[code] = character
    return table


@cache
def _table() -> dict[str, dict[str, str]]:
    kinds: dict[str, dict[str, str]] = {
        kind: {} for kind in ("uri", "message", "code", "word", "idiom", "phrase")
    }
    for line in _TABLE.read_text("ascii").splitlines():
        if not line.startswith("#"):
            kind, context, grades = line.split("\t")
            kinds[kind][bytes.fromhex(context).decode("latin-1")] = grades
    return kinds


@cache
def _phrases() -> str:
    """Lines of common headers and forms, folded."""
    return "\n".join(_table()["phrase"])


@cache
def _positions() -> dict[str, int]:
    return {character: index for index, character in enumerate(ALPHABET)}


@lru_cache(maxsize=65536)
def _worth(kind: str, text: str, before: str) -> float:
    """Bits of folded ``text`` at one place behind ``before``."""
    table, positions = _table()[kind], _positions()
    total = 0.0
    run = 0
    context = before
    for character in text:
        run = run + 1 if context.endswith(character) else 1
        grades = table.get(context[-2:]) or table.get(context[-1:]) or table[""]
        bits = _BITS[grades[positions[character]]]
        if character == "\n" and kind == "uri":
            bits = _LINE_END  # in the table it ends an address; within one it does not stand
        if character == "0":
            bits += _DIGIT / 2  # which digit: half of them are years, pages and zeroes
        total += min(bits, _RUN) if run > 3 else bits
        context = (context + character)[-2:]
    return total


@lru_cache(maxsize=65536)
def _code_worth(text: str, before: str) -> float:
    """Bits of folded ``text`` at one place of source text behind ``before``: by its characters, known words
    and idioms at once where that is likelier."""
    words = _table()["word"]
    total, at = 0.0, 0
    for found in re.finditer(WORD, text):
        grade = words.get(found[0])
        if grade is None:
            continue
        total += _worth("code", text[at : found.start()], before) if found.start() > at else 0.0
        before = (before + text[at : found.start()])[-2:]
        total += min(_worth("code", found[0], before), _BITS[grade])
        before, at = found[0][-2:], found.end()
    total += _worth("code", text[at:], before)
    if len(text) > 3 and text in _idioms():
        found_in = [_BITS[grade] for idiom, grade in _table()["idiom"].items() if text in idiom]
        total = min(total, *found_in) if found_in else total
    return total


@cache
def _idioms() -> str:
    """All of them: whether a text is in any is asked first."""
    return "\n".join(_table()["idiom"])


def _in_address(text: str, before: str, lowered: float) -> float:
    """Bits of folded ``text`` in an address that has code, or question marks for what it could not say."""
    if not text.strip("? "):
        return _LOST + 0.5 * len(text)
    share = _SOUGHT if re.fullmatch(r"[\w ]+", text) else _QUOTED
    return share + max(0.0, _code_worth(text, before) - min(lowered, _SEARCH_SIZE))


def _without_runs(data: bytes) -> float:
    """Number of bytes, those of a run counting as ``_RUN`` eighths behind the third."""
    number = 0.0
    for at, byte in enumerate(data):
        number += _RUN / 8 if at >= 3 and data[at - 3 : at] == bytes([byte]) * 3 else 1
    return number


_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")


def _decoded(data: bytes) -> tuple[bytes, float]:
    """Without percent-encoding, and what needless encoding is worth: nobody's browser does it."""
    extra = 0.0
    for found in _ESCAPE.finditer(data):
        code = int(found[1], 16)
        if chr(code).isalnum() or code in b"-._~":
            extra += _UNRESERVED
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), data), extra


@lru_cache(maxsize=65536)  # many contents are those of many rules
def text_bits(data: bytes, buffer: str, places: float | None = None, before: str = "") -> float:
    """What it is worth that ``data`` stands in ``buffer``.

    ``places``: how many it may stand at, None = anywhere. ``before``: what stands in front of it, folded,
    if that is known ("\\n": it begins the buffer).
    """
    if buffer == "http_method":
        return _METHODS.get(data.strip().upper(), _OTHER_METHOD)
    lowered, kind = _PLACES.get(buffer, _SHORT)
    if places is not None:
        lowered = min(lowered, math.log2(max(1.0, places)))
    plain, extra = (data, 0.0) if buffer == "http_uri" else _decoded(data)
    folded = fold(plain)
    if kind == "uri":
        worth = max(0.0, _worth("uri", folded, before) + extra - lowered)
        worth = min(worth, _in_address(folded, before, lowered) + extra)
        if buffer == "http_uri" and _ESCAPE.search(data):
            worth = min(worth, _NESTED + text_bits(_decoded(data)[0], buffer, places, before))
        return worth
    bits = _worth("message", folded, before)
    worth = max(0.0, bits + extra - lowered)
    if len(folded) > 3 and folded in _phrases():
        worth = min(worth, _KNOWN)
    if kind == "any":
        in_uri = _worth("uri", folded, before) + extra
        worth = min(worth, max(0.0, in_uri - min(lowered, _PLACES["http_uri"][0])))
        size = _CODE_SIZE if places is None else lowered
        worth = min(worth, _CODE + max(0.0, _code_worth(folded, before) - size))
        length = _without_runs(data)
        worth = min(worth, _UPLOAD + max(0.0, 8 * length - (_UPLOAD_SIZE if places is None else lowered)))
        if re.fullmatch(rb"[A-Za-z0-9+/=_-]*", data):
            size = _TOKENS_SIZE if places is None else lowered
            worth = min(worth, _TOKENS + max(0.0, 5.2 * length - size))
    return worth


def content_bits(content: Content) -> float:
    """What a content of a rule is worth."""
    if content.negated:
        return 0.0
    size = len(content.pattern)
    places: float | None = None
    first = content.startswith or (content.offset == 0 and content.depth == size)
    if content.startswith or content.endswith:
        places = 1
    elif isinstance(content.depth, int):
        places = content.depth - size + 1
    elif isinstance(content.within, int):
        places = content.within - size + 1
    return text_bits(content.pattern, content.buffer, places, "\n" if first else "")


def is_of_header(content: Content) -> bool:
    """Whether it is a part of a common header or form."""
    return fold(content.pattern) in _phrases()


def is_code(content: Content) -> bool:
    """Whether it is in an ordinary address mostly because that has words of code."""
    lowered, kind = _PLACES.get(content.buffer, _SHORT)
    plain, extra = (content.pattern, 0.0) if content.buffer == "http_uri" else _decoded(content.pattern)
    folded = fold(plain)
    if kind != "uri" or not folded.strip("? "):
        return False
    return _in_address(folded, "", lowered) < _worth("uri", folded, "") + extra - lowered


@dataclass(frozen=True, slots=True)
class Specificity:
    """``bits`` and where they come from: (what, bits), the most first. ``there``: the bits where ``standing``
    holds (None: anywhere).
    """

    bits: float
    parts: tuple[tuple[str, float], ...]
    there: float = 0.0
    standing: Standing | None = None

    def __str__(self) -> str:
        return f"{self.bits:.1f} bits"


def specificity(rule: Rule) -> Specificity:
    """How specific ``rule`` is."""
    absent = {test.buffer for test in rule.tests if isinstance(test, Absent)}
    tests = [test for test in rule.tests if not absent or buffer_of(test) not in absent]
    parts = [*_contents(tests), *_expressions(tests), *_others(tests)]
    parts.sort(key=lambda part: -part[1])
    total = min(_MOST, sum(bits for _, bits in parts))
    return Specificity(total, tuple(part for part in parts if part[1] > 0))


def _contents(tests: Sequence[Test]) -> Iterable[tuple[str, float]]:
    """Each content that is not a part of another of the same buffer."""
    words = []
    contents = [test for test in tests if isinstance(test, Content) and not test.negated]
    for at, content in enumerate(contents):
        needle = content.pattern.lower()
        repeated = any(
            other.buffer == content.buffer
            and needle in other.pattern.lower()
            and (len(other.pattern) > len(needle) or number < at)
            and not _relative(content)
            for number, other in enumerate(contents)
            if number != at
        )
        if repeated:
            continue
        part = f'{content.buffer} "{shown(content.pattern)}"', content_bits(content)
        if content.pattern.isalpha() and content.buffer != "http_method":
            words.append(part)
        else:
            yield part
    words.sort(key=lambda part: -part[1])
    for number, (name, bits) in enumerate(words):
        yield name, bits if number == 0 else bits * _TOPIC


def _relative(content: Content) -> bool:
    return content.distance is not None or content.within is not None


def _others(tests: Sequence[Test]) -> Iterable[tuple[str, float]]:
    for test in tests:
        match test:
            case IsDataAt(negated=False) if isinstance(test.value, int):
                yield "length", _length(test.value)
            case Size(op=">" | ">="):
                yield "length", _length(test.value)
            case Size(op="=") if test.buffer != "http_method":
                yield "length", 3.0
            case ByteTest():
                yield "number", 1.0
            case Base64() | Transformed():
                yield from (part for part in (*_contents(test.tests), *_expressions(test.tests)))


def _length(value: int) -> float:
    """A field longer than ``value``: each doubling beyond an ordinary one is four times rarer."""
    return max(0.0, 2 * math.log2(max(1, value) / _ORDINARY_LENGTH))


def _expressions(tests: Sequence[Test]) -> Iterable[tuple[str, float]]:
    known = [test.pattern.lower() for test in tests if isinstance(test, Content) and not test.negated]
    for test in tests:
        if isinstance(test, Pcre) and not test.negated:
            yield f"expression in {test.buffer}", _Expression(test, known).bits()


def shown(data: bytes) -> str:
    """For people."""
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in data[:40])


class _Expression:
    """Walks an expression for the literals that it cannot match without. What ``known`` contents say already
    counts nothing again.
    """

    def __init__(self, test: Pcre, known: Sequence[bytes]) -> None:
        self.test = test
        self.known = known
        self.lowered, _ = _PLACES.get(test.buffer, _SHORT)
        self.before = ""
        self.placed = "R" in test.flags
        """Something in it is a known content, or it goes on behind one: its place is paid for."""

    def bits(self) -> float:
        pattern = self.test.pattern
        text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of what Python may mean by it one day
                tree = sre.parse(text, re.DOTALL)
        except (re.error, OverflowError, RecursionError):
            return 0.0
        total = self._sequence(tree)
        return total if self.placed else max(0.0, total - self.lowered)

    def _flush(self, literal: bytearray) -> float:
        """The worth of a literal at one place, without what contents have said."""
        data = bytes(literal)
        literal.clear()
        if not data:
            return 0.0
        low = data.lower()
        before, self.before = self.before, fold(low)[-2:]
        if any(low in known for known in self.known):
            self.placed |= len(low) > 2
            return 0.0
        for known in sorted(self.known, key=len, reverse=True):
            if len(known) > 2 and known in low:
                self.placed = True
                front, _, low = low.partition(known)
                low = front + low
                before = before if front else fold(known)[-2:]
        return text_bits(low, self.test.buffer, 1, before) if low else 0.0

    def _sequence(self, tree: Any) -> float:
        total = gap = 0.0
        literal = bytearray()
        for op, argument in tree:
            name = str(op)
            if name == "LITERAL" and argument < 256:
                literal.append(argument)
                continue
            worth = self._flush(literal)
            if worth:
                total, gap = total + max(0.0, worth - gap), 0.0
            worth = self._item(name, argument)
            if name not in ("AT", "SUBPATTERN", "BRANCH"):
                self.before = ""
            if worth > 1.0:
                total, gap = total + max(0.0, worth - gap), 0.0
            else:
                total += worth
            gap = min(self.lowered, gap + _gap(name, argument))
        return min(_MOST, total + max(0.0, self._flush(literal) - gap))

    def _item(self, name: str, argument: Any) -> float:
        match name:
            case "IN":
                return self._class(argument)
            case "BRANCH":
                before = self.before
                worths: list[float] = []
                for branch in argument[1]:
                    self.before = before
                    worths.append(self._sequence(branch))
                self.before = ""
                chance: float = sum(2.0**-worth for worth in worths)
                return max(0.0, -math.log2(chance))
            case "SUBPATTERN":
                return self._sequence(argument[-1])
            case "ATOMIC_GROUP":
                return self._sequence(argument)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                low, _, inner = argument
                if not low:
                    return 0.0
                once = self._sequence(inner)
                if once < 1.0:
                    return max(once, _length(low))
                return float(once * min(low, 3) + _RUN * max(0, low - 3))
        return 0.0

    def _class(self, items: Any) -> float:
        if str(items[0][0]) == "NEGATE":
            return 0.1
        codes: set[int] = set()
        for op, argument in items:
            match str(op):
                case "LITERAL":
                    codes.add(argument)
                case "RANGE":
                    codes.update(range(argument[0], min(argument[1], 255) + 1))
                case "CATEGORY":
                    name = str(argument)
                    if "NOT" in name:
                        return 0.1
                    chosen = " \t\r\n" if "SPACE" in name else "0123456789"
                    if "WORD" in name:
                        return 0.3
                    codes.update(map(ord, chosen))
        if not codes:
            return 0.0
        likeliest = min(text_bits(bytes([code]), self.test.buffer, 1) for code in codes if code < 256)
        return max(0.1, likeliest - math.log2(min(len(codes), 26)))


def _gap(name: str, argument: Any) -> float:
    """By how much what follows may move, in bits: it has more places then."""
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        low, high, inner = argument
        broad = len(inner) == 1 and str(inner[0][0]) in ("ANY", "NOT_LITERAL", "IN")
        return math.log2(1 + min(int(high) - int(low), 1024)) if broad else 0.0
    if name == "SUBPATTERN":
        return sum(_gap(str(op), inner) for op, inner in argument[-1])
    return 0.0
