# SPDX-License-Identifier: Apache-2.0
"""Makes entries of the rule document for captures, where every direction and protocol is there.

A live inspector gets rules that can concern requests to its service. In a capture a rule is judged by what
its header says, against the addresses that are there. What it is asked of (``view.unit``) follows Suricata:
"request" with HTTP buffers, "packet" with tests of packets, "stream" with contents, "once" (the first packet
of each direction) without anything but addresses. The order of the entries is that of Suricata's actions:
pass, drop, reject, alert; of these rules that set bits go before those that test them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from securedirect.errors import ConfigError
from securedirect.rules import vocabulary
from securedirect.rules.addresses import complement, merged, networks
from securedirect.rules.compile import asks, is_packet, looks_into_requests, options
from securedirect.rules.model import (
    Addresses,
    Base64,
    ByteExtract,
    ByteJump,
    ByteTest,
    Content,
    Dataset,
    FlowBits,
    FlowInt,
    FlowSize,
    IsDataAt,
    Pcre,
    Ports,
    Rule,
    Size,
    SourceBit,
    StreamSize,
    Transformed,
)

_ACTIONS = {"pass": 0, "drop": 1, "sdrop": 1, "block": 1, "reject": 2, "rejectsrc": 2, "rejectdst": 2}
_ALERT = 3
_NUMBERS = {"tcp": 6, "tcp-pkt": 6, "tcp-stream": 6, "http": 6, "http1": 6, "udp": 17, "icmp": 1}
_ANY_PROTOCOL = frozenset({"ip", "ip4", "ip6", "ipv4", "ipv6", "pkthdr"})
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
_SERVER = "server"
"""In a document's networks: the end that was connected to."""
_HTTP_PORTS = frozenset({"HTTP_PORTS", "HTTP_PORT", "FILE_DATA_PORTS", "WEB_PORTS"})


@dataclass(frozen=True)
class Site:
    """Where the capture was made. ``home``: the site's own networks; empty: private addresses and whoever is
    connected to. ``http_ports``: of web servers, for rules that exclude them; those that name them mean any.
    """

    home: Sequence[str] = ()
    http_ports: Sequence[int] = (80,)
    variables: dict[str, Addresses] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for network in self.home:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ConfigError(
                    f"{network!r} is no network", hint="for example --home-net 192.0.2.0/24"
                ) from None
        home = Addresses(
            "list", items=tuple(Addresses("address", text) for text in self.home or (*_PRIVATE, _SERVER))
        )
        self.variables["HOME_NET"] = home
        outside = Addresses("any") if not self.home else Addresses("list", "", True, home.items)
        self.variables["EXTERNAL_NET"] = outside

    def addresses(self, addresses: Addresses) -> dict[str, list[str]] | None:
        """As the document has them; variables of servers are the site's own networks."""
        return networks(self._known(addresses), self.variables)

    def _known(self, addresses: Addresses) -> Addresses:
        if addresses.kind == "list":
            items = tuple(self._known(item) for item in addresses.items)
            return Addresses("list", "", addresses.negated, items)
        if addresses.kind == "variable" and addresses.text not in self.variables:
            return Addresses("variable", "HOME_NET", addresses.negated)
        return addresses

    def ports(self, ports: Ports) -> list[list[int]] | None:
        """Ranges; None: any."""
        found = self._ranges(ports)
        return None if found is None else [list(pair) for pair in found]

    def _ranges(self, ports: Ports) -> tuple[tuple[int, int], ...] | None:
        match ports.kind:
            case "any":
                return None
            case "variable":
                if ports.text not in _HTTP_PORTS and ports.text != "SHELLCODE_PORTS":
                    return None
                web = tuple((port, port) for port in self.http_ports)
                outside = ports.negated != (ports.text == "SHELLCODE_PORTS")
                return complement(web) if outside else None
            case "range":
                one = ((ports.low, ports.high),)
                return complement(one) if ports.negated else one
            case "list":
                inside: list[tuple[int, int]] = []
                outside_of: list[tuple[int, int]] = []
                everything = not any(not item.negated for item in ports.items)
                for item in ports.items:
                    ranges = self._ranges(item)
                    if item.negated and ranges is not None:
                        outside_of += complement(ranges)
                    elif ranges is None:
                        everything = True
                    else:
                        inside += ranges
                kept = ((0, 65535),) if everything else merged(tuple(inside))
                kept = complement((*complement(kept), *outside_of))
                kept = complement(kept) if ports.negated else kept
                return None if kept == ((0, 65535),) else kept


