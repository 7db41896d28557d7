# SPDX-License-Identifier: Apache-2.0
"""Parses a rule's header and cuts its body into options, the same way for every dialect.

Options end at the first unescaped ``;`` whatever the quotes say: in every published set a semicolon inside
quotes is escaped, and rules with a bare quote exist. Errors are ``ConfigError`` whose ``column`` is the
offset in the text plus 1; the caller, who knows the file, turns it into line and column.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Generic, Literal, NamedTuple, NoReturn, TypeVar

from securedirect.errors import ConfigError
from securedirect.rules.lexer import ACTIONS
from securedirect.rules.model import Addresses, Header, Option, ParsedRule, Ports

# Possessive quantifiers keep this linear on any text.
_OPTION = re.compile(r"\s*+([A-Za-z][\w.\-]*+)\s*+(?:(:)\s*+((?:[^;\\]++|\\.)*+))?;", re.DOTALL | re.ASCII)
_PIECE = re.compile(r"((?:[^;\\]++|\\.|\\\Z)*+)(?:;|\Z)", re.DOTALL)
"""What stands before an unescaped semicolon, or the end."""
_NAME = re.compile(r"\s*+([A-Za-z][\w.\-]*+)\s*+(:?)", re.ASCII)
_BLANKS = " \t\r\n\f\v"
_WORD = re.compile(r"[^\s(]+")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][\w.\-]*)\}?\Z")
_HOOK = re.compile(r"[a-z][a-z0-9_]*")
_PORT_NUMBER = re.compile(r"\d{1,5}\Z")

PROTOCOLS = frozenset(
    """
    tcp udp icmp ip tcp-pkt tcp-stream pkthdr ipv4 ipv6 ip4 ip6 icmpv4 icmpv6 icmp4 icmp6 sctp http
    http1 http2 http3 ftp ftp-data tls ssl smb dns smtp ssh imap pop3 nfs nntp krb5 tftp dhcp rdp
    rfb snmp sip ike quic mqtt modbus dnp3 dcerpc telnet pgsql websocket ntp enip bittorrent-dht
    template mdns ldap doh2 file user arp ether udp-stream s7commplus cip msn jabber irc dce netflow
    """.split()
)

_T = TypeVar("_T", Addresses, Ports)

_QUOTED = frozenset({"msg", "content", "uricontent", "pcre"})
_UNCLOSED = re.compile(r'\s*!?\s*"(?!(?:[^"\\]|\\.)*")', re.DOTALL)
"""A value that begins with a quote and has no other."""


def fail(offset: int, message: str, hint: str = "") -> NoReturn:
    """Raise the error of a rule text at ``offset``."""
    raise ConfigError(message, column=offset + 1, hint=hint)


def parse_rule(text: str, start: int = 0) -> ParsedRule:
    """Parse the rule that begins at ``start``. ConfigError (column = offset + 1) when it is none."""
    opening = text.find("(", start)
    if opening < 0:
        _explain_no_rule(text, start)
    try:
        header = parse_header(text[start:opening])
    except ConfigError as error:
        raise ConfigError(error.message, column=error.column + start, hint=error.hint) from None
    options: list[Option] = []
    position = opening + 1
    match = _OPTION.match
    while found := match(text, position):
        name, colon, value = found.groups()
        if colon and name.lower() in _QUOTED and (quote := _UNCLOSED.match(value)):
            fail(
                found.start(3) + quote.end() - 1,
                f"the quote of option '{name}' is not closed",
                "end the value with '\"' before the ';'; a quote inside is written '\\\"'",
            )
        options.append(
            Option(
                name.lower(),
                value if colon else None,
                found.start(1),
                found.start(3) if colon else found.end(1),
            )
        )
        position = found.end()
    rest = text[position:]
    stripped = rest.strip()
    if stripped.startswith(")"):
        after = stripped[1:].strip()
        if after and not after.startswith("#"):
            fail(
                position + rest.index(")") + 1,
                "there is text after the closing parenthesis of the rule",
                "one rule a line; a parenthesis inside an option needs a ';' before the rule's own end",
            )
        if not options:
            fail(
                opening,
                "the rule has no options",
                'at least msg, sid and a content: (msg:"..."; content:"..."; sid:1;)',
            )
        return ParsedRule(header, tuple(options))
    _explain_option(text, position, stripped)


class OptionTable(dict[str, Option]):
    """Options by how they are written, without their places: most of a set's are written many times."""

    def __missing__(self, written: str) -> Option:
        before, colon, value = written.partition(":")
        name = _option_name(before)
        if colon:
            value = value.lstrip(_BLANKS)
            if name in _QUOTED and (value.count('"') < 2 or "\\" in value) and _UNCLOSED.match(value):
                raise _MistakeError
        option = self[written] = tuple.__new__(Option, (name, value if colon else None, 0, 0))
        return option


@lru_cache(maxsize=4096)
def _option_name(written: str) -> str:
    """An option's name from what stands before its colon or semicolon."""
    found = _NAME.fullmatch(written)
    if found is None or found[2]:
        raise _MistakeError
    return found[1].lower()


