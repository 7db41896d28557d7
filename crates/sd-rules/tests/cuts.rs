// SPDX-License-Identifier: Apache-2.0
//! What a rule that reads numbers, decodes or remembers says does not depend on how a request was cut.

mod common;

use std::sync::Arc;

use common::{chunked, compile, content, get, ids, judge, judge_stream, post, rule};
use sd_rules::{Limits, RuleSet, RuleState, Scratch, Transaction};
use serde_json::{json, Value};

fn of(dialect: &str, options: Vec<Value>) -> RuleSet {
    let mut one = rule(1, options);
    one["dialect"] = json!(dialect);
    compile(vec![one])
}

/// The verdict is `expected` for each cut, whether the parts are judged as they come or not.
fn check(set: &RuleSet, stream: &[u8], expected: bool) {
    for now in [false, true] {
        for cut in 0..=stream.len() {
            let outcome = judge_stream(set, &Limits::default(), stream, &[cut], |_| now);
            let found = outcome.requests.iter().any(|one| one.contains(&(1, 1)));
            assert_eq!(found, expected, "{} cut at {cut}", stream.escape_ascii());
        }
    }
}

#[test]
fn byte_options() {
    let buffer = "http_client_body";
    let set = of(
        "suricata",
        vec![
            content(buffer, b"len:", json!({})),
            json!({"kind": "byte_extract", "buffer": buffer, "bytes": 1, "name": "n", "relative": true}),
            json!({"kind": "byte_test", "buffer": buffer, "bytes": 1, "op": "=", "value": 0x2a, "relative": true}),
            json!({"kind": "byte_jump", "buffer": buffer, "bytes": 1, "offset": 1, "relative": true}),
            content(buffer, b"end", json!({"distance": "n", "within": 3})),
        ],
    );
    check(&set, &post(b"len:\x02*\x03abcxyend"), true);
    check(&set, &post(b"len:\x02*\x03abcxend"), false);
    check(&set, &post(b"len:\x09 len:\x02*\x03abcxyend"), true);
    check(&set, &chunked(&[b"len:\x02*\x03a", b"bcxyend"]), true);
}

#[test]
fn numbers_as_text_are_read_to_their_end() {
    let number = json!({"kind": "byte_test", "buffer": "raw", "bytes": 5, "op": ">", "value": 100, "relative": true,
        "base": "dec"});
    let set = of("suricata", vec![content("raw", b"n=", json!({})), number]);
    check(&set, &post(b"n=00101&"), true);
    check(&set, &post(b"n=100&"), false);
}

#[test]
fn a_decoded_body() {
    let set = of("snort3", vec![content("http_client_body", b"<script>", json!({}))]);
    check(&set, &post(b"a=%3Cscript%3e&b"), true);
    check(&set, &post(b"a=%3Cscript%3"), false);
    let set = of("snort3", vec![content("http_client_body", b"100%", json!({"endswith": true}))]);
    check(&set, &post(b"a=100%"), true);
}

#[test]
fn base64() {
    let inner = content("raw", b"evil", json!({}));
    let decode = json!({"kind": "base64_decode", "buffer": "raw", "relative": true, "options": [inner]});
    let set = of("suricata", vec![content("raw", b"data:", json!({})), decode]);
    check(&set, &post(b"data:cnVuIGV2aWw=\r\n"), true);
    check(&set, &post(b"data:evil"), false);
}

#[test]
fn bits_of_a_connection() {
    let bits = |command: &str| json!({"kind": "flowbits", "command": command, "bits": ["seen"]});
    let mut setter = rule(2, vec![content("http_uri", b"/login", json!({})), bits("set")]);
    setter["silent"] = json!(true);
    let asking = rule(1, vec![content("http_uri", b"/admin", json!({})), bits("isset")]);
    let set = compile(vec![asking, setter]);
    check(&set, &[get("/login"), get("/admin")].concat(), true);
    check(&set, &[get("/admin"), get("/login")].concat(), false);
    assert!(judge(&set, &get("/login")).is_empty(), "a silent rule is not reported");
}

#[test]
fn counts_go_over_the_connections_of_a_source() {
    let count = json!({"kind": "count", "how": "both", "count": 3, "seconds": 60, "track": "source"});
    let set = compile(vec![rule(1, vec![content("http_uri", b"/x", json!({})), count])]);
    let state = Arc::new(RuleState::new(100));
    let mut scratch = Scratch::default();
    let mut ask = |address: Option<u128>| {
        let mut transaction = Transaction::default();
        if let Some(address) = address {
            transaction.set_source(&state, address);
        }
        let mut found = Vec::new();
        transaction.advance(&set, &Limits::default(), &mut scratch, &get("/x"), false, &mut found);
        ids(&set, &found).len()
    };
    assert_eq!([1, 1, 2, 1, 1].map(|source| ask(Some(source))), [0, 0, 0, 1, 0]);
    state.set_time(60_000);
    assert_eq!([1, 1, 1].map(|source| ask(Some(source))), [0, 0, 1]);
    // Nobody said whose it is: it cannot be counted.
    assert_eq!([None, None, None].map(&mut ask), [0, 0, 0]);
}

#[test]
fn values_of_another_buffer_are_refused() {
    let extract = json!({"kind": "byte_extract", "buffer": "http_uri", "bytes": 1, "name": "n"});
    let options = vec![extract, content("raw", b"a", json!({"offset": "n"}))];
    let (_, refused) = RuleSet::from_json(&common::document(vec![rule(1, options)])).unwrap();
    assert!(refused[0].1.contains("\"n\" has no value"), "{refused:?}");
}
