// SPDX-License-Identifier: Apache-2.0
//! What the kernel clears: gives it its tables, and says for single requests what it does with them and why.

use std::net::SocketAddrV4;
use std::sync::Arc;

use sd_io::abi::{Guard, CLEAR_ENTRIES};
use sd_io::clearing::{Automaton, Judge, SharedClearing};
use sd_rules::clearing::{Refused, Tables, Test, Verdict, Why, FLAGS};
use sd_rules::{Decoder, Limits, PacketFacts, RuleId, RuleSet, RuleState, Scratch, Segment, Step, Transaction};
use serde_json::{json, Value};

use crate::reload::{Sets, Slot};
use crate::travelled::{self, Known};

/// The kernel runs a program on what fits into a page, without its headroom and tail.
const TEST_RUN: usize = 3000;

fn automaton(tables: &Tables) -> Automaton<'_> {
    let Tables { classes, entries, start, line, .. } = tables;
    let guard = |test: &Test| {
        let Test { field, low, span, hit, miss } = *test;
        Guard { low, span, field, hit, miss, pad: 0 }
    };
    let guards = tables.tests.iter().map(guard).collect();
    Automaton { classes, entries, start: *start, line: *line, guards }
}

/// Of each service.
pub type Built = Vec<Result<Arc<Tables>, Refused>>;

/// The tables of these rules. Those of rules that are `known` are made only once.
pub fn build(rules: &Sets, known: &Known) -> Built {
    let mut left = CLEAR_ENTRIES;
    let mut of = |place: usize, rules: &Arc<RuleSet>| {
        let before = known.get(place).and_then(Option::as_ref);
        let tables = match before.filter(|(tables, of)| Arc::ptr_eq(of, rules) && tables.entries.len() <= left) {
            Some((tables, _)) => tables.clone(),
            None => Arc::new(rules.clearing(left)?),
        };
        left -= tables.entries.len();
        Ok(tables)
    };
    rules.iter().enumerate().map(|(place, rules)| of(place, rules)).collect()
}

/// Clear by the rules that are valid now; for each service what became of it.
pub fn install(shared: &SharedClearing, slot: &Slot, built: Built) -> Value {
    let (_, rules) = slot.current();
    let automata: Vec<Option<Automaton<'_>>> =
        built.iter().map(|tables| tables.as_ref().ok().map(|tables| automaton(tables))).collect();
    shared.install(&automata);
    let said = rules.iter().zip(&built).map(|(rules, tables)| {
        let name = &rules.service().name;
        match tables {
            Ok(tables) => json!({"service": name, "cleared": true, "table_bytes": tables.entries.len() * 4,
                "questions": tables.tests.len()}),
            Err(refused) => json!({"service": name, "cleared": false, "why": refused.to_string(),
                "rules": open(rules, refused)}),
        }
    });
    let said = said.collect();
    slot.know(built.into_iter().zip(rules).map(|(tables, rules)| Some((tables.ok()?, rules))).collect());
    said
}

/// The sids of the rules that nothing can be looked for by.
fn open(rules: &RuleSet, refused: &Refused) -> Vec<u32> {
    match refused {
        Refused::Open { rules: open } => open.iter().map(|id| rules.rule(RuleId(*id)).sid).collect(),
        _ => Vec::new(),
    }
}

/// Asks about requests, one after the other.
pub struct Clearing {
    rules: Arc<RuleSet>,
    tables: Tables,
    kernel: Option<Judge>,
    scratch: Scratch,
}

/// What becomes of a request.
#[derive(Debug)]
pub struct Judged {
    pub cleared: bool,
    /// Why it is not; empty when it is.
    pub why: String,
    /// The rules that stand behind it.
    pub sids: Vec<u32>,
    /// What the matcher finds in it.
    pub matches: Vec<String>,
    /// The kernel's answer, if it was asked.
    pub kernel: Option<bool>,
}

impl Clearing {
    /// `kernel`: also ask the kernel's program (as root). The error is for people.
    pub fn new(document: &[u8], kernel: bool) -> Result<Clearing, String> {
        let (rules, tables) = Self::read(document, &[])?;
        let kernel = kernel.then(Judge::load).transpose().map_err(|error| error.to_string())?;
        let new = Clearing { rules, tables, kernel, scratch: Scratch::default() };
        new.install();
        Ok(new)
    }

    /// Go on with other rules, as after a reload.
    pub fn reload(&mut self, document: &[u8]) -> Result<(), String> {
        (self.rules, self.tables) = Self::read(document, std::slice::from_ref(&self.rules))?;
        self.install();
        Ok(())
    }

    fn install(&self) {
        if let Some(kernel) = &self.kernel {
            kernel.tables().install(&[Some(automaton(&self.tables))]);
        }
    }

    fn read(document: &[u8], others: &[Arc<RuleSet>]) -> Result<(Arc<RuleSet>, Tables), String> {
        let (rules, _) = RuleSet::from_json_beside(document, others).map_err(|error| error.to_string())?;
        let tables = rules.clearing(CLEAR_ENTRIES).map_err(|refused| match open(&rules, &refused) {
            sids if sids.is_empty() => refused.to_string(),
            sids => format!("{refused}: {sids:?}"),
        })?;
        Ok((Arc::new(rules), tables))
    }

