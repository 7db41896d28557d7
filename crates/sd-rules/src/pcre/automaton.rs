// SPDX-License-Identifier: Apache-2.0
//! Expressions that need no backtracking: an automaton whose states are made when they are first needed, in bounded memory.
//! Where too many are needed, bits tell whether there is a match, and a simulation where it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use regex_automata::hybrid::dfa::DFA;
use regex_automata::hybrid::regex::{Cache, Regex};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{Compiler, WhichCaptures, NFA};
use regex_automata::util::pool::Pool;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Anchored, Input, MatchKind, Span};
use regex_syntax::hir::{Hir, HirKind, Look};

use super::bits::Bits;
use super::{parser, take, Found, LimitReached, Search, Wanted};
use crate::document::PcreFlags;

/// Memory in bytes of one compiled expression, and of its states in each direction.
const SIZE_LIMIT: usize = 8 << 20;
const CACHE_LIMIT: usize = 256 << 10;
/// Memory in bytes of the states of all expressions of the process; beyond it they are made anew when needed.
const ALL_CACHES: usize = 64 << 20;
/// When states have filled their memory, so many bytes are passed over without making any: so those that were made in vain
/// cost each byte little, whatever comes.
const REST: usize = CACHE_LIMIT;
/// Above this many repeated parts an expression is built when loaded, to see whether it fits the limits.
const EAGER_ABOVE: usize = 4_000;
/// Above this many, bits are asked first.
const BITS_ABOVE: usize = 400;

/// A linear expression. It is checked when loaded and built at first use: thousands of automata that no request ever asks
/// for would cost most of the loading time.
pub struct Linear {
    pattern: String,
    flags: PcreFlags,
    /// Parts of the expression.
    weight: usize,
    pub shortest: usize,
    pub longest: Option<usize>,
    /// What is true of a match stays true when bytes are appended to the subject.
    pub stable: bool,
    /// It asks for nothing but bytes.
    pub monotone: bool,
    /// Every match begins at the subject's beginning.
    pub anchored: bool,
    built: OnceLock<Option<Box<Built>>>,
    bits: OnceLock<Option<Box<Bits>>>,
}

impl Linear {
    pub fn new(pattern: String, flags: PcreFlags) -> Option<Linear> {
        let hir = parser(flags).parse(&pattern).ok()?;
        let looks = hir.properties().look_set();
        let end = [
            Look::End,
            Look::EndLF,
            Look::EndCRLF,
            Look::WordAscii,
            Look::WordAsciiNegate,
            Look::WordStartAscii,
            Look::WordEndAscii,
            Look::WordStartHalfAscii,
            Look::WordEndHalfAscii,
        ];
        let linear = Linear {
            stable: !end.iter().any(|look| looks.contains(*look)),
            monotone: looks.is_empty(),
            shortest: hir.properties().minimum_len().unwrap_or(0),
            longest: hir.properties().maximum_len(),
            anchored: hir.properties().look_set_prefix().contains(Look::Start),
            weight: weight(&hir),
            built: OnceLock::new(),
            bits: OnceLock::new(),
            pattern,
            flags,
        };
        if linear.weight > EAGER_ABOVE && linear.built().is_none() {
            return None;
        }
        Some(linear)
    }

    pub fn warm(&self) {
        self.built();
        if self.weight > BITS_ABOVE {
            self.bits();
        }
    }

    fn built(&self) -> Option<&Built> {
        self.built.get_or_init(|| Built::new(&self.pattern, self.flags, self.bits().is_none())).as_deref()
    }

    fn bits(&self) -> Option<&Bits> {
        let make = || Bits::new(&parser(self.flags).parse(&self.pattern).ok()?).map(Box::new);
        self.bits.get_or_init(make).as_deref()
    }

