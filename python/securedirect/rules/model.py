# SPDX-License-Identifier: Apache-2.0
"""The one internal form of a rule, whatever dialect it was written in. Immutable; no behaviour but what
reads it.

Buffer names are those of the rule document: "raw", "http_uri", ... (see ``compile``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """What stands before the options. ``direction``: "->" or "<>". ``hook``: where in the protocol
    Suricata asks the rule (``http1:request_headers``).
    """

    action: str
    protocol: str
    source: Addresses
    source_ports: Ports
    direction: str
    destination: Addresses
    destination_ports: Ports
    hook: str = ""
    _hash: int = field(init=False, repr=False, compare=False)
    """Known from the beginning: a header is looked up several times for each rule, and may be long."""

    def __post_init__(self) -> None:
        parts = (self.action, self.protocol, self.source, self.source_ports)
        value = hash((parts, self.direction, self.destination, self.destination_ports, self.hook))
        object.__setattr__(self, "_hash", value)

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class ParsedRule:
    """A rule as written: header and options in their order, not yet read in any dialect."""

    header: Header
    options: tuple[Option, ...]


Operator = Literal["=", "<", ">", "<=", ">=", "!="]
HeaderField = Literal["ttl", "tos", "id", "protocol", "fragoffset", "window", "mss", "wscale"]
FlowField = Literal[
    "age", "packets", "packets_to_server", "packets_to_client", "bytes", "bytes_to_server", "bytes_to_client"
]
PacketBytesOf = Literal["tcp", "ipv4", "ipv6", "source", "destination"]
DatasetCommand = Literal["isset", "isnotset", "set", "unset", "<", ">", "=="]
CountKind = Literal["threshold", "both", "filter", "limit", "backoff"]
Track = Literal["source", "destination", "both", "flow", "all"]
Side = Literal["", "client", "server"]

Number = int | str
"""A number, or the name of one that another option takes from the request."""


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to find. ``offset``/``depth`` count from the buffer's start, ``distance``/``within`` from the
    last match.
    """

    buffer: str
    pattern: bytes
    nocase: bool = False
    negated: bool = False
    offset: Number | None = None
    depth: Number | None = None
    distance: Number | None = None
    within: Number | None = None
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
    op: Operator
    value: int
    buffer: str = "raw"
    relative: bool = False
    """What follows the last match is measured."""


@dataclass(frozen=True, slots=True)
class IsDataAt:
    """``relative``: at least ``value`` bytes follow the last match; else the buffer is longer than
    ``value``.
    """

    buffer: str
    value: Number
    relative: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """The request has no such buffer; ``or_else``: or what the other tests of it ask for holds."""

    buffer: str
    or_else: bool = False


@dataclass(frozen=True, slots=True)
class Oddity:
    """The decoder has found one of these: numbers of built-in rules."""

    name: str
    sids: tuple[int, ...]


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


@dataclass(frozen=True, slots=True)
class HeaderTest:
    """A number of the IP or TCP header."""

    field: HeaderField
    op: Operator
    value: int


@dataclass(frozen=True, slots=True)
class FragBits:
    """Fragment bits of the IP header: letters of M D R; ``mode`` as of ``TcpFlags``."""

    letters: str
    mode: Literal["=", "+", "*", "!"]


@dataclass(frozen=True, slots=True)
class IpOption:
    """The IP header has the option with this number; 256: any."""

    value: int


@dataclass(frozen=True, slots=True)
class SameIp:
    """Source and destination are the same address."""


@dataclass(frozen=True, slots=True)
class StreamSize:
    """Bytes that a side of the connection has sent so far."""

    side: Literal["client", "server", "both", "either"]
    op: Operator
    value: int


@dataclass(frozen=True, slots=True)
class FlowSize:
    """What the connection has had so far: seconds, packets, bytes of packets."""

    field: FlowField
    op: Operator
    value: int


@dataclass(frozen=True, slots=True)
class PacketBytes:
    """``tests`` hold for a header of the packet, or for one of its addresses."""

    of: PacketBytesOf
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The buffer's value is in the set ``name``, or not; "set" and "unset" change that, and hold if they do.
    "<", ">", "==": the ``reputation`` that it has there. ``values``: the set's type, empty when another rule
    says it. ``file``: what the set is loaded from; ``state``: it need not be there.
    """

    buffer: str
    name: str
    values: str
    command: DatasetCommand
    reputation: int = 0
    file: str = ""
    state: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A number in a buffer: ``size`` bytes at ``offset`` (``relative``: from the last match). ``base`` "dec",
    "hex" or "oct": it is text. ``bitmask`` is applied to it.
    """

    buffer: str
    size: Number
    offset: Number = 0
    relative: bool = False
    little: bool = False
    base: str = ""
    bitmask: int | None = None