    /// A request that is sent in one segment by this client, whichever of the flags that has.
    pub fn judge(&mut self, client: SocketAddrV4, request: &[u8]) -> Result<Judged, String> {
        let frames = FLAGS.map(|flags| frame(client, self.rules.service().port, flags, request));
        let packets: Vec<PacketFacts<'_>> = frames.iter().filter_map(|frame| travelled::facts(frame)).collect();
        let why = packets.iter().find_map(|packet| self.tables.why(packet));
        let named = |ids: &[u32]| ids.iter().map(|id| self.rules.rule(RuleId(*id)).sid).collect();
        let (why, sids) = match why {
            None => (String::new(), Vec::new()),
            Some(Why::Rules(piece, ids)) => {
                (format!("holds {:?} of rules", String::from_utf8_lossy(&piece)), named(&ids))
            }
            Some(Why::Guarded(ids)) => (Why::Guarded(Vec::new()).to_string(), named(&ids)),
            Some(why) => (why.to_string(), Vec::new()),
        };
        let cleared = why.is_empty();
        let mut kernel = None;
        if let Some(judge) = self.kernel.as_ref().filter(|_| frames[0].len() < TEST_RUN) {
            let mut agrees = true;
            for (frame, packet) in frames.iter().zip(&packets) {
                agrees &= twice(judge, frame)? == (self.tables.judge(packet) == Verdict::Cleared);
            }
            // One segment of which it says something else is told by the contrary.
            kernel = Some(if agrees { cleared } else { !cleared });
        }
        let matches = matches(&self.rules, &mut self.scratch, &packets);
        Ok(Judged { cleared, why, sids, matches, kernel })
    }

    /// Nanoseconds that XDP takes for each of these, which must be cleared; none where the kernel cannot.
    pub fn measure(&self, requests: &[&[u8]], repeat: u32) -> Result<Vec<f64>, String> {
        let times = sd_io::measure::measure_judge(repeat, automaton(&self.tables), requests);
        times.map(Option::unwrap_or_default).map_err(|error| error.to_string())
    }

    /// The median of the nanoseconds that XDP takes for these when each is run once.
    pub fn measure_once(&self, requests: &[&[u8]]) -> Result<Option<f64>, String> {
        sd_io::measure::measure_judge_once(automaton(&self.tables), requests).map_err(|error| error.to_string())
    }

    /// Figures about the tables.
    pub fn summary(&self) -> Value {
        let tables = &self.tables;
        json!({"rules": self.rules.len(), "never": tables.summary.never, "sought": tables.summary.sought,
            "guarded": tables.summary.guarded, "bits": tables.summary.bits, "questions": tables.tests.len(),
            "patterns": tables.summary.patterns, "table_bytes": tables.entries.len() * 4})
    }
}

/// A request as a segment; without checksums, which the judge leaves to its caller.
fn frame(client: SocketAddrV4, port: u16, flags: u8, request: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend(u16::try_from(40 + request.len()).unwrap_or(u16::MAX).to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(client.ip().octets());
    frame.extend([192, 0, 2, 100]);
    frame.extend(client.port().to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(request);
    frame
}

/// The kernel's answer, which may not depend on whether it remembers lines of the request.
fn twice(judge: &Judge, frame: &[u8]) -> Result<bool, String> {
    let once = || judge.judge(frame, 1).map(|(cleared, _)| cleared).map_err(|error| error.to_string());
    match (once()?, once()?) {
        (first, second) if first == second => Ok(first),
        (first, _) => Err(format!("the kernel's program said {first} of a request and then the contrary")),
    }
}

/// The sids that a connection with this request matches; without those that only say that the matcher gave up on a rule,
/// as a rule without its content matches nothing, however long the matcher would look.
fn matches(rules: &RuleSet, scratch: &mut Scratch, packets: &[PacketFacts<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    let mut whole = true;
    for packet in packets {
        let request = packet.payload;
        let mut transaction = Transaction::default();
        let source = packet.ip.get(12..16).unwrap_or_default().iter().fold(0, |all, byte| all << 8 | u128::from(*byte));
        transaction.set_source(&Arc::new(RuleState::new(1024)), source);
        let (src_port, dst_port, segment) = (packet.src_port, packet.dst_port, Some(Segment::of(packet)));
        let limits = Limits { src_port, dst_port, segment, sent: (request.len() as u64, 0), ..Limits::default() };
        transaction.judge_packet(rules, scratch, packet, &mut found);
        whole &= transaction.advance(rules, &limits, scratch, request, true, &mut found)
            == Step::Done { consumed: request.len() };
        transaction.finish(rules, &limits, scratch, request, &mut found);
    }
    found.sort_unstable_by_key(|found| found.rule.0);
    found.dedup_by_key(|found| found.rule);
    let gave_up =
        [Decoder::MatchBound, Decoder::PcreBound, Decoder::WorkBound].map(|decoder| rules.decoder_rule(decoder));
    let mut names: Vec<String> = found
        .iter()
        .filter(|found| !gave_up.contains(&Some(found.rule)))
        .map(|found| rules.rule(found.rule).sid.to_string())
        .collect();
    if !whole {
        names.push("no end".to_owned());
    }
    names
}
