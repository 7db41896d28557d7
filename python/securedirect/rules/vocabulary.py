# SPDX-License-Identifier: Apache-2.0
"""The option names of the three dialects, by what SecureDirect does with them.

Sources: Snort 2.9 users manual, Snort 3 rule writing guide, Suricata user guide (rules).
"""

from __future__ import annotations

CONTENT_MODIFIERS = {
    "http_uri": "http_uri",
    "http_raw_uri": "http_raw_uri",
    "http_method": "http_method",
    "http_header": "http_header",
    "http_raw_header": "http_raw_header",
    "http_cookie": "http_cookie",
    "http_raw_cookie": "http_cookie",
    "http_client_body": "http_client_body",
    "http_user_agent": "http_user_agent",
    "http_host": "http_host",
    "http_raw_host": "http_raw_host",
}
"""Snort 2 and Suricata: the option moves the content before it into a buffer."""

STICKY = {
    "http.uri": "http_uri",
    "http.uri.raw": "http_raw_uri",
    "http.method": "http_method",
    "http.request_body": "http_client_body",
    "http.header": "http_header",
    "http.header.raw": "http_raw_header",
    "http.cookie": "http_cookie",
    "http.user_agent": "http_user_agent",
    "http.host": "http_host",
    "http.host.raw": "http_raw_host",
    "http.request_line": "http_request_line",
    "http.protocol": "http_protocol",
    "http.content_type": "http_content_type",
    "http.content_len": "http_content_len",
    "http.referer": "http_referer",
    "http.accept": "http_accept",
    "http.accept_enc": "http_accept_enc",
    "http.accept_lang": "http_accept_lang",
    "http.connection": "http_connection",
    "http.header_names": "http_header_names",
    "http.start": "http_start",
    "http.request_header": "http_request_header",
    "http_request_line": "http_request_line",
    "http_protocol": "http_protocol",
    "http_content_type": "http_content_type",
    "http_content_len": "http_content_len",
    "http_referer": "http_referer",
    "http_accept": "http_accept",
    "http_accept_enc": "http_accept_enc",
    "http_accept_lang": "http_accept_lang",
    "http_connection": "http_connection",
    "http_header_names": "http_header_names",
    "http_start": "http_start",
    "file.name": "http_file_name",
    "file.data": "http_file_data",
    "file_data": "http_file_data",
    "pkt_data": "raw",
    "raw_data": "raw",
    "tcp.hdr": "packet:tcp",
    "ipv4.hdr": "packet:ipv4",
    "ipv6.hdr": "packet:ipv6",
    "ip.src": "packet:source",
    "ip.dst": "packet:destination",
}
"""Every dialect that knows the name: what follows looks into this buffer."""

STICKY_SNORT3 = {
    **{
        name: buffer
        for name, buffer in CONTENT_MODIFIERS.items()
        if name not in ("http_user_agent", "http_host", "http_raw_host")
    },
    "http_version": "http_protocol",
    "http_raw_request": "http_request_line",
    "http_raw_body": "http_raw_body",
    "http_trailer": "http_trailer",
    "http_raw_trailer": "http_trailer",
}
"""Snort 3 writes the names that are modifiers elsewhere as sticky buffers."""

HEADER_FIELDS = {
    "user-agent": "http_user_agent",
    "host": "http_raw_host",
    "content-type": "http_content_type",
    "content-length": "http_content_len",
    "referer": "http_referer",
    "accept": "http_accept",
    "accept-encoding": "http_accept_enc",
    "accept-language": "http_accept_lang",
    "connection": "http_connection",
    "cookie": "http_cookie",
}
"""Snort 3's ``http_header:field NAME`` for the fields that have a buffer of their own."""

PCRE_BUFFERS = {
    "U": "http_uri",
    "I": "http_raw_uri",
    "P": "http_client_body",
    "H": "http_header",
    "D": "http_raw_header",
    "M": "http_method",
    "C": "http_cookie",
    "K": "http_cookie",
    "V": "http_user_agent",
    "W": "http_host",
    "Z": "http_raw_host",
    "B": "raw",
}
"""Letters after a pcre that name a buffer (Snort 2 and Suricata)."""

PCRE_RESPONSE = frozenset("QSY")
PCRE_PLAIN = frozenset("ismxAEGR")

RESPONSE = frozenset(
    """
    http.stat_code http.stat_msg http.response_body http.response_header http.response_line
    http.server http.location http_stat_code http_stat_msg http_server_body http_response_line
    http_raw_status http_server http_location js_data vba_data
    http.response_header_names
    """.split()
)
"""They look at what the server answers, which SecureDirect never sees (direct server return)."""

IGNORED = frozenset(
    """
    reference tag target rem logto session resp react soid sample gid_map fast_pattern_offset
    fast_pattern_length replace activates activated_by count prefilter filestore bypass nfq_set_mark
    """.split()
)
"""No part of what a rule matches."""