class _MistakeError(Exception):
    """``parse_rule`` says which."""


def parse_quickly(text: str, start: int, known: OptionTable) -> ParsedRule | None:
    """The rule without its options' places, which only mistakes ask for. None: ``parse_rule`` has to look."""
    opening = text.find("(", start)
    if opening < 0:
        return None
    body = text[opening + 1 :]
    if "\\" in body:
        pieces = _PIECE.findall(body)
        if not pieces[-1]:  # the end, once more
            pieces.pop()
    else:
        pieces = body.split(";")
    if len(pieces) < 2 or pieces.pop().strip() != ")":
        return None
    try:
        return ParsedRule(parse_header(text[start:opening]), tuple(map(known.__getitem__, pieces)))
    except (ConfigError, _MistakeError):
        return None


def _explain_option(text: str, position: int, stripped: str) -> NoReturn:
    position += len(text[position:]) - len(text[position:].lstrip())
    if not stripped:
        fail(
            len(text.rstrip()),
            "the rule ends without its closing parenthesis",
            "end it with ')' after the last ';'",
        )
    found = _NAME.match(text, position)
    if found is None:
        if stripped.startswith(";"):
            fail(position, "empty option", "remove the extra ';'")
        fail(
            position,
            f"an option must begin with its name, here stands {stripped[:1]!r}",
            "write name:value; or name;",
        )
    if found[2]:
        fail(
            position,
            f"option '{found[1]}' is not ended by ';'",
            "every option ends with ';', the last one too; a ';' inside a value is written '\\;'",
        )
    fail(
        found.end(),
        f"after option name '{found[1]}' a ':' or ';' is missing",
        "write name:value; or name; with a ';' after every option",
    )


def _explain_no_rule(text: str, start: int) -> NoReturn:
    word = text[start:].split(None, 1)[0] if text[start:].strip() else ""
    if word in ACTIONS:
        fail(
            len(text.rstrip()),
            "the rule has no '(' and no options",
            "ACTION PROTOCOL SOURCE PORT -> DESTINATION PORT (options)",
        )
    if word == "include":
        fail(start, "'include' is not followed here", "name the included file itself among the rule files")
    if word in ("var", "ipvar", "portvar", "config", "preprocessor", "output", "event_filter", "suppress"):
        fail(start, f"'{word}' belongs in Snort's configuration, not in a rule file", "remove the line")
    fail(start, f"no rule begins with {word!r}", "a rule begins with alert, drop, ...; a comment with '#'")


@lru_cache(maxsize=8192)
def parse_header(text: str) -> Header:
    """Parse what stands before the opening parenthesis. ConfigError's column is the offset in ``text`` plus
    1.
    """
    words = _words(text)
    if not words:
        fail(0, "the rule has no header", "ACTION PROTOCOL SOURCE PORT -> DESTINATION PORT (options)")
    at, action = words[0]
    if action not in ACTIONS:
        fail(at, f"unknown action '{action}'", "known: alert, drop, reject, block, pass, log")
    if len(words) == 1:
        fail(
            at + len(action),
            "the protocol is missing",
            "for example: alert tcp any any -> $HOME_NET 80 (...)",
        )
    at, protocol = words[1]
    # Suricata 8 may say where in the protocol the rule is asked: http1:request_headers.
    protocol, colon, hook = protocol.lower().partition(":")
    if protocol not in PROTOCOLS or (colon and not _HOOK.fullmatch(hook)):
        fail(at, f"unknown protocol '{words[1][1]}'", "for example tcp, http, udp, ip")
    anywhere, all_ports = Addresses("any"), Ports("any")
    if len(words) == 2:  # Snort 3's service rule: alert http (...)
        return Header(action, protocol, anywhere, all_ports, "->", anywhere, all_ports, hook)
    if len(words) != 7:
        at = words[-1][0]
        if len(words) > 7:
            fail(
                words[7][0],
                f"the header has {len(words)} words instead of 7",
                "blanks are allowed in [lists] only",
            )
        fail(
            at + len(words[-1][1]),
            f"the header has {len(words)} words instead of 7",
            "ACTION PROTOCOL SOURCE PORT -> DESTINATION PORT (options)",
        )
    at, direction = words[4]
    if direction == "=>":  # Suricata's transactional rule: the same towards the server
        direction = "->"
    if direction not in ("->", "<>"):
        fail(at, f"unknown direction '{direction}'", "write -> or <>")
    return Header(
        action,
        protocol,
        parse_addresses(words[2][1], words[2][0]),
        parse_ports(words[3][1], words[3][0]),
        direction,
        parse_addresses(words[5][1], words[5][0]),
        parse_ports(words[6][1], words[6][0]),
        hook,
    )


