// SPDX-License-Identifier: Apache-2.0
//! Judges requests from standard input with one rule document: `judge DOCUMENT [--actions] < REQUESTS`.
//!
//! A line of input is an identifier, a tab, and the bytes of a connection in hexadecimal, each from a source of its own. A
//! line of output is the identifier, a tab, and the sids that matched; the built-in rules' begin with `b`. With
//! `--actions`, each is followed by a colon and what it does. For tests/oracle, tests/rules and tests/traffic.

use std::io::{BufRead, BufWriter, Write};
use std::sync::Arc;

use sd_rules::{Limits, PacketFacts, RuleSet, RuleState, Scratch, Segment, Step, Transaction};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().ok_or("usage: judge DOCUMENT [--actions] < REQUESTS")?;
    let actions = arguments.next().is_some_and(|argument| argument == "--actions");
    let (rules, refused) = RuleSet::from_json(&std::fs::read(path)?)?;
    for (index, reason) in &refused {
        eprintln!("rule {index} of the document: {reason}");
    }
    let mut limits = Limits::default();
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (name, text) = line.split_once('\t').ok_or("a line without a tab")?;
        let stream = unhex(text).ok_or("bytes that are not hexadecimal")?;
        found.clear();
        limits.sent.0 = stream.len() as u64;
        // Each line is a source of its own.
        let mut transaction = Transaction::default();
        transaction.set_source(&Arc::new(RuleState::new(1024)), 1);
        let facts = PacketFacts {
            payload: &stream,
            flags: 0x18,
            seq: 1,
            ack: 1,
            dst_port: limits.dst_port,
            window: 1024,
            ip: &HEADER,
            tcp: &TCP_HEADER,
            ..PacketFacts::default()
        };
        limits.segment = Some(Segment::of(&facts));
        transaction.judge_packet(&rules, &mut scratch, &facts, &mut found);
        let mut rest = stream.as_slice();
        loop {
            transaction.reset();
            let step = transaction.advance(&rules, &limits, &mut scratch, rest, false, &mut found);
            match step {
                Step::Done { consumed } if consumed < rest.len() => rest = &rest[consumed..],
                _ => break,
            }
        }
        transaction.finish(&rules, &limits, &mut scratch, rest, &mut found);
        let mut names: Vec<String> = found
            .iter()
            .map(|found| {
                let meta = rules.rule(found.rule);
                let action = if actions { format!(":{:?}", found.action).to_lowercase() } else { String::new() };
                format!("{}{}{action}", if meta.file.is_empty() { "b" } else { "" }, meta.sid)
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        writeln!(out, "{name}\t{}", names.join(" "))?;
    }
    Ok(())
}

/// Of every line's segment: number 0x1234, not to be cut, TTL 64.
const HEADER: [u8; 20] = [0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 100];

/// Its TCP header, as far as rules look: flags and window.
const TCP_HEADER: [u8; 20] = [0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 4, 0, 0, 0, 0, 0];

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes().chunks(2).map(|pair| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}
