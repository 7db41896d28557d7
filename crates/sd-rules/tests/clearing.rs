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
