// SPDX-License-Identifier: Apache-2.0
//! What the kernel clears: `clearing DOCUMENT [--kernel] < REQUESTS`.
//!
//! A line of input is an identifier, a tab, and a request in hexadecimal. The output is one JSON object: how many requests
//! were cleared, why others travel, and what is `wrong`: a cleared request that the matcher finds something in, or one
//! about which the kernel (asked with `--kernel`, as root) and the reference disagree. Exit status 1 when anything is.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_io::abi::CLEAR_ENTRIES;
use sd_io::clearing::{Automaton, Judge};
use sd_rules::clearing::{Refused, Tables, Why};
use sd_rules::{judge_packet, Decoder, Limits, PacketFacts, RuleId, RuleSet, RuleState, Scratch, Step, Transaction};

/// What the kernel runs a program on is one page less its headroom and tail.
const TEST_RUN_MAX: usize = 3000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or("usage: clearing DOCUMENT [--kernel] < REQUESTS")?;
    let began = Instant::now();
    let (rules, _) = RuleSet::from_json(&std::fs::read(path)?)?;
    let loaded = began.elapsed();
    let limits = Limits::default();
    let sid = |id: &u32| rules.rule(RuleId(*id)).sid;
    let tables = match rules.clearing(limits.dst_port, CLEAR_ENTRIES) {
        Ok(tables) => tables,
        Err(refused) => {
            let open: Vec<u32> = match &refused {
                Refused::Open { rules } => rules.iter().map(sid).collect(),
                Refused::TooLarge { .. } => Vec::new(),
            };
            println!("{}", serde_json::json!({"refused": refused.to_string(), "open": open}));
            return Ok(());
        }
    };
    let built = began.elapsed() - loaded;
    let kernel = arguments.iter().any(|argument| argument == "--kernel").then(|| in_kernel(&tables)).transpose()?;
    let mut scratch = Scratch::default();
    let (mut requests, mut cleared, mut matched) = (0u64, 0u64, 0u64);
    let mut wrong = Vec::new();
    let mut reasons: HashMap<String, u64> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (name, text) = line.split_once('\t').ok_or("a line without a tab")?;
        let request = unhex(text).ok_or("bytes that are not hexadecimal")?;
        requests += 1;
        let found = matches(&rules, &limits, &mut scratch, &request);
        matched += u64::from(!found.is_empty());
        let why = tables.why(&request);
        if let Some(kernel) = kernel.as_ref().filter(|_| (14..TEST_RUN_MAX).contains(&request.len())) {
            if kernel.judge(&request, 1)?.0 != why.is_none() {
                wrong.push(format!("{name} kernel"));
            }
        }
        match why {
            None => {
                cleared += 1;
                if !found.is_empty() {
                    wrong.push(format!("{name} {}", found.join(" ")));
                }
            }
            Some(why) => {
                let why = match why {
                    Why::Rules(piece, ids) => {
                        let sids: Vec<u32> = ids.iter().map(sid).collect();
                        format!("rules {sids:?} by {:?}", String::from_utf8_lossy(&piece))
                    }
                    Why::Target(byte) => format!("target: {:?}", char::from(byte)),
                    other => format!("{other:?}"),
                };
                *reasons.entry(why).or_default() += 1;
            }
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons.truncate(30);
    let speed = kernel.as_ref().map(speeds).transpose()?;
    println!(
        "{:#}",
        serde_json::json!({"requests": requests, "cleared": cleared, "matched": matched, "wrong": wrong,
            "reasons": reasons, "entries": tables.entries.len(), "never": tables.summary.never,
            "sought": tables.summary.sought, "patterns": tables.summary.patterns, "kernel_ns": speed,
            "ms": {"load": loaded.as_millis() as u64, "build": built.as_millis() as u64}})
    );
    std::process::exit(i32::from(!wrong.is_empty()));
}

fn in_kernel(tables: &Tables) -> Result<Judge, sd_io::Error> {
    let judge = Judge::load()?;
    let Tables { classes, entries, start, line, .. } = tables;
    judge.tables().install(&[Some(Automaton { classes, entries, start: *start, line: *line })]);
    Ok(judge)
}

/// Nanoseconds for wrk's own request, and one with a browser's headers.
fn speeds(judge: &Judge) -> Result<Vec<(&'static str, u64, bool)>, sd_io::Error> {
    const BROWSER: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0\r\n\
        Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
        Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n\
        Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\
        Sec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\n\r\n";
    let mut all = Vec::new();
    for (name, request) in [("bare", b"GET / HTTP/1.1\r\nHost: 10.0.0.100\r\n\r\n".as_slice()), ("browser", BROWSER)] {
        let mut least = Duration::MAX;
        let mut cleared = false;
        for _ in 0..5 {
            let (answer, took) = judge.judge(request, 20_000)?;
            cleared = answer;
            least = least.min(took);
        }
        all.push((name, least.as_nanos() as u64, cleared));
    }
    Ok(all)
}

/// The sids that a connection with this request matches; without those that only say that the matcher gave up on a rule,
/// as a rule without its content matches nothing, however long the matcher would look.
fn matches(rules: &RuleSet, limits: &Limits, scratch: &mut Scratch, request: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for flags in [0x10, 0x18] {
        let facts = PacketFacts { payload: request, flags, seq: 1, ack: 1, dst_port: limits.dst_port };
        judge_packet(rules, scratch, &facts, &mut found);
    }
    let mut transaction = Transaction::default();
    transaction.set_source(&Arc::new(RuleState::new(1024)), 1);
    let step = transaction.advance(rules, limits, scratch, request, true, &mut found);
    let whole = step == Step::Done { consumed: request.len() };
    transaction.finish(rules, limits, scratch, request, &mut found);
    let gave_up = [Decoder::MatchBound, Decoder::PcreBound].map(|decoder| rules.decoder_rule(decoder));
    let mut names: Vec<String> = found
        .iter()
        .filter(|found| !gave_up.contains(&Some(found.rule)))
        .map(|found| rules.rule(found.rule).sid.to_string())
        .collect();
    if !whole {
        names.push("no-end".to_owned());
    }
    names
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes().chunks(2).map(|pair| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}
