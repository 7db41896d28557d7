# SPDX-License-Identifier: Apache-2.0
"""Turns a rule of the internal form into an entry of the rule document, or says why it is none.

The rule document is the JSON that the Rust matcher loads (``_core.compile_rules``): {"version": 1,
"services": [{"name", "ports"}], "rules": [...]}, byte strings as lower-case hexadecimal. A rule's ``scope``
is "http" (judged on requests) or "packet" (needs facts of one segment: dsize, flags, ack, seq). Options keep
the rule's order; those of one buffer form one list with one cursor, and all buffers must match. Ranges of
lengths are written as two comparisons. ``isdataat``: relative, ``value`` bytes must follow; absolute, the
buffer is longer than ``value``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from securedirect.rules import vocabulary
from securedirect.rules.addresses import Reach, reach
from securedirect.rules.model import Content, IsDataAt, Pcre, Rule, Size, TcpFlags, TcpNumber, Test

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


def judge(rule: Rule) -> Verdict:
    """Whether ``rule`` can be judged on requests to a protected server: loaded, not_applicable or
    unsupported.
    """
    header = rule.header
    header_reach = reach(header)
    foreign: list[str] = []
    if header.protocol not in vocabulary.TCP_PROTOCOLS:
        foreign.append(f"protocol {header.protocol} is not this service's")
    foreign += rule.foreign
    if header_reach.foreign:
        foreign.append(header_reach.foreign)
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
        if any(isinstance(t, Content | Pcre | IsDataAt | Size) and t.buffer != "raw" for t in rule.tests):
            stopped.append("HTTP buffers together with tests of single segments")
        elif _without_payload(rule):
            stopped.append("segments without payload (only payload is inspected)")
    elif not rule.tests and not stopped:
        stopped.append("no content (the rule would match every request)")
    if stopped:
        return Verdict("unsupported", "; ".join(stopped), header_reach)
    return Verdict("loaded", "", header_reach)


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
        "dst_ports": None if ports is None else [list(pair) for pair in ports],
        "dst_ports_negated": False,
        "options": [_option(test) for test in rule.tests],
    }


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
            return entry
        case IsDataAt():
            return {
                "kind": "isdataat",
                "buffer": test.buffer,
                "value": test.value,
                "relative": test.relative,
                "negated": test.negated,
            }
        case TcpFlags():
            entry = {"kind": "flags", "set": test.letters, "mode": test.mode}
            if test.mask:
                entry["mask"] = test.mask
            return entry
        case TcpNumber():
            return {"kind": test.kind, "value": test.value}
