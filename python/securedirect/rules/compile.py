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

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from securedirect.rules import vocabulary
from securedirect.rules.addresses import Reach, describe_ranges, networks, reach
from securedirect.rules.model import (
    Absent,
    Base64,
    ByteExtract,
    ByteJump,
    ByteOption,
    ByteTest,
    Content,
    Count,
    Dataset,
    Field,
    FlowBits,
    FlowInt,
    FlowSize,
    FragBits,
    HeaderTest,
    IpOption,
    IsDataAt,
    Oddity,
    PacketBytes,
    PacketTest,
    Pcre,
    Rule,
    RuleService,
    SameIp,
    Size,
    SourceBit,
    StreamSize,
    TcpFlags,
    TcpNumber,
    Test,
    Transformed,
    TransformStep,
    buffer_of,
)
from securedirect.rules.parser import IPV4

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


_LIVE_TRACKS = {
    "source": "source",
    "both": "source",
    "destination": "all",
    "flow": "flow",
    "all": "all",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a rule ends: ``status`` and why (empty for loaded without a remark)."""

    status: Status
    reason: str
    reach: Reach


def judge(rule: Rule, service: RuleService | None = None) -> Verdict:
    """Whether ``rule`` can be judged on what clients send to a protected server: loaded, not_applicable or
    unsupported. ``service``: only to that one; else to any TCP service.
    """
    header = rule.header
    raw = service is not None and service.protocol == "tcp"
    header_reach = reach(header, raw)
    foreign: list[str] = []
    if service is None and header_reach.foreign and not (other := reach(header, True)).foreign:
        header_reach = other
    if not _speaks(header.protocol, service):
        foreign.append(f"protocol {header.protocol} is not this service's")
    if rule.side == "server":
        foreign.append("looks at what the server sends (flow to_client)")
    if rule.flow_start:
        foreign.append("about the first packet of a connection, which carries no request")
    if rule.established is False:
        foreign.append("about connections that do not stand yet, which carry no request")
    if service is not None and service.protocol == "http" and rule.services:
        if not vocabulary.HTTP_SERVICES.intersection(rule.services):
            foreign.append(f"for service {', '.join(rule.services)}, not http")
    elif rule.services and vocabulary.NO_TCP_SERVICES.issuperset(rule.services):
        foreign.append(f"for service {', '.join(rule.services)}, which is not on TCP")
    foreign += rule.foreign
    ports = header_reach.ports
    if service is not None and ports is not None and not any(a <= service.port <= b for a, b in ports):
        foreign.append(f"only for port {describe_ranges(ports)}")
    elif raw and looks_at_http(rule, ports):
        foreign.append("about HTTP requests, which this service's clients do not send")
    if header_reach.foreign:
        foreign.append(header_reach.foreign)
    foreign += filter(None, (_never(test) for test in rule.tests))
    listed = not foreign and is_address_list(rule)
    if not foreign and not listed and is_packet(rule) and _without_payload(rule):
        foreign.append("about segments without payload, which carry no request")
    if foreign:
        return Verdict("not_applicable", "; ".join(foreign), header_reach)
    stopped = [*rule.unsupported, *filter(None, (_unknown(test) for test in rule.tests))]
    if header.action in ("activate", "dynamic", "rewrite"):
        stopped.append(f"action {header.action}")
    if is_packet(rule) and looks_into_requests(rule):
        stopped.append("HTTP buffers of single segments (flow:no_stream, tcp-pkt)")
    if stopped:
        return Verdict("unsupported", "; ".join(stopped), header_reach)
    return Verdict("loaded", "a list of addresses" if listed else "", header_reach)


def is_address_list(rule: Rule) -> bool:
    """True for a rule that names hosts and says nothing of what they send."""
    clients = reach(rule.header).clients
    if clients is None or any(
        isinstance(test, Content | Pcre | IsDataAt | ByteOption | Base64) for test in rule.tests
    ):
        return False
    named = networks(clients)
    return named is not None and bool(named["in"])


def matches_everything(rule: Rule) -> bool:
    """True when nothing but the header decides: every request of the service matches."""
    return not any(asks(test) for test in rule.tests) and reach(rule.header).client_ports is None


def _never(test: Test) -> str:
    """Why a test cannot hold for a segment that reaches a server; empty when it can."""
    match test:
        case HeaderTest(field="protocol"):
            if not _holds(test.op, 6, test.value):
                return f"ip_proto: another protocol than TCP ({test.op} {test.value})"
        case SameIp():
            return "sameip: no connection comes from the server itself"
        case IpOption():
            return "packets with IP options never reach a server"
        case FragBits() if "M" in test.letters and test.mode in ("=", "+"):
            return "fragments never reach a server"
        case StreamSize() if test.side != "client":
            return "stream_size measures what the server sends"
        case HeaderTest(field="mss" | "wscale"):
            return f"tcp.{test.field}: only the first segment says it, which carries no request"
        case PacketBytes(of="ipv6"):
            return "ipv6.hdr: the service has an IPv4 address"
        case FlowSize() if test.field.endswith("to_client"):
            return "it measures what the server sends"
    return ""


def _unknown(test: Test) -> str:
    """What only captures show."""
    if isinstance(test, FlowSize):
        return "flow.age, flow.pkts, flow.bytes: not every packet of a connection is inspected"
    return ""


def _holds(operator: str, left: int, right: int) -> bool:
    return {
        "=": left == right,
        "!=": left != right,
        "<": left < right,
        ">": left > right,
        "<=": left <= right,
        ">=": left >= right,
    }[operator]


def _speaks(protocol: str, service: RuleService | None) -> bool:
    """True when a rule's protocol may be that of the service."""
    if service is None:
        return protocol in vocabulary.TCP_PROTOCOLS | vocabulary.TCP_SERVICE_PROTOCOLS
    if service.protocol == "http":
        return protocol in vocabulary.TCP_PROTOCOLS
    if protocol in vocabulary.PROTOCOL_PORTS:
        return service.port in vocabulary.PROTOCOL_PORTS[protocol] or service.name == protocol
    return protocol in vocabulary.TCP_PROTOCOLS - vocabulary.HTTP_SERVICES


def asks(test: Test) -> bool:
    """False for what only changes or counts."""
    match test:
        case Count():
            return False
        case FlowBits() | SourceBit():
            return test.command in ("isset", "isnotset")
        case FlowInt():
            return test.op not in ("+", "-", "=")
    return True


def datasets_of(tests: Iterable[Test]) -> Iterator[Dataset]:
    """Those among ``tests``, also inside others."""
    for test in tests:
        if isinstance(test, Dataset):
            yield test
        elif isinstance(test, Transformed | PacketBytes | Base64):
            yield from datasets_of(test.tests)


def sets_bits(rule: Rule) -> bool:
    """True when other rules may wait for what a match of this one changes."""
    return any(isinstance(test, FlowBits | SourceBit | FlowInt) and not asks(test) for test in rule.tests)


def looks_at_http(rule: Rule, ports: tuple[tuple[int, int], ...] | None) -> bool:
    """True for a rule about HTTP requests, false for one about any TCP service that may meet one."""
    if rule.header.protocol in ("http", "http1"):
        return True
    if looks_into_requests(rule):
        return True
    if any(key == "service" and value in vocabulary.HTTP_SERVICES for key, value in rule.metadata):
        return True
    return rule.header.destination_ports.text == "HTTP_PORTS" or ports == ((80, 80),)


def is_packet(rule: Rule) -> bool:
    """True when the rule is judged on single segments. One that looks into requests, too, is judged on those,
    and asks what it asks of segments of the one with which the rest has matched.
    """
    if rule.segments or rule.header.protocol == "tcp-pkt":
        return True
    return not looks_into_requests(rule) and any(
        isinstance(test, PacketTest) or (isinstance(test, Size) and test.kind == "dsize")
        for test in rule.tests
        # TCP it is, whatever the protocol's number is compared with; what was sent streams know.
        if not (isinstance(test, HeaderTest) and test.field == "protocol")
        and not isinstance(test, StreamSize | FlowSize)
    )


def looks_into_requests(rule: Rule) -> bool:
    """True when what it asks for is in HTTP requests only."""
    return any(buffer_of(test).startswith("http_") or isinstance(test, Oddity) for test in rule.tests)


def _without_payload(rule: Rule) -> bool:
    """True when nothing in the rule asks for payload bytes."""
    if rule.header.protocol == "tcp-pkt" and not any(isinstance(test, TcpFlags) for test in rule.tests):
        return False
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
        **_name(rule),
        "category": category,
        "priority": priority,
        "action": action,
        "file": file,
        "line": line,
        **_demands(rule, ports),
    }


