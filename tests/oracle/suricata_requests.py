# SPDX-License-Identifier: Apache-2.0
"""Makes requests that a rule is about: one that meets what it asks for, and variations that may or may not.

Nothing here says whether a request matches: the engines that are compared do.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from securedirect.rules.model import Base64, Content, IsDataAt, Pcre, Rule, Size, Test, Transformed

_PARSER: Any = getattr(re, "_parser")  # noqa: B009 - the module has no public name
_HEADERS = {
    "http_user_agent": b"User-Agent",
    "http_raw_host": b"Host",
    "http_host": b"Host",
    "http_cookie": b"Cookie",
    "http_content_type": b"Content-Type",
    "http_content_len": b"Content-Length",
    "http_referer": b"Referer",
    "http_accept": b"Accept",
    "http_accept_enc": b"Accept-Encoding",
    "http_accept_lang": b"Accept-Language",
    "http_connection": b"Connection",
}
_UNSENT = bytes(range(0x21)) + b"\x7f#" + bytes(range(0x80, 0x100))
_LONGEST = 3_000


@dataclass(frozen=True)
class Made:
    """A request in its parts."""

    method: bytes = b"GET"
    uri: bytes = b"/"
    version: bytes = b"HTTP/1.1"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    framing: str = "length"
    end: bytes = b"\r\n"
    colon: bytes = b": "
    before: bytes = b""
    whole: bytes | None = None
    """Instead of all that: no HTTP."""

    def bytes(self) -> bytes:
        if self.whole is not None:
            return self.whole
        line = (
            self.before
            + self.method
            + b" "
            + self.uri
            + (b" " + self.version if self.version else b"")
            + self.end
        )
        headers = list(self.headers)
        body = self.body
        if (
            body
            and self.framing == "length"
            and not any(name.lower() == b"content-length" for name, _ in headers)
        ):
            headers.append((b"Content-Length", b"%d" % len(body)))
        if body and self.framing == "chunked":
            headers.append((b"Transfer-Encoding", b"chunked"))
            half = len(body) // 2
            parts = [part for part in (body[:half], body[half:]) if part]
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        lines = b"".join(name + self.colon + value + self.end for name, value in headers)
        return line + lines + self.end + body


class _Text:
    """A buffer while contents are put into it."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.cursor = 0
        self.fixed: set[int] = set()

    def put(self, at: int, text: bytes) -> None:
        if len(self.bytes) < at:
            self.bytes += b"a" * (at - len(self.bytes))
        self.bytes[at : at + len(text)] = text
        self.fixed |= set(range(at, at + len(text)))
        self.cursor = at + len(text)

    def free(self, at: int, text: bytes) -> bool:
        return all(
            place not in self.fixed or self.bytes[place] == byte for place, byte in enumerate(text, at)
        )

    def place(self, text: bytes, low: int, high: int | None) -> None:
        """At the first free place of a window."""
        last = max(low, (len(self.bytes) if high is None else high - len(text)))
        for at in range(max(0, low), min(last, low + _LONGEST) + 1):
            if self.free(at, text):
                self.put(at, text)
                return
        self.put(max(0, low), text)


def _number(value: int | str | None) -> int | None:
    return value if isinstance(value, int) else None


def _content(text: _Text, test: Content) -> None:
    if test.negated:
        return
    if test.startswith:
        text.put(0, test.pattern)
    elif test.distance is not None or test.within is not None:
        low = text.cursor + (_number(test.distance) or 0)
        within = _number(test.within)
        text.place(test.pattern, low, None if within is None else low + within)
    elif test.offset is not None or test.depth is not None:
        low = _number(test.offset) or 0
        depth = _number(test.depth)
        text.place(test.pattern, low, None if depth is None else low + depth)
    else:
        at = text.bytes.find(test.pattern)
        text.put(at if at >= 0 else len(text.bytes), test.pattern)


def sample(pattern: bytes, flags: frozenset[str], random: Random) -> bytes | None:
    """Something that an expression finds; None where Python does not know it."""
    options = sum(getattr(re, flag.upper()) for flag in flags if flag in "ismx")
    try:
        tree = _PARSER.parse(pattern.decode("latin-1"), options)
        return _sampled(tree, random, {}).encode("latin-1", "replace")
    except (re.error, ValueError, OverflowError, KeyError, RecursionError):
        return None


