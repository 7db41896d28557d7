# SPDX-License-Identifier: Apache-2.0
"""Reads the options about packets, connections and what is remembered: headers, flow, bits, counts."""

from __future__ import annotations

import re
from typing import Literal, cast

from securedirect.rules.draft import (
    BLANKS,
    INTEGER,
    Handler,
    Reader,
    option_parts,
    option_text,
    option_words,
    read_number,
    read_sizes,
)
from securedirect.rules.model import (
    Count,
    CountKind,
    FlowBits,
    FlowField,
    FlowInt,
    FlowSize,
    FragBits,
    HeaderField,
    HeaderTest,
    IpOption,
    Operator,
    Option,
    SameIp,
    SourceBit,
    StreamSize,
    TcpFlags,
    TcpNumber,
    Track,
)
from securedirect.rules.parser import fail

_WORD = 0xFFFFFFFF
_SPAN = re.compile(r"(?=.*\d)(\d*)-(\d*)\Z")
_HEX_TOS = re.compile(r"(!?)x([0-9a-f]{1,2})\Z")
_HOUR = 3600
"""So long a backoff is remembered: a connection's end is not told to what counts."""
_TIMES = {"": 1, "s": 1, "m": 60, "h": _HOUR}
_TIME = re.compile(r"(\d+)([smh]?)\Z")
_FRAGBITS = re.compile(r"([!*+]?)([MDR]+)([!*+]?)\Z")
_NEGATED = {"": "=", "!": "!="}
_PROTOCOLS = {"icmp": 1, "igmp": 2, "ip": 4, "ipip": 4, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51}
_FIELDS: dict[str, HeaderField] = {
    "ttl": "ttl",
    "tos": "tos",
    "id": "id",
    "fragoffset": "fragoffset",
    "window": "window",
    "tcp.window": "window",
    "tcp.mss": "mss",
    "tcp.wscale": "wscale",
}
_FLOW_FIELDS: dict[str, FlowField] = {
    "flow.age": "age",
    "flow.pkts_toserver": "packets_to_server",
    "flow.pkts_toclient": "packets_to_client",
    "flow.bytes_toserver": "bytes_to_server",
    "flow.bytes_toclient": "bytes_to_client",
}
_FLOW_SIDES: dict[tuple[str, str], FlowField] = {
    ("flow.pkts", "toserver"): "packets_to_server",
    ("flow.pkts", "toclient"): "packets_to_client",
    ("flow.pkts", "either"): "packets",
    ("flow.bytes", "toserver"): "bytes_to_server",
    ("flow.bytes", "toclient"): "bytes_to_client",
    ("flow.bytes", "either"): "bytes",
}
_INT_NAME = re.compile(r"[A-Za-z][\w./]+\Z")
_INT_OPERATORS = frozenset("+ - = < > <= >= == !=".split())
_IP_OPTIONS = {
    "rr": 7,
    "eol": 0,
    "nop": 1,
    "ts": 68,
    "sec": 130,
    "esec": 133,
    "lsrr": 131,
    "lsrre": 131,
    "ssrr": 137,
    "satid": 136,
    "any": 256,
}
_TRACKS: dict[str, Track] = {
    "by_src": "source",
    "by_dst": "destination",
    "by_both": "both",
    "by_flow": "flow",
    "by_rule": "all",
}
_FLAGS = re.compile(
    r"([!*+]?)[ \t]*([FSRPAUCE120]+)[ \t]*([!*+]?)[ \t]*(?:,[ \t]*([FSRPAUCE120]+))?\Z", re.IGNORECASE
)


def _stream_size(reader: Reader, option: Option) -> None:
    parts = [part.lower() for part in option_parts(option)]
    if len(parts) != 3 or parts[0] not in ("client", "server", "both", "either"):
        fail(option.value_at, "stream_size needs a side, an operator and bytes", "stream_size:client,>,100;")
    side = cast(Literal["client", "server", "both", "either"], parts[0])
    reader.tests.append(
        StreamSize(side, _operator(option, parts[1]), read_number(option, parts[2], 0, _WORD))
    )


