// SPDX-License-Identifier: Apache-2.0
//! What the kernel clears: gives it its tables, and says for single requests what it does with them and why.

use std::sync::Arc;

use sd_io::abi::CLEAR_ENTRIES;
use sd_io::clearing::{Automaton, Judge, SharedClearing};
use sd_rules::clearing::{Refused, Tables, Why};
use sd_rules::{Decoder, Limits, PacketFacts, RuleId, RuleSet, RuleState, Scratch, Step, Transaction};
use serde_json::{json, Value};

use crate::reload::{Sets, Slot};
use crate::travelled::Known;

/// The kernel runs a program on what fits into a page, without its headroom and tail, and is an Ethernet frame.
const TEST_RUN: std::ops::Range<usize> = 14..3000;

fn automaton(tables: &Tables) -> Automaton<'_> {
    let Tables { classes, entries, start, line, .. } = tables;
    Automaton { classes, entries, start: *start, line: *line }
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
            Ok(tables) => json!({"service": name, "cleared": true, "table_bytes": tables.entries.len() * 4}),
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

    pub fn judge(&mut self, request: &[u8]) -> Result<Judged, String> {
        let (why, sids) = match self.tables.why(request) {
            None => (String::new(), Vec::new()),
            Some(Why::Rules(piece, ids)) => (
                format!("holds {:?} of rules", String::from_utf8_lossy(&piece)),
                ids.iter().map(|id| self.rules.rule(RuleId(*id)).sid).collect(),
            ),
            Some(why) => (why.to_string(), Vec::new()),
        };
        let kernel = self.kernel.as_ref().filter(|_| TEST_RUN.contains(&request.len()));
        let kernel = kernel.map(|judge| twice(judge, request)).transpose()?;
        let limits = Limits { dst_port: self.rules.service().port, ..Limits::default() };
        Ok(Judged {
            cleared: why.is_empty(),
            why,
            sids,
            matches: matches(&self.rules, &limits, &mut self.scratch, request),
            kernel,
        })
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
            "patterns": tables.summary.patterns, "table_bytes": tables.entries.len() * 4})
    }
}

/// The kernel's answer, which may not depend on whether it remembers lines of the request.
fn twice(judge: &Judge, request: &[u8]) -> Result<bool, String> {
    let once = || judge.judge(request, 1).map(|(cleared, _)| cleared).map_err(|error| error.to_string());
    match (once()?, once()?) {
        (first, second) if first == second => Ok(first),
        (first, _) => Err(format!("the kernel's program said {first} of a request and then the contrary")),
    }
}

/// The sids that a connection with this request matches; without those that only say that the matcher gave up on a rule,
/// as a rule without its content matches nothing, however long the matcher would look.
fn matches(rules: &RuleSet, limits: &Limits, scratch: &mut Scratch, request: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut transaction = Transaction::default();
    transaction.set_source(&Arc::new(RuleState::new(1024)), 1);
    for flags in [0x10, 0x18] {
        let port = limits.dst_port;
        let facts = PacketFacts { payload: request, flags, seq: 1, ack: 1, dst_port: port, ..PacketFacts::default() };
        transaction.judge_packet(rules, scratch, &facts, &mut found);
    }
    let step = transaction.advance(rules, limits, scratch, request, true, &mut found);
    let whole = step == Step::Done { consumed: request.len() };
    transaction.finish(rules, limits, scratch, request, &mut found);
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
