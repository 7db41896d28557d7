# SPDX-License-Identifier: Apache-2.0
"""What each option means, in each dialect that has it: rule options, a request, and whether the rule matches.

The requests are judged by the plain matcher of ``rule_reference``, so that these cases also say what the rule
document means.
"""

from __future__ import annotations

import pytest
import rule_reference

GET = b"GET /Shop/item.php?id=7&q=a%20b HTTP/1.1\r\nHost: WWW.Example.org:80\r\nUser-Agent: curl/8\r\n\r\n"
POST = (
    b"POST /form HTTP/1.1\r\nHost: h\r\nUser-Agent: agent one\r\nCookie: sid=abc\r\nReferer: http://r/\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 15\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"
    b"Accept-Language: de\r\nConnection: close\r\n\r\nuser=x&pass=y|z"
)
UP = b"GET /a/%2e%2e/b//c%41?x=../y HTTP/1.0\r\nHost: h\r\n\r\n"

ALL = ("snort2", "snort3", "suricata")
OLD = ("snort2", "suricata")

# dialects, options, request, expected
CASES: list[tuple[tuple[str, ...], str, bytes, bool]] = [
    # content and its bytes
    (ALL, 'content:"item.php";', GET, True),
    (ALL, 'content:"Item.php";', GET, False),
    (ALL, 'content:"|2f 69 74|em";', GET, True),
    (ALL, 'content:"|2F6974|em|2E|php";', GET, True),
    (ALL, 'content:"| 2f 6 9 74 |em";', GET, True),
    (ALL, r'content:"y\|z";', POST, True),
    (ALL, r'content:"y|7c|z";', POST, True),
    (ALL, 'content: "item.php" ;', GET, True),
    (ALL, 'content:!"absent";', GET, True),
    (ALL, 'content:!"item.php";', GET, False),
    (ALL, 'content:! "item.php";', GET, False),
    # case
    (OLD, 'content:"ITEM.PHP"; nocase;', GET, True),
    (("snort3",), 'content:"ITEM.PHP",nocase;', GET, True),
    (("snort3",), 'content:"ITEM.PHP", nocase, fast_pattern;', GET, True),
    # absolute places
    (OLD, 'content:"GET"; depth:3;', GET, True),
    (OLD, 'content:"GET"; offset:1;', GET, False),
    (OLD, 'content:"/Shop"; offset:4; depth:5;', GET, True),
    (OLD, 'content:"/Shop"; offset:5; depth:6;', GET, False),
    (("snort3",), 'content:"/Shop",offset 4,depth 5;', GET, True),
    (("snort3",), 'content:"/Shop",offset 5,depth 5;', GET, False),
    # relative places
    (OLD, 'content:"Shop"; content:"item"; distance:1; within:4;', GET, True),
    (OLD, 'content:"Shop"; content:"item"; distance:2;', GET, False),
    (OLD, 'content:"Shop"; content:"item"; within:4;', GET, False),
    (OLD, 'content:"item"; content:"Shop"; distance:-9; within:4;', GET, True),
    (OLD, 'content:"item"; content:"Shop"; distance:0;', GET, False),
    (("snort3",), 'content:"Shop"; content:"item",distance 1,within 4;', GET, True),
    (("snort3",), 'content:"Shop"; content:"item",within 4;', GET, False),
    # an earlier content is tried again at its next place
    (OLD, 'content:"="; content:"y"; within:1;', POST, True),
    (OLD, 'content:"="; content:"q"; within:1;', POST, False),
    (OLD, 'content:"pass="; content:!"x"; within:1;', POST, True),
    (OLD, 'content:"user="; content:!"x"; within:1;', POST, False),
    # Suricata's ends
    (("suricata",), 'http.uri; content:"/Shop"; startswith;', GET, True),
    (("suricata",), 'http.uri; content:"Shop"; startswith;', GET, False),
    (("suricata",), 'http.uri; content:"a b"; endswith;', GET, True),
    (("suricata",), 'http.uri; content:"a "; endswith;', GET, False),
    # the URI, normalised and raw
    (OLD, 'uricontent:"q=a b";', GET, True),
    (OLD, 'uricontent:"q=a%20b";', GET, False),
    (OLD, 'uricontent:"shop"; nocase;', GET, True),
    (OLD, 'content:"q=a b"; http_uri;', GET, True),
    (OLD, 'content:"curl"; http_uri;', GET, False),
    (OLD, 'content:"SHOP"; http_uri; nocase;', GET, True),
    (OLD, 'content:"SHOP"; nocase; http_uri;', GET, True),
    (OLD, 'content:"q=a%20b"; http_raw_uri;', GET, True),
    (OLD, 'content:"q=a b"; http_raw_uri;', GET, False),
    (("suricata",), 'http.uri; content:"q=a b";', GET, True),
    (("suricata",), 'http.uri; content:"curl";', GET, False),
    (("suricata",), 'http.uri.raw; content:"q=a%20b";', GET, True),
    (("suricata",), 'http.uri.raw; content:"q=a b";', GET, False),
    (("snort3",), 'http_uri; content:"q=a b";', GET, True),
    (("snort3",), 'http_uri; content:"curl";', GET, False),
    (("snort3",), 'http_raw_uri; content:"q=a%20b";', GET, True),
    (("snort3",), 'http_raw_uri; content:"q=a b";', GET, False),
    (ALL, 'content:"/%2e%2e/";', UP, True),
    (OLD, 'uricontent:"/b/cA?x=../y";', UP, True),
    # a sticky buffer holds until the next one; pkt_data ends it
    (("suricata",), 'http.uri; content:"Shop"; content:"curl";', GET, False),
    (("suricata",), 'http.uri; content:"Shop"; http.user_agent; content:"curl";', GET, True),
    (("suricata",), 'http.uri; content:"Shop"; pkt_data; content:"curl";', GET, True),
    (("snort3",), 'http_uri; content:"Shop"; content:"curl";', GET, False),
    (("snort3",), 'http_uri; content:"Shop"; pkt_data; content:"curl";', GET, True),
    # a modifier moves one content only
    (OLD, 'content:"Shop"; http_uri; content:"curl";', GET, True),
    # the method
    (OLD, 'content:"GET"; http_method;', GET, True),
    (OLD, 'content:"GET"; http_method;', POST, False),
    (("suricata",), 'http.method; content:"POST";', POST, True),
    (("suricata",), 'http.method; content:"POST";', GET, False),
    (("snort3",), 'http_method; content:"POST";', POST, True),
    (("snort3",), 'http_method; content:"POST";', GET, False),
    # headers
    (OLD, 'content:"User-Agent|3a 20|agent"; http_header;', POST, True),
    (OLD, 'content:"sid=abc"; http_header;', POST, False),
    (OLD, 'content:"sid=abc"; http_raw_header;', POST, True),
    (OLD, 'content:"user=x"; http_raw_header;', POST, False),
    (("suricata",), 'http.header; content:"User-Agent|3a 20|agent";', POST, True),
    (("suricata",), 'http.header; content:"sid=abc";', POST, False),
    (("suricata",), 'http.header.raw; content:"sid=abc";', POST, True),
    (("snort3",), 'http_header; content:"User-Agent: agent";', POST, True),
    (("snort3",), 'http_header; content:"user=x";', POST, False),
    (("snort3",), 'http_header:field user-agent; content:"agent one";', POST, True),
    (("snort3",), 'http_header:field user-agent; content:"text/plain";', POST, False),
    (("snort3",), 'http_header:field Cookie,request; content:"sid";', POST, True),
    (("snort3",), 'http_raw_header; content:"sid=abc";', POST, True),
    # cookie
    (OLD, 'content:"sid=abc"; http_cookie;', POST, True),
    (OLD, 'content:"user=x"; http_cookie;', POST, False),
    (("snort2",), 'content:"sid=abc"; http_raw_cookie;', POST, True),
    (("suricata",), 'http.cookie; content:"sid=abc";', POST, True),
    (("snort3",), 'http_cookie; content:"sid=abc";', POST, True),
    (("snort3",), 'http_cookie; content:"sid=abc";', GET, False),
    (("snort3",), 'http_raw_cookie; content:"sid=abc";', POST, True),
    # body
    (OLD, 'content:"pass=y"; http_client_body;', POST, True),
    (OLD, 'content:"Host"; http_client_body;', POST, False),
    (("suricata",), 'http.request_body; content:"pass=y";', POST, True),
    (("suricata",), 'http.request_body; content:"Host";', POST, False),
    (("snort3",), 'http_client_body; content:"pass=y";', POST, True),
    (("snort3",), 'http_raw_body; content:"pass=y";', POST, True),
    (("snort3",), 'http_client_body; content:"Host";', POST, False),
    # user agent and host
    (("suricata",), 'http.user_agent; content:"curl/8"; bsize:6;', GET, True),
    (("suricata",), 'http.user_agent; content:"agent"; startswith; content:"one"; endswith;', POST, True),
    (("suricata",), 'content:"curl"; http_user_agent;', GET, True),
    (("suricata",), 'content:"Shop"; http_user_agent;', GET, False),
    (("suricata",), 'http.host; content:"www.example.org"; endswith;', GET, True),
    (("suricata",), 'http.host.raw; content:"www";', GET, False),
    (("suricata",), 'content:"www.example.org"; http_host;', GET, True),
    (("suricata",), 'http.host.raw; content:"WWW.Example.org:80";', GET, True),
    (("suricata",), 'content:"WWW"; http_raw_host;', GET, True),
    # the minor buffers
    (("suricata",), 'http.request_line; content:"POST /form HTTP/1.1"; bsize:19;', POST, True),
    (("suricata",), 'http_request_line; content:"Host";', POST, False),
    (("snort3",), 'http_raw_request; content:"/form HTTP";', POST, True),
    (("suricata",), 'http.protocol; content:"HTTP/1.0";', UP, True),
    (("suricata",), 'http_protocol; content:"HTTP/1.0";', GET, False),
    (("snort3",), 'http_version; content:"HTTP/1.0";', UP, True),
    (("suricata",), 'http.content_type; content:"text/plain"; startswith; endswith;', POST, True),
    (("suricata",), 'http_content_type; content:"gzip";', POST, False),
    (("suricata",), 'http.content_len; content:"15"; bsize:2;', POST, True),
    (("suricata",), 'http_content_len; content:"16";', POST, False),
    (("suricata",), 'http.referer; content:"http://r/";', POST, True),
    (("suricata",), 'http_referer; content:"gzip";', POST, False),
    (("suricata",), 'http.accept; content:"*/*";', POST, True),
    (("suricata",), 'http_accept; content:"gzip";', POST, False),
    (("suricata",), 'http.accept_enc; content:"gzip";', POST, True),
    (("suricata",), 'http_accept_enc; content:"de";', POST, False),
    (("suricata",), 'http.accept_lang; content:"de";', POST, True),
    (("suricata",), 'http_accept_lang; content:"gzip";', POST, False),
    (("suricata",), 'http.connection; content:"close";', POST, True),
    (("suricata",), 'http_connection; content:"keep";', POST, False),
    (("suricata",), 'http.header_names; content:"|0d 0a|Host|0d 0a|User-Agent|0d 0a|";', POST, True),
    (("suricata",), 'http.header_names; content:!"Referer";', POST, False),
    (("suricata",), 'http_header_names; content:!"X-Other";', POST, True),
    (("suricata",), 'http.start; content:"POST /form HTTP/1.1|0d 0a|Host";', POST, True),
    (("suricata",), 'http_start; content:"user=x";', POST, False),
    (("suricata",), 'http.referer; content:"r";', GET, False),
    # pcre
    (ALL, 'pcre:"/item.php.id=\\d/";', GET, True),
    (ALL, 'pcre:"/ITEM/";', GET, False),
    (ALL, 'pcre:"/ITEM/i";', GET, True),
    (ALL, 'pcre:!"/ITEM/i";', GET, False),
    (ALL, 'pcre:!"/ITEM/";', GET, True),
    (ALL, 'pcre:"/8.+$/s";', GET, True),
    (ALL, 'pcre:"/^Host/";', GET, False),
    (ALL, 'pcre:"/^Host/m";', GET, True),
    (ALL, 'pcre:"/i t e m/x";', GET, True),
    (ALL, 'pcre:"/Shop/A";', GET, False),
    (("snort2", "snort3"), 'pcre:"m#/Shop/item#";', GET, True),
    (ALL, r'pcre:"/a\/\x2e\x2e|y\|z/";', POST, True),
    (ALL, 'content:"Shop"; pcre:"/^.item/R";', GET, True),
    (ALL, 'content:"item"; pcre:"/Shop/R";', GET, False),
    (OLD, 'pcre:"/q=a b/U";', GET, True),
    (OLD, 'pcre:"/curl/U";', GET, False),
    (OLD, 'pcre:"/q=a%20b/I";', GET, True),
    (OLD, 'pcre:"/^user=x/P";', POST, True),
    (OLD, 'pcre:"/^Host: h/H";', POST, True),
    (OLD, 'pcre:"/sid=abc/H";', POST, False),
    (OLD, 'pcre:"/sid=abc/D";', POST, True),
    (OLD, 'pcre:"/^POST$/M";', POST, True),
    (OLD, 'pcre:"/^sid=/C";', POST, True),
    (("snort2",), 'pcre:"/^sid=/K";', POST, True),
    (OLD, 'pcre:"/curl/B";', GET, True),
    (("suricata",), 'pcre:"/^curl/V";', GET, True),
    (("suricata",), 'pcre:"/^www/W";', GET, True),
    (("suricata",), 'http.uri; pcre:"/curl/";', GET, False),
    (("suricata",), 'http.uri; content:"Shop"; pcre:"/^.item/R";', GET, True),
    (("snort3",), 'http_uri; pcre:"/curl/";', GET, False),
    (("snort3",), 'http_uri; pcre:"/q=a b$/";', GET, True),
    # lengths: the URI of GET is 27 bytes as sent, 25 normalised
    (("snort2",), "urilen:28;", GET, False),
    (("snort2",), "urilen:26<>28;", GET, True),
    (("snort2",), "urilen:27<>40;", GET, True),
    (("snort2",), "urilen:20<>27;", GET, True),
    (("suricata",), "urilen:25<>40;", GET, False),
    (("suricata",), "urilen:20<>25;", GET, False),
    (("suricata",), "urilen:24<>26;", GET, True),
    (("snort2",), "urilen:27;", GET, True),
    (("suricata",), "urilen:25;", GET, True),
    (("snort2",), "urilen:25,norm;", GET, True),
    (("suricata",), "urilen:27,raw;", GET, True),
    (OLD, "urilen:>20;", GET, True),
    (OLD, "urilen:<20;", GET, False),
    (("suricata",), "http.uri; bsize:25;", GET, True),
    (("suricata",), "http.uri; bsize:>25;", GET, False),
    (("suricata",), "http.uri; bsize:24<>26;", GET, True),
    (("suricata",), "http.uri; bsize:25<>26;", GET, False),
    (("snort3",), "http_uri; bufferlen:25;", GET, True),
    (("snort3",), "http_uri; bufferlen:25<>26;", GET, False),
    (("snort3",), "http_uri; bufferlen:25<=>26;", GET, True),
    (("snort3",), "http_uri; bufferlen:>=26;", GET, False),
    # data behind a place: "pass=" is followed by 3 bytes
    (ALL, 'content:"pass="; isdataat:2,relative;', POST, True),
    (("suricata",), 'content:"pass="; isdataat:3,relative;', POST, True),
    (("snort2", "snort3"), 'content:"pass="; isdataat:3,relative;', POST, False),
    (ALL, 'content:"pass="; isdataat:4,relative;', POST, False),
    (ALL, 'content:"pass="; isdataat:!4,relative;', POST, True),
    (("suricata",), 'content:"y|7c|z"; isdataat:!1,relative;', POST, True),
    (("snort2", "snort3"), 'content:"y|7c|z"; isdataat:!0,relative;', POST, True),
    (("suricata",), 'content:"y|7c|"; isdataat:!1,relative;', POST, False),
    (("suricata",), "http.request_body; isdataat:14;", POST, True),
    (("suricata",), "http.request_body; isdataat:15;", POST, False),
    (("suricata",), 'content:"user="; http_client_body; isdataat:11,relative;', POST, False),
    # hints and remarks change nothing
    (OLD, 'content:"Shop"; content:"item"; fast_pattern:only; rawbytes;', GET, True),
    (("snort2",), 'content:"Shop"; fast_pattern:1,2;', GET, True),
    (
        ALL,
        'content:"Shop"; reference:url,example.org/a; metadata:x y, z; priority:3; tag:session,1,packets;',
        GET,
        True,
    ),
    (
        ("suricata",),
        'content:"Shop"; target:dest_ip; threshold:type limit, track by_src, count 1, seconds 60;',
        GET,
        True,
    ),
    (("snort2",), 'content:"Shop"; flowbits:set,seen;', GET, True),
    (ALL, 'content:"Shop"; flow:to_server,established,only_stream;', GET, True),
    (("snort3",), 'service:http; content:"Shop"; rem:"why";', GET, True),
]