def _operator(option: Option, text: str) -> Operator:
    if text not in ("=", "<", ">", "<=", ">=", "!="):
        fail(option.value_at, f"{option.name} has no operator {text!r}", "known: = != < > <= >=")
    return cast(Operator, text)


def _header(reader: Reader, option: Option) -> None:
    """ttl, tos, id, window, fragoffset: one number or a range of them."""
    field = _FIELDS[option.name]
    text = option_text(option).lower().replace(" ", "").removesuffix(",relative")
    if field == "tos" and (found := _HEX_TOS.match(text)) is not None:
        text = f"{found[1]}{int(found[2], 16)}"
    if reader.dialect != "suricata" and (found := _SPAN.match(text)) is not None:  # Snort: 3-5, -5, 3-
        low, high = int(found[1] or 0), int(found[2] or _WORD)
        reader.tests += [HeaderTest(field, ">=", low), HeaderTest(field, "<=", high)]
        return
    most = 0xFF if field in ("ttl", "tos", "wscale") else 0xFFFF
    for operator, value in read_sizes(option, text, inclusive=reader.dialect == "snort2"):
        if value > most:
            fail(option.value_at, f"{option.name} {value} is out of range", f"from 0 to {most}")
        reader.tests.append(HeaderTest(field, operator, value))


def _flow_size(reader: Reader, option: Option) -> None:
    field, text = _FLOW_FIELDS.get(option.name), option_text(option)
    if field is None:
        side, comma, text = text.partition(",")
        field = _FLOW_SIDES.get((option.name, side.strip(BLANKS).lower()))
        if field is None or not comma:
            hint = f"{option.name}:toserver,>10;"
            fail(option.value_at, f"{option.name} needs toserver, toclient or either and a number", hint)
    for operator, value in read_sizes(option, text.strip(BLANKS), inclusive=False):
        reader.tests.append(FlowSize(field, operator, min(value, _WORD)))


def _flowint(reader: Reader, option: Option) -> None:
    name, *rest = option_parts(option)
    operator = {"notset": "isnotset"}.get(rest[0].lower(), rest[0].lower()) if rest else ""
    if not _INT_NAME.match(name) or not (
        (operator in ("isset", "isnotset") and len(rest) == 1)
        or (operator in _INT_OPERATORS and len(rest) == 2)
    ):
        hint = "flowint:name,+,1; or flowint:name,isset; (a name has two letters or more)"
        fail(option.value_at, "flowint needs a name, an operator and a value", hint)
    operand: int | str = 0
    if len(rest) == 2:
        number = INTEGER.match(rest[1])
        if not number and not _INT_NAME.match(rest[1]):
            fail(option.value_at, f"flowint: {rest[1]!r} is neither a number nor a name", "flowint:name,>,5;")
        operand = read_number(option, rest[1], 0, _WORD) if number else rest[1]
    reader.tests.append(FlowInt(name, operator, operand))


def _ip_proto(reader: Reader, option: Option) -> None:
    text = option_text(option).lower().replace(" ", "")
    operator = text[:1] if text[:1] in ("!", "<", ">") else ""
    name = text[len(operator) :]
    number = _PROTOCOLS.get(name)
    if number is None:
        number = read_number(option, name, 0, 255)
    reader.tests.append(HeaderTest("protocol", cast(Operator, _NEGATED.get(operator, operator)), number))


def _sameip(reader: Reader, option: Option) -> None:
    reader.tests.append(SameIp())


def _fragbits(reader: Reader, option: Option) -> None:
    text = option_text(option).upper().replace(" ", "")
    found = _FRAGBITS.match(text)
    if found is None:
        fail(option.value_at, f"{text!r} are no fragment bits", "letters of M D R, with + * or ! before them")
    mode = cast(Literal["=", "+", "*", "!"], found[1] or found[3] or "=")
    reader.tests.append(FragBits(found[2], mode))


