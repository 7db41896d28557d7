# SPDX-License-Identifier: Apache-2.0
"""Says in words what a rule of the rule document looks for, one line for each of its options."""

from __future__ import annotations

from typing import Any

_PLACES = ("offset", "depth", "distance", "within")
_FLAGS = ("nocase", "startswith", "endswith", "relative", "dotall", "multiline", "extended", "anchored")


def describe(rule: dict[str, Any]) -> list[str]:
    """One line for each option of ``rule``, in their order."""
    return [_line(option) for option in rule["options"]]


def _line(option: dict[str, Any]) -> str:
    kind, buffer = option["kind"], option.get("buffer", "")
    no = "no " if option.get("negated") else ""
    match kind:
        case "content":
            return f"{buffer}: {no}{_bytes(option['bytes'])}{_how(option)}"
        case "pcre":
            return f"{buffer}: {no}match of /{_bytes(option['pattern'])[1:-1]}/{_how(option)}"
        case "urilen" | "bsize":
            after = " after the last match" if option.get("relative") else ""
            return f"{buffer}: length{after} {option['op']} {option['value']}"
        case "isdataat":
            what = "more bytes after the last match" if option["relative"] else "bytes and one more"
            return f"{buffer}: {no}{option['value']} {what}"
        case "absent":
            return f"{buffer}: not there" + (", or else" if option["or_else"] else "")
        case "oddity":
            return f"decoder: {option['name'].replace('_', ' ')}"
        case "dsize":
            return f"segment: payload {option['op']} {option['value']} bytes"
        case "stream_size":
            return f"connection: {option['side']} has sent {option['op']} {option['value']} bytes"
        case "dataset":
            return f"{buffer}: {_looked_up(option)}"
        case "packet_bytes":
            inner = "; ".join(_line({**one, "buffer": option["of"]}) for one in option["options"])
            return f"segment: {inner}"
        case "flow_size":
            return f"connection: {option['field'].replace('_', ' ')} {option['op']} {option['value']}"
        case "flowint":
            what = "" if option["op"] in ("isset", "isnotset") else f" {option['value']}"
            return f"connection: number {option['name']} {option['op']}{what}"
        case "flags":
            return f"segment: TCP flags {option['mode']} {option['set']}"
        case "ack" | "seq":
            return f"segment: {kind} number {option['value']}"
        case "header":
            return f"segment: {option['field']} {option['op']} {option['value']}"
        case "fragbits":
            return f"segment: fragment bits {option['mode']} {option['set']}"
        case "byte_test":
            return f"{buffer}: {_number(option)} is {'not ' if no else ''}{option['op']} {option['value']}"
        case "byte_jump":
            return f"{buffer}: goes on {_number(option)} times {option['multiplier']} further"
        case "byte_extract":
            math = option.get("math")
            more = f" {math['op']} {math['value']}" if math else ""
            return f"{buffer}: {option['name']} is {_number(option)}{more}"
        case "base64_decode":
            inner = "; ".join(_line({**one, "buffer": "decoded"}) for one in option["options"])
            return f"{buffer}: what stands there in base64 has {inner}"
        case "transform":
            inner = "; ".join(_line({**one, "buffer": "transformed"}) for one in option["options"])
            steps = ", ".join(step["name"] for step in option["steps"])
            return (
                f"{buffer} after {steps} has {inner}" if steps else f"{buffer}, this or another, has {inner}"
            )
        case "flowbits":
            names = (" or " if option["any"] else " and ").join(option["bits"])
            return f"connection: {option['command']} {names}"
        case "xbits":
            return f"{option.get('track', 'source')}: {option['command']} {option['name']}"
        case "count":
            whose = "of one source" if option["track"] == "source" else "of all sources"
            return f"count ({option['how']}): {option['count']} matches {whose} in {option['seconds']} s"
    return str(kind)


def _bytes(text: str) -> str:
    """Bytes in hexadecimal as quoted text, others than printable ones as \\xHH."""
    return '"' + "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in bytes.fromhex(text)) + '"'


def _how(option: dict[str, Any]) -> str:
    said = [name for name in _FLAGS if option.get(name)]
    said += [f"{name} {option[name]}" for name in _PLACES if option.get(name) is not None]
    return f" ({', '.join(said)})" if said else ""


def _number(option: dict[str, Any]) -> str:
    where = "after the last match" if option["relative"] else "from the start"
    form = option.get("base") or option.get("endian", "big")
    return f"the number of {option['bytes']} bytes ({form}) {option['offset']} {where}"


def _looked_up(option: dict[str, Any]) -> str:
    match option["command"]:
        case {"reputation": {"op": operator, "value": value}}:
            return f"reputation in {option['name']} {operator} {value}"
        case command:
            return f"{command} in {option['name']}"
