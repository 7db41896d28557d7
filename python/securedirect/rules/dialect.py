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
    |[;(][ ]?(?:http_(?:raw_)?(?:uri|header|cookie|method|client_body|body)|pkt_data|raw_data)[ ]?;
        [ ]?(?:content|pcre|bufferlen)[ ]?:
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
    |^\#?[ ]?(?:alert|drop|reject)[
    ](?:http|http1|dns|tls|smb|smtp|ssh|ftp|ftp-data|tcp-pkt|tcp-stream|dcerpc|ipv6
        |http2|quic)[ ][^(\n]*->
    |pcre[ ]?:[ ]?!?"/[^;\n]*/(?:(?=[A-Za-z]*R)(?=[A-Za-z]*[UIPHCMD])|(?=[A-Za-z]*[VWQ]))[A-Za-z]+"
    """, re.VERBOSE | re.MULTILINE)  # fmt: skip
_SNORT2_MODIFIER = re.compile(
    r"(?:\"|nocase|fast_pattern|fast_pattern:only|(?:depth|offset|distance|within):-?\d+)[ ]?;[ ]?"
    r"http_(?:raw_)?(?:uri|header|cookie|method|client_body|body)[ ]?;[ ]?"
    r"(?!content[ ]?:|pcre[ ]?:|bufferlen)"
)

_SAMPLE = 1 << 20


def guess_dialect(text: str) -> Dialect:
    """The likeliest dialect of a rule file's text (a megabyte of it is enough)."""
    sample = text[:_SAMPLE]
    snort3 = len(_SNORT3.findall(sample))
    suricata = len(_SURICATA.findall(sample))
    # content:"x"; http_uri; content:"y"; reads both ways; http_uri followed by anything else is a modifier.
    modifiers = len(_SNORT2_MODIFIER.findall(sample))
    if snort3 > suricata and snort3 > modifiers:
        return "snort3"
    return "suricata" if suricata else "snort2"
