// SPDX-License-Identifier: Apache-2.0
//! What the tables clear matches nothing; and what they should clear they do.

mod common;

use common::{content, document, fuzz, rule};
use proptest::prelude::*;
use sd_rules::clearing::{Refused, Tables, Verdict, Why, TESTS};
use sd_rules::{PacketFacts, RuleSet, Scratch, Transaction};
use serde_json::json;

fn set(rules: Vec<serde_json::Value>) -> RuleSet {
    RuleSet::from_json(&document(rules)).unwrap().0
}

/// A request in a segment of whose headers nobody asks.
fn sent(request: &[u8]) -> PacketFacts<'_> {
    PacketFacts { payload: request, ..PacketFacts::default() }
}

fn judged(tables: &Tables, request: &[u8]) -> Verdict {
    tables.judge(&sent(request))
}

const PLAIN: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\n\r\n";

#[test]
fn what_is_cleared_matches_nothing() {
    for dialect in ["snort2", "snort3", "suricata"] {
        let (rules, tables) = fuzz::clearing_rules(dialect);
        let cleared = std::cell::Cell::new(0u32);
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) };
        proptest!(config, |(input in proptest::collection::vec(any::<u8>(), 2..16))| {
            cleared.set(cleared.get() + u32::from(fuzz::clearing(&rules, &tables, &input)));
        });
        assert!(cleared.get() > 50, "{dialect}: only {} requests were plain", cleared.get());
    }
}

#[test]
fn the_content_decides() {
    let tables =
        set(vec![rule(7, vec![content("http_uri", b"/phf", json!({"nocase": true}))])]).clearing(1 << 22).unwrap();
    assert_eq!(judged(&tables, PLAIN), Verdict::Cleared);
    let attack = b"GET /cgi-bin/PHF?x HTTP/1.1\r\nHost: www.example.org\r\n\r\n";
    assert_eq!(judged(&tables, attack), Verdict::Travels);
    assert!(matches!(tables.why(&sent(attack)), Some(Why::Rules(_, rules)) if rules == [0]));
    // In another place it is not the rule's.
    assert_eq!(
        judged(&tables, b"GET / HTTP/1.1\r\nHost: a.example\r\nReferer: http://b/phf\r\n\r\n"),
        Verdict::Cleared
    );
}

#[test]
fn rules_that_plain_requests_cannot_match_cost_nothing() {
    let post = vec![content("http_method", b"POST", json!({})), content("http_uri", b"/", json!({}))];
    let body = vec![content("http_client_body", b"/", json!({})), content("http_uri", b"/", json!({}))];
    let encoded = vec![content("http_raw_uri", b"%2e", json!({}))];
    let tables = set(vec![rule(1, post), rule(2, body), rule(3, encoded)]).clearing(1 << 22).unwrap();
    assert_eq!((tables.summary.never, tables.summary.sought), (3, 0));
    assert_eq!(judged(&tables, PLAIN), Verdict::Cleared);
}

#[test]
fn a_request_without_headers_is_not_plain() {
    let none = |more: serde_json::Value| vec![content("raw", b"GET / HTTP/1.1\r\n\r\n", more)];
    let home = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let tables = set(vec![rule(1, none(json!({"depth": 18})))]).clearing(1 << 22).unwrap();
    assert_eq!((tables.summary.never, judged(&tables, home)), (1, Verdict::Cleared));
    // Elsewhere it may be the last header's end.
    let rules = set(vec![rule(1, none(json!({})))]);
    let odd = b"GET / HTTP/1.1\r\nHost: a.example\r\nX: GET / HTTP/1.1\r\n\r\n";
    assert_eq!(common::judge(&rules, odd).len(), 1);
    assert_eq!(judged(&rules.clearing(1 << 22).unwrap(), odd), Verdict::Travels);
}

#[test]
fn a_rule_without_a_content_clears_nothing() {
    let short = vec![json!({"kind": "urilen", "buffer": "http_uri", "op": "<", "value": 500})];
    let refused = set(vec![rule(1, vec![content("http_uri", b"/phf", json!({}))]), rule(2, short)]).clearing(1 << 22);
    assert_eq!(refused.unwrap_err(), Refused::Open { rules: vec![1] });
}

