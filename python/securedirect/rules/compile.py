# SPDX-License-Identifier: Apache-2.0
"""Turns a rule of the internal form into an entry of the rule document, or says why it is none.

The rule document is the JSON that the Rust matcher loads (``_core.compile_rules``): {"version": 1,
"services": [{"name", "ports"}], "rules": [...]}, byte strings as lower-case hexadecimal. A rule's ``scope``
is "http" (judged on requests) or "packet" (needs facts of one segment: dsize, flags, ack, seq). Options keep
the rule's order; those of one buffer form one list with one cursor, and all buffers must match. Ranges of
lengths are written as two comparisons. ``isdataat``: relative, ``value`` bytes must follow; absolute, the
buffer is longer than ``value``. A number may be the name that a ``byte_extract`` of the same buffer gave one.
``flowbits``, ``xbits`` and ``count`` are asked once everything else has matched; a ``silent`` rule changes
bits and is never reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from securedirect.rules import vocabulary
from securedirect.rules.addresses import Reach, describe_ranges, reach
from securedirect.rules.model import (
    Base64,
    ByteExtract,
    ByteJump,
    ByteTest,
    Content,
    Count,
    Field,
    FlowBits,
    IsDataAt,
    Pcre,
    Rule,
    RuleService,
    Size,
    SourceBit,
    TcpFlags,
    TcpNumber,
    Test,
    buffer_of,
)

Status = Literal["loaded", "not_applicable", "unsupported", "broken", "disabled"]
STATUSES: tuple[Status, ...] = ("loaded", "not_applicable", "unsupported", "broken", "disabled")

_PCRE_KEYS = {
    "i": "nocase",
    "s": "dotall",
    "m": "multiline",
    "x": "extended",
    "A": "anchored",
    "E": "dollar_endonly",
    "G": "ungreedy",
    "R": "relative",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a rule ends: ``status`` and why (empty for loaded without a remark)."""

    status: Status
    reason: str
    reach: Reach


def judge(rule: Rule, service: RuleService | None = None) -> Verdict:
    """Whether ``rule`` can be judged on requests to a protected server: loaded, not_applicable or
    unsupported. ``service``: only to that one; else to any HTTP service.
    """
    header = rule.header
    raw = service is not None and service.protocol == "tcp"
    header_reach = reach(header, raw)
    foreign: list[str] = []
    if not _speaks(header.protocol, service):
        foreign.append(f"protocol {header.protocol} is not this service's")
    foreign += rule.foreign
    ports = header_reach.ports
    if service is not None and ports is not None and not any(a <= service.port <= b for a, b in ports):
        foreign.append(f"only for port {describe_ranges(ports)}")
    elif raw and looks_at_http(rule, ports):
        foreign.append("about HTTP requests, which this service's clients do not send")
    if header_reach.foreign:
        foreign.append(header_reach.foreign)
    if is_packet(rule) and _without_payload(rule):
        foreign.append("about segments without payload, which carry no request")
    if foreign:
        return Verdict("not_applicable", "; ".join(foreign), header_reach)
    stopped = list(rule.unsupported)
    if header.action in ("pass", "activate", "dynamic", "rewrite"):
        stopped.append(f"action {header.action}")
    if header_reach.listed_source:
        stopped.append("source addresses (a list of hosts, not a signature)")
    if header_reach.source_ports:
        stopped.append("source ports")
    if is_packet(rule):
        if any(buffer_of(test) not in ("", "raw") for test in rule.tests):
            stopped.append("HTTP buffers together with tests of single segments")
        if any(isinstance(test, FlowBits | SourceBit | Count) for test in rule.tests):
            stopped.append("state together with tests of single segments")
    elif not any(_asks(test) for test in rule.tests) and not stopped:
        stopped.append("no content (the rule would match every request)")
    if stopped:
        return Verdict("unsupported", "; ".join(stopped), header_reach)
    return Verdict("loaded", "", header_reach)


def _speaks(protocol: str, service: RuleService | None) -> bool:
    """True when a rule's protocol may be that of the service."""
    if service is None or service.protocol == "http":
        return protocol in vocabulary.TCP_PROTOCOLS
    if protocol in vocabulary.PROTOCOL_PORTS:
        return service.port in vocabulary.PROTOCOL_PORTS[protocol] or service.name == protocol
    return protocol in vocabulary.TCP_PROTOCOLS - vocabulary.HTTP_SERVICES


def _asks(test: Test) -> bool:
    """False for what only changes or counts."""
    match test:
        case Count():
            return False
        case FlowBits() | SourceBit():
            return test.command in ("isset", "isnotset")
    return True


def sets_bits(rule: Rule) -> bool:
    """True when other rules may wait for what a match of this one changes."""
    return any(isinstance(test, FlowBits | SourceBit) and not _asks(test) for test in rule.tests)


def looks_at_http(rule: Rule, ports: tuple[tuple[int, int], ...] | None) -> bool:
    """True for a rule about HTTP requests, false for one about any TCP service that may meet one."""
    if rule.header.protocol in ("http", "http1"):
        return True
    if any(buffer_of(test).startswith("http_") for test in rule.tests):
        return True
    if any(key == "service" and value in vocabulary.HTTP_SERVICES for key, value in rule.metadata):
        return True
    return rule.header.destination_ports.text == "HTTP_PORTS" or ports == ((80, 80),)


