# SPDX-License-Identifier: Apache-2.0
"""Makes rules of Suricata at random, and requests of which some match: options in every combination.

All texts are made of few letters, so that contents are found often, in several places, and next to each
other.

Left out is what Suricata 7 reads in a way of its own: what is relative and stands behind a content that must
not be found (it skips as many bytes as that has) or an expression of that kind (it tries no other place of
what is before), the ends of such contents (it looks at one place only), rules
that only say what must not be in the stream (segments without payload match) or in a transformed buffer (it
looks at the one before), transformed URIs as sent, and lengths of the URI beside numbers that are taken from
it.
"""

from __future__ import annotations

from random import Random

from suricata_requests import Made

_LETTERS = "aabbA1"
_BUFFERS = (
    "http.uri",
    "http.uri",
    "http.request_body",
    "http.request_body",
    "http.header",
    "http.user_agent",
    "http.cookie",
    "http.uri.raw",
    "http.host",
    "http.referer",
    "http.request_line",
    "http.method",
    "http.header_names",
    "http.accept",
    "",
)
_TRANSFORMS = (
    "to_lowercase",
    "to_uppercase",
    "strip_whitespace",
    "compress_whitespace",
    "url_decode",
    "dotprefix",
    'xor:"20"',
)
_EXPRESSIONS = (
    "a+b",
    "^/?a",
    "b$",
    "[ab]{2,3}1",
    "a.b",
    "(a|b)1",
    "^a",
    "a(?!b)",
    r"(\w)\1",
    "b*",
    "A",
    "a.*?1",
    r"\d",
    "^.{1,3}1",
    r"a\b",
    r"[^ab]",
)


def text(random: Random, most: int = 4, letters: str = _LETTERS) -> str:
    return "".join(random.choice(letters) for _ in range(random.randint(1, most)))


def _content(random: Random, buffer: str, negatable: bool, relative: bool) -> str:
    pattern = text(random, 3)
    if buffer == "http.host":
        pattern = pattern.lower()
    negated = negatable and random.random() < 0.25
    words = [f'content:{"!" if negated else ""}"{pattern}"']
    if random.random() < 0.3 and buffer != "http.host":
        words.append("nocase")
    length = len(pattern)
    how = random.random()
    if how < 0.12:
        words.append("startswith")
    elif how < 0.25:
        words.append(f"depth:{length + random.randint(0, 6)}")
        if random.random() < 0.5:
            words.append(f"offset:{random.randint(0, 5)}")
    elif how < 0.32:
        words.append(f"offset:{random.randint(0, 5)}")
    elif how < 0.7 and relative:
        if random.random() < 0.8:
            words.append(f"distance:{random.choice((0, 0, 1, 2, -1, -2, -4, 3))}")
        if random.random() < 0.6 or len(words) == 1:
            words.append(f"within:{length + random.randint(0, 5)}")
    if not negated and random.random() < 0.12:
        words.append("endswith")
    return "; ".join(words)


_KINDS = (
    "pcre",
    "pcre",
    "isdataat",
    "isdataat",
    "bsize",
    "byte_test",
    "byte_jump",
    "urilen",
    "extract",
    "math",
)


def _sizes(random: Random, low: int) -> str:
    return random.choice((f"{low}", f">{low}", f"<{low + 1}", f"{low}<>{low + 5}"))


def _other(random: Random, buffer: str, absolute: bool) -> str:
    kind = random.choice(_KINDS)
    relative = ",relative" if not absolute and random.random() < 0.6 else ""
    if kind == "pcre":
        flags = random.choice(("", "", "i", "s", "m")) + ("R" if relative else "")
        return f'pcre:{random.choice(("", "", "", "!"))}"/{random.choice(_EXPRESSIONS)}/{flags}"'
    if kind == "isdataat":
        return f"isdataat:{random.choice(('', '', '!'))}{random.choice((0, 1, 1, 2, 3, 5, 9))}{relative}"
    if kind == "bsize" and buffer:
        return f"bsize:{_sizes(random, random.randint(0, 9))}"
    if kind == "urilen":
        return f"urilen:{_sizes(random, random.randint(1, 9))}{random.choice(('', '', ',raw', ',norm'))}"
    number = random.choice((0, 1, 2, -1, 3)) if relative else random.randint(0, 4)
    if kind == "byte_test":
        usual = random.random() < 0.8
        operator = random.choice("<>=&^") if usual else random.choice(("!=", "!<", "!>", "<=", ">="))
        return f"byte_test:1,{operator},{random.choice((97, 98, 0x31, 65, 1))},{number}{relative}"
    if kind == "byte_jump":
        more = random.choice(("", "", ",post_offset 1", ",from_beginning", ",multiplier 2"))
        return f"byte_jump:1,{number}{relative},string,dec{more}"
    name = f"v{random.randint(0, 99)}"
    use = random.choice(("offset", "depth", "distance", "within"))
    then = f'content:"{text(random, 1)}"; {use}:{name}'
    if kind == "extract":
        return f"byte_extract:1,{number},{name}{relative},string,dec; {then}"
    if kind == "math":
        what = f"oper {random.choice('+-*')}, rvalue {random.randint(1, 3)}, result {name}"
        return f"byte_math:bytes 1, offset {number}, {what}{relative}, string dec; {then}"
    return f'content:"{text(random, 1)}"'


def _options(random: Random) -> list[str]:
    parts = []
    for _ in range(random.choice((1, 1, 1, 2, 2, 3))):
        buffer = random.choice(_BUFFERS)
        if buffer:
            parts.append(buffer)
        elif parts:
            parts.append("pkt_data")
        transformed = buffer not in ("", "http.uri.raw") and random.random() < 0.1
        if transformed:
            parts += random.sample(_TRANSFORMS, random.choice((1, 1, 2)))
        first, related = True, False
        may_begin = bool(buffer) and not transformed
        for _ in range(random.choice((1, 2, 2, 3, 4))):
            if random.random() < 0.3 and (may_begin or not first):
                parts.append(_other(random, buffer, not related))
                if parts[-1].startswith("urilen"):
                    break  # names another buffer, which does not stay
            else:
                parts.append(_content(random, buffer, may_begin or not first, related))
                related = True
            related &= not parts[-1].startswith(("content:!", "pcre:!"))
            first = False
    return parts


def rule(random: Random, sid: int) -> str:
    while True:
        body = "; ".join(_options(random))
        if "urilen" not in body or "byte_" not in body:
            return f"alert http any any -> any any (flow:to_server; {body}; sid:{sid};)"


def request(random: Random) -> Made:
    letters = _LETTERS + "/ b" if random.random() < 0.3 else _LETTERS
    headers = [(b"Host", text(random, 6).encode() if random.random() < 0.8 else b"www.example.test")]
    for name in (b"User-Agent", b"Cookie", b"Referer", b"Accept", b"A1b", b"ba"):
        if random.random() < 0.5:
            headers.append(
                (name, text(random, 12, letters).encode().strip() if random.random() < 0.9 else b"")
            )
    random.shuffle(headers)
    body = text(random, 20, letters + "2").encode() if random.random() < 0.6 else b""
    path = "/" + text(random, 10, _LETTERS + "2?=").replace("/", "")
    return Made(b"POST" if body else b"GET", path.encode(), b"HTTP/1.1", tuple(headers), body)
