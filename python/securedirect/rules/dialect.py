# SPDX-License-Identifier: Apache-2.0
"""Guesses in which of the three dialects a rule file is written.

Counts syntax that only one of them has. A file without any is Snort 2: what all three share means the same
there.
"""

from __future__ import annotations

import re

from securedirect.rules.model import Dialect

# Searched in the whole text, comments included: commented-out rules are of the same dialect.
_SNORT3 = re.compile(r"""
    content[ ]?:[ ]?!?"(?:[^"\\;]|\\.)*+",
        [ ]?(?:nocase|fast_pattern|depth|offset|distance|within|rawbytes|width)
    |[;(][ ]?service[ ]?:
    |[;(][ ]?(?:bufferlen|http_raw_body|http_version|http_param)[ ]?[:;]
    |^\#?[ ]?(?:alert|drop|block|reject)[ ](?:http|file|tcp|ssl|smtp|ftp)?[ ]?\(
    |[;(][ ]?http_header[ ]?:[ ]?field
    """, re.VERBOSE | re.MULTILINE)  # fmt: skip
_SURICATA = re.compile(r"""
    [;(][
    ]?(?:http|tls|dns|file|ssh|smb|ja3s?|ja4|ftp|krb5|snmp|sip|mqtt|quic|tcp|icmpv[46]|rfb)[.]\w+[.]?\w*[
    ]?[:;] |[;(][
    ]?(?:startswith|endswith|dotprefix|xbits|bsize|app-layer-event|app-layer-protocol|stream_size|noalert
        |prefilter)[ ]?[:;]
    |[;(][ ]?(?:http_user_agent|http_host|http_raw_host|tls_sni|dns_query|ja3_hash|target|to_lowercase
        |dataset|iprep|flowint)[ ]?[:;]
    |^\#?[ ]?(?:alert|drop|reject)[ ]
        (?:http1?|dns|tls|smb|smtp|ssh|ftp|ftp-data|tcp-pkt|tcp-stream|dcerpc|ipv6|http2|quic)[ ][^(\n]*->
    |pcre[ ]?:[ ]?!?"/[^;\n]*/(?:(?=[A-Za-z]*R)(?=[A-Za-z]*[UIPHCMD])|(?=[A-Za-z]*[VWQ]))[A-Za-z]+"
    """, re.VERBOSE | re.MULTILINE)  # fmt: skip

# Which comes first in a rule: something to find, or a name that is a buffer of Snort 3 and a modifier
# elsewhere.
_FIRST = re.compile(
    r"\n|[;(][ ]?(?:(?P<find>(?:uri)?content|pcre)[ ]?:"
    r"|(?P<buffer>http_(?:raw_)?(?:uri|header|cookie|method|client_body|body)|pkt_data|raw_data)[ ]?(?=;))"
)

_SAMPLE = 1 << 18


def guess_dialect(text: str) -> Dialect:
    """The likeliest dialect of a rule file's text (the beginning of it is enough)."""
    sample = text[:_SAMPLE]
    sticky, modifiers = _buffer_names(sample)
    snort3 = len(_SNORT3.findall(sample)) + sticky
    suricata = len(_SURICATA.findall(sample))
    if snort3 > suricata and snort3 > modifiers:
        return "snort3"
    return "suricata" if suricata else "snort2"


def _buffer_names(sample: str) -> tuple[int, int]:
    """How many rules name a buffer before anything to find (Snort 3), and how many after it (Snort 2)."""
    sticky = modifiers = 0
    found = named = False
    for match in _FIRST.finditer(sample):
        if match["find"]:
            found = True
        elif match["buffer"] is None:  # a new line
            found = named = False
        elif not named:
            named = True
            if found:
                modifiers += 1
            else:
                sticky += 1
    return sticky, modifiers