@dataclass(frozen=True, slots=True)
class ByteTest:
    """The number compared with ``value``; ``op`` one of < > = <= >= & ^."""

    field: Field
    op: str
    negated: bool
    value: Number


@dataclass(frozen=True, slots=True)
class ByteJump:
    """Goes on behind the number, as many bytes further as it says, or that many behind ``start``: "field",
    "beginning" or "end" of the buffer.
    """

    field: Field
    multiplier: int = 1
    align: int = 0
    start: str = "field"
    post_offset: Number = 0


@dataclass(frozen=True, slots=True)
class ByteExtract:
    """Gives the number a name (byte_extract), or the result of ``operator`` (+ - * / << >>) with ``operand``
    (byte_math).
    """

    field: Field
    name: str
    multiplier: int = 1
    align: int = 0
    operator: str = ""
    operand: Number = 0


@dataclass(frozen=True, slots=True)
class Base64:
    """``tests`` hold for what stands at ``offset`` in base64; ``size`` None: to the end of it."""

    buffer: str
    size: int | None
    offset: int
    relative: bool
    tests: tuple[Test, ...]


class TransformStep(NamedTuple):
    """One of Suricata's transformations: ``key`` of xor, ``pattern`` of pcrexform, ``offset`` and ``size`` of
    from_base64.
    """

    name: str
    key: bytes = b""
    pattern: str = ""
    offset: int = 0
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Transformed:
    """``tests`` hold for what ``steps``, one after the other, make of the buffer; without steps, for one of
    several of its kind that need not be the one that other tests are about.
    """

    buffer: str
    steps: tuple[TransformStep, ...]
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class FlowBits:
    """Bits of the connection: ``command`` set, unset, toggle, isset, isnotset; ``either``: one is enough."""

    command: str
    names: tuple[str, ...]
    either: bool = False


@dataclass(frozen=True, slots=True)
class SourceBit:
    """A bit of the source or of the destination (xbits, hostbits), for ``seconds`` where it is set."""

    command: str
    name: str
    seconds: int = 0
    track: Literal["source", "destination", "both"] = "source"


@dataclass(frozen=True, slots=True)
class FlowInt:
    """A number of the connection: ``op`` + - = change it, < > <= >= == != isset isnotset ask for it.
    ``value``: a number, or the name of another one of the connection.
    """

    name: str
    op: str
    value: Number = 0


@dataclass(frozen=True, slots=True)
class Count:
    """``how`` "threshold": each ``count``-th match in ``seconds``; "both": the ``count``-th, once; "filter":
    each after ``count``; "limit": how many are told, which is no part of the match; "backoff": the
    ``count``-th, then the one that completes ``multiplier`` times as many, and so on. ``track``: whose
    matches are counted together. ``unique``: only those with a port that has not been counted.
    """

    how: CountKind
    count: int
    seconds: int
    track: Track
    unique: Literal["", "source", "destination"] = ""
    multiplier: int = 0


BufferTest = Content | Pcre | Size | IsDataAt | Dataset
PacketTest = (
    TcpFlags | TcpNumber | HeaderTest | FragBits | IpOption | SameIp | StreamSize | FlowSize | PacketBytes
)
ByteOption = ByteTest | ByteJump | ByteExtract
StateTest = FlowBits | SourceBit | FlowInt | Count
Test = BufferTest | PacketTest | ByteOption | Base64 | Transformed | Absent | Oddity | StateTest


def buffer_of(test: Test) -> str:
    """The buffer that a test looks into, empty for one that looks into none."""
    match test:
        case Content() | Pcre() | Size() | IsDataAt() | Base64() | Transformed() | Absent() | Dataset():
            return "" if isinstance(test, Size) and test.kind == "dsize" else test.buffer
        case ByteTest() | ByteJump() | ByteExtract():
            return test.field.buffer
        case _:
            return ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in the internal form. ``unsupported``: options that this version cannot judge, each with why.

    ``segments``: it asks for single segments instead of the stream (flow:no_stream), ``stream_only``: for the
    stream alone. ``flow``: it has a flow option; ``side``: whose packets it looks at, empty for both;
    ``established``: whether the connection stands, None when it does not matter. ``flow_start``: only about
    its first packet. ``http``: about connections with HTTP alone. ``services``: that the rule
    names (Snort). ``foreign``: why the rule cannot concern requests, empty when it can.
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
    stream_only: bool = False
    flow: bool = False
    side: Side = ""
    established: bool | None = None
    flow_start: bool = False
    http: bool = False
    services: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


Protocol = Literal["http", "tcp"]


@dataclass(frozen=True, slots=True)
class RuleService:
    """Whose requests a document is for."""

    name: str = "http"
    port: int = 80
    protocol: Protocol = "http"
    profile: str = "generic"