class DocumentText(NamedTuple):
    """What of an entry hangs on the rule alone, as JSON: ``head`` and ``tail``; the rest stands between.

    ``gives``: bits that it changes; ``waits``: for each option that waits for bits, these, and whether one is
    enough. Names of bits say their kind.
    """

    head: str
    tail: str
    gives: tuple[str, ...]
    waits: tuple[tuple[tuple[str, ...], bool], ...]

    def json(
        self,
        action: str,
        category: str,
        priority: int,
        file: str,
        line: int,
        standing: str = "",
    ) -> str:
        """The entry, as ``rule_document`` has it. ``standing``: what has to hold for the action, as JSON."""
        middle = _json_of(category, priority, action, file)
        where = f'"standing":{standing},' if standing else ""
        return f"{self.head},{middle}{line},{where}{self.tail}"


@lru_cache(maxsize=1024)
def _json_of(category: str, priority: int, action: str, file: str) -> str:
    said = {"category": category, "priority": priority, "action": action, "file": file}
    return f'{compact(said)[1:-1]},"line":'


def document_text(rule: Rule, ports: tuple[tuple[int, int], ...] | None) -> DocumentText:
    """Of a loaded rule. ``ports``: as of ``rule_document``."""
    demands = _demands(rule, ports)
    bits = [(option, names) for option in demands["options"] if (names := _bits(option))]
    return DocumentText(
        compact(_name(rule))[:-1],
        compact(demands)[1:],
        tuple(name for option, names in bits if option["command"] in ("set", "toggle") for name in names),
        tuple(
            (tuple(names), bool(option.get("any"))) for option, names in bits if option["command"] == "isset"
        ),
    )


