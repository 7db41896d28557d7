# SPDX-License-Identifier: Apache-2.0
"""Cuts a rule file into rule texts and knows the line and column of every character of them.

Rule files are bytes: they are read as latin-1, so that one character is one byte and contents keep their
exact value. Columns are counted in characters of the line as an editor shows it (UTF-8 when the line is
valid UTF-8).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ACTIONS = frozenset(
    "alert log pass drop reject block sdrop rejectsrc rejectdst rejectboth activate dynamic rewrite".split()
)
"""First words of a rule in Snort 2, Snort 3 and Suricata."""

_STARTS_RULE = re.compile(rf"(?:{'|'.join(sorted(ACTIONS))})[ \t]")
_COMMANDS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_COMMENTED_RULE = re.compile(rf"[#\s]*(?=(?:{'|'.join(sorted(ACTIONS))})[ \t])")


@dataclass(frozen=True, slots=True)
class RuleText:
    """The text of one rule with continued lines joined.

    ``start``: where the rule itself begins (after blanks and comment signs). ``pieces``: for each physical
    line, (its first offset in ``text``, its line number from 1, characters of the physical line left out
    before it).
    """

    text: str
    start: int
    disabled: bool
    pieces: tuple[tuple[int, int, int], ...]

    @property
    def line(self) -> int:
        """Line number, from 1, on which the rule begins."""
        return self.pieces[0][1]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, of a character of ``text``."""
        first, line, skipped = self.pieces[0]
        for piece in self.pieces:
            if piece[0] > offset:
                break
            first, line, skipped = piece
        before = self.text[first:offset].encode("latin-1", "replace")
        try:
            shown = len(before.decode("utf-8"))
        except UnicodeDecodeError:
            shown = len(before)
        return line, skipped + shown + 1

    def physical(self, line: int) -> str:
        """The physical line ``line`` as text to show (without its end)."""
        for index, (first, number, skipped) in enumerate(self.pieces):
            if number == line:
                last = self.pieces[index + 1][0] if index + 1 < len(self.pieces) else len(self.text)
                return " " * skipped + as_text(self.text[first:last].rstrip("\r\n"))
        raise ValueError(f"line {line} is not part of this rule")


def as_text(latin: str) -> str:
    """Text for people from a latin-1 reading of bytes: UTF-8 when it is valid, else as it is. What a terminal
    would obey is shown as a character that stands for it."""
    if latin.isascii() and latin.isprintable():
        return latin
    try:
        text = latin.encode("latin-1").decode("utf-8")
    except UnicodeError:
        text = latin
    return _COMMANDS.sub("\ufffd", text)


def rule_texts(text: str, *, multiline: bool = False, before: int = 0) -> Iterator[RuleText]:
    """Every rule, every commented-out rule and every line that is neither blank nor a comment.

    A backslash at the end of a line continues it. ``multiline``: a rule also goes on until the line that
    ends with its closing parenthesis (Snort 3), unless another rule begins before that. ``before``: so many
    lines of the file stand in front of ``text``.
    """
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        raw = lines[index]
        number = before + index + 1
        index += 1
        line = raw.rstrip()
        body = line.lstrip()
        if not body:
            continue
        if number == 1 and body.startswith("\xef\xbb\xbf"):  # a byte order mark is no part of the first rule
            body = body[3:]
        if body[0] == "#":
            found = _COMMENTED_RULE.match(body)
            if found is None:
                continue
            start = len(line) - len(body) + found.end()
            if line[-1] != "\\":
                yield RuleText(line, start, True, ((0, number, 0),))
                continue
            joined, pieces, index = _join_comment(lines, index, line, before)
            yield RuleText(joined, start, True, pieces)
            continue
        start = len(line) - len(body)
        if line[-1] == "\\" or (multiline and line[-1] != ")" and _STARTS_RULE.match(body)):
            joined, pieces, index = _join(lines, index, line, before, multiline)
            yield RuleText(joined, start, False, pieces)
            continue
        yield RuleText(line, start, False, ((0, number, 0),))


def _join(
    lines: list[str], index: int, line: str, before: int, multiline: bool
) -> tuple[str, tuple[tuple[int, int, int], ...], int]:
    parts: list[str] = []
    pieces: list[tuple[int, int, int]] = []
    length = 0
    while True:
        continued = line.endswith("\\")
        # The backslash becomes a blank and the line end stays, so that offsets still fit the physical lines.
        part = line[:-1] + " \n" if continued else line + "\n"
        pieces.append((length, before + index, 0))
        parts.append(part)
        length += len(part)
        if index >= len(lines):
            break
        if not continued:
            following = lines[index].strip()
            if (
                not multiline
                or line.endswith(")")
                or _STARTS_RULE.match(following)
                or following.startswith("#")
            ):
                break
        line = lines[index].rstrip()
        index += 1
    return "".join(parts).rstrip(), tuple(pieces), index


def _join_comment(
    lines: list[str], index: int, line: str, before: int
) -> tuple[str, tuple[tuple[int, int, int], ...], int]:
    """A commented-out rule goes on only in commented lines: Snort does not continue comments."""
    parts = [line[:-1] + " \n"]
    pieces = [(0, before + index, 0)]
    length = len(parts[0])
    while index < len(lines):
        line = lines[index].rstrip()
        body = line.lstrip()
        if not body.startswith("#") or _COMMENTED_RULE.match(body):
            break
        index += 1
        skipped = len(line) - len(body) + 1
        rest = body[1:]
        continued = rest.endswith("\\")
        part = rest[:-1] + " \n" if continued else rest
        pieces.append((length, before + index, skipped))
        parts.append(part)
        length += len(part)
        if not continued:
            break
    return "".join(parts).rstrip(), tuple(pieces), index