def _sampled(tree: Any, random: Random, groups: dict[int, str]) -> str:
    out = []
    for kind, value in tree:
        name = str(kind)
        if name == "LITERAL":
            out.append(chr(value))
        elif name == "NOT_LITERAL":
            out.append("b" if value == ord("a") else "a")
        elif name == "ANY":
            out.append("x")
        elif name == "IN":
            out.append(random.choice(_members(value)))
        elif name == "BRANCH":
            out.append(_sampled(random.choice(value[1]), random, groups))
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, inner = value
            times = random.randint(low, min(int(high), low + 2)) if low < 200 else low
            out += [_sampled(inner, random, groups) for _ in range(times)]
        elif name == "SUBPATTERN":
            text = _sampled(value[3], random, groups)
            if value[0] is not None:
                groups[value[0]] = text
            out.append(text)
        elif name == "GROUPREF":
            out.append(groups[value])
        elif name == "ATOMIC_GROUP":
            out.append(_sampled(value, random, groups))
        elif name == "ASSERT" and value[0] > 0:
            out.append(_sampled(value[1], random, groups))
    return "".join(out)


_CLASSES = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_NOT_DIGIT": "axZ-.",
    "CATEGORY_SPACE": " \t",
    "CATEGORY_NOT_SPACE": "ax0.",
    "CATEGORY_WORD": "axZ09_",
    "CATEGORY_NOT_WORD": " -./",
}


def _members(items: Any) -> str:
    negated = False
    chosen: set[str] = set()
    for kind, value in items:
        name = str(kind)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            chosen.add(chr(value))
        elif name == "RANGE":
            chosen |= {chr(code) for code in range(value[0], value[1] + 1)}
        elif name == "CATEGORY":
            chosen |= set(_CLASSES[str(value)])
    if negated:
        every = [chr(code) for code in (*range(0x61, 0x7B), *range(0x30, 0x3A), *range(0x20, 0x7F))]
        return "".join(one for one in every if one not in chosen) or "\x01"
    return "".join(sorted(chosen)) or "a"


def _fill(texts: dict[str, _Text], tests: tuple[Test, ...], random: Random) -> None:
    for test in tests:
        if isinstance(test, Content):
            _content(texts.setdefault(test.buffer, _Text()), test)
        elif isinstance(test, Pcre) and not test.negated:
            made = sample(test.pattern, test.flags, random)
            text = texts.setdefault(test.buffer, _Text())
            if made is None or re_finds(test, bytes(text.bytes), text.cursor):
                continue
            anchored = test.pattern.startswith((b"^", b"\\A")) and "R" not in test.flags
            at = text.cursor if "R" in test.flags else 0 if anchored else len(text.bytes)
            if not text.free(at, made):
                at = len(text.bytes)
            text.put(at, made)
        elif isinstance(test, IsDataAt) and not test.negated and isinstance(test.value, int):
            text = texts.setdefault(test.buffer, _Text())
            wanted = test.value + (text.cursor if test.relative else 1)
            if len(text.bytes) < wanted <= _LONGEST * 4:
                text.bytes += b"a" * (wanted - len(text.bytes))
        elif isinstance(test, Transformed):
            inner: dict[str, _Text] = {}
            _fill(inner, test.tests, random)
            for one in inner.values():
                text = texts.setdefault(test.buffer, _Text())
                text.put(len(text.bytes), bytes(one.bytes).removeprefix(b"."))
        elif isinstance(test, Base64):
            inner = {}
            _fill(inner, test.tests, random)
            for one in inner.values():
                text = texts.setdefault(test.buffer, _Text())
                at = text.cursor if test.relative else 0
                text.put(at + test.offset, base64.b64encode(bytes(one.bytes)))


def re_finds(test: Pcre, text: bytes, cursor: int) -> bool:
    options = sum(getattr(re, flag.upper()) for flag in test.flags if flag in "ismx")
    try:
        return re.search(test.pattern, text[cursor if "R" in test.flags else 0 :], options) is not None
    except (re.error, OverflowError, RecursionError):
        return False