def _bits(option: Mapping[str, Any]) -> list[str]:
    """The bits that an option of the document names, by kind: flowbits and xbits are apart."""
    match option["kind"]:
        case "flowbits":
            return [f"flowbits {name}" for name in option["bits"]]
        case "xbits":
            return [f"xbits {option['name']}"]
    return []


compact = json.JSONEncoder(separators=(",", ":")).encode
"""JSON without blanks."""


def _name(rule: Rule) -> dict[str, Any]:
    return {
        "gid": rule.gid,
        "sid": rule.sid,
        "rev": rule.rev,
        "msg": rule.msg,
        "classtype": rule.classtype,
    }


def _demands(rule: Rule, ports: tuple[tuple[int, int], ...] | None) -> dict[str, Any]:
    return {
        "scope": "packet" if is_packet(rule) else "http",
        "dialect": rule.dialect,
        "silent": rule.noalert,
        "dst_ports": None if ports is None else [list(pair) for pair in ports],
        "dst_ports_negated": False,
        **_sender(rule),
        "options": (listed := options(rule)),
        **({} if any(asks(test) for test in rule.tests) and listed else {"every": True}),
    }


_NOWHERE: dict[str, list[str]] = {"in": [], "not": []}


def _cidrs(texts: list[str]) -> list[str]:
    found: list[str] = []
    for text in texts:
        if IPV4.fullmatch(text):  # nearly all of them
            found.append(f"{text}/32")
            continue
        low, dash, high = text.partition("-")
        if dash:
            ends = [ipaddress.ip_address(end.strip()) for end in (low, high)]
            found += [str(network) for network in ipaddress.summarize_address_range(ends[0], ends[1])]
        else:
            found.append(str(ipaddress.ip_network(text, strict=False)))
    return found


def listed_networks(rule: Rule) -> dict[str, list[str]]:
    """Of a list of addresses: those meant ("in"), and those not meant ("not")."""
    clients = reach(rule.header).clients
    named = networks(clients) if clients is not None else None
    return {key: _cidrs(texts) for key, texts in (named or _NOWHERE).items()}


NETWORKS = ("networks", "except")
"""Of a list of addresses."""


