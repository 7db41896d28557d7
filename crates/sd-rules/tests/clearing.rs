// SPDX-License-Identifier: Apache-2.0
//! What the tables clear matches nothing; and what they should clear they do.

mod common;

use common::{content, document, fuzz, rule};
use proptest::prelude::*;
use sd_rules::clearing::{Refused, Verdict, Why};
use sd_rules::RuleSet;
use serde_json::json;

fn set(rules: Vec<serde_json::Value>) -> RuleSet {
    RuleSet::from_json(&document(rules)).unwrap().0
}

const PLAIN: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\n\r\n";

#[test]
fn what_is_cleared_matches_nothing() {
    for dialect in ["snort2", "snort3", "suricata"] {
        let (rules, tables) = fuzz::clearing_rules(dialect);
        let cleared = std::cell::Cell::new(0u32);
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_200) };
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
    assert_eq!(tables.judge(PLAIN), Verdict::Cleared);
    let attack = b"GET /cgi-bin/PHF?x HTTP/1.1\r\nHost: www.example.org\r\n\r\n";
    assert_eq!(tables.judge(attack), Verdict::Travels);
    assert!(matches!(tables.why(attack), Some(Why::Rules(_, rules)) if rules == [0]));
    // In another place it is not the rule's.
    assert_eq!(tables.judge(b"GET / HTTP/1.1\r\nHost: a.example\r\nReferer: http://b/phf\r\n\r\n"), Verdict::Cleared);
}

#[test]
fn rules_that_plain_requests_cannot_match_cost_nothing() {
    let post = vec![content("http_method", b"POST", json!({})), content("http_uri", b"/", json!({}))];
    let body = vec![content("http_client_body", b"/", json!({})), content("http_uri", b"/", json!({}))];
    let encoded = vec![content("http_raw_uri", b"%2e", json!({}))];
    let tables = set(vec![rule(1, post), rule(2, body), rule(3, encoded)]).clearing(1 << 22).unwrap();
    assert_eq!((tables.summary.never, tables.summary.sought), (3, 0));
    assert_eq!(tables.judge(PLAIN), Verdict::Cleared);
}

#[test]
fn a_rule_without_a_content_clears_nothing() {
    let long = vec![json!({"kind": "urilen", "buffer": "http_uri", "op": ">", "value": 500})];
    let refused = set(vec![rule(1, vec![content("http_uri", b"/phf", json!({}))]), rule(2, long)]).clearing(1 << 22);
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
    assert_eq!(tables.judge(PLAIN), Verdict::Cleared);
    assert_eq!(tables.judge(b"GET /admin HTTP/1.1\r\nHost: www.example.org\r\n\r\n"), Verdict::Travels);
}

#[test]
fn files_and_oddities_are_in_no_plain_request() {
    let odd = |sid: u32| rule(sid, vec![json!({"kind": "oddity", "sids": [sid]})]);
    let file = rule(1, vec![content("http_file_data", b"/", json!({}))]);
    let tables = set(vec![odd(4), odd(26), file]).clearing(1 << 22).unwrap();
    assert_eq!((tables.summary.never, tables.summary.sought), (3, 0));
    assert_eq!(tables.judge(PLAIN), Verdict::Cleared);
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
        assert_eq!(tables.judge(PLAIN), Verdict::Cleared);
        assert_eq!(tables.judge(b"GET /a HTTP/1.0\r\nHost: www.example.org\r\n\r\n"), Verdict::Cleared);
        for target in ["/HTTP/2.0abcdef", "/HTTP/1.0abcdef", "/HTTP/1.1abcdef", "/HTTP/1.", "/HTTP/1.1"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: www.example.org\r\n\r\n");
            let verdict = if blank { Verdict::Cleared } else { Verdict::Travels };
            assert_eq!(tables.judge(request.as_bytes()), verdict, "{target}");
            let header = format!("GET / HTTP/1.1\r\nHost: www.example.org\r\nVia: a {}\r\n\r\n", &target[1..]);
            assert_eq!(tables.judge(header.as_bytes()), Verdict::Travels, "{target}");
        }
        // What both a blank and a plus are may not be told by one.
        let plus = "GET /a+HTTP/2.0 HTTP/1.1\r\nHost: www.example.org\r\n\r\n";
        assert_eq!(tables.judge(plus.as_bytes()), Verdict::Travels);
    }
    // Something between moves on, or something else may stand there: nothing is known.
    for between in [content("raw", b"x", json!({"distance": 0})), not(b"a", 1)] {
        let refused = set(vec![rule(1, vec![name(b"HTTP/"), between, not(b"\n", 3)])]).clearing(1 << 22);
        let judged = refused.map(|tables| tables.judge(PLAIN));
        assert!(judged != Ok(Verdict::Cleared), "{judged:?}");
    }
}

#[test]
fn an_expression_is_looked_for_as_far_as_it_can_be_written_out() {
    let expression = json!({"kind": "pcre", "buffer": "raw", "pattern": "^MODE\\s+[^ABSC]{1}".bytes()
        .map(|byte| format!("{byte:02x}")).collect::<String>(), "nocase": true, "dotall": true, "multiline": true});
    let word = content("raw", b"MODE", json!({"nocase": true}));
    let tables = set(vec![rule(1, vec![word, expression])]).clearing(1 << 22).unwrap();
    let with = |header: &str| format!("GET / HTTP/1.1\r\nHost: a.example\r\n{header}\r\n\r\n").into_bytes();
    assert_eq!(tables.judge(&with("Sec-Fetch-Mode: navigate")), Verdict::Cleared);
    assert_eq!(tables.judge(&with("X: a mode of b")), Verdict::Cleared);
    let line = json!({"kind": "pcre", "buffer": "raw", "pattern": "^(GET /a|X-Mode:) ".bytes()
        .map(|byte| format!("{byte:02x}")).collect::<String>(), "multiline": true});
    let tables = set(vec![rule(1, vec![line])]).clearing(1 << 22).unwrap();
    assert_eq!(tables.judge(&with("X-Mode: b")), Verdict::Travels);
    assert_eq!(tables.judge(&with("XX-Mode: b")), Verdict::Cleared);
    assert_eq!(tables.judge(b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"), Verdict::Travels);
    // Names stand in their buffer without what follows them in the request.
    let names = json!({"kind": "pcre", "buffer": "http_header_names", "pattern": "x-odd\\s".bytes()
        .map(|byte| format!("{byte:02x}")).collect::<String>(), "nocase": true});
    let refused = set(vec![rule(1, vec![names])]).clearing(1 << 22);
    assert!(refused.is_err() || refused.unwrap().judge(&with("X-Odd: b")) == Verdict::Travels);
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
    assert_eq!(set(vec![other]).clearing(1 << 22).unwrap().judge(PLAIN), Verdict::Cleared);
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
                if tables.judge(request.as_bytes()) == Verdict::Cleared {
                    cleared += 1;
                    assert!(common::judge(&set, request.as_bytes()).iter().all(|id| id.0 != 1), "{request}");
                }
            }
        }
        // Most of what has no odd value.
        assert!(cleared > ordinary.len() * ordinary.len(), "{cleared}");
    }
}