def _sized(texts: dict[str, _Text], tests: tuple[Test, ...]) -> None:
    """Lengths last, at the end of what is there."""
    low: dict[str, int] = {}
    for test in tests:
        if isinstance(test, Size) and not test.relative:
            add = {"=": 0, ">": 1, ">=": 0, "<": 0, "<=": 0, "!=": 0}[test.op]
            if test.op in ("=", ">", ">="):
                low[test.buffer] = max(low.get(test.buffer, 0), test.value + add)
    for buffer, wanted in low.items():
        text = texts.setdefault(buffer, _Text())
        missing = wanted - len(text.bytes)
        if not 0 < missing <= _LONGEST * 4:
            continue
        ends = any(isinstance(test, Content) and test.buffer == buffer and test.endswith for test in tests)
        if ends:
            tail = next(
                test.pattern
                for test in tests
                if isinstance(test, Content) and test.buffer == buffer and test.endswith
            )
            text.bytes[len(text.bytes) - len(tail) :] = b"a" * missing + tail
        else:
            text.bytes += b"a" * missing


def quoted(uri: bytes) -> bytes:
    """A normalised URI as it may be sent."""
    return b"".join(b"%%%02x" % byte if byte in _UNSENT else b"%c" % byte for byte in uri)


def made_for(rule: Rule, random: Random) -> Made:
    """A request that the rule is to match; where that is too hard, one that comes near."""
    texts: dict[str, _Text] = {}
    _fill(texts, rule.tests, random)
    _sized(texts, rule.tests)
    found = {buffer: bytes(text.bytes) for buffer, text in texts.items()}
    raw = found.pop("raw", b"")
    if rule.header.protocol != "http" and set(found) <= {"raw"}:
        return Made(whole=raw)
    uri = quoted(found.get("http_uri", b""))
    if sent := found.get("http_raw_uri", b""):
        uri = sent if not uri or sent.startswith(uri) else uri + sent
    if not uri.startswith((b"/", b"%2f", b"http", b"*")):
        starts = any(
            isinstance(test, Content) and test.buffer.endswith("uri") and test.startswith
            for test in rule.tests
        )
        uri = uri if starts and uri else b"/" + uri
    method = found.get("http_method", b"").strip() or b"GET"
    version = found.get("http_protocol", b"").strip() or b"HTTP/1.1"
    body = found.get("http_client_body", b"") or found.get("http_file_data", b"")
    if body and method == b"GET" and "http_method" not in found:
        method = b"POST"
    line = found.get("http_request_line", b"") or found.get("http_start", b"").split(b"\r\n")[0]
    if line:
        words = line.split(b" ")
        method = words[0] or method
        uri = words[1] if len(words) > 1 and words[1] else uri
        version = words[2] if len(words) > 2 and words[2] else version
    headers: list[tuple[bytes, bytes]] = []
    for buffer, name in _HEADERS.items():
        if buffer in found:
            headers.append((name, found[buffer]))
    given = found.get("http_header", b"") or found.get("http_raw_header", b"")
    for part in (given + b"\r\n" + found.get("http_request_header", b"")).split(b"\r\n"):
        if part:
            name, colon, value = part.partition(b":")
            headers.append((name, value.strip()) if colon and name else (b"X-Test", part.strip(b": ")))
    names = [name.lower() for name, _ in headers]
    if raw and method + b" " not in raw:
        body = body + raw
        method = b"POST" if method == b"GET" and "http_method" not in found else method
    for name in found.get("http_header_names", b"").split(b"\r\n"):
        if name and name.lower() not in names:
            usual = {
                b"host": b"a.example",
                b"content-length": b"%d" % len(body),
                b"transfer-encoding": b"identity",
            }
            headers.append((name, usual.get(name.lower(), b"1")))
    if not any(name.lower() == b"host" for name, _ in headers) and "http_header_names" not in found:
        headers.insert(0, (b"Host", b"www.example.test"))
    return Made(method, uri, version, tuple(headers), body)


Change = Callable[[Made, Random], Made]


def _at_random(text: bytes, random: Random) -> int:
    return random.randrange(len(text)) if text else 0


