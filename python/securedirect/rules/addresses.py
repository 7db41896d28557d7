# SPDX-License-Identifier: Apache-2.0
"""Decides from a rule's header whether it can concern requests from a client to a protected server, and its
ports.

The protected servers are $HOME_NET and $HTTP_SERVERS; clients come from $EXTERNAL_NET or anywhere. Other
server variables ($SMTP_SERVERS, ...) name machines that this service is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from securedirect.rules.model import Addresses, Header, Ports

PROTECTED = frozenset({"HOME_NET", "HTTP_SERVERS", "WEB_SERVERS", "HTTP_SERVER"})
HTTP_ONLY = frozenset({"HTTP_SERVERS", "WEB_SERVERS", "HTTP_SERVER"})
CLIENTS = frozenset({"EXTERNAL_NET"})
SERVICE_PORTS = frozenset({"HTTP_PORTS", "HTTP_PORT", "FILE_DATA_PORTS", "WEB_PORTS"})
"""Port variables that stand for the ports of the protected service."""

OTHER_PORTS: dict[str, tuple[tuple[int, int], ...]] = {
    "SHELLCODE_PORTS": ((0, 79), (81, 65535)),
    "ORACLE_PORTS": ((1521, 1521),),
    "SSH_PORTS": ((22, 22),),
    "FTP_PORTS": ((21, 21),),
    "SMTP_PORTS": ((25, 25),),
    "SIP_PORTS": ((5060, 5061),),
    "DNP3_PORTS": ((20000, 20000),),
    "MODBUS_PORTS": ((502, 502),),
    "GTP_PORTS": ((2123, 2123), (2152, 2152), (3386, 3386)),
    "VXLAN_PORTS": ((4789, 4789),),
    "TEREDO_PORTS": ((3544, 3544),),
    "GENEVE_PORTS": ((6081, 6081),),
}
"""Other port variables with the values that Snort and Suricata ship."""

_EVERY_PORT = ((0, 65535),)
_FIRST_CLIENT_PORT = 1024


@dataclass(frozen=True, slots=True)
class Reach:
    """What a header says about requests to a protected server.

    ``foreign``: why it cannot concern them, or empty. ``clients``: where they come from, if it names them.
    ``client_ports``: the client's ports, ``ports``: destination ports (inclusive ranges); None = any (port of
    the service).
    """

    foreign: str = ""
    clients: Addresses | None = None
    client_ports: tuple[tuple[int, int], ...] | None = None
    ports: tuple[tuple[int, int], ...] | None = None


@lru_cache(maxsize=8192)
def reach(header: Header, raw: bool = False) -> Reach:
    """Judge a header; the same for every rule that has it. ``raw``: for a service that is not HTTP."""
    there = (header.source, header.source_ports)
    here = (header.destination, header.destination_ports)
    forward = _one_way(*there, *here, raw)
    if header.direction == "->" or not forward.foreign:
        return forward
    backward = _one_way(*here, *there, raw)
    return backward if not backward.foreign else forward


def _one_way(
    source: Addresses, source_ports: Ports, destination: Addresses, destination_ports: Ports, raw: bool
) -> Reach:
    meant = destination
    if raw:
        # A port says which service is meant; the name of its machines only says it again.
        destination = _ours(destination)
        source_ports, destination_ports = _plain(source_ports), _plain(destination_ports)
    if not _holds_server(destination):
        if raw or not (_is_server_fetching(source, destination, destination_ports)):
            return Reach(f"its destination {describe(meant)} is none of the protected servers")
    elif not _holds_clients(source):
        return Reach(f"only connections from {describe(source)}, which clients are not")
    ports = _ranges(destination_ports)
    if ports == ():
        return Reach("its destination ports exclude the service's")
    client = _ranges(source_ports)
    if client is None:
        return Reach("its source port is the server's: it looks at answers")
    if client and all(high < _FIRST_CLIENT_PORT for _, high in client) and not _named_alone(source_ports):
        return Reach(f"its source port {describe_ports(source_ports)} is a server's, no client's")
    return Reach(
        "",
        source if _names_clients(source) else None,
        None if client == _EVERY_PORT else client,
        None if ports in (None, _EVERY_PORT) else ports,
    )


def _named_alone(ports: Ports) -> bool:
    """Port 0, which no service has: who sends from it is up to something."""
    return ports.kind == "range" and not ports.negated and ports.low == ports.high == 0


def _ours(addresses: Addresses) -> Addresses:
    """``addresses`` with $SMTP_SERVERS and the like as $HOME_NET, and $HTTP_SERVERS as machines elsewhere."""
    text = addresses.text
    if addresses.kind == "variable" and text in HTTP_ONLY:
        return replace(addresses, text="OTHER_SERVERS")
    if addresses.kind == "variable" and text.endswith("_SERVERS"):
        return replace(addresses, text="HOME_NET")
    return replace(addresses, items=tuple(_ours(item) for item in addresses.items))


def _plain(ports: Ports) -> Ports:
    """``ports`` with HTTP's as the number, since they are not the service's."""
    if ports.kind == "variable" and ports.text in SERVICE_PORTS:
        return Ports("range", negated=ports.negated, low=80, high=80)
    return replace(ports, items=tuple(_plain(item) for item in ports.items))


def _is_server_fetching(source: Addresses, destination: Addresses, ports: Ports) -> bool:
    """A web server that fetches a page: ``$HTTP_SERVERS any -> $EXTERNAL_NET $HTTP_PORTS`` (Snort 2.0, sid
    1255).

    Its header describes outbound traffic, which the director never sees. It is judged on requests to the
    service all the same, because Snort ships both variables as "any", so that its users have always met
    such a rule on inbound requests.
    """
    return (
        source == Addresses("variable", "HTTP_SERVERS")
        and destination == Addresses("variable", "EXTERNAL_NET")
        and ports.kind == "variable"
        and not ports.negated
        and ports.text in SERVICE_PORTS
    )


def _holds_server(addresses: Addresses) -> bool:
    return _holds(addresses, PROTECTED, literal=False)


def _holds_clients(addresses: Addresses) -> bool:
    return _holds(addresses, CLIENTS, literal=True)


def _holds(addresses: Addresses, variables: frozenset[str], *, literal: bool) -> bool:
    """Whether machines that ``variables`` name are among ``addresses``.

    ``literal``: whether an address that is written out may be one of them.
    """
    match addresses.kind:
        case "any":
            return True
        case "variable":
            return (addresses.text in variables) != addresses.negated
        case "address":
            return literal or addresses.negated
        case "list":
            items = addresses.items
            if addresses.negated and literal:
                return not any(item.kind == "any" or item.text in variables for item in items)
            positive = [item for item in items if not item.negated]
            inside = not positive or any(_holds(item, variables, literal=literal) for item in positive)
            inside = inside and all(
                _holds(item, variables, literal=literal) for item in items if item.negated
            )
            return not inside if addresses.negated else inside


def _names_clients(addresses: Addresses) -> bool:
    """True when only certain addresses are meant (a list of bad hosts) or excepted."""
    if addresses.kind == "list":
        return all(_names_clients(item) for item in addresses.items if not item.negated) or any(
            item.negated and _names_clients(item) for item in addresses.items
        )
    return addresses.kind == "address"


def networks(
    addresses: Addresses, variables: Mapping[str, Addresses] | None = None
) -> dict[str, list[str]] | None:
    """Addresses as the document has them: in one of the first networks (none: any), in none of the others.

    ``variables``: what those that are not "any" stand for. None: any address.
    """
    within, without = _flat(addresses, variables or {}, 0)
    if not within and not without:
        return None
    return {"in": [] if "any" in within else within, "not": without}


def _flat(
    addresses: Addresses, variables: Mapping[str, Addresses], depth: int
) -> tuple[list[str], list[str]]:
    """Networks inside and outside; "any" and an empty list of the first stand for everything."""
    within: list[str] = []
    without: list[str] = []
    match addresses.kind:
        case "variable" if addresses.text in variables and depth < 8:
            within, without = _flat(variables[addresses.text], variables, depth + 1)
        case "address":
            within = [addresses.text]
        case "list":
            for item in addresses.items:
                inner, outer = _flat(item, variables, depth + 1)
                within += inner or ([] if outer else ["any"])
                without += outer
    if addresses.negated and (within or without):
        return without, within
    return within, without


def _ranges(ports: Ports) -> tuple[tuple[int, int], ...] | None:
    """Inclusive ranges; None = exactly the service's ports, whatever they are; () = none."""
    match ports.kind:
        case "any":
            return _EVERY_PORT
        case "variable":
            if ports.text in SERVICE_PORTS:
                return () if ports.negated else None
            ranges = OTHER_PORTS.get(ports.text, ())
            return complement(ranges) if ports.negated else ranges
        case "range":
            ranges = ((ports.low, ports.high),)
            return complement(ranges) if ports.negated else ranges
        case "list":
            positive: list[tuple[int, int]] = []
            excluded: list[tuple[int, int]] = []
            service = any_positive = False
            for item in ports.items:
                if item.negated:
                    plain = Ports(item.kind, item.text, False, item.low, item.high, item.items)
                    found = _ranges(plain)
                    if found is None:
                        return ()
                    excluded += found
                else:
                    any_positive = True
                    found = _ranges(item)
                    if found is None:
                        service = True
                    else:
                        positive += found
            if service and not ports.negated:
                return None
            ranges = tuple(positive) if any_positive else _EVERY_PORT
            if excluded:
                ranges = _intersection(merged(ranges), complement(tuple(excluded)))
            if ports.negated:
                return () if service else complement(ranges)
            return merged(ranges)