def _ipopts(reader: Reader, option: Option) -> None:
    name = option_text(option).lower()
    number = _IP_OPTIONS.get(name)
    if number is None:
        fail(option.value_at, f"there is no IP option {name!r}", f"known: {', '.join(_IP_OPTIONS)}")
    reader.tests.append(IpOption(number))


def _flags(reader: Reader, option: Option) -> None:
    text = option_text(option)
    found = _FLAGS.match(text)
    if found is None:
        fail(
            option.value_at,
            f"{text!r} are no TCP flags",
            "letters of F S R P A U C E, with + * or ! before them",
        )
    mode: Literal["=", "+", "*", "!"]
    match found[1] or found[3]:
        case "+":
            mode = "+"
        case "*":
            mode = "*"
        case "!":
            mode = "!"
        case _:
            mode = "="
    reader.tests.append(TcpFlags(_flag_letters(found[2]), mode, _flag_letters(found[4] or "")))


def _flag_letters(text: str) -> str:
    letters = text.upper().replace("1", "C").replace("2", "E").replace("0", "")
    return "".join(dict.fromkeys(letters))


def _tcp_number(reader: Reader, option: Option) -> None:
    text = option_text(option)
    if not INTEGER.match(text):
        reader.unsupported[f"{option.name}:{text}"] = None
        return
    kind: Literal["ack", "seq"] = "ack" if option.name in ("ack", "tcp.ack") else "seq"
    reader.tests.append(TcpNumber(kind, read_number(option, text, 0, 0xFFFFFFFF)))


def _flow(reader: Reader, option: Option) -> None:
    reader.flow = True
    for part in option_parts(option):
        match part.lower():
            case "established":
                reader.established = True
            case "not_established":
                reader.established = False
            case "to_server" | "from_client":
                reader.side = "client"
            case "to_client" | "from_server":
                reader.side = "server"
            case "stateless" | "no_frag":
                pass
            case "only_stream":
                reader.stream_only = True
            case "no_stream":
                reader.segments = True
            case "only_frag":
                reader.unsupported["flow:only_frag"] = None
            case other:
                fail(
                    option.value_at, f"flow has no value {other!r}", "for example flow:established,to_server;"
                )


def _flowbits(reader: Reader, option: Option) -> None:
    parts = option_parts(option)
    command = parts[0].lower()
    if command == "noalert":
        reader.noalert = True
    elif command == "reset":
        reader.unsupported["flowbits:reset"] = None
    elif command in ("set", "setx", "unset", "toggle", "isset", "isnotset"):
        if len(parts) < 2 or not parts[1]:
            fail(option.value_at, f"flowbits:{command} names no bit", "flowbits:set,name;")
        # A third argument is a group, which only setx and reset need.
        either = "|" in parts[1]
        names = tuple(name.strip(BLANKS) for name in re.split(r"[|&]", parts[1]))
        reader.tests.append(FlowBits("set" if command == "setx" else command, names, either))
    else:
        fail(
            option.value_at,
            f"flowbits has no command {command!r}",
            "set, unset, isset, isnotset, toggle, noalert",
        )