@pytest.mark.parametrize(
    ("dialect", "options", "request_bytes", "expected"),
    [(dialect, *case[1:]) for case in CASES for dialect in case[0]],
    ids=[f"{dialect}-{case[1]}-{case[3]}" for case in CASES for dialect in case[0]],
)
def test_meaning(documented, dialect, options, request_bytes, expected):
    rule = documented(f'alert tcp any any -> $HTTP_SERVERS any (msg:"m"; {options} sid:1;)', dialect=dialect)
    assert rule["scope"] == "http"
    assert rule_reference.matches(rule, rule_reference.buffers(request_bytes)) is expected


# Facts of a segment: the option and what the document says.
SEGMENTS = [
    (ALL, "dsize:>512;", [{"kind": "dsize", "op": ">", "value": 512}]),
    (ALL, "dsize:1;", [{"kind": "dsize", "op": "=", "value": 1}]),
    (
        ("snort2",),
        "dsize:3<>9;",
        [{"kind": "dsize", "op": ">=", "value": 3}, {"kind": "dsize", "op": "<=", "value": 9}],
    ),
    (
        ("suricata", "snort3"),
        "dsize:3<>9;",
        [{"kind": "dsize", "op": ">", "value": 3}, {"kind": "dsize", "op": "<", "value": 9}],
    ),
    (ALL, "flags:SFP;", [{"kind": "flags", "set": "SFP", "mode": "="}]),
    (ALL, "flags:A+;", [{"kind": "flags", "set": "A", "mode": "+"}]),
    (ALL, "flags:+A;", [{"kind": "flags", "set": "A", "mode": "+"}]),
    (ALL, "flags:!SA;", [{"kind": "flags", "set": "SA", "mode": "!"}]),
    (ALL, "flags:S,12;", [{"kind": "flags", "set": "S", "mode": "=", "mask": "CE"}]),
    (ALL, "flags:0;", [{"kind": "flags", "set": "", "mode": "="}]),
    (ALL, "ack: 0;", [{"kind": "ack", "value": 0}]),
    (ALL, "seq:674711609;", [{"kind": "seq", "value": 674711609}]),
    (("snort2",), "flow:no_stream;", []),
    (ALL, "ttl:<5;", [{"kind": "header", "field": "ttl", "op": "<", "value": 5}]),
    (ALL, "id:!0;", [{"kind": "header", "field": "id", "op": "!=", "value": 0}]),
    (ALL, "window:1024;", [{"kind": "header", "field": "window", "op": "=", "value": 1024}]),
    (
        ("suricata",),
        "ttl:3-5;",
        [
            {"kind": "header", "field": "ttl", "op": ">", "value": 3},
            {"kind": "header", "field": "ttl", "op": "<", "value": 5},
        ],
    ),
    (
        ("snort2", "snort3"),
        "ttl:3-5;",
        [
            {"kind": "header", "field": "ttl", "op": ">=", "value": 3},
            {"kind": "header", "field": "ttl", "op": "<=", "value": 5},
        ],
    ),
    (ALL, "fragbits:D+;", [{"kind": "fragbits", "set": "D", "mode": "+"}]),
    (
        ("snort2", "snort3"),
        "tos:16; ip_proto:6;",
        [{"kind": "header", "field": "tos", "op": "=", "value": 16}],
    ),
]


