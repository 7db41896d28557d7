// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets in `fuzz/` check; `tests/regressions.rs` replays their inputs.

use sd_rules::{Limits, RuleSet, Scratch, Step, Transaction};
use serde_json::json;

use super::{compile, content, judge_stream, pcre, rule};

/// A few rules that use every buffer.
pub fn rules() -> RuleSet {
    let mut rules = Vec::new();
    for (sid, buffer) in (1..).zip(sd_rules::Buffer::ALL) {
        let (name, end) = (buffer.as_str(), json!({"endswith": true}));
        let near = json!({"distance": 1, "within": 4});
        rules.push(rule(sid, vec![content(name, b"abc", json!({"nocase": true}))]));
        rules.push(rule(sid + 100, vec![content(name, b"a", json!({})), content(name, b"b", near)]));
        rules.push(rule(sid + 200, vec![content(name, b"/", json!({})), content(name, b"x", end)]));
        rules.push(rule(sid + 300, vec![pcre(name, b"a[^b]{2,4}c", json!({}))]));
        let not = json!({"negated": true, "within": 3});
        rules.push(rule(sid + 400, vec![content("raw", b"b", json!({})), content(name, b"c", not)]));
    }
    compile(rules)
}

/// The first two bytes choose limits and cuts, the rest is the stream: the verdict depends on no cut.
pub fn http_request(rules: &RuleSet, input: &[u8]) {
    let Some(([choice, step], stream)) = input.split_first_chunk::<2>() else { return };
    let limits = Limits {
        depth: if choice & 1 == 0 { 1 << 20 } else { usize::from(*choice) },
        max_head: if choice & 2 == 0 { 64 << 10 } else { 300 },
        max_headers: 40,
        ..Limits::default()
    };
    let whole = judge_stream(rules, &limits, stream, &[], |_| false);
    let cuts: Vec<usize> = (1..stream.len()).step_by(usize::from(*step).max(1)).collect();
    for mode in 0..3 {
        let cut = judge_stream(rules, &limits, stream, &cuts, |call| mode == 0 || mode == 1 && call % 2 == 0);
        assert_eq!(cut, whole);
    }
}

/// Any bytes as a rule document: refused or compiled, and then able to judge.
pub fn rules_document(input: &[u8]) {
    let Ok((set, refused)) = RuleSet::from_json(input) else { return };
    assert!(refused.iter().all(|(_, reason)| !reason.is_empty()));
    let request = b"POST /a/../abc?x=%41 HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nabcabcabcxyz";
    let mut out = Vec::new();
    let step =
        Transaction::default().advance(&set, &Limits::default(), &mut Scratch::default(), request, true, &mut out);
    assert_eq!(step, Step::Done { consumed: request.len() });
    out.iter().for_each(|found| assert!(set.rule(found.rule).gid > 0 || found.len > 0 || !set.is_empty()));
}