def order(rule: Rule) -> tuple[int, int, int]:
    """By this the entries of a document for captures are sorted."""
    bits = [asks(test) for test in rule.tests if isinstance(test, FlowBits | SourceBit | FlowInt)]
    tests, sets = any(bits), not all(bits)
    rank = (1 if tests else 0) if sets else (2 if tests else 3)
    return (_ACTIONS.get(rule.header.action, _ALERT), rank, rule.priority or 3)


def view(rule: Rule, site: Site) -> dict[str, Any] | str:
    """The entry's ``view``, or why a rule cannot be judged in a capture."""
    header = rule.header
    protocol = _NUMBERS.get(header.protocol)
    if protocol is None and header.protocol not in _ANY_PROTOCOL:
        if header.protocol not in vocabulary.TCP_SERVICE_PROTOCOLS:
            return f"protocol {header.protocol} is not judged"
        protocol = 6
    if rule.foreign:
        return "; ".join(rule.foreign)
    if rule.unsupported:
        return "; ".join(rule.unsupported)
    if header.action in ("log", "activate", "dynamic", "rewrite"):
        return f"action {header.action}"
    unit = _unit(rule)
    if unit == "request" and is_packet(rule):
        return "HTTP buffers of single segments"
    http = rule.http or header.protocol in ("http", "http1")
    entry: dict[str, Any] = {
        "unit": unit,
        "packets": any(
            isinstance(test, StreamSize | FlowSize)
            or (
                isinstance(test, Content)
                and (test.startswith or test.offset is not None or test.depth is not None)
            )
            for test in rule.tests
        ),
        "http": http,
        "protocol": protocol,
        "from": site.addresses(header.source),
        "to": site.addresses(header.destination),
        "from_ports": site.ports(header.source_ports),
        "to_ports": site.ports(header.destination_ports),
        "both": header.direction == "<>",
        "client": None if not (rule.side or rule.flow_start) else rule.side != "server",
        "established": rule.established,
        "drop": _ACTIONS.get(header.action) in (1, 2),
        "silent": rule.noalert,
    }
    return entry


def _unit(rule: Rule) -> str:
    if looks_into_requests(rule):
        return "request"
    if rule.flow_start:
        return "once"
    if rule.header.hook.startswith("request") and rule.header.protocol in ("http", "http1"):
        return "request"
    if is_packet(rule) or rule.header.protocol in ("udp", "icmp"):
        return "packet"
    looks = any(
        isinstance(
            test,
            Content
            | Pcre
            | IsDataAt
            | ByteTest
            | ByteJump
            | ByteExtract
            | Base64
            | Transformed
            | Size
            | Dataset,
        )
        for test in rule.tests
    )
    if looks:
        return "reassembled" if rule.stream_only or rule.header.protocol == "tcp-stream" else "stream"
    alone = (
        not rule.flow
        and not any(isinstance(test, FlowBits | FlowInt | StreamSize | FlowSize) for test in rule.tests)
        and not rule.http
        and rule.header.protocol not in ("http", "http1")
    )
    return "once" if alone else "packet"


def entry(rule: Rule, base: dict[str, Any], seen: dict[str, Any], action: str) -> dict[str, Any]:
    """The document's entry. ``base``: as of the live document, ``seen``: of ``view``, ``action``: what the
    director would do, empty when it would not judge the rule.
    """
    return {
        **{key: value for key, value in base.items() if key not in ("src_ports", "sources")},
        "scope": "http" if seen["unit"] == "request" else "packet",
        "action": "pass" if rule.header.action == "pass" else "alert" if action in ("", "off") else action,
        "silent": False,
        "every": True,
        "dst_ports": None,
        "view": seen,
        "options": options(rule, capture=True),
    }