UNSUPPORTED = {
    **dict.fromkeys(
        """
    geoip iprep
    """.split(),
        "IP and TCP header tests",
    ),
    **dict.fromkeys("stream_reassemble stream-event decode-event engine-event".split(), "stream state tests"),
    **dict.fromkeys("domain tld luaxform gunzip zlib_deflate subslice".split(), "transformations"),
    **dict.fromkeys(
        """
    lua luajit flowvar pktvar
    """.split(),
        "state",
    ),
    **dict.fromkeys(
        "flow.elephant entropy frame".split(),
        "flow and buffer properties",
    ),
    **dict.fromkeys(
        """
    filemagic filemd5 filesha1 filesha256 file.magic file_type file_id
    """.split(),
        "file properties",
    ),
    **dict.fromkeys(
        """
    regex sd_pattern cvs asn1 ftpbounce rpc content-list uricontent-list http_encode
    http_param http_true_ip http_num_headers http_num_trailers http_header_test http_trailer_test
    http_version_match http_max_header_line http_max_trailer_line http_num_cookies
    ber_data ber_skip appids wizard pkt_num bufferlen-relative
    """.split(),
        "rare options",
    ),
}
"""Known options that this version cannot judge."""

OTHER_SERVICE_PREFIXES = tuple(
    """
    tls dns ssh smb ja3 ja4 krb5 snmp sip rfb mqtt ike quic dhcp tftp ftp smtp nfs dce dnp3 modbus
    enip cip ssl_ gtp_ s7commplus iec104 mms_ icmp itype icode ikev pgsql ldap rdp websocket http2
    http3 imap pop3 email mdns sdp bittorrent vlan
    """.split()
)
"""Options that only another protocol has."""

TCP_PROTOCOLS = frozenset({"tcp", "tcp-pkt", "tcp-stream", "ip", "ipv4", "ip4", "http", "http1"})
"""Protocols of a rule header that a TCP service on IPv4 with HTTP/1 can meet."""

PROTOCOL_PORTS: dict[str, frozenset[int]] = {
    "smtp": frozenset({25, 465, 587}),
    "ftp": frozenset({21}),
    "telnet": frozenset({23}),
    "pop3": frozenset({110}),
    "imap": frozenset({143}),
    "ssh": frozenset({22}),
    "smb": frozenset({139, 445}),
    "rdp": frozenset({3389}),
}
"""Protocols of a rule header that are looked for at these ports of a TCP service (or at one of that name)."""
TCP_SERVICE_PROTOCOLS = frozenset(
    """
    smtp ftp ftp-data imap pop3 ssh telnet pgsql smb dcerpc nntp rfb rdp mqtt modbus dnp3 ldap irc jabber
    msn
    """.split()
)
"""Protocols of a rule header that a TCP service may speak."""

NO_TCP_SERVICES = frozenset("dhcp tftp snmp ntp quic http2 http3 netbios-ns mdns syslog ike teredo".split())
"""Services of Snort rules that no TCP service with HTTP/1 is."""

HTTP_SERVICES = frozenset({"http", "http1"})

_SURICATA = frozenset({"suricata"})
_SNORT2 = frozenset({"snort2"})
_SNORT3 = frozenset({"snort3"})
ONLY_IN: dict[str, frozenset[str]] = {
    **{name: _SURICATA for name in STICKY if name not in ("pkt_data", "raw_data")},
    "pkt_data": _SURICATA | _SNORT3,
    "raw_data": _SURICATA | _SNORT3,
    "file_data": _SURICATA | _SNORT3,
    **dict.fromkeys(("http_user_agent", "http_host", "http_raw_host"), _SURICATA),
    **dict.fromkeys(
        """
    http_version http_raw_request http_raw_body http_trailer http_raw_trailer bufferlen service
    """.split(),
        _SNORT3,
    ),
    "http_raw_cookie": _SNORT2 | _SNORT3,
    **dict.fromkeys(("uricontent", "urilen", "threshold"), _SNORT2 | _SURICATA),
    **dict.fromkeys(
        """
    noalert startswith endswith bsize xbits hostbits url_decode to_lowercase to_uppercase dotprefix
    strip_whitespace compress_whitespace to_md5 to_sha1 to_sha256 pcrexform xor header_lowercase
    strip_pseudo_headers from_base64 app-layer-protocol tcp.flags tcp.ack tcp.seq
    tcp.window absent app-layer-event requires filename fileext filesize tcp.mss tcp.wscale flowint
    dataset datarep flow.age flow.pkts flow.pkts_toserver flow.pkts_toclient flow.bytes
    flow.bytes_toserver flow.bytes_toclient
    """.split(),
        _SURICATA,
    ),
}
"""Option names that not all dialects have, with those that do. Read everywhere if it means one thing."""

PCRE_BUFFERS_IN = {"snort2": "UIPHDMCKB", "snort3": "", "suricata": "UIPHDMCVWZB"}
"""The letters of PCRE_BUFFERS that each dialect has."""