def _xbits(reader: Reader, option: Option) -> None:
    parts = option_parts(option)
    command = parts[0].lower()
    if command == "noalert":
        reader.noalert = True
        return
    if command not in ("set", "unset", "toggle", "isset", "isnotset") or len(parts) < 2:
        hint = "xbits:set,name,track ip_src,expire 60;"
        fail(option.value_at, f"{option.name} needs a command and a name", hint)
    seconds = 30 if option.name == "xbits" else 300
    track: Literal["source", "destination", "both"] = "source"
    for part in parts[2:]:
        word, _, value = part.lower().partition(" ")
        if word == "expire":
            seconds = read_number(option, value.strip(), 1, 0x7FFFFFFF)
        elif word.isdecimal():  # hostbits may name a time alone
            seconds = int(word)
        elif (word, value.strip()) in (("track", "ip_dst"), ("dst", "")):
            track = "destination"
        elif (word, value.strip()) == ("track", "ip_pair"):
            track = "both"
        elif (word, value.strip()) not in (
            ("track", "ip_src"),
            ("src", ""),
            ("both", ""),
        ):
            reader.unsupported[f"{option.name}:{command} with {part}"] = None
    reader.tests.append(SourceBit(command, parts[1], seconds, track))


def _count(reader: Reader, option: Option, words: dict[str, str], how: CountKind) -> None:
    track = words.get("track", "")
    whose = _TRACKS.get(track)
    if whose is None:
        fail(option.value_at, f"{option.name} has no track {track!r}", f"track {', '.join(_TRACKS)}")
    count = read_number(option, words.get("count", ""), 1, 0x7FFFFFFF)
    time = _TIME.match(words.get("seconds", ""))
    seconds = int(time[1]) * _TIMES[time[2]] if time else 0
    if not 0 < seconds <= _WORD:
        fail(option.value_at, f"{option.name} needs seconds", "seconds 60")
    unique = words.get("unique_on", "")
    if unique not in ("", "src_port", "dst_port"):
        reader.unsupported[f"{option.name}:unique_on {unique}"] = None
    port: Literal["", "source", "destination"] = (
        "source" if unique == "src_port" else "destination" if unique == "dst_port" else ""
    )
    reader.tests.append(Count(how, count, seconds, whose, port))


def _threshold(reader: Reader, option: Option) -> None:
    words = option_words(option)
    kind = words.get("type", "")
    match kind:
        case "limit" | "threshold" | "both":
            _count(reader, option, words, cast(CountKind, kind))
        case "backoff":
            if words.get("track") != "by_flow":
                fail(option.value_at, "threshold of type backoff tracks by_flow", "track by_flow")
            count = read_number(option, words.get("count", ""), 1, _WORD)
            multiplier = read_number(option, words.get("multiplier", ""), 1, _WORD)
            reader.tests.append(Count("backoff", count, _HOUR, "flow", multiplier=multiplier))
        case _:
            fail(
                option.value_at,
                f"threshold needs a type, not {kind!r}",
                "threshold:type limit, track by_src, count 1, seconds 60;",
            )


def _detection_filter(reader: Reader, option: Option) -> None:
    _count(reader, option, option_words(option), "filter")


def _noalert(reader: Reader, option: Option) -> None:
    reader.noalert = True


def _app_layer_protocol(reader: Reader, option: Option) -> None:
    """Of other protocols than HTTP nothing is known, but that HTTP is none of them."""
    value = option_text(option).lower()
    name = value.split(",")[0]
    if (name.removeprefix("!") in ("http", "http1")) == name.startswith("!"):
        reader.foreign[f"app-layer-protocol:{value}"] = None
    reader.http = True


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_FIELDS, _header),
    "flags": _flags,
    "tcp.flags": _flags,
    "ack": _tcp_number,
    "seq": _tcp_number,
    "tcp.ack": _tcp_number,
    "tcp.seq": _tcp_number,
    "flow": _flow,
    "flowbits": _flowbits,
    "xbits": _xbits,
    "hostbits": _xbits,
    "stream_size": _stream_size,
    **dict.fromkeys((*_FLOW_FIELDS, "flow.pkts", "flow.bytes"), _flow_size),
    "flowint": _flowint,
    "ip_proto": _ip_proto,
    "sameip": _sameip,
    "fragbits": _fragbits,
    "ipopts": _ipopts,
    "threshold": _threshold,
    "detection_filter": _detection_filter,
    "noalert": _noalert,
    "app-layer-protocol": _app_layer_protocol,
}
