// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets in `fuzz/` check; `tests/regressions.rs` replays their inputs.

use sd_rules::clearing::{Tables, Verdict};
use sd_rules::http::decoder::GID;
use sd_rules::{Decoder, Limits, RuleSet, Scratch, Step, Transaction};
use serde_json::json;

use super::{compile, content, judge_stream, pcre, rule, Outcome};

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

/// The first two bytes choose limits and cuts, the rest is the stream: the verdict depends on no cut, but for the bound on
/// work, which each segment moves.
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
        if !overworked(&cut) && !overworked(&whole) {
            assert_eq!(cut, whole);
        }
    }
}

fn overworked(outcome: &Outcome) -> bool {
    let bound = (GID, Decoder::TABLE[Decoder::WorkBound as usize].1);
    outcome.requests.iter().any(|found| found.contains(&bound))
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

const TOKENS: [&[u8]; 40] = [
    b"q",
    b"z",
    b"k",
    b"Q",
    b"qz",
    b"zk",
    b"+",
    b" ",
    b",",
    b", ",
    b"/",
    b"?",
    b".",
    b":",
    b": ",
    b"\r\n",
    b"\r\nX: ",
    b"\r\nX: q",
    b"\r\nCookie: ",
    b"\r\nUser-Agent: ",
    b"\r\nReferer: ",
    b"\r\nAccept: ",
    b"\r\nHost: qz",
    b"\r\nZ: ",
    b"\r\nAccept-Language: k",
    b"\r\nContent-Type: z",
    b"\r\nConnection: close",
    b"\r\nqz: ",
    b"\r\nx: k",
    b"%71",
    b"%",
    b"//",
    b"/.",
    b"\\",
    b"#",
    b"\n",
    b"\t",
    b"\r\n\r\n",
    b"\r\nContent-Length: 1",
    b"\xff",
];

/// Rules of a dialect, and the tables by which they clear.
pub fn clearing_rules(dialect: &str) -> (RuleSet, Tables) {
    let mut rules = Vec::new();
    for (sid, buffer) in (1..).zip(sd_rules::Buffer::ALL) {
        let name = buffer.as_str();
        let start = json!({"offset": 0, "depth": 3});
        for (more, options) in (0u32..).zip([
            vec![content(name, b"qzk", json!({"nocase": true}))],
            vec![content(name, b"q z", json!({}))],
            vec![content(name, b"q, z", json!({})), content(name, b"k", json!({"negated": true}))],
            vec![content(name, b"z\r\nx", json!({"nocase": true}))],
            vec![content(name, b"\r\nqz", json!({}))],
            vec![content(name, b"qz\r\n", json!({}))],
            vec![content(name, b"z: q", json!({"nocase": true}))],
            vec![content(name, b"qqz", start.clone()), json!({"kind": "bsize", "buffer": name, "op": "=", "value": 3})],
            vec![content(name, b"kkq", start), content(name, b"z", json!({"distance": 0}))],
            vec![content(name, b"zzq", json!({"endswith": true}))],
            vec![pcre(name, b"q+zz|k[qz]kk", json!({"nocase": true}))],
        ]) {
            let mut rule = rule(sid + 100 * more, options);
            rule["dialect"] = json!(dialect);
            rules.push(rule);
        }
        let absent = json!({"kind": "absent", "buffer": name, "or_else": true});
        let mut rule =
            rule(sid + 2000, vec![content("raw", b"kzq", json!({})), absent, content(name, b"qqqq", json!({}))]);
        rule["dialect"] = json!(dialect);
        rules.push(rule);
    }
    for sid in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 22, 26, 32, 33, 34, 36, 37, 42, 66, 69, 71, 72, 73] {
        rules.push(rule(sid + 3000, vec![json!({"kind": "oddity", "sids": [sid]})]));
    }
    let (rules, _) = RuleSet::from_json(&super::document(rules)).unwrap();
    let tables = rules.clearing(1 << 22).unwrap();
    (rules, tables)
}

/// What is cleared matches nothing, and is one request.
pub fn clearing(rules: &RuleSet, tables: &Tables, input: &[u8]) -> bool {
    let Some((&[choice, line], rest)) = input.split_first_chunk::<2>() else { return false };
    let mut request = Vec::new();
    let (in_line, in_headers) = rest.split_at(rest.len().min(usize::from(line % 8)));
    let text = |request: &mut Vec<u8>, places: &[u8]| {
        places.iter().for_each(|place| request.extend_from_slice(TOKENS[usize::from(*place) % TOKENS.len()]));
    };
    request.extend_from_slice(if choice & 1 == 0 { b"GET /" } else { b"HEAD /" });
    text(&mut request, in_line);
    request.extend_from_slice(if choice & 2 == 0 { b" HTTP/1.1\r\nHost: a" } else { b" HTTP/1.0\r\nhost: k" });
    text(&mut request, in_headers);
    request.extend_from_slice(b"\r\n\r\n");
    let cleared = tables.judge(&request) == Verdict::Cleared;
    assert_eq!(cleared, tables.why(&request).is_none());
    if cleared {
        let (mut found, mut transaction) = (Vec::new(), Transaction::default());
        let limits = Limits::default();
        let step = transaction.advance(rules, &limits, &mut Scratch::default(), &request, true, &mut found);
        let sids: Vec<u32> = found.iter().map(|found| rules.rule(found.rule).sid).collect();
        assert!(sids.is_empty(), "{sids:?} in {}", request.escape_ascii());
        assert_eq!(step, Step::Done { consumed: request.len() }, "{}", request.escape_ascii());
    }
    cleared
}
