// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets in `fuzz/` check; `tests/regressions.rs` replays their inputs.

use std::sync::Arc;

use sd_rules::clearing::{Tables, Verdict};
use sd_rules::http::decoder::GID;
use sd_rules::{Decoder, Limits, Match, PacketFacts, RuleSet, RuleState, Scratch, Segment, Step, Transaction};
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

const TOKENS: [&[u8]; 41] = [
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
    b"wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww",
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
    // Without a content: clients, and what headers show, as `clearing` chooses them.
    let low = |field: &str, value: u32| json!({"kind": "header", "field": field, "op": "<", "value": value});
    for (sid, ports, sources, options) in [
        (4001, json!([[20, 20], [6000, 6005]]), json!(null), vec![]),
        (4002, json!(null), json!({"in": ["203.0.113.0/24"], "not": ["203.0.113.64/26"]}), vec![low("ttl", 10)]),
        (4003, json!(null), json!(null), vec![low("ttl", 10), low("window", 1)]),
        (
            4004,
            json!(null),
            json!(null),
            vec![json!({"kind": "ack", "value": 0}), json!({"kind": "flags", "set": "A"})],
        ),
        (4005, json!([[40000, 40000]]), json!(null), vec![content("raw", b"q", json!({})), low("window", 1)]),
    ] {
        let mut rule = rule(sid, options);
        (rule["src_ports"], rule["sources"], rule["every"]) = (ports, sources, json!(true));
        if sid % 2 == 0 {
            rule["scope"] = json!("packet");
        }
        rules.push(rule);
    }
    let lines = json!({"nocase": true, "multiline": true});
    for (sid, pattern) in [
        (4010, &b"^qz[^\\r\\n]{98,}"[..]),
        (4011, b"k: [^\\n]{99}"),
        (4012, b"z[^\\n]{199}"),
        (4013, b"k[^\\n]{200,}q"),
    ] {
        rules.push(rule(sid, vec![pcre("raw", pattern, lines.clone())]));
    }
    let bit = |command: &str| json!({"kind": "flowbits", "command": command, "bits": ["zzz"]});
    rules.push(rule(4006, vec![content("http_uri", b"zzz", json!({})), bit("set")]));
    rules.push(rule(4007, vec![bit("isset")]));
    let (rules, _) = RuleSet::from_json(&super::document(rules)).unwrap();
    let tables = rules.clearing(1 << 22).unwrap();
    (rules, tables)
}

/// Judge a request in a segment of its own.
pub fn judge_segment(
    rules: &RuleSet,
    transaction: &mut Transaction,
    scratch: &mut Scratch,
    packet: &PacketFacts<'_>,
    out: &mut Vec<Match>,
) -> Step {
    let source = packet.ip.get(12..16).unwrap_or_default().iter().fold(0, |all, byte| all << 8 | u128::from(*byte));
    transaction.set_source(&Arc::new(RuleState::new(16)), source);
    let (src_port, segment) = (packet.src_port, Some(Segment::of(packet)));
    let limits = Limits { src_port, segment, ..Limits::default() };
    transaction.judge_packet(rules, scratch, packet, out);
    transaction.advance(rules, &limits, scratch, packet.payload, true, out)
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
    let either = |bits: u8, this: u32, that: u32| if choice & bits == bits { this } else { that };
    let ip = [
        &[0x45, 0, 0, 0, 0, 1, 0x40, 0, either(4, 9, 64) as u8, 6, 0, 0],
        &[203, 0, 113, either(8, 9, 65) as u8][..],
        &[0; 4],
    ];
    let ip = ip.concat();
    let packet = PacketFacts {
        payload: &request,
        flags: either(16, 0x10, 0x18) as u8,
        ack: either(32, 0, 77),
        window: either(96, 0, 1) as u16,
        src_port: either(192, 6005, 40000) as u16,
        dst_port: 80,
        ip: &ip,
        ..PacketFacts::default()
    };
    let cleared = tables.judge(&packet) == Verdict::Cleared;
    assert_eq!(cleared, tables.why(&packet).is_none());
    if cleared {
        let (mut found, mut transaction) = (Vec::new(), Transaction::default());
        let step = judge_segment(rules, &mut transaction, &mut Scratch::default(), &packet, &mut found);
        let sids: Vec<u32> = found.iter().map(|found| rules.rule(found.rule).sid).collect();
        assert!(sids.is_empty(), "{sids:?} in {}", request.escape_ascii());
        assert_eq!(step, Step::Done { consumed: request.len() }, "{}", request.escape_ascii());
    }
    cleared
}