@pytest.mark.parametrize(
    ("dialect", "options", "expected"), [(d, *case[1:]) for case in SEGMENTS for d in case[0]]
)
def test_facts_of_a_segment(documented, dialect, options, expected):
    rule = documented(f'alert tcp any any -> any 80 (content:"x"; {options} sid:1;)', dialect=dialect)
    assert rule["scope"] == "packet"
    assert [option for option in rule["options"] if option["kind"] != "content"] == expected


# Why a rule is not loaded: dialects, options, status, words of the reason.
NOT_LOADED = [
    (ALL, 'content:"x"; flow:to_client;', "not_applicable", "what the server sends"),
    (ALL, 'content:"x"; flow:established,from_server;', "not_applicable", "what the server sends"),
    (("snort2",), 'file_data; content:"x";', "not_applicable", "file_data looks at the server's response"),
    (
        ("snort2", "snort3"),
        'flow:to_server; file_data; content:"x";',
        "not_applicable",
        "another protocol than HTTP",
    ),
    (("suricata",), 'flow:to_client; file.data; content:"x";', "not_applicable", "server's response"),
    (("suricata",), 'http.uri; content:"x"; absent;', "broken", "absent stands behind a test"),
    (("suricata",), 'pkt_data; absent; content:"x";', "unsupported", "absent of raw"),
    (("suricata",), 'filename:"";', "broken", "filename is empty"),
    (("suricata",), 'filesize:"x";', "broken", "filesize needs"),
    (("suricata",), "app-layer-event:http.range_invalid;", "unsupported", "range_invalid"),
    (("suricata",), "app-layer-event:http.response_field_too_long;", "not_applicable", "server's response"),
    (("suricata",), 'requires:version < 8; content:"x";', "not_applicable", "requires version < 8"),
    (("suricata",), 'requires:version >= 7.0.3 < 8 | >= 9; content:"x";', "not_applicable", "requires"),
    (("suricata",), 'requires:feature geoip; content:"x";', "not_applicable", "requires feature geoip"),
    (("suricata",), 'http.stat_code; content:"200";', "not_applicable", "server's response"),
    (("suricata",), 'pcre:"/x/Q";', "not_applicable", "flag Q"),
    (("snort2",), 'content:"200"; http_stat_code;', "not_applicable", "server's response"),
    (("snort3",), 'content:"x"; service:dhcp;', "not_applicable", "for service dhcp"),
    (
        ("snort2",),
        'content:"x"; metadata:policy balanced-ips drop, service snmp;',
        "not_applicable",
        "for service snmp",
    ),
    (("suricata",), 'tls.sni; content:"x";', "not_applicable", "tls.sni"),
    (ALL, 'content:"x"; icode:0;', "not_applicable", "icode"),
    (("suricata",), 'app-layer-protocol:tls; content:"x";', "not_applicable", "app-layer-protocol"),
    (ALL, 'content:"x"; byte_test:4,>,6,2,relative,dce;', "not_applicable", "byte_test of DCE/RPC"),
    (ALL, 'content:"x"; fragbits:M;', "not_applicable", "fragments never reach"),
    (ALL, 'content:"x"; ipopts:rr;', "not_applicable", "IP options never reach"),
    (ALL, 'content:"x"; flow:not_established;', "not_applicable", "do not stand yet"),
    (ALL, 'content:"x"; fragbits:Q;', "broken", "no fragment bits"),
    (ALL, 'content:"x"; ipopts:huge;', "broken", "no IP option 'huge'"),
    (ALL, 'content:"x"; stream_size:client;', "broken", "stream_size needs"),
    (ALL, 'content:"x"; flowbits:isset,seen;', "not_applicable", "waits for flowbits seen"),
    (("suricata",), 'content:"x"; xbits:isset,seen,track ip_src;', "not_applicable", "waits for xbits seen"),
    (("suricata",), 'content:"x"; xbits:set,seen,track tx;', "unsupported", "track tx"),
    (ALL, 'content:"x"; stream_size:server,>,3;', "not_applicable", "what the server sends"),
    (("snort2", "snort3"), 'content:"x"; ip_proto:47;', "not_applicable", "another protocol than TCP"),
    (("suricata",), 'content:"x"; ip_proto:47;', "broken", "ip_proto in a rule about tcp"),
    (ALL, 'content:"x"; sameip;', "not_applicable", "sameip"),
    (ALL, 'content:"x"; threshold:type backoff,track by_src,count 2,multiplier 3;', "broken", "by_flow"),
    (ALL, 'content:"x"; threshold:type both,track by_port,count 2,seconds 9;', "broken", "by_port"),
    (ALL, 'content:"x"; byte_test:1,>;', "broken", "byte_test needs"),
    (ALL, 'content:"x"; byte_jump:4;', "broken", "byte_jump needs"),
    (ALL, 'content:"x"; byte_extract:4,0;', "broken", "byte_extract needs"),
    (ALL, 'content:"x"; byte_math:bytes 1,offset 0;', "broken", "byte_math needs"),
    (ALL, 'content:"x"; byte_jump:4,0,sideways;', "broken", "no argument 'sideways'"),
    (ALL, 'content:"x"; base64_data; content:"y";', "broken", "no base64_decode before it"),
    (ALL, 'content:"x"; flowbits:explode,y;', "broken", "no command 'explode'"),
    (ALL, 'content:"x"; frobnicate:1;', "unsupported", "frobnicate (no known option)"),
    (ALL, "flags:S;", "not_applicable", "segments without payload"),
    (ALL, 'dsize:0; content:!"x";', "not_applicable", "segments without payload"),
    (("suricata",), 'flow:no_stream; http.uri; content:"x";', "unsupported", "buffers of single segments"),
    (("suricata",), 'http.host; tld; content:".x";', "unsupported", "tld"),
    (("suricata",), 'http.host; content:"a"; dotprefix; content:"x";', "unsupported", "behind what is asked"),
    (("suricata",), 'http.host; xor:"0g"; content:"x";', "broken", "no key in hexadecimal"),
    (("suricata",), 'pkt_data; to_md5; content:"x";', "unsupported", "to_md5 of bytes of a packet"),
    (("snort3",), 'http_header:field x-own; content:"x";', "unsupported", "http_header:field x-own"),
    (("snort2",), 'pcre:"/x/UR";', "broken", "exclude each other"),
]


