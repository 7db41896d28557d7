# SPDX-License-Identifier: Apache-2.0
"""What the demo prints: scenes, facts and marks. Plain text; colour only on a terminal."""

from __future__ import annotations

import os
import textwrap
from typing import TextIO

WIDTH = 110
_GREEN, _RED, _BOLD, _FAINT, _END = "\033[32m", "\033[31m", "\033[1m", "\033[2m", "\033[0m"


class Report:
    """Writes each line at once, so that a viewer sees what is going on."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._colour = to.isatty() and "NO_COLOR" not in os.environ
        self._scenes = 0
        self.passed = 0
        self.failed: list[str] = []
        """What was not as promised, with the scene it belongs to."""

    def _write(self, text: str, style: str = "") -> None:
        if style and self._colour:
            text = f"{style}{text}{_END}"
        encoding = self._to.encoding or "utf-8"
        self._to.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        self._to.flush()

    def title(self, text: str) -> None:
        """The heading of the whole."""
        self._write(text, _BOLD)
        self._write("=" * len(text), _BOLD)

    def scene(self, text: str) -> None:
        """Begin a numbered scene."""
        self._scenes += 1
        self._write("")
        self._write(f"{self._scenes}. {text}", _BOLD)

    def say(self, text: str = "") -> None:
        """A fact, or several lines of them."""
        for line in text.split("\n"):
            for part in textwrap.wrap(line, WIDTH - 3, drop_whitespace=False, subsequent_indent="  ") or [""]:
                self._write(f"   {part}".rstrip())

    def quote(self, text: str) -> None:
        """What a program printed, set apart; long lines are folded."""
        for line in text.rstrip("\n").split("\n"):
            indent = " " * (len(line) - len(line.lstrip()) + 2)
            for part in textwrap.wrap(line, WIDTH - 6, subsequent_indent=indent, drop_whitespace=False) or [
                ""
            ]:
                self._write(f"     {part}".rstrip(), _FAINT)

    def check(self, text: str, right: bool) -> None:
        """A measurement with its mark."""
        mark = ("✓" if right else "✗") if self._can_mark() else ("ok" if right else "WRONG")
        if self._colour:
            mark = f"{_GREEN if right else _RED}{mark}{_END}"
        lines = textwrap.wrap(text, WIDTH - 5)
        self._write(f"   {mark} {lines[0]}")
        for line in lines[1:]:
            self._write(f"     {line}")
        if right:
            self.passed += 1
        else:
            self.failed.append(f"scene {self._scenes}: {text}")

    def _can_mark(self) -> bool:
        try:
            "✓✗".encode(self._to.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        return True

    def summary(self, seconds: float) -> None:
        """The end: how many measurements were as promised, and which were not."""
        self._write("")
        total = self.passed + len(self.failed)
        if not self.failed:
            self._write(f"All {total} measurements are as promised ({seconds:.0f} s).", _BOLD)
            return
        self._write(f"{len(self.failed)} of {total} measurements are not as promised:", _BOLD)
        for text in self.failed:
            self.say(text)


def plural(count: int, noun: str) -> str:
    """``1 packet``, ``2 packets``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
