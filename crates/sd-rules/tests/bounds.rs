// SPDX-License-Identifier: Apache-2.0
//! Requests made to be expensive reach the bound on work, which is reported as a rule that diverts.

mod common;

use common::{compile, content, get, judge, pcre, post, rule};
use sd_rules::http::decoder::GID;
use sd_rules::{Action, RuleSet, Transaction};
use serde_json::json;

const WORK_BOUND: (u32, u32) = (GID, 45);
const BODY: &str = "http_client_body";

/// Rules that try again at each of many places, as those of published sets do.
fn costly_rules() -> RuleSet {
    let relative = json!({"relative": true});
    let rules = (1..600).map(|sid| {
        let begin = content("http_uri", b"/a", json!({"nocase": true}));
        let name =
            content("http_uri", format!("b{}=", sid % 199 + 1).as_bytes(), json!({"nocase": true, "distance": 0}));
        rule(sid, vec![begin, name, content("http_uri", b"never", json!({"distance": 0, "within": 90}))])
    });
    let heavy = (1900..1908)
        .map(|sid| rule(sid, vec![content(BODY, b"&msg=", json!({})), pcre(BODY, b"(?:%3C){1000}", relative.clone())]));
    compile(rules.chain(heavy).collect())
}

#[test]
fn costly_requests_reach_the_bound_and_it_diverts() {
    let set = costly_rules();
    let every: String = (1..200).map(|sid| format!("b{sid}=")).collect();
    let uri = "/a?".to_owned() + &every.repeat(40);
    assert!(judge(&set, &get(&uri)).contains(&WORK_BOUND));
    let body = [b"&msg=".as_slice(), ("%3C".repeat(990) + ".").repeat(20).as_bytes()].concat();
    assert!(judge(&set, &post(&body)).contains(&WORK_BOUND));
    let mut out = Vec::new();
    let (mut tx, request) = (Transaction::default(), get(&uri));
    tx.advance(&set, &Default::default(), &mut Default::default(), &request, false, &mut out);
    assert!(out.iter().any(|found| set.rule(found.rule).sid == 45 && set.rule(found.rule).action == Action::Divert));
}

#[test]
fn requests_that_many_rules_look_at_stay_below_it() {
    let set = costly_rules();
    let every: String = (1..200).map(|sid| format!("b{sid}=")).collect();
    let found = judge(&set, &get(&("/a?".to_owned() + &every)));
    assert!(!found.contains(&WORK_BOUND));
    let text = b"&msg=<p>An ordinary answer, %3C and all.</p> ".repeat(2_000);
    assert!(!judge(&set, &post(&text)).contains(&WORK_BOUND));
}

#[test]
fn what_many_rules_know_of_a_request_is_counted() {
    let set = costly_rules();
    let mut tx = Transaction::default();
    let uri: String = "/a?".to_owned() + &(1..200).map(|sid| format!("b{sid}=")).collect::<String>();
    let head = [b"GET ".as_slice(), uri.as_bytes(), b" HTTP/1.1\r\nHost: a\r\n"].concat();
    tx.advance(&set, &Default::default(), &mut Default::default(), &head, true, &mut Vec::new());
    assert!(tx.memory() > 599 * 16, "{}", tx.memory());
}