@pytest.mark.parametrize(
    ("dialect", "options", "status", "reason"), [(d, *case[1:]) for case in NOT_LOADED for d in case[0]]
)
def test_why_a_rule_is_not_loaded(load, dialect, options, status, reason):
    (entry,) = load(f"alert tcp any any -> $HTTP_SERVERS any ({options} sid:1;)", dialect=dialect).entries
    assert (entry.status, entry.action) == (status, "")
    assert reason in entry.reason


def test_pcre_relative_in_a_named_buffer_is_suricatas(documented):
    rule = documented('alert tcp any any -> any any (uricontent:"a"; pcre:"/b/UR"; sid:1;)')
    assert rule["options"][1]["relative"] and rule["options"][1]["buffer"] == "http_uri"


def test_contents_keep_bytes_that_are_no_text(documented):
    rule = documented(b'alert tcp any any -> any any (content:"\xff\xe9|00 ff|"; sid:1;)')
    assert rule["options"][0]["bytes"] == "ffe900ff"


def test_messages_are_utf8_when_they_can_be(documented):
    text = 'alert tcp any any -> any any (msg:"a\\;b \\"grün\\""; content:"x"; sid:1;)'
    assert documented(text.encode())["msg"] == 'a;b "grün"'
    assert documented(text.encode("latin-1"))["msg"] == 'a;b "grün"'
