// SPDX-License-Identifier: Apache-2.0
//! Requests made to be expensive reach the bound on work, which is reported as a rule that diverts.

mod common;

use common::{compile, content, get, judge, pcre, post, rule};
use sd_rules::http::decoder::GID;
use sd_rules::{Action, Limits, RuleSet, Transaction};
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

/// Units of work that judging takes, and whether the bound was reached.
fn work(set: &RuleSet, request: &[u8]) -> (u64, bool) {
    let (mut tx, mut out) = (Transaction::default(), Vec::new());
    let limits = Limits { depth: 2 << 20, ..Limits::default() };
    tx.advance(set, &limits, &mut Default::default(), request, false, &mut out);
    (tx.work(), out.iter().any(|found| set.rule(found.rule).sid == 45 && set.rule(found.rule).gid == GID))
}

/// Expressions of published sets that count far, or are tried behind each of many contents.
fn counting_rules() -> RuleSet {
    let flags = json!({"dotall": true, "multiline": true});
    compile(vec![
        rule(1, vec![content("raw", b":", json!({})), pcre("raw", b"^.*:[^\n]{1000}", flags.clone())]),
        rule(2, vec![content("raw", b":", json!({})), pcre("raw", b"username=[^&;\r\n]{255}", flags)]),
        rule(3, vec![content(BODY, b"a", json!({})), pcre(BODY, b"(?:\\*\\?){700}", json!({}))]),
        rule(4, vec![content(BODY, b": ", json!({})), pcre(BODY, b"\\bexec\\b", json!({"relative": true}))]),
        rule(5, vec![content(BODY, b"a", json!({})), pcre(BODY, b"id.{0,300}<(?:ftp|https?)>", json!({}))]),
    ])
}

#[test]
fn ordinary_uploads_stay_far_below_the_bound() {
    let set = counting_rules();
    let json =
        br#"{"kind": "t1", "data": {"id": "c5hxk", "score": 17, "body": "An answer: see http://a.example/b?c=d"}}, "#;
    let mail = b"From: somebody\r\nSubject: Re: notes\r\n\r\nSee: the notes; exec is not in them, execute is.\r\n";
    let code = b"    fn new(set: &RuleSet) -> Self { match set { Set::One(a) => a.b(), _ => c::d(1..2) } }\n";
    for text in [json.to_vec(), mail.to_vec(), code.to_vec()] {
        for size in [65_000, 1 << 20] {
            // One line of JSON is longer than any that the rules allow: lines are what an upload has.
            let mut body = text.repeat(size / text.len());
            body.iter_mut().step_by(900).for_each(|byte| *byte = b'\n');
            let request = post(&body);
            let (units, reached) = work(&set, &request);
            assert!(!reached, "{}", text.escape_ascii());
            assert!(units < 4 * request.len() as u64, "{units} for {}: {}", request.len(), text.escape_ascii());
        }
    }
}

#[test]
fn what_is_tried_at_many_places_costs_each_byte_little() {
    let set = counting_rules();
    for piece in ["*?", ": exec", ":x", "username=", "id<ftp", ": execexec "] {
        let cost = |size: usize| work(&set, &post(&piece.repeat(size / piece.len()).into_bytes()));
        // The text of one expression over and over, not enough of it for a match.
        let broken = |size: usize| {
            let mut body = piece.repeat(size / piece.len()).into_bytes();
            body.iter_mut().step_by(250).for_each(|byte| *byte = b'\n');
            work(&set, &post(&body))
        };
        for (what, run) in [("whole", &cost as &dyn Fn(usize) -> (u64, bool)), ("in lines", &broken)] {
            let (small, large) = (run(10_000), run(80_000));
            assert!(large.0 < 12 * small.0 + 10_000, "{piece:?} {what}: {small:?} {large:?}");
            assert!(!large.1, "{piece:?} {what}: {large:?}");
        }
    }
}