def _spoil(text: bytes, random: Random) -> bytes:
    at = _at_random(text, random)
    return text[:at] + bytes([random.choice(b"Zz0/.%+& a")]) + text[at + 1 :] if text else b"z"


def _shift(text: bytes, random: Random) -> bytes:
    at = _at_random(text, random)
    return text[:at] + bytes([random.choice(b"ab0/.&=")]) + text[at:]


def _cut(text: bytes, random: Random) -> bytes:
    at = _at_random(text, random)
    return text[:at] + text[at + 1 :]


def _swap_case(text: bytes, random: Random) -> bytes:
    at = _at_random(text, random)
    return (
        text[:at] + text[at : at + random.randint(1, 8)].swapcase() + text[at + 8 :]
        if random.random() < 0.5
        else text.swapcase()
    )


def _escape(text: bytes, random: Random) -> bytes:
    share = random.choice((0.05, 0.3, 1))
    form = random.choice((b"%%%02x", b"%%%02X"))
    return b"".join(
        form % byte if byte not in b"%?#" and random.random() < share else b"%c" % byte for byte in text
    )


def _escape_twice(text: bytes, random: Random) -> bytes:
    return b"".join(b"%%25%02x" % byte if random.random() < 0.2 else b"%c" % byte for byte in text)


def _edit(where: str, how: Callable[[bytes, Random], bytes]) -> Change:
    def change(made: Made, random: Random) -> Made:
        if made.whole is not None:
            return replace(made, whole=how(made.whole, random))
        if where == "header":
            if not made.headers:
                return made
            at = random.randrange(len(made.headers))
            name, value = made.headers[at]
            return replace(
                made, headers=(*made.headers[:at], (name, how(value, random)), *made.headers[at + 1 :])
            )
        changed: Any = how(getattr(made, where), random)
        return replace(made, **{where: changed})

    return change


def _headers(how: Callable[[list[tuple[bytes, bytes]], Random], object]) -> Change:
    def change(made: Made, random: Random) -> Made:
        headers = list(made.headers)
        if headers:
            how(headers, random)
        return replace(made, headers=tuple(headers))

    return change


def _fold(headers: list[tuple[bytes, bytes]], random: Random) -> None:
    at = random.randrange(len(headers))
    name, value = headers[at]
    place = _at_random(value, random)
    headers[at] = (name, value[:place] + random.choice((b"\r\n ", b"\r\n\t", b"\r\n  ")) + value[place:])


def _duplicate(headers: list[tuple[bytes, bytes]], random: Random) -> None:
    name, value = random.choice(headers)
    headers.insert(
        random.randint(0, len(headers)),
        (random.choice((name, name.lower(), name.upper())), random.choice((value, b"other", b""))),
    )


def _split_value(headers: list[tuple[bytes, bytes]], random: Random) -> None:
    at = random.randrange(len(headers))
    name, value = headers[at]
    place = _at_random(value, random)
    headers[at : at + 1] = [(name, value[:place]), (name, value[place:])]


def _rename(headers: list[tuple[bytes, bytes]], random: Random) -> None:
    at = random.randrange(len(headers))
    name, value = headers[at]
    headers[at] = (
        random.choice((name.lower(), name.upper(), name + b" ", b" " + name, name.replace(b"-", b"_"))),
        value,
    )


def _pad(headers: list[tuple[bytes, bytes]], random: Random) -> None:
    at = random.randrange(len(headers))
    name, value = headers[at]
    blank = random.choice((b" ", b"\t", b"   ", b" \t "))
    headers[at] = (name, random.choice((blank + value, value + blank, blank + value + blank)))


def _empty(headers: list[tuple[bytes, bytes]], random: Random) -> None:
    at = random.randrange(len(headers))
    headers[at] = (headers[at][0], b"")


def _drop(headers: list[tuple[bytes, bytes]], random: Random) -> None:
    del headers[random.randrange(len(headers))]