def merged(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Inclusive ranges in order, without overlaps."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


def complement(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """All other ports."""
    out: list[tuple[int, int]] = []
    begin = 0
    for low, high in merged(ranges):
        if low > begin:
            out.append((begin, low - 1))
        begin = high + 1
    if begin <= 65535:
        out.append((begin, 65535))
    return tuple(out)


def _intersection(
    left: tuple[tuple[int, int], ...], right: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    return tuple((max(a, c), min(b, d)) for a, b in left for c, d in right if max(a, c) <= min(b, d))


def describe(addresses: Addresses) -> str:
    """An address as an administrator would write it, shortened."""
    sign = "!" if addresses.negated else ""
    match addresses.kind:
        case "any":
            return "any"
        case "variable":
            return f"{sign}${addresses.text}"
        case "address":
            return sign + addresses.text
        case "list":
            shown = ",".join(describe(item) for item in addresses.items[:3])
            return f"{sign}[{shown}{',...' if len(addresses.items) > 3 else ''}]"


def describe_ports(ports: Ports) -> str:
    """Ports as an administrator would write them."""
    sign = "!" if ports.negated else ""
    match ports.kind:
        case "any":
            return "any"
        case "variable":
            return f"{sign}${ports.text}"
        case "range":
            return sign + describe_ranges(((ports.low, ports.high),))
        case "list":
            return f"{sign}[{','.join(describe_ports(item) for item in ports.items)}]"


def describe_ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    """Inclusive port ranges in short: 80, 8000:8080."""
    return ", ".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)