    /// The match, as [`super::Expression::find`] tells it.
    pub fn find(&self, subject: &[u8], from: usize, wanted: Wanted, left: &mut u64) -> Search {
        if from > subject.len() || subject.len() - from < self.shortest || self.anchored && from > 0 {
            return Ok(None);
        }
        let asked = self.weight > BITS_ABOVE;
        if asked {
            if let Some(known) = self.ask_bits(subject, from, wanted, left) {
                return known;
            }
        }
        let built = self.built().ok_or(LimitReached)?;
        // What every match begins with is looked for first, once: beyond that place the automaton does not ask again, since
        // input made of such beginnings would cost more than the automaton.
        let first = match &built.literal {
            Some(literal) if !self.anchored => {
                let found = literal.find(subject, Span { start: from, end: subject.len() });
                take(left, 8 + (found.map_or(subject.len(), |found| found.end) - from) as u64 / 16);
                let Some(found) = found else { return Ok(None) };
                found.start
            }
            _ => from,
        };
        let ran = if self.anchored { built.at_start(subject) } else { built.find(subject, first) };
        if let Some(found) = charged(ran, subject.len() - first, left) {
            return Ok(found);
        }
        if !asked {
            if let Some(known) = self.ask_bits(subject, from, wanted, left) {
                return known;
            }
        }
        let cost = (subject.len() - from) as u64 * self.weight as u64 / 4;
        if cost > *left {
            *left = 0;
            return Err(LimitReached);
        }
        take(left, cost);
        built.simulate(&self.pattern, self.flags, subject, from)
    }

    /// A match that begins at the subject's beginning, where it is known that none begins behind it.
    pub fn find_at_start(&self, subject: &[u8], wanted: Wanted, left: &mut u64) -> Search {
        if subject.len() < self.shortest {
            return Ok(None);
        }
        let built = self.built().ok_or(LimitReached)?;
        match charged(built.at_start(subject), subject.len(), left) {
            Some(found) => Ok(found),
            None => self.find(subject, 0, wanted, left),
        }
    }

    /// What bits tell for certain.
    fn ask_bits(&self, subject: &[u8], from: usize, wanted: Wanted, left: &mut u64) -> Option<Search> {
        let bits = self.bits()?;
        let (end, cost) = bits.find(subject, from, *left);
        if cost > *left {
            *left = 0;
            return Some(Err(LimitReached));
        }
        take(left, cost);
        match end {
            None => Some(Ok(None)),
            Some(end) if bits.is_exact(from) && wanted == Wanted::Whether => Some(Ok(Some((end - self.shortest, end)))),
            Some(_) => None,
        }
    }
}

/// What an automaton found, which has passed over `most` bytes when it gave up; takes what that costs.
fn charged(ran: Option<(Found, usize)>, most: usize, left: &mut u64) -> Option<Found> {
    let (found, passed) = ran.map_or((None, most), |(found, passed)| (Some(found), passed));
    take(left, 16 + passed as u64 * 3 / 8);
    found
}

/// Parts of the expression, repetitions counted as often as they may have to be written out.
fn weight(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(2),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1) as usize;
            weight(&repetition.sub).saturating_mul(times)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().map(weight).fold(0, usize::saturating_add),
    }
}

/// What runs.
struct Built {
    regex: Arc<Regex>,
    /// What every match begins with.
    literal: Option<Prefilter>,
    /// For threads that search at the same time.
    caches: Pool<States, Box<dyn Fn() -> States + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>>,
    simulation: OnceLock<Option<PikeVM>>,
    alone: bool,
}

/// States that have been made, and what they were last counted as.
struct States {
    cache: Cache,
    counted: usize,
    /// Bytes to pass over without them.
    rest: usize,
}

static STATES: AtomicUsize = AtomicUsize::new(0);

impl States {
    /// Brings the count up to date; starts anew when all together have become too many.
    fn count(&mut self, regex: &Regex) {
        let now = self.cache.memory_usage();
        if now == self.counted {
            return;
        }
        let before = STATES.fetch_add(now.wrapping_sub(self.counted), Ordering::Relaxed);
        self.counted = now;
        if before > ALL_CACHES {
            self.renew(regex);
        }
    }

    /// What fills the memory may have been earlier requests; the next ones find it empty.
    fn renew(&mut self, regex: &Regex) {
        self.rest = self.counted.max(self.cache.memory_usage()).min(REST);
        self.cache = regex.create_cache();
        let fresh = self.cache.memory_usage();
        STATES.fetch_add(fresh.wrapping_sub(self.counted), Ordering::Relaxed);
        self.counted = fresh;
    }

    /// Whether `bytes` have to be passed over without states.
    fn rests(&mut self, bytes: usize) -> bool {
        let rests = self.rest > 0;
        self.rest = self.rest.saturating_sub(bytes);
        rests
    }
}