def _add(headers: list[tuple[bytes, bytes]], random: Random) -> None:
    usual = (
        (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0"),
        (b"Accept", b"*/*"),
        (b"Cookie", b"a=b; c=d"),
        (b"Referer", b"http://www.example.test/"),
        (b"Content-Type", b"application/x-www-form-urlencoded"),
        (b"Connection", b"close"),
        (b"X-Forwarded-For", b"192.0.2.9"),
    )
    headers.insert(random.randint(0, len(headers)), random.choice(usual))


def _host(headers: list[tuple[bytes, bytes]], random: Random) -> None:
    hosts = [(at, value) for at, (name, value) in enumerate(headers) if name.lower() == b"host"]
    if not hosts:
        headers.append((b"Host", b"WWW.Example.Test:8080"))
        return
    at, value = hosts[0]
    change = random.choice(
        (value.upper(), value + b":80", value + b":8080", value + b".", value + b".:80", value + b":", b"")
    )
    headers[at] = (b"Host", change)


def _slash(uri: bytes, random: Random) -> bytes:
    places = [at for at, byte in enumerate(uri) if byte == 0x2F]
    if not places:
        return uri
    at = random.choice(places)
    inside = random.choice(
        (b"//", b"/./", b"/x/../", b"///", b"/%2e/", b"/%2e%2e/", b"\\", b"%2f", b"%5c", b"/../", b"/.//")
    )
    return uri[:at] + inside + uri[at + 1 :]


def _absolute(uri: bytes, random: Random) -> bytes:
    host = random.choice(
        (
            b"http://www.example.test",
            b"HTTP://Other.example:8080",
            b"http://u:p@h.example",
            b"http:/",
            b"//h.example",
        )
    )
    return host + uri


def _odd(uri: bytes, random: Random) -> bytes:
    at = _at_random(uri, random)
    inside = random.choice(
        (
            b"%",
            b"%zz",
            b"%u0041",
            b"%00",
            b"#",
            b"?",
            b"+",
            b"%2b",
            b";a=b",
            b"%3f",
            b" ",
            b"%0a",
            b"\t",
            b"%c0%af",
            b"&",
            b"\xe4",
        )
    )
    return uri[:at] + inside + uri[at:]


def _field(name: str, *values: Any) -> Change:
    return lambda made, random: (
        made if made.whole is not None else replace(made, **{name: random.choice(values)})
    )


CHANGES: dict[str, tuple[Change, ...]] = {
    "one byte": tuple(
        _edit(where, how) for where in ("uri", "header", "body") for how in (_spoil, _shift, _cut)
    ),
    "letter case": tuple(_edit(where, _swap_case) for where in ("uri", "header", "body", "method")),
    "escapes": (_edit("uri", _escape), _edit("uri", _escape), _edit("body", _escape)),
    "escaped twice": (_edit("uri", _escape_twice),),
    "dot segments and slashes": (_edit("uri", _slash),),
    "odd URIs": (_edit("uri", _odd), _edit("uri", _odd)),
    "absolute URIs": (_edit("uri", _absolute),),
    "order of headers": (_headers(lambda headers, random: random.shuffle(headers)),),
    "repeated headers": (_headers(_duplicate), _headers(_split_value)),
    "folded headers": (_headers(_fold),),
    "blanks in headers": (_headers(_pad), _field("colon", b":", b":  ", b":\t", b" : ")),
    "names of headers": (_headers(_rename),),
    "headers empty, gone, added": (_headers(_empty), _headers(_drop), _headers(_add)),
    "hosts": (_headers(_host),),
    "methods": (_field("method", b"get", b"POST", b"PUT", b"FOO", b"HEAD", b"PROPFIND", b"OPTIONS"),),
    "versions": (_field("version", b"HTTP/1.0", b"HTTP/1.0", b"", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1"),),
    "blanks in the request line": (
        lambda made, random: replace(made, method=made.method + random.choice((b" ", b"\t"))),
        lambda made, random: replace(made, uri=made.uri + random.choice((b" ", b"\t", b" x"))),
        _field("before", b"\r\n", b" ", b"\n"),
    ),
    "line ends": (_field("end", b"\n"),),
    "framing": (_field("framing", "chunked", "none"),),
}


def vary(made: Made, random: Random) -> tuple[str, Made]:
    """One variation, and its kind."""
    kind = random.choice(list(CHANGES))
    return kind, random.choice(CHANGES[kind])(made, random)
