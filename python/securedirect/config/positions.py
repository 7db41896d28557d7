# SPDX-License-Identifier: Apache-2.0
"""Where each key and value of a TOML document stands: the standard library's parser does not say.

The scan relies on a document that ``tomllib`` has accepted, so it only has to find its way and never judges.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]
"""A place in the parsed document: table names, keys and indexes of arrays, outermost first."""

_BLANK = " \t\r\n"
_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


@dataclass
class Positions:
    """Offsets of keys (also table headers) and of values, as (line, column), both counting from 1."""

    keys: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    values: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)

    def of_key(self, path: KeyPath) -> tuple[int, int]:
        """The key at ``path``, or the nearest table around it that is written down; (0, 0) if none is."""
        while path:
            if path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return (0, 0)

    def of_value(self, path: KeyPath) -> tuple[int, int]:
        """The value at ``path``, else what ``of_key`` gives."""
        return self.values.get(path) or self.of_key(path)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line_starts = [0]
        for index, char in enumerate(text):
            if char == "\n":
                self.line_starts.append(index + 1)
        self.line = 0
        self.found = Positions()
        self.array_lengths: dict[KeyPath, int] = {}

    def position(self, offset: int) -> tuple[int, int]:
        # Offsets only ever grow, but for a table header's look back within its own line.
        while self.line + 1 < len(self.line_starts) and self.line_starts[self.line + 1] <= offset:
            self.line += 1
        line = self.line
        while self.line_starts[line] > offset:
            line -= 1
        return (line + 1, offset - self.line_starts[line] + 1)

    def peek(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def skip(self, newlines: bool) -> None:
        """Skip blanks and comments; over the ends of lines only when ``newlines``."""
        blanks = _BLANK if newlines else " \t"
        while self.at < len(self.text):
            if self.text[self.at] in blanks:
                self.at += 1
            elif self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    def string(self) -> str:
        """A string of any of the four kinds; the decoded text (only used where it is a key)."""
        quote = self.text[self.at]
        if self.peek(quote * 3):
            start = self.at + 3
            at = start
            while True:
                if quote == '"' and self.text[at] == "\\":
                    at += 2
                    continue
                if self.text.startswith(quote * 3, at):
                    # Up to two more quotes belong to the text.
                    while self.text.startswith(quote, at + 3) and at + 3 < len(self.text):
                        at += 1
                    self.at = at + 3
                    return self.text[start:at]
                at += 1
        start = self.at + 1
        at = start
        while self.text[at] != quote:
            at += 2 if quote == '"' and self.text[at] == "\\" else 1
        self.at = at + 1
        body = self.text[start:at]
        if quote == '"' and "\\" in body:
            decoded = ast.literal_eval('"' + body.replace("\\/", "/") + '"')
            assert isinstance(decoded, str)
            return decoded
        return body

    def key(self) -> list[tuple[str, int]]:
        """A dotted key: its parts with the offset of each."""
        parts = []
        while True:
            self.skip(newlines=False)
            start = self.at
            if self.text[self.at] in "\"'":
                parts.append((self.string(), start))
            else:
                while self.at < len(self.text) and self.text[self.at] in _BARE:
                    self.at += 1
                parts.append((self.text[start : self.at], start))
            self.skip(newlines=False)
            if not self.peek("."):
                return parts
            self.at += 1

    def resolve(self, path: KeyPath, part: str) -> KeyPath:
        """``path`` + ``part``, inside the newest element when that is an array of tables."""
        path = (*path, part)
        if path in self.array_lengths:
            path = (*path, self.array_lengths[path] - 1)
        return path

    def pair(self, table: KeyPath) -> None:
        """``key = value`` inside ``table``."""
        path = table
        for part, offset in self.key():
            path = (*path, part)
            self.found.keys.setdefault(path, self.position(offset))
        self.at += 1  # the equals sign
        self.skip(newlines=False)
        self.value(path)

    def value(self, path: KeyPath) -> None:
        self.found.values[path] = self.position(self.at)
        char = self.text[self.at]
        if char in "\"'":
            self.string()
        elif char == "[":
            self.at += 1
            index = 0
            while True:
                self.skip(newlines=True)
                if self.peek("]"):
                    self.at += 1
                    return
                if self.peek(","):
                    self.at += 1
                    continue
                self.value((*path, index))
                index += 1
        elif char == "{":
            self.at += 1
            while True:
                self.skip(newlines=True)
                if self.peek("}"):
                    self.at += 1
                    return
                if self.peek(","):
                    self.at += 1
                    continue
                self.pair(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\r\n":
                self.at += 1

    def header(self) -> KeyPath:
        """``[table]`` or ``[[array of tables]]``; the path of the table that begins here."""
        many = self.peek("[[")
        self.at += 2 if many else 1
        parts = self.key()
        self.at += 2 if many else 1
        path: KeyPath = ()
        for part, offset in parts[:-1]:
            path = self.resolve(path, part)
            self.found.keys.setdefault(path, self.position(offset))
        last, offset = parts[-1]
        where = self.position(offset)
        path = (*path, last)
        self.found.keys.setdefault(path, where)
        if many:
            index = self.array_lengths.get(path, 0)
            self.array_lengths[path] = index + 1
            path = (*path, index)
            self.found.keys[path] = where
        return path

    def document(self) -> Positions:
        table: KeyPath = ()
        while True:
            self.skip(newlines=True)
            if self.at >= len(self.text):
                return self.found
            if self.peek("["):
                table = self.header()
            else:
                self.pair(table)


def scan(text: str) -> Positions:
    """Find every key and value of ``text``, which must be valid TOML."""
    return _Scanner(text).document()