def is_packet(rule: Rule) -> bool:
    """True when the rule needs facts of a single segment."""
    return rule.segments or any(
        isinstance(test, TcpFlags | TcpNumber) or (isinstance(test, Size) and test.kind == "dsize")
        for test in rule.tests
    )


def _without_payload(rule: Rule) -> bool:
    """True when nothing in the rule asks for payload bytes."""
    for test in rule.tests:
        if isinstance(test, Content | Pcre | IsDataAt) and not test.negated:
            return False
        if isinstance(test, ByteTest | ByteJump | ByteExtract | Base64):
            return False
        if isinstance(test, Size) and test.kind == "dsize" and _needs_bytes(test):
            return False
    return True


def _needs_bytes(size: Size) -> bool:
    return size.op == ">" or (size.op in ("=", ">=") and size.value > 0)


def rule_document(
    rule: Rule,
    *,
    action: str,
    category: str,
    priority: int,
    file: str,
    line: int,
    ports: tuple[tuple[int, int], ...] | None,
) -> dict[str, Any]:
    """The document's entry of a loaded rule."""
    return {
        "gid": rule.gid,
        "sid": rule.sid,
        "rev": rule.rev,
        "msg": rule.msg,
        "classtype": rule.classtype,
        "category": category,
        "priority": priority,
        "action": action,
        "file": file,
        "line": line,
        "scope": "packet" if is_packet(rule) else "http",
        "dialect": rule.dialect,
        "silent": rule.noalert,
        "dst_ports": None if ports is None else [list(pair) for pair in ports],
        "dst_ports_negated": False,
        "options": [_option(test) for test in rule.tests],
    }


def _field(field: Field) -> dict[str, Any]:
    entry: dict[str, Any] = {"buffer": field.buffer, "bytes": field.size, "offset": field.offset}
    entry["relative"] = field.relative
    if field.little:
        entry["endian"] = "little"
    if field.base:
        entry["base"] = field.base
    if field.bitmask is not None:
        entry["bitmask"] = field.bitmask
    return entry


def _option(test: Test) -> dict[str, Any]:
    match test:
        case Content():
            entry: dict[str, Any] = {"kind": "content", "buffer": test.buffer, "bytes": test.pattern.hex()}
            entry |= {"nocase": test.nocase, "negated": test.negated}
            for key in ("offset", "depth", "distance", "within"):
                value = getattr(test, key)
                if value is not None:
                    entry[key] = value
            entry |= {
                "startswith": test.startswith,
                "endswith": test.endswith,
                "fast_pattern": test.fast_pattern,
            }
            return entry
        case Pcre():
            entry = {
                "kind": "pcre",
                "buffer": test.buffer,
                "pattern": test.pattern.hex(),
                "negated": test.negated,
            }
            for flag, key in _PCRE_KEYS.items():
                entry[key] = flag in test.flags
            return entry
        case Size():
            entry = {"kind": test.kind, "op": test.op, "value": test.value}
            if test.kind != "dsize":
                entry["buffer"] = test.buffer
            if test.relative:
                entry["relative"] = True
            return entry
        case IsDataAt():
            return {
                "kind": "isdataat",
                "buffer": test.buffer,
                "value": test.value,
                "relative": test.relative,
                "negated": test.negated,
            }
        case ByteTest():
            return {
                "kind": "byte_test",
                **_field(test.field),
                "op": test.op,
                "negated": test.negated,
                "value": test.value,
            }
        case ByteJump():
            return {
                "kind": "byte_jump",
                **_field(test.field),
                "multiplier": test.multiplier,
                "align": test.align,
                "from": test.start,
                "post_offset": test.post_offset,
            }
        case ByteExtract():
            entry = {
                "kind": "byte_extract",
                **_field(test.field),
                "name": test.name,
                "multiplier": test.multiplier,
                "align": test.align,
            }
            if test.operator:
                entry["math"] = {"op": test.operator, "value": test.operand}
            return entry
        case Base64():
            return {
                "kind": "base64_decode",
                "buffer": test.buffer,
                "bytes": test.size,
                "offset": test.offset,
                "relative": test.relative,
                # All of them look into the decoded bytes, whatever the name.
                "options": [{**_option(inner), "buffer": "raw"} for inner in test.tests],
            }
        case FlowBits():
            return {
                "kind": "flowbits",
                "command": test.command,
                "bits": list(test.names),
                "any": test.either,
            }
        case SourceBit():
            return {"kind": "xbits", "command": test.command, "name": test.name, "seconds": test.seconds}
        case Count():
            return {
                "kind": "count",
                "how": test.how,
                "count": test.count,
                "seconds": test.seconds,
                "track": "source" if test.by_source else "all",
            }
        case TcpFlags():
            entry = {"kind": "flags", "set": test.letters, "mode": test.mode}
            if test.mask:
                entry["mask"] = test.mask
            return entry
        case TcpNumber():
            return {"kind": test.kind, "value": test.value}