def _words(text: str) -> list[tuple[int, str]]:
    """Words of a header; blanks inside brackets do not separate."""
    words: list[tuple[int, str]] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        begin = position
        depth = 0
        while position < len(text) and (depth or not text[position].isspace()):
            if text[position] == "[":
                depth += 1
            elif text[position] == "]":
                depth -= 1
                if depth < 0:
                    fail(position, "']' without '['", "lists are written [a,b,c]")
            position += 1
        if depth:
            fail(begin, "the list is not closed with ']'", "lists are written [a,b,c]")
        words.append((begin, text[begin:position]))
    return words


def _elements(text: str, at: int) -> list[tuple[int, str]]:
    """The elements of the list ``text`` (with its brackets), stripped, with their offsets."""
    found: list[tuple[int, str]] = []
    depth = 0
    begin = 1
    for position in range(1, len(text)):
        sign = text[position]
        if (sign == "," and not depth) or position == len(text) - 1:
            element = text[begin:position]
            stripped = element.strip()
            if not stripped:
                fail(at + begin, "an element of the list is empty", "lists are written [a,b,c]")
            found.append((at + begin + len(element) - len(element.lstrip()), stripped))
            begin = position + 1
        elif sign == "[":
            depth += 1
        elif sign == "]":
            depth -= 1
    return found


class _Kind(NamedTuple, Generic[_T]):
    """What addresses and ports are written alike: any, $VARIABLE, [list], each with ``!`` before it."""

    name: str
    example: str
    variable: str
    make: Callable[[Literal["any", "variable", "list"], str, bool, tuple[_T, ...]], _T]
    parse: Callable[[str, int, bool], _T]
    """One that is written out, its offset, whether it is negated."""


def _parse(kind: _Kind[_T], text: str, at: int, depth: int) -> _T:
    negated = text.startswith("!")
    if negated:
        text, at = text[1:].lstrip(), at + 1
    if text.startswith("["):
        if not text.endswith("]"):
            fail(at, f"'{text}' is no {kind.name} list", f"lists are written {kind.example}")
        if depth > 8:
            fail(at, "lists are nested too deeply", "write one flat list")
        items = tuple(_parse(kind, element, place, depth + 1) for place, element in _elements(text, at))
        return kind.make("list", "", negated, items)
    if text.lower() == "any":
        if negated:
            fail(at, "'!any' is nothing", "remove the '!'")
        return kind.make("any", "", False, ())
    if text.startswith("$"):
        found = _VARIABLE.match(text)
        if found is None:
            fail(at, f"'{text}' is no variable name", f"for example {kind.variable}")
        return kind.make("variable", found[1], negated, ())
    return kind.parse(text, at, negated)


IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}")
"""A plain address, which needs no closer look."""


def _address(text: str, at: int, negated: bool) -> Addresses:
    if IPV4.fullmatch(text):
        return Addresses("address", text, negated)
    try:
        if "%" in text:
            raise ValueError("an address of one interface")
        if "-" in text:  # Suricata's range
            low, high = (ipaddress.ip_address(part.strip()) for part in text.split("-", 1))
            if low.version != high.version or int(low) > int(high):
                raise ValueError("from one end to another")
        elif "/" in text:
            ipaddress.ip_network(text, strict=False)
        else:
            ipaddress.ip_address(text)
    except ValueError:
        fail(
            at,
            f"'{text}' is no address",
            "an address, a CIDR such as 192.0.2.0/24, $HOME_NET, any, or a [list]",
        )
    return Addresses("address", text, negated)


def _port_range(text: str, at: int, negated: bool) -> Ports:
    low_text, colon, high_text = text.partition(":")
    low_text, high_text = low_text.strip(), high_text.strip()
    if not colon:
        high_text = low_text
    elif not low_text and not high_text:
        fail(at, "':' is no port range", "write 1024: or :1023 or 80:90")
    for part in (low_text, high_text):
        if part and (not _PORT_NUMBER.match(part) or int(part) > 65535):
            fail(
                at,
                f"'{text}' is no port",
                "a number from 0 to 65535, a range 80:90, $HTTP_PORTS, any, or a [list]",
            )
    low = int(low_text) if low_text else 0
    high = int(high_text) if high_text else 65535
    if low > high:
        fail(at, f"the port range {text} ends before it begins", "write the smaller port first")
    return Ports("range", "", negated, low, high)


_ADDRESSES = _Kind[Addresses](
    "address",
    "[a,b,c]",
    "$HOME_NET",
    lambda kind, text, negated, items: Addresses(kind, text, negated, items),
    _address,
)
_PORTS = _Kind[Ports](
    "port",
    "[80,8000:8080]",
    "$HTTP_PORTS",
    lambda kind, text, negated, items: Ports(kind, text, negated, items=items),
    _port_range,
)


def parse_addresses(text: str, at: int = 0) -> Addresses:
    """Parse an address: any, $VARIABLE, address, CIDR, [list], each with ``!`` before it."""
    return _parse(_ADDRESSES, text, at, 0)


def parse_ports(text: str, at: int = 0) -> Ports:
    """Parse ports: any, $VARIABLE, 80, 1024:, :1023, 80:90, [list], each with ``!`` before it."""
    return _parse(_PORTS, text, at, 0)