def list_entry(named: Mapping[str, list[str]], entry: Mapping[str, Any]) -> dict[str, Any]:
    """A list of addresses; without ``NETWORKS`` also the document's entry of it. ``entry``: of the same rule
    among the others.
    """
    kept = ("gid", "sid", "rev", "msg", "classtype", "category", "priority", "action", "file", "line")
    return {"networks": named["in"], "except": named["not"], **{key: entry[key] for key in kept}}


def options(rule: Rule, *, capture: bool = False) -> list[dict[str, Any]]:
    """The document's options of a rule. ``capture``: also those that say how often to tell, or that only the
    packets of a capture can show.
    """
    return [_option(test, capture) for test in rule.tests if capture or not _certain(test)]


def _certain(test: Test) -> bool:
    """Holds for whatever the service gets, or says nothing of what matches."""
    return (isinstance(test, Count) and test.how == "limit") or (
        isinstance(test, HeaderTest) and test.field == "protocol"
    )


def _sender(rule: Rule) -> dict[str, Any]:
    """What the header says of clients: nothing for nearly every rule."""
    entry: dict[str, Any] = {}
    header_reach = reach(rule.header)
    if header_reach.client_ports is not None:
        entry["src_ports"] = [list(pair) for pair in header_reach.client_ports]
    if header_reach.clients is not None:
        entry["sources"] = networks(header_reach.clients)
    return entry


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


def _step(step: TransformStep) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": step.name}
    if step.key:
        entry["key"] = step.key.hex()
    if step.pattern:
        entry["pattern"] = step.pattern
    if step.name == "from_base64":
        entry |= {"offset": step.offset, "bytes": step.size}
    return entry


def _option(test: Test, capture: bool = False) -> dict[str, Any]:
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
        case Absent():
            return {"kind": "absent", "buffer": test.buffer, "or_else": test.or_else}
        case Oddity():
            return {"kind": "oddity", "name": test.name, "sids": list(test.sids)}
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
                "options": [{**_option(inner, capture), "buffer": "raw"} for inner in test.tests],
            }
        case Transformed():
            return {
                "kind": "transform",
                "buffer": test.buffer,
                "steps": [_step(step) for step in test.steps],
                "options": [_option(inner, capture) for inner in test.tests],
            }
        case FlowBits():
            return {
                "kind": "flowbits",
                "command": test.command,
                "bits": list(test.names),
                "any": test.either,
            }
        case SourceBit():
            entry = {"kind": "xbits", "command": test.command, "name": test.name, "seconds": test.seconds}
            track = "source" if test.track == "both" and not capture else test.track
            return entry | ({"track": track} if track != "source" else {})
        case FlowInt():
            return {"kind": "flowint", "name": test.name, "op": test.op, "value": test.value}
        case Dataset():
            command: Any = test.command
            if command in ("<", ">", "=="):
                command = {"reputation": {"op": command, "value": test.reputation}}
            entry = {"kind": "dataset", "buffer": test.buffer, "name": test.name, "type": test.values}
            return entry | {"command": command}
        case PacketBytes():
            inner_options = [_option(inner, capture) for inner in test.tests]
            return {"kind": "packet_bytes", "of": test.of, "options": inner_options}
        case FlowSize():
            return {"kind": "flow_size", "field": test.field, "op": test.op, "value": test.value}
        case Count():
            return {
                "kind": "count",
                "how": test.how,
                "count": test.count,
                "seconds": test.seconds,
                # A service has one address: what is counted by it is counted for all.
                "track": test.track if capture else _LIVE_TRACKS[test.track],
                **({"unique": test.unique} if test.unique else {}),
                **({"multiplier": test.multiplier} if test.multiplier else {}),
            }
        case TcpFlags():
            entry = {"kind": "flags", "set": test.letters, "mode": test.mode}
            if test.mask:
                entry["mask"] = test.mask
            return entry
        case TcpNumber():
            return {"kind": test.kind, "value": test.value}
        case HeaderTest():
            return {"kind": "header", "field": test.field, "op": test.op, "value": test.value}
        case FragBits():
            return {"kind": "fragbits", "set": test.letters, "mode": test.mode}
        case IpOption():
            return {"kind": "ipopts", "value": test.value}
        case SameIp():
            return {"kind": "sameip"}
        case StreamSize():
            return {"kind": "stream_size", "side": test.side, "op": test.op, "value": test.value}