impl Drop for States {
    fn drop(&mut self) {
        STATES.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

impl Built {
    /// `alone`: there is nothing else that could run the expression at a bounded cost.
    fn new(pattern: &str, flags: PcreFlags, alone: bool) -> Option<Box<Built>> {
        let hir = parser(flags).parse(pattern).ok()?;
        let literal = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &hir);
        let nfa = |reverse| {
            let config = NFA::config().utf8(false).reverse(reverse).nfa_size_limit(Some(SIZE_LIMIT));
            Compiler::new().configure(config.which_captures(WhichCaptures::None)).build_from_hir(&hir).ok()
        };
        // It gives up as soon as the memory is full, or when that has been filled again and again.
        let config = DFA::config()
            .cache_capacity(CACHE_LIMIT)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(if alone { 3 } else { 0 }))
            .minimum_bytes_per_state(alone.then_some(10));
        let forward = DFA::builder().configure(config.clone()).build_from_nfa(nfa(false)?).ok()?;
        let reverse = DFA::builder().configure(config.match_kind(MatchKind::All)).build_from_nfa(nfa(true)?).ok()?;
        let regex = Arc::new(Regex::builder().build_from_dfas(forward, reverse));
        let source = Arc::clone(&regex);
        let make = move || {
            let mut states = States { cache: source.create_cache(), counted: 0, rest: 0 };
            states.count(&source);
            states
        };
        Some(Box::new(Built { regex, literal, caches: Pool::new(Box::new(make)), simulation: OnceLock::new(), alone }))
    }

    /// The match, and how many bytes were passed over; None: too many states.
    fn find(&self, subject: &[u8], from: usize) -> Option<(Found, usize)> {
        let mut states = self.caches.get();
        if !self.alone && states.rests(subject.len() - from) {
            return None;
        }
        let input = Input::new(subject).range(from..);
        let mut found = self.regex.try_search(&mut states.cache, &input);
        if self.alone && found.is_err() {
            // Earlier requests may have filled it; this one may be ordinary.
            states.renew(&self.regex);
            found = self.regex.try_search(&mut states.cache, &input);
        }
        match found {
            Ok(_) => states.count(&self.regex),
            Err(_) => states.renew(&self.regex),
        }
        match found {
            Ok(None) => Some((None, subject.len() - from)),
            Ok(Some(found)) => Some((Some((found.start(), found.end())), 2 * found.end() - found.start() - from)),
            Err(_) => None,
        }
    }

    /// The match of an expression that matches at the beginning only: it is followed until it is decided, and no further.
    fn at_start(&self, subject: &[u8]) -> Option<(Found, usize)> {
        let mut states = self.caches.get();
        if !self.alone && states.rests(subject.len()) {
            return None;
        }
        let mut walked = self.walk(&mut states.cache, subject);
        if self.alone && walked.is_none() {
            states.renew(&self.regex);
            walked = self.walk(&mut states.cache, subject);
        }
        match walked {
            Some(_) => states.count(&self.regex),
            None => states.renew(&self.regex),
        }
        walked.map(|(end, passed)| (end.map(|end| (0, end)), passed))
    }

    /// Where the match ends, if there is one, and how many bytes decide that.
    fn walk(&self, cache: &mut Cache, subject: &[u8]) -> Option<(Option<usize>, usize)> {
        let dfa = self.regex.forward();
        let cache = cache.as_parts_mut().0;
        let input = Input::new(subject).anchored(Anchored::Yes);
        let mut state = dfa.start_state_forward(cache, &input).ok()?;
        let mut end = None;
        // Matches are told one byte late.
        for (at, byte) in subject.iter().enumerate() {
            state = dfa.next_state(cache, state, *byte).ok()?;
            if state.is_tagged() {
                if state.is_match() {
                    end = Some(at);
                } else if state.is_dead() {
                    return Some((end, at + 1));
                } else if state.is_quit() {
                    return None;
                }
            }
        }
        if dfa.next_eoi_state(cache, state).ok()?.is_match() {
            end = Some(subject.len());
        }
        Some((end, subject.len()))
    }

    /// The match where too many states would be needed.
    fn simulate(&self, pattern: &str, flags: PcreFlags, subject: &[u8], from: usize) -> Search {
        let make = || {
            let hir = parser(flags).parse(pattern).ok()?;
            let config = NFA::config().utf8(false).which_captures(WhichCaptures::Implicit);
            PikeVM::new_from_nfa(Compiler::new().configure(config).build_from_hir(&hir).ok()?).ok()
        };
        let machine = self.simulation.get_or_init(make).as_ref().ok_or(LimitReached)?;
        let found = machine.find(&mut machine.create_cache(), Input::new(subject).range(from..));
        Ok(found.map(|found| (found.start(), found.end())))
    }
}
