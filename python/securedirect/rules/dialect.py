# SPDX-License-Identifier: Apache-2.0
"""Guesses in which of the three dialects a rule file is written.

Counts syntax that only one of them has. A file without any is Snort 2: what all three share means the same
there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from securedirect.rules.model import Dialect


def _any(words: str) -> str:
    return "(?:" + "|".join(re.escape(word) for word in words.split()) + ")"


_OPTION = r"[;(][ ]?"  # what stands before an option's name
_RULE = r"\n\#?[ ]?(?:alert|drop|reject|block)[ ]"
_SNORT3_WORDS = "service bufferlen http_raw_body http_version http_param"
_SURICATA_WORDS = """
    startswith endswith dotprefix xbits bsize app-layer-event app-layer-protocol stream_size noalert
    prefilter http_user_agent http_host http_raw_host tls_sni dns_query ja3_hash target to_lowercase dataset
    iprep flowint
"""
_SURICATA_SPACES = "http tls dns file ssh smb ja3 ja3s ja4 ftp krb5 snmp sip mqtt quic tcp icmpv4 icmpv6 rfb"
_SURICATA_PROTOCOLS = """
    http http1 http2 dns tls smb smtp ssh ftp ftp-data tcp-pkt tcp-stream dcerpc ipv6 quic
"""
_MODIFIERS = "nocase fast_pattern depth offset distance within rawbytes width"

# Searched in comments too: commented-out rules are of the same dialect. One expression for each beginning, by
# which it is found quickly.
_SNORT3 = (
    re.compile(rf'content[ ]?:[ ]?!?"(?:[^"\\;]|\\.)*+",[ ]?{_any(_MODIFIERS)}'),
    re.compile(rf"{_OPTION}(?:{_any(_SNORT3_WORDS)}[ ]?[:;]|http_header[ ]?:[ ]?field)"),
    re.compile(rf"{_RULE}(?:[a-z]+[ ]?)?\("),
)
_SURICATA = (
    re.compile(rf"{_OPTION}(?:{_any(_SURICATA_SPACES)}\.\w+(?:\.\w+)?|{_any(_SURICATA_WORDS)})[ ]?[:;]"),
    re.compile(rf"{_RULE}{_any(_SURICATA_PROTOCOLS)}[ ][^(\n]*->"),
    re.compile(
        r'pcre[ ]?:[ ]?!?"/[^;\n]*/(?:(?=[A-Za-z]*R)(?=[A-Za-z]*[UIPHCMD])|(?=[A-Za-z]*[VWQ]))[A-Za-z]+"'
    ),
)
# Which comes first in a rule: something to find, or a name that is a buffer of Snort 3 and a modifier
# elsewhere.
_FIND = re.compile(r"[;(][ ]?(?:(?:uri)?content|pcre)[ ]?:")
_BUFFER = re.compile(
    r"[;(][ ]?(?:http_(?:raw_)?(?:uri|header|cookie|method|client_body|body)|pkt_data|raw_data)[ ]?(?=;)"
)

SAMPLE = 1 << 18
"""So many characters of a file are enough."""


class Signs(NamedTuple):
    """How often there is syntax that only some of the dialects have. ``modifiers``: of Snort 2."""

    snort3: int
    suricata: int
    modifiers: int


def signs(text: str) -> Signs:
    """Of a part of a file that begins with a line."""
    text = "\n" + text
    sticky, modifiers = _buffer_names(text)
    return Signs(_count(_SNORT3, text) + sticky, _count(_SURICATA, text), modifiers)


def guess_dialect(parts: Iterable[Signs]) -> Dialect:
    """The likeliest dialect of a rule file (the beginning of it is enough)."""
    snort3, suricata, modifiers = map(sum, zip(*parts, (0, 0, 0), strict=True))
    if snort3 > suricata and snort3 > modifiers:
        return "snort3"
    return "suricata" if suricata else "snort2"


def _count(expressions: tuple[re.Pattern[str], ...], sample: str) -> int:
    return sum(len(expression.findall(sample)) for expression in expressions)


def _buffer_names(sample: str) -> tuple[int, int]:
    """How many rules name a buffer before anything to find (Snort 3), and how many after it (Snort 2)."""
    sticky = modifiers = 0
    seen = -1
    for match in _BUFFER.finditer(sample):
        line = sample.rfind("\n", 0, match.start())
        if line == seen:
            continue
        seen = line
        if _FIND.search(sample, line, match.start()):
            modifiers += 1
        else:
            sticky += 1
    return sticky, modifiers
