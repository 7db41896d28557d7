# SPDX-License-Identifier: Apache-2.0
"""A slow, plain matcher of the rule document: it says what the document means, for tests only.

Backtracks over every occurrence of every content; no prefilter, no limits. Requests are one complete HTTP/1
request with a body by Content-Length.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

Options = list[dict[str, Any]]


def buffers(request: bytes) -> dict[str, bytes]:
    """The buffers of one request, by the names of the rule document."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    method, _, rest = line.partition(b" ")
    uri, _, protocol = rest.rpartition(b" ")
    fields = [(n.strip(), v.strip()) for n, _, v in (one.partition(b":") for one in lines)]
    found = {
        "raw": request,
        "http_method": method,
        "http_raw_uri": uri,
        "http_uri": normalised(uri),
        "http_protocol": protocol,
        "http_request_line": line,
        "http_client_body": body,
        "http_raw_body": body,
        "http_client_body_decoded": unquote_to_bytes(body.replace(b"+", b" ")),
        "http_header": b"".join(n + b": " + v + b"\r\n" for n, v in fields if n.lower() != b"cookie"),
        "http_raw_header": b"".join(one + b"\r\n" for one in lines),
        "http_header_names": b"\r\n" + b"".join(n + b"\r\n" for n, _ in fields) + b"\r\n",
        "http_start": head + b"\r\n\r\n",
    }
    for buffer, name in (
        ("http_cookie", b"cookie"),
        ("http_user_agent", b"user-agent"),
        ("http_raw_host", b"host"),
        ("http_content_type", b"content-type"),
        ("http_content_len", b"content-length"),
        ("http_referer", b"referer"),
        ("http_accept", b"accept"),
        ("http_accept_enc", b"accept-encoding"),
        ("http_accept_lang", b"accept-language"),
        ("http_connection", b"connection"),
    ):
        values = [value for n, value in fields if n.lower() == name]
        if values:
            found[buffer] = b", ".join(values)
    if "http_raw_host" in found:
        found["http_host"] = found["http_raw_host"].lower().partition(b":")[0]
    return found


def normalised(uri: bytes) -> bytes:
    """Decoded once; slashes and dot segments of the path collapsed."""
    path, mark, query = uri.partition(b"?")
    kept: list[bytes] = []
    for part in re.split(rb"[/\\]+", unquote_to_bytes(path)):
        if part == b"..":
            del kept[1:][-1:], kept[max(1, len(kept) - 1) :]
        elif part != b".":
            kept.append(part)
    return b"/".join(kept) + mark + unquote_to_bytes(query)


def matches(rule: dict[str, Any], found: dict[str, bytes]) -> bool:
    """True when the document's ``rule`` matches a request whose buffers are ``found``."""
    lists: dict[str, Options] = {}
    for option in rule["options"]:
        lists.setdefault(option.get("buffer", "raw"), []).append(option)
    return all(name in found and _from(options, 0, found[name], 0) for name, options in lists.items())


def _from(options: Options, index: int, data: bytes, cursor: int) -> bool:
    if index == len(options):
        return True
    option = options[index]
    kind = option["kind"]
    if kind == "content":
        ends = _content(option, data, cursor)
    elif kind == "pcre":
        ends = _pcre(option, data, cursor)
    elif kind in ("urilen", "bsize"):
        ends = [cursor] if _compare(option["op"], len(data), option["value"]) else []
    elif kind == "isdataat":
        value = option["value"]
        there = cursor + value <= len(data) if option["relative"] else value < len(data)
        ends = [cursor] if there != option["negated"] else []
    elif kind.startswith(("byte_", "base64_")) or kind in ("flowbits", "xbits", "count", "transform"):
        ends = [cursor]  # taken as holding: tests/rules says what these mean
    else:
        raise NotImplementedError(kind)
    if option.get("negated") and kind in ("content", "pcre"):
        return not ends and _from(options, index + 1, data, cursor)
    return any(_from(options, index + 1, data, end) for end in ends)


def _content(option: dict[str, Any], data: bytes, cursor: int) -> list[int]:
    pattern = bytes.fromhex(option["bytes"])
    low, high = option.get("offset", 0), len(data)
    if option.get("depth") is not None:
        high = min(high, low + option["depth"])
    if option.get("distance") is not None or option.get("within") is not None:
        low = max(0, cursor + option.get("distance", 0))
        if option.get("within") is not None:
            high = min(high, low + option["within"])
    if option["nocase"]:
        data, pattern = data.lower(), pattern.lower()
    ends = []
    at = data.find(pattern, low, high)
    while at >= 0:
        end = at + len(pattern)
        if not (option["startswith"] and at) and not (option["endswith"] and end != len(data)):
            ends.append(end)
        at = data.find(pattern, at + 1, high)
    return ends


def _pcre(option: dict[str, Any], data: bytes, cursor: int) -> list[int]:
    flags = 0
    for key, flag in (("nocase", re.I), ("dotall", re.S), ("multiline", re.M), ("extended", re.X)):
        flags |= flag if option[key] else 0
    expression = re.compile(bytes.fromhex(option["pattern"]), flags)
    begin = cursor if option["relative"] else 0
    if option["anchored"]:
        found = expression.match(data[begin:])
        return [begin + found.end()] if found else []
    return [begin + found.end() for found in expression.finditer(data[begin:])]


def _compare(operator: str, length: int, value: int) -> bool:
    return {
        "=": length == value,
        "<": length < value,
        ">": length > value,
        "<=": length <= value,
        ">=": length >= value,
    }[operator]