#[test]
fn what_may_be_absent_need_not_be_found() {
    let agent = content("http_user_agent", b"curl/7", json!({}));
    let absent = |or_else: bool| json!({"kind": "absent", "buffer": "http_user_agent", "or_else": or_else});
    let path = content("http_uri", b"/admin", json!({}));
    let of = |options: Vec<serde_json::Value>| set(vec![rule(1, options)]).clearing(1 << 22);
    assert_eq!(of(vec![absent(true), agent.clone()]).unwrap_err(), Refused::Open { rules: vec![0] });
    assert_eq!(of(vec![absent(false)]).unwrap_err(), Refused::Open { rules: vec![0] });
    let tables = of(vec![path, absent(true), agent]).unwrap();
    assert_eq!(judged(&tables, PLAIN), Verdict::Cleared);
    assert_eq!(judged(&tables, b"GET /admin HTTP/1.1\r\nHost: www.example.org\r\n\r\n"), Verdict::Travels);
}

#[test]
fn files_and_oddities_are_in_no_plain_request() {
    let odd = |sid: u32| rule(sid, vec![json!({"kind": "oddity", "sids": [sid]})]);
    let file = rule(1, vec![content("http_file_data", b"/", json!({}))]);
    let tables = set(vec![odd(4), odd(26), file]).clearing(1 << 22).unwrap();
    assert_eq!((tables.summary.never, tables.summary.sought), (3, 0));
    assert_eq!(judged(&tables, PLAIN), Verdict::Cleared);
    // A header may be repeated in a plain one.
    assert_eq!(set(vec![odd(59)]).clearing(1 << 22).unwrap_err(), Refused::Open { rules: vec![0] });
}

#[test]
fn a_protocol_s_name_is_looked_for_where_it_does_not_belong() {
    let not = |bytes: &[u8], within: u32| content("raw", bytes, json!({"negated": true, "within": within}));
    let name = |bytes| content("raw", bytes, json!({"nocase": true, "depth": 300}));
    let versions = vec![name(b" HTTP/"), not(b"0.9", 3), not(b"1.0", 3), not(b"1.1", 3)];
    for options in [versions, vec![name(b"HTTP/"), not(b"\n", 5)]] {
        let blank = options.len() == 4;
        let rules = set(vec![rule(1, options)]);
        let tables = rules.clearing(1 << 22).unwrap();
        assert_eq!(judged(&tables, PLAIN), Verdict::Cleared);
        assert_eq!(judged(&tables, b"GET /a HTTP/1.0\r\nHost: www.example.org\r\n\r\n"), Verdict::Cleared);
        for target in ["/HTTP/2.0abcdef", "/HTTP/1.0abcdef", "/HTTP/1.1abcdef", "/HTTP/1.", "/HTTP/1.1"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: www.example.org\r\n\r\n");
            let verdict = if blank { Verdict::Cleared } else { Verdict::Travels };
            assert_eq!(judged(&tables, request.as_bytes()), verdict, "{target}");
            let header = format!("GET / HTTP/1.1\r\nHost: www.example.org\r\nVia: a {}\r\n\r\n", &target[1..]);
            assert_eq!(judged(&tables, header.as_bytes()), Verdict::Travels, "{target}");
        }
        // What both a blank and a plus are may not be told by one.
        let plus = "GET /a+HTTP/2.0 HTTP/1.1\r\nHost: www.example.org\r\n\r\n";
        assert_eq!(judged(&tables, plus.as_bytes()), Verdict::Travels);
    }
    // Something between moves on, or something else may stand there: nothing is known.
    for between in [content("raw", b"x", json!({"distance": 0})), not(b"a", 1)] {
        let refused = set(vec![rule(1, vec![name(b"HTTP/"), between, not(b"\n", 3)])]).clearing(1 << 22);
        let verdict = refused.map(|tables| judged(&tables, PLAIN));
        assert!(verdict != Ok(Verdict::Cleared), "{verdict:?}");
    }
}

