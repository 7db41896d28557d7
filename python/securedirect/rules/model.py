# SPDX-License-Identifier: Apache-2.0
"""The one internal form of a rule, whatever dialect it was written in. Immutable; no behaviour but what
reads it.

Buffer names are those of the rule document: "raw", "http_uri", ... (see ``compile``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Dialect = Literal["snort2", "snort3", "suricata"]
DIALECTS: tuple[Dialect, ...] = ("snort2", "snort3", "suricata")


class Option(NamedTuple):
    """One option as written: ``name`` in lower case, ``value`` None when there is no colon; offsets in the
    rule text.
    """

    name: str
    value: str | None
    at: int
    value_at: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """A rule's address: ``kind`` "any", "variable" (``text`` without $), "address" or "list"."""

    kind: Literal["any", "variable", "address", "list"]
    text: str = ""
    negated: bool = False
    items: tuple[Addresses, ...] = ()


@dataclass(frozen=True, slots=True)
class Ports:
    """A rule's ports: ``kind`` "any", "variable" (``text`` without $), "range" (``low``-``high`` inclusive)
    or "list".
    """

    kind: Literal["any", "variable", "range", "list"]
    text: str = ""
    negated: bool = False
    low: int = 0
    high: int = 65535
    items: tuple[Ports, ...] = ()


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the options. ``direction``: "->" or "<>"."""

    action: str
    protocol: str
    source: Addresses
    source_ports: Ports
    direction: str
    destination: Addresses
    destination_ports: Ports


@dataclass(frozen=True, slots=True)
class ParsedRule:
    """A rule as written: header and options in their order, not yet read in any dialect."""

    header: Header
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to find. ``offset``/``depth`` count from the buffer's start, ``distance``/``within`` from the
    last match.
    """

    buffer: str
    pattern: bytes
    nocase: bool = False
    negated: bool = False
    offset: int | None = None
    depth: int | None = None
    distance: int | None = None
    within: int | None = None
    startswith: bool = False
    endswith: bool = False
    fast_pattern: bool = False


@dataclass(frozen=True, slots=True)
class Pcre:
    """A Perl-compatible expression; ``flags`` holds only the letters i s m x A E G R."""

    buffer: str
    pattern: bytes
    flags: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """A length test: ``kind`` "urilen", "bsize" (of a buffer) or "dsize" (payload of one segment), in
    bytes.
    """

    kind: Literal["urilen", "bsize", "dsize"]
    op: Literal["=", "<", ">", "<=", ">="]
    value: int
    buffer: str = "raw"


@dataclass(frozen=True, slots=True)
class IsDataAt:
    """``relative``: at least ``value`` bytes follow the last match; else the buffer is longer than
    ``value``.
    """

    buffer: str
    value: int
    relative: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class TcpFlags:
    """TCP flags: letters of F S R P A U E C; ``mode`` "=" exactly, "+" these and any, "*" one of them, "!"
    none of them; ``mask`` letters that are ignored."""

    letters: str
    mode: Literal["=", "+", "*", "!"]
    mask: str = ""


@dataclass(frozen=True, slots=True)
class TcpNumber:
    """The TCP header's sequence ("seq") or acknowledgement ("ack") number equals ``value``."""

    kind: Literal["ack", "seq"]
    value: int


Test = Content | Pcre | Size | IsDataAt | TcpFlags | TcpNumber


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in the internal form. ``unsupported``: options that this version cannot judge, each with why.

    ``segments``: it asks for single segments instead of the stream (flow:no_stream). ``foreign``: why the
    rule cannot concern requests to a protected server, empty when it can.
    """

    header: Header
    dialect: Dialect
    sid: int
    gid: int = 1
    rev: int = 0
    msg: str = ""
    classtype: str = ""
    priority: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    references: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()
    noalert: bool = False
    segments: bool = False
    unsupported: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
