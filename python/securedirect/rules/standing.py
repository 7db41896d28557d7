# SPDX-License-Identifier: Apache-2.0
"""Says how what a rule looks for has to stand in a request for the rule to divert; where it stands otherwise
the match scores.

A rule's words cannot tell everything: ``/root.exe`` is asked for in an attack, and is a part of the longer
name ``/root.exe-removal-guide`` in an article's address. So one content of the rule is named, and how one of
its places has to be. The matcher (``crates/sd-rules/src/standing.rs``) looks at that once the rule matches.

- A path of the server's (``/iissamples/``) has to be asked for: in somebody's search, or in an address that
  the address carries, it does no harm.
- The name of a file has to be whole: another name is another file.
- Words of a statement, which people search for, translate and type into consoles, have to stand behind what
  breaks out of a value: a quote, a number, a bracket. Words of prose, or the beginning of a statement, do
  not go before an injection that works. Behind a number or marks alone they are rarer still.
- What a rule looks for anywhere in a packet has to stand in the request line when bodies often have it.

None of it can be turned by adding something else to the request: any place that stands so will do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from securedirect.rules.compile import is_packet
from securedirect.rules.model import Content, Rule
from securedirect.rules.specificity import (
    Specificity,
    content_bits,
    is_code,
    is_of_header,
    shown,
    specificity,
    text_bits,
)

BROKEN_BITS = 5.0
"""Of 2^5 addresses with a statement's words one has nothing but numbers and marks before them."""

DIVERT_BITS = 20.0
"""So specific a rule has to be to divert."""
CONSOLE_BITS = 12.0
"""The model knows little of what is typed into consoles: what is rarer by so much needs no such place."""

_URIS = frozenset({"http_uri", "http_raw_uri"})
_WORD = re.compile(rb"\w")
_PATH = re.compile(rb"/[A-Za-z0-9_~-]")
_SYSTEM = re.compile(
    rb"/(?:etc|proc|s?bin|usr|var|dev|sys|tmp|home|root|opt|boot|lib\w*|mnt|windows|winnt|system32|inetpub"
    rb"|program files)(?:/|$)",
    re.IGNORECASE,
)
"""Files that a path leads to through the server's own programs: any parameter may name them."""
_FILE = re.compile(rb"\w\.[A-Za-z][A-Za-z0-9]{1,3}\Z")

_BARE = re.compile(rb"\w[\w. -]*\(?")
"""Words, and names without a folder."""

Opening = Literal["plain", "marked", "broken"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How ``content`` has to stand."""

    content: Content
    path: bool = False
    whole: bool = False
    line: bool = False
    name: bool = False
    opening: Opening = "plain"

    def document(self) -> dict[str, Any]:
        """The document's entry."""
        return {
            "buffer": self.content.buffer,
            "bytes": self.content.pattern.hex(),
            "nocase": self.content.nocase,
            "path": self.path,
            "whole": self.whole,
            "line": self.line,
            "name": self.name,
            "opening": self.opening,
        }

    def __str__(self) -> str:
        said = [
            word
            for word, so in (
                ("in the address's path", self.path),
                ("in the request line", self.line),
                ("as a whole name", self.whole),
                ("asked for in the path or", self.name),
                ("behind marks that break out of a value or a sentence", self.opening == "marked"),
                ("behind nothing but numbers and marks that break out of a value", self.opening == "broken"),
            )
            if so
        ]
        return f'where "{shown(self.content.pattern)}" stands {", ".join(said)}'.replace("or,", "or")


def measured(rule: Rule) -> Specificity:
    """How specific ``rule`` is, and where."""
    measure = specificity(rule)
    there, standing = _standing(rule, measure)
    return replace(measure, there=there, standing=standing)


def _standing(rule: Rule, measure: Specificity, limit: float = DIVERT_BITS) -> tuple[float, Standing | None]:
    contents = [test for test in rule.tests if isinstance(test, Content) and not test.negated]
    in_uri = [content for content in contents if content.buffer in _URIS]
    if is_packet(rule):  # judged without a request
        return measure.bits, None
    if measure.bits < limit and contents and not in_uri:
        return _in_line(contents, measure)
    code = [
        content
        for content in in_uri
        if _WORD.match(content.pattern) and (is_code(content) or _BARE.fullmatch(content.pattern))
    ]
    if code and measure.bits < limit + CONSOLE_BITS and measure.bits - _said(measure, code) < limit:
        if measure.bits >= limit:
            return measure.bits, _marked(code[0])
        return measure.bits + BROKEN_BITS, Standing(code[0], opening="broken")
    if measure.bits < limit or not in_uri:
        return measure.bits, None
    key = max(in_uri, key=content_bits)
    whole = _FILE.search(key.pattern) is not None
    path = (
        _PATH.match(key.pattern) is not None and not _SYSTEM.match(key.pattern) and b".." not in key.pattern
    )
    if (path or whole) and measure.bits - _said(measure, in_uri) < limit:
        return measure.bits, Standing(key, path=path, whole=whole)
    return measure.bits, None


def _in_line(contents: list[Content], measure: Specificity) -> tuple[float, Standing | None]:
    """For a rule that names no place."""
    raw = [one for one in contents if one.buffer == "raw" and not (one.startswith or is_of_header(one))]
    if not raw:
        return measure.bits, None
    key = max(raw, key=_line_bits)
    gained = _line_bits(key) - content_bits(key)
    if gained <= 0:
        return measure.bits, None
    if _BARE.match(key.pattern):
        return measure.bits + gained, _marked(key, line=True)
    return measure.bits + gained, Standing(key, line=True, whole=_FILE.search(key.pattern) is not None)


def _marked(content: Content, *, line: bool = False) -> Standing:
    return Standing(
        content,
        whole=_FILE.search(content.pattern) is not None,
        line=line,
        name=not is_code(content) and b"%" not in content.pattern,
        opening="marked",
    )


def _line_bits(content: Content) -> float:
    return text_bits(content.pattern, "http_request_line")


def _said(measure: Specificity, contents: list[Content]) -> float:
    """What ``contents`` and expressions about the address are worth in ``measure``."""
    names = tuple(f'{content.buffer} "{shown(content.pattern)}"' for content in contents)
    uris = tuple(f"expression in {buffer}" for buffer in _URIS)
    return sum(bits for what, bits in measure.parts if what.startswith((*names, *uris)))