#[test]
fn an_expression_is_looked_for_as_far_as_it_can_be_written_out() {
    let expression = json!({"kind": "pcre", "buffer": "raw", "pattern": "^MODE\\s+[^ABSC]{1}".bytes()
        .map(|byte| format!("{byte:02x}")).collect::<String>(), "nocase": true, "dotall": true, "multiline": true});
    let word = content("raw", b"MODE", json!({"nocase": true}));
    let tables = set(vec![rule(1, vec![word, expression])]).clearing(1 << 22).unwrap();
    let with = |header: &str| format!("GET / HTTP/1.1\r\nHost: a.example\r\n{header}\r\n\r\n").into_bytes();
    assert_eq!(judged(&tables, &with("Sec-Fetch-Mode: navigate")), Verdict::Cleared);
    assert_eq!(judged(&tables, &with("X: a mode of b")), Verdict::Cleared);
    let line = json!({"kind": "pcre", "buffer": "raw", "pattern": "^(GET /a|X-Mode:) ".bytes()
        .map(|byte| format!("{byte:02x}")).collect::<String>(), "multiline": true});
    let tables = set(vec![rule(1, vec![line])]).clearing(1 << 22).unwrap();
    assert_eq!(judged(&tables, &with("X-Mode: b")), Verdict::Travels);
    assert_eq!(judged(&tables, &with("XX-Mode: b")), Verdict::Cleared);
    assert_eq!(judged(&tables, b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"), Verdict::Travels);
    // Names stand in their buffer without what follows them in the request.
    let names = json!({"kind": "pcre", "buffer": "http_header_names", "pattern": "x-odd\\s".bytes()
        .map(|byte| format!("{byte:02x}")).collect::<String>(), "nocase": true});
    let refused = set(vec![rule(1, vec![names])]).clearing(1 << 22);
    assert!(refused.is_err() || judged(&refused.unwrap(), &with("X-Odd: b")) == Verdict::Travels);
}

#[test]
fn what_only_a_long_line_matches_is_no_matter_in_a_short_one() {
    let lines = json!({"nocase": true, "multiline": true});
    let long = |sid: u32, pattern: &[u8]| rule(sid, vec![common::pcre("raw", pattern, lines.clone())]);
    let rules =
        set(vec![long(1, b"^Host[^\\r\\n]{100,}"), long(2, b"^Accept[^\\r\\n]{200,}"), long(3, b"/a\\?[^\\n]{100}")]);
    let tables = rules.clearing(1 << 22).unwrap();
    let mut cleared = 0;
    for n in 0..120 {
        for request in [
            format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(n + 1)),
            format!("GET / HTTP/1.1\r\nHost: a\r\nAccept: {}\r\n\r\n", "a".repeat(n + 100)),
            format!("GET / HTTP/1.1\r\nX: {}\r\nHost: a\r\n\r\n", "a".repeat(n + 200)),
            format!("GET /a?{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(n)),
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(n)),
        ] {
            let packet = sent(request.as_bytes());
            let found = !common::judge(&rules, request.as_bytes()).is_empty();
            let travels = tables.judge(&packet) == Verdict::Travels;
            assert!(travels || !found, "{request}");
            assert_eq!(matches!(tables.why(&packet), Some(Why::Rules(..))), travels, "{request}");
            cleared += usize::from(!travels);
            // So near to what matches are those that travel in vain.
            assert!(
                found || !travels || ["/a?", "Accept"].iter().any(|one| request.contains(one)) || n > 80,
                "{request}"
            );
        }
    }
    assert!(cleared > 400, "{cleared}");
}

#[test]
fn tables_have_a_bound() {
    let refused = set(vec![rule(1, vec![content("http_uri", b"/phf", json!({}))])]).clearing(1_000);
    assert!(matches!(refused, Err(Refused::TooLarge { limit: 1_000 })));
}

#[test]
fn another_port_s_rules_are_not_looked_for() {
    let mut other = rule(1, vec![content("raw", b"index", json!({}))]);
    other["dst_ports"] = json!([[8080, 8080]]);
    assert_eq!(judged(&set(vec![other]).clearing(1 << 22).unwrap(), PLAIN), Verdict::Cleared);
}

/// What the matcher finds in a segment with a request.
fn found(rules: &RuleSet, packet: &PacketFacts<'_>) -> usize {
    let (mut out, mut scratch, mut transaction) = (Vec::new(), Scratch::default(), Transaction::default());
    fuzz::judge_segment(rules, &mut transaction, &mut scratch, packet, &mut out);
    out.len()
}

/// Of a client at 198.51.100.1; the fields that no argument names are a usual segment's.
fn ip(source: [u8; 4], ttl: u8, id: u8, bits: u8) -> Vec<u8> {
    [&[0x45, 8, 0, 0, 0, id, bits, 0, ttl, 6, 0, 0], &source[..], &[192, 0, 2, 100]].concat()
}

#[test]
fn guards_hold_on_their_side_of_a_boundary() {
    const CLIENT: [u8; 4] = [198, 51, 100, 1];
    let header =
        |field: &str, op: &str, value: u32| vec![json!({"kind": "header", "field": field, "op": op, "value": value})];
    let one = |kind: &str, key: &str, value: serde_json::Value| vec![json!({"kind": kind, key: value})];
    let length = |kind: &str, buffer: &str, op: &str, value: u32| {
        vec![json!({"kind": kind, "buffer": buffer, "op": op, "value": value})]
    };
    let of = |options: Vec<serde_json::Value>, packet: bool| {
        let mut rule = rule(1, options);
        rule["every"] = json!(true);
        if packet {
            rule["scope"] = json!("packet");
        }
        rule
    };
    let from = |ports: serde_json::Value, sources: serde_json::Value| {
        let mut rule = of(vec![], false);
        (rule["src_ports"], rule["sources"]) = (ports, sources);
        rule
    };
    let usual = ip(CLIENT, 64, 7, 0x40);
    let plain = PacketFacts {
        payload: PLAIN,
        flags: 0x18,
        seq: 9,
        ack: 5,
        window: 100,
        src_port: 6000,
        dst_port: 80,
        ip: &usual,
        ..PacketFacts::default()
    };
    let long = [&PLAIN[..PLAIN.len() - 2], b"X: y\r\n\r\n"].concat();
    let other_ip =
        [ip([198, 51, 101, 1], 64, 7, 0x40), ip(CLIENT, 65, 7, 0x40), ip(CLIENT, 64, 8, 0x40), ip(CLIENT, 64, 7, 0)];
    let at = |n: usize| PacketFacts { ip: &other_ip[n], ..plain };
    let size = PLAIN.len() as u32;
    let port = PacketFacts { src_port: 6001, ..plain };
    let longer = PacketFacts { payload: &long, ..plain };
    let lists = json!({"in": ["198.51.100.0/24", "2001:db8::/32", "10.0.0.1-10.0.0.9"], "not": ["198.51.100.128/25"]});
    // A rule, and segments of which the first is the rule's and the second is not.
    for (rule, mine, other) in [
        (from(json!([[20, 20], [5990, 6000]]), json!(null)), plain, port),
        (from(json!(null), lists.clone()), plain, at(0)),
        (from(json!(null), json!({"in": [], "not": ["198.51.101.0/24"]})), plain, at(0)),
        (from(json!([[6000, 6000]]), lists.clone()), plain, port),
        (from(json!([[6000, 6000]]), lists), plain, at(0)),
        (of(header("ttl", "<", 65), true), plain, at(1)),
        (of(header("ttl", "!=", 65), false), plain, at(1)),
        (of(header("id", "=", 7), true), plain, at(2)),
        (of(header("window", "<=", 100), true), plain, PacketFacts { window: 101, ..plain }),
        (of(one("ack", "value", json!(5)), true), plain, PacketFacts { ack: 6, ..plain }),
        (of(one("seq", "value", json!(9)), true), plain, PacketFacts { seq: 8, ..plain }),
        (of(one("flags", "set", json!("PA")), true), plain, PacketFacts { flags: 0x10, ..plain }),
        (of(one("fragbits", "set", json!("D")), true), plain, at(3)),
        (of(vec![json!({"kind": "dsize", "op": "<=", "value": size})], true), plain, longer),
        (of(vec![json!({"kind": "dsize", "op": ">", "value": size})], false), longer, plain),
        (of(length("bsize", "raw", ">", size), false), longer, plain),
        (of(vec![json!({"kind": "isdataat", "buffer": "raw", "value": size})], false), longer, plain),
    ] {
        let name = rule.to_string();
        let rules = set(vec![rule]);
        let tables = rules.clearing(1 << 22).unwrap();
        assert_eq!((tables.summary.guarded, tables.summary.sought), (1, 0), "{name}");
        assert_eq!((found(&rules, &mine), found(&rules, &other)), (1, 0), "{name}");
        assert_eq!(tables.judge(&mine), Verdict::Travels, "{name}");
        assert_eq!(tables.why(&mine), Some(Why::Guarded(vec![0])), "{name}");
        assert_eq!((tables.judge(&other), tables.why(&other)), (Verdict::Cleared, None), "{name}");
    }
    // A target cannot be longer than its request, and what nobody sends so costs nothing.
    let tables = set(vec![of(length("urilen", "http_uri", ">", size - 17), false)]).clearing(1 << 22).unwrap();
    assert_eq!((tables.judge(&plain), tables.judge(&longer)), (Verdict::Cleared, Verdict::Travels));
    for never in [
        of(one("flags", "set", json!("S")), true),
        of(header("protocol", "=", 17), false),
        of(vec![json!({"kind": "dsize", "op": ">", "value": 2048})], true),
        of(one("ipopts", "value", json!(7)), true),
        from(json!(null), json!({"in": ["2001:db8::/32"], "not": []})),
    ] {
        let tables = set(vec![never.clone()]).clearing(1 << 22).unwrap();
        assert_eq!((tables.summary.never, tables.judge(&plain)), (1, Verdict::Cleared), "{never}");
    }
}

#[test]
fn several_guards_are_asked_one_after_the_other_up_to_a_bound() {
    let rules = |ports: std::ops::Range<u16>| -> Vec<serde_json::Value> {
        let of = |port: u16| {
            let mut rule = rule(u32::from(port), vec![]);
            (rule["src_ports"], rule["every"]) = (json!([[port, port], [port + 5000, port + 5000]]), json!(true));
            rule
        };
        ports.step_by(2).map(of).collect()
    };
    let tables = set(rules(1000..1040)).clearing(1 << 22).unwrap();
    for port in 990..1050 {
        let verdict = |port| tables.judge(&PacketFacts { src_port: port, ..sent(PLAIN) });
        let wanted = if (1000..1040).contains(&port) && port % 2 == 0 { Verdict::Travels } else { Verdict::Cleared };
        assert_eq!((verdict(port), verdict(port + 5000)), (wanted, wanted), "{port}");
    }
    let refused = set(rules(1000..1000 + TESTS as u16 + 2)).clearing(1 << 22);
    assert_eq!(refused.unwrap_err(), Refused::Open { rules: vec![TESTS as u32 / 2] });
    // What is rarer than any guard is looked for, and what is not is not.
    for (text, guarded) in [(&b"/very-rare-name.cgi"[..], 0), (b"/", 1)] {
        let mut both = rule(1, vec![content("http_uri", text, json!({}))]);
        both["src_ports"] = json!([[6000, 6000]]);
        assert_eq!(set(vec![both]).clearing(1 << 22).unwrap().summary.guarded, guarded);
    }
}

#[test]
fn a_rule_that_waits_for_a_bit_of_the_connection_costs_nothing() {
    let bit = |command: &str, bits: &[&str]| json!({"kind": "flowbits", "command": command, "bits": bits});
    let setter = rule(1, vec![content("raw", b"NICK ", json!({"depth": 5})), bit("set", &["irc"])]);
    let rules = set(vec![setter.clone(), rule(2, vec![bit("isset", &["irc"])])]);
    let tables = rules.clearing(1 << 22).unwrap();
    assert_eq!((tables.summary.bits, tables.judge(&sent(PLAIN))), (1, Verdict::Cleared));
    assert_eq!(judged(&tables, b"GET /a?NICK%20 HTTP/1.1\r\nHost: a.example\r\n\r\n"), Verdict::Travels);
    for open in [bit("isnotset", &["irc"]), bit("isset", &[])] {
        let refused = set(vec![setter.clone(), rule(2, vec![open])]).clearing(1 << 22);
        assert_eq!(refused.unwrap_err(), Refused::Open { rules: vec![1] });
    }
}

/// Values of repeated headers are joined by commas: what is looked for may begin in one line and end in another.
#[test]
fn what_stands_in_joined_values_travels() {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let expression = json!({"kind": "pcre", "buffer": "http_header_snort3", "nocase": true, "multiline": true,
        "pattern": hex(r"^X-A:\x20*[^\r\n]*\x2c[\x20\x09]*\x2c")});
    let rules = [
        rule(1, vec![content("http_header_snort3", b"x-a:", json!({"nocase": true})), expression]),
        rule(2, vec![content("http_header", b"one, two, three", json!({}))]),
        rule(3, vec![content("http_header", b", +, x", json!({}))]),
    ];
    let lines = |values: &[&str]| values.iter().map(|value| format!("X-A: {value}\r\n")).collect::<String>();
    let ordinary = ["gzip, deflate", "one", "two", "three", "one, two", "x", "a,b"];
    let odd = ["one, two, three", "two, three", ",", ",x", "x,", "+", "+, x", ", +, x", ", ,", "a, , b", "a,,"];
    for of in rules {
        let set = set(vec![of]);
        let tables = set.clearing(1 << 22).unwrap();
        let mut cleared = 0;
        for first in ordinary.iter().chain(&odd) {
            for more in ordinary.iter().chain(&odd).flat_map(|second| [vec![*second], vec![*second, "x"], vec![]]) {
                let values = [&[*first], more.as_slice()].concat();
                let request = format!("GET / HTTP/1.1\r\nHost: a.example\r\n{}\r\n", lines(&values));
                if judged(&tables, request.as_bytes()) == Verdict::Cleared {
                    cleared += 1;
                    assert!(common::judge(&set, request.as_bytes()).iter().all(|id| id.0 != 1), "{request}");
                }
            }
        }
        // Most of what has no odd value.
        assert!(cleared > ordinary.len() * ordinary.len(), "{cleared}");
    }
}
