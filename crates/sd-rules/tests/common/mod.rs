// SPDX-License-Identifier: Apache-2.0
//! Short ways to write rule documents and to judge requests.
#![allow(dead_code)] // each test file uses its part

pub mod fuzz;

use std::collections::BTreeSet;

use sd_rules::{Limits, Match, RuleSet, Scratch, Step, Transaction};
use serde_json::{json, Value};

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A content option; `more` holds the keys that differ from the defaults.
pub fn content(buffer: &str, bytes: &[u8], more: Value) -> Value {
    with(json!({"kind": "content", "buffer": buffer, "bytes": hex(bytes)}), more)
}

pub fn pcre(buffer: &str, pattern: &[u8], more: Value) -> Value {
    with(json!({"kind": "pcre", "buffer": buffer, "pattern": hex(pattern)}), more)
}

fn with(mut option: Value, more: Value) -> Value {
    let object = option.as_object_mut().unwrap();
    object.extend(more.as_object().cloned().unwrap_or_default());
    option
}

/// A rule of scope http that diverts.
pub fn rule(sid: u32, options: Vec<Value>) -> Value {
    json!({"gid": 1, "sid": sid, "rev": 1, "msg": "test", "classtype": "web-application-attack",
        "category": "Web Application Attack", "priority": 1, "action": "divert", "file": "t.rules",
        "line": sid, "scope": "http", "dst_ports": null, "options": options})
}

pub fn document(rules: Vec<Value>) -> Vec<u8> {
    json!({"version": 1, "services": [{"name": "http", "ports": [80]}], "rules": rules}).to_string().into_bytes()
}

pub fn compile(rules: Vec<Value>) -> RuleSet {
    let (set, refused) = RuleSet::from_json(&document(rules)).unwrap();
    assert_eq!(refused, []);
    set
}

/// Time that this thread has computed, whatever else the machine does; to some milliseconds.
fn cpu_time() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    std::time::Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// Fails when judging one stream of `10 * size` bytes, in small segments, costs much more than judging ten of `size`.
pub fn assert_linear(set: &RuleSet, name: &str, size: usize, step: usize, make: impl Fn(usize) -> Vec<u8>) {
    let time = |size: usize, times: usize| {
        let stream = make(size);
        let cuts: Vec<usize> = (step..stream.len()).step_by(step).collect();
        let started = cpu_time();
        for _ in 0..times {
            judge_stream(set, &Limits::default(), &stream, &cuts, |_| true);
        }
        (cpu_time() - started).as_millis()
    };
    let mut times = 1;
    while time(10 * size, times) < 30 {
        times *= 4;
    }
    let (short, long) = (time(size, 10 * times), time(10 * size, times));
    assert!(long < 3 * short + 20, "{name}: {short} ms in pieces, {long} ms as one");
}

/// gid and sid of a match.
pub type Id = (u32, u32);

pub fn ids(set: &RuleSet, matches: &[Match]) -> Vec<Id> {
    matches.iter().map(|found| (set.rule(found.rule).gid, set.rule(found.rule).sid)).collect()
}

/// What a stream of requests yields: matched rules of each request, and the last step.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub requests: Vec<BTreeSet<Id>>,
    pub last: Step,
    pub consumed: usize,
}

/// Judges `stream` as an engine does: `cuts` says after how many bytes calls are made, `now` whether they judge all.
pub fn judge_stream(
    set: &RuleSet,
    limits: &Limits,
    stream: &[u8],
    cuts: &[usize],
    now: impl Fn(usize) -> bool,
) -> Outcome {
    let (mut tx, mut scratch) = (Transaction::default(), Scratch::default());
    let mut requests = Vec::new();
    let mut matches = Vec::new();
    let mut start = 0;
    let mut last = Step::NeedMore;
    let mut skipping = None;
    let mut ends: Vec<usize> = cuts.iter().copied().filter(|cut| *cut < stream.len()).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let finish = |matches: &mut Vec<Match>, requests: &mut Vec<BTreeSet<Id>>| {
        let found = ids(set, matches);
        let unique: BTreeSet<Id> = found.iter().copied().collect();
        assert_eq!(unique.len(), found.len(), "a rule was reported twice: {found:?}");
        requests.push(unique);
        matches.clear();
    };
    for (call, end) in ends.into_iter().enumerate() {
        loop {
            if let Some(from) = skipping {
                last = tx.skip_body(&stream[from..end]);
                tx.report_skipped(set, &mut matches);
                match last {
                    Step::Done { consumed } => {
                        skipping = None;
                        finish(&mut matches, &mut requests);
                        tx.reset();
                        start = from + consumed;
                        if start == end {
                            break;
                        }
                    }
                    Step::Tunnel => {
                        skipping = None;
                        start = from;
                    }
                    _ => {
                        skipping = Some(end);
                        break;
                    }
                }
            }
            last = tx.advance(set, limits, &mut scratch, &stream[start..end], now(call), &mut matches);
            match last {
                Step::Done { consumed } => {
                    assert!(consumed > 0, "a request of no bytes");
                    finish(&mut matches, &mut requests);
                    tx.reset();
                    start += consumed;
                    if start == end {
                        break;
                    }
                }
                Step::BodyTooDeep => {
                    skipping = Some(end);
                    break;
                }
                Step::NeedMore | Step::Tunnel => break,
            }
        }
    }
    if last == Step::NeedMore || last == Step::Tunnel || last == Step::BodyTooDeep {
        tx.finish(set, limits, &mut scratch, &stream[start..], &mut matches);
        finish(&mut matches, &mut requests);
    }
    match last {
        Step::Done { .. } => last = Step::Done { consumed: 0 },
        // Which of the two said so depends on the cuts.
        Step::BodyTooDeep => last = Step::NeedMore,
        // Where the stream of a tunnel begins depends on the caller's data.
        Step::Tunnel => start = 0,
        _ => {}
    }
    Outcome { requests, last, consumed: start }
}

/// All rules that one call reports for `stream`.
pub fn judge(set: &RuleSet, stream: &[u8]) -> BTreeSet<Id> {
    judge_stream(set, &Limits::default(), stream, &[], |_| false).requests.into_iter().flatten().collect()
}

pub fn get(uri: &str) -> Vec<u8> {
    format!("GET {uri} HTTP/1.1\r\nHost: example.test\r\n\r\n").into_bytes()
}

pub fn post(body: &[u8]) -> Vec<u8> {
    let head = format!("POST /form HTTP/1.1\r\nHost: example.test\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = b"POST /form HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in pieces {
        stream.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        stream.extend_from_slice(piece);
        stream.extend_from_slice(b"\r\n");
    }
    stream.extend_from_slice(b"0\r\n\r\n");
    stream
}
