// SPDX-License-Identifier: Apache-2.0
//! Regular expressions of rules: the linear engine after a textual translation, else PCRE2 with a match limit.
//!
//! Nearly all expressions of rule sets need no backtracking, so they run in time linear in the subject whatever an
//! attacker sends: as automata whose states are made when they are first needed, within a bounded memory. Where too many
//! states are needed, the expression is simulated, at a cost that is told beforehand. Those with look-around,
//! back-references or possessive quantifiers run in PCRE2, on bytes and bounded; reaching a bound is an error that the
//! caller reports. Linear expressions are checked when loaded and built at first use: thousands of automata that no
//! request ever asks for would cost most of the loading time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use regex_automata::hybrid::dfa::DFA;
use regex_automata::hybrid::regex::{Cache, Regex};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{Compiler, WhichCaptures, NFA};
use regex_automata::util::pool::Pool;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind, Look};

use crate::document::PcreFlags;

/// Backtracking steps of PCRE2 for one search: what Suricata allows by default.
const MATCH_LIMIT: u64 = 3_500;
/// Memory in bytes of one compiled expression, and of its states in each direction.
const SIZE_LIMIT: usize = 8 << 20;
const CACHE_LIMIT: usize = 256 << 10;
/// Memory in bytes of the states of all expressions of the process; beyond it they are made anew when needed.
const ALL_CACHES: usize = 64 << 20;
/// Above this many repeated parts an expression is built when loaded, to see whether it fits the limits.
const EAGER_ABOVE: usize = 4_000;

/// A bound was reached; nothing is known about the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached;

pub struct Expression {
    engine: Engine,
    /// Length in bytes of the shortest match: overflow rules need not look at ordinary requests.
    shortest: usize,
    /// Length of the longest match, if there is one: a search of a grown subject need not begin anew.
    pub longest: Option<usize>,
    /// What is true of a match stays true when bytes are appended to the subject.
    pub stable: bool,
    /// A search that fails from some position also fails from every later one.
    pub monotone: bool,
    /// Every match begins at the subject's beginning.
    anchored: bool,
    /// Parts of the expression.
    weight: usize,
}

enum Engine {
    Linear { pattern: String, flags: PcreFlags, built: OnceLock<Option<Box<Linear>>> },
    Backtracking(Box<pcre2::bytes::Regex>),
}

impl Expression {
    /// Build now what would be built at first use.
    pub fn warm(&self) {
        if let Engine::Linear { pattern, flags, built } = &self.engine {
            built.get_or_init(|| Linear::new(pattern, *flags));
        }
    }

    /// `pattern`: the bytes between the slashes.
    pub fn new(pattern: &[u8], flags: PcreFlags) -> Result<Expression, String> {
        if let Some(text) = translate(pattern, flags) {
            if let Some(expression) = Expression::linear(text, flags) {
                return Ok(expression);
            }
        }
        let text = std::str::from_utf8(pattern)
            .map(str::to_owned)
            // PCRE2 is given text; bytes above 0x7f are written as escapes (never part of syntax).
            .unwrap_or_else(|_| escape_high_bytes(pattern));
        let text = if text.is_ascii() { text } else { escape_high_bytes(pattern) };
        let mut full = format!("(*LIMIT_MATCH={MATCH_LIMIT})");
        if flags.anchored {
            full.push_str("\\G(?:");
        }
        if flags.ungreedy {
            full.push_str("(?U)");
        }
        full.push_str(&text);
        if flags.anchored {
            full.push(')');
        }
        // Interpreted: the sandbox forbids executable memory, so a reload could not make any, and machine code counts its
        // steps differently.
        let built = pcre2::bytes::RegexBuilder::new()
            .caseless(flags.nocase)
            .dotall(flags.dotall)
            .multi_line(flags.multiline)
            .extended(flags.extended)
            .build(&full)
            .map_err(|error| format!("pcre: {error}"))?;
        Ok(Expression {
            engine: Engine::Backtracking(Box::new(built)),
            shortest: 0,
            longest: None,
            stable: false,
            monotone: false,
            anchored: false,
            weight: 0,
        })
    }

    fn linear(pattern: String, flags: PcreFlags) -> Option<Expression> {
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
        let expression = Expression {
            stable: !end.iter().any(|look| looks.contains(*look)),
            monotone: looks.is_empty(),
            shortest: hir.properties().minimum_len().unwrap_or(0),
            longest: hir.properties().maximum_len(),
            anchored: hir.properties().look_set_prefix().contains(Look::Start),
            weight: weight(&hir),
            engine: Engine::Linear { pattern, flags, built: OnceLock::new() },
        };
        if expression.weight > EAGER_ABOVE {
            expression.warm();
            match &expression.engine {
                Engine::Linear { built, .. } if built.get().is_some_and(Option::is_some) => {}
                _ => return None,
            }
        }
        Some(expression)
    }

    /// The leftmost match that starts at or after `from`; `^` is the subject's beginning. Takes what the search costs from
    /// `left`, in units of some nanoseconds; one that would cost more takes all and is not done.
    pub fn find(&self, subject: &[u8], from: usize, left: &mut u64) -> Result<Option<(usize, usize)>, LimitReached> {
        if from > subject.len() || subject.len() - from < self.shortest || self.anchored && from > 0 {
            return Ok(None);
        }
        match &self.engine {
            Engine::Linear { pattern, flags, built } => {
                let built = built.get_or_init(|| Linear::new(pattern, *flags)).as_ref().ok_or(LimitReached)?;
                let (found, passed) = if self.anchored { built.at_start(subject) } else { built.find(subject, from) };
                take(left, 16 + passed as u64 / 4);
                match found {
                    Ok(found) => Ok(found),
                    Err(LimitReached) => {
                        let cost = (subject.len() - from) as u64 * self.weight as u64 / 4;
                        if cost > *left {
                            *left = 0;
                            return Err(LimitReached);
                        }
                        take(left, cost);
                        built.simulate(pattern, *flags, subject, from)
                    }
                }
            }
            Engine::Backtracking(regex) => {
                take(left, MATCH_LIMIT.min(100 + 4 * (subject.len() - from) as u64));
                match regex.find_at(subject, from) {
                    Ok(found) => Ok(found.map(|found| (found.start(), found.end()))),
                    Err(_) => Err(LimitReached),
                }
            }
        }
    }

    /// True when the expression needs the backtracking engine.
    pub fn backtracks(&self) -> bool {
        matches!(self.engine, Engine::Backtracking(_))
    }
}

fn take(left: &mut u64, units: u64) {
    *left = left.saturating_sub(units);
}

type Search = Result<Option<(usize, usize)>, LimitReached>;

/// A linear expression, ready to run.
struct Linear {
    regex: Arc<Regex>,
    /// For threads that search at the same time.
    caches: Pool<States, Box<dyn Fn() -> States + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>>,
    simulation: OnceLock<Option<PikeVM>>,
}

/// States that have been made, and what they were last counted as.
struct States {
    cache: Cache,
    counted: usize,
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

    fn renew(&mut self, regex: &Regex) {
        self.cache = regex.create_cache();
        let fresh = self.cache.memory_usage();
        STATES.fetch_add(fresh.wrapping_sub(self.counted), Ordering::Relaxed);
        self.counted = fresh;
    }
}

impl Drop for States {
    fn drop(&mut self) {
        STATES.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

impl Linear {
    fn new(pattern: &str, flags: PcreFlags) -> Option<Box<Linear>> {
        let hir = parser(flags).parse(pattern).ok()?;
        let literal = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &hir);
        let nfa = |reverse| {
            let config = NFA::config().utf8(false).reverse(reverse).nfa_size_limit(Some(SIZE_LIMIT));
            Compiler::new().configure(config.which_captures(WhichCaptures::None)).build_from_hir(&hir).ok()
        };
        let config = DFA::config()
            .cache_capacity(CACHE_LIMIT)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(10));
        let starts = literal.is_some();
        let forward = config.clone().prefilter(literal).specialize_start_states(starts);
        let forward = DFA::builder().configure(forward).build_from_nfa(nfa(false)?).ok()?;
        let reverse = DFA::builder().configure(config.match_kind(MatchKind::All)).build_from_nfa(nfa(true)?).ok()?;
        let regex = Arc::new(Regex::builder().build_from_dfas(forward, reverse));
        let source = Arc::clone(&regex);
        let make = move || {
            let mut states = States { cache: source.create_cache(), counted: 0 };
            states.count(&source);
            states
        };
        Some(Box::new(Linear { regex, caches: Pool::new(Box::new(make)), simulation: OnceLock::new() }))
    }

    /// The match, and how many bytes were passed over.
    fn find(&self, subject: &[u8], from: usize) -> (Search, usize) {
        let mut states = self.caches.get();
        let input = Input::new(subject).range(from..);
        let mut found = self.regex.try_search(&mut states.cache, &input);
        if found.is_err() {
            // What gives up is a cache that earlier requests have filled again and again; this one may be ordinary.
            states.renew(&self.regex);
            found = self.regex.try_search(&mut states.cache, &input);
        }
        states.count(&self.regex);
        match found {
            Ok(None) => (Ok(None), subject.len() - from),
            Ok(Some(found)) => (Ok(Some((found.start(), found.end()))), found.end() - from),
            Err(_) => (Err(LimitReached), subject.len() - from),
        }
    }

    /// The match of an expression that matches at the beginning only: it is followed until it is decided, and no further.
    fn at_start(&self, subject: &[u8]) -> (Search, usize) {
        let mut states = self.caches.get();
        let mut walked = self.walk(&mut states.cache, subject);
        if walked.is_none() {
            states.renew(&self.regex);
            walked = self.walk(&mut states.cache, subject);
        }
        states.count(&self.regex);
        match walked {
            Some((end, passed)) => (Ok(end.map(|end| (0, end))), passed),
            None => (Err(LimitReached), subject.len()),
        }
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

/// The expression as it is parsed; None when only the backtracking engine knows it.
pub fn parsed(pattern: &[u8], flags: PcreFlags) -> Option<Hir> {
    parser(flags).parse(&translate(pattern, flags)?).ok()
}

fn parser(flags: PcreFlags) -> regex_syntax::Parser {
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .case_insensitive(flags.nocase)
        .dot_matches_new_line(flags.dotall)
        .multi_line(flags.multiline)
        .swap_greed(flags.ungreedy)
        .ignore_whitespace(flags.extended)
        .nest_limit(100)
        .build()
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

fn escape_high_bytes(pattern: &[u8]) -> String {
    let mut text = String::with_capacity(pattern.len() + 16);
    for &byte in pattern {
        push_literal_high(&mut text, byte);
    }
    text
}

fn push_literal_high(text: &mut String, byte: u8) {
    if byte.is_ascii() {
        text.push(byte as char);
    } else {
        text.push_str(&format!("\\x{byte:02x}"));
    }
}

/// PCRE to the linear engine's syntax, without change of meaning; None: needs backtracking.
fn translate(pattern: &[u8], flags: PcreFlags) -> Option<String> {
    let mut translator = Translator { input: pattern, at: 0, out: String::with_capacity(pattern.len() + 16), flags };
    if flags.anchored {
        translator.out.push_str("\\A(?:");
    }
    translator.run()?;
    if flags.anchored {
        // In extended mode a comment would swallow the parenthesis.
        translator.out.push_str(if flags.extended { "\n)" } else { ")" });
    }
    Some(translator.out)
}

struct Translator<'a> {
    input: &'a [u8],
    at: usize,
    out: String,
    flags: PcreFlags,
}

impl Translator<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.input.get(self.at + ahead).copied()
    }

    fn starts(&self, text: &[u8]) -> bool {
        self.input[self.at..].starts_with(text)
    }

    /// A literal byte that means itself everywhere in the output.
    fn literal(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            self.out.push(byte as char);
        } else {
            self.out.push_str(&format!("\\x{byte:02x}"));
        }
    }

    fn run(&mut self) -> Option<()> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\\' => self.escape(false)?,
                b'[' => self.class()?,
                b'(' => self.group()?,
                b'*' | b'+' | b'?' => {
                    self.out.push(byte as char);
                    self.at += 1;
                    self.after_quantifier()?;
                }
                b'{' => {
                    let bounds = self.bounds();
                    if bounds == 0 {
                        self.out.push_str("\\{");
                        self.at += 1;
                    } else {
                        let end = self.at + bounds;
                        self.out.push_str(std::str::from_utf8(&self.input[self.at..end]).ok()?);
                        self.at = end;
                        self.after_quantifier()?;
                    }
                }
                b'}' => {
                    self.out.push_str("\\}");
                    self.at += 1;
                }
                b'$' if !self.flags.multiline => {
                    // The end, or before a newline that ends the subject.
                    self.out.push_str(if self.flags.dollar_endonly { "\\z" } else { "(?:\\n?\\z)" });
                    self.at += 1;
                }
                b'#' if self.flags.extended => {
                    while let Some(byte) = self.peek(0) {
                        if byte == b'\n' {
                            break;
                        }
                        self.at += 1;
                    }
                }
                _ if byte.is_ascii() => {
                    self.out.push(byte as char);
                    self.at += 1;
                }
                _ => {
                    self.literal(byte);
                    self.at += 1;
                }
            }
        }
        Some(())
    }

    /// `?` (lazy) is copied; `+` (possessive) needs the other engine.
    fn after_quantifier(&mut self) -> Option<()> {
        match self.peek(0) {
            Some(b'+') => None,
            Some(b'?') => {
                self.out.push('?');
                self.at += 1;
                Some(())
            }
            _ => Some(()),
        }
    }

    /// Length of `{n}`, `{n,}` or `{n,m}` at the current place; 0: a literal brace.
    fn bounds(&self) -> usize {
        let rest = &self.input[self.at + 1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return 0;
        }
        match rest.get(digits) {
            Some(b'}') => digits + 2,
            Some(b',') => {
                let more = rest[digits + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                if rest.get(digits + 1 + more) == Some(&b'}') {
                    digits + more + 3
                } else {
                    0
                }
            }
            _ => 0,
        }
    }

    fn group(&mut self) -> Option<()> {
        if self.starts(b"(?#") {
            let end = memchr::memchr(b')', &self.input[self.at..])?;
            self.at += end + 1;
            return Some(());
        }
        if self.starts(b"(*") {
            return None;
        }
        if self.starts(b"(?") {
            match (self.peek(2)?, self.peek(3)) {
                (b'=' | b'!' | b'>' | b'|' | b'(' | b'R' | b'&' | b'\'', _) => return None,
                (b'<', Some(b'=' | b'!')) => return None,
                (b'P', Some(b'=' | b'>')) => return None,
                (digit, _) if digit.is_ascii_digit() => return None,
                (b'+' | b'-', Some(digit)) if digit.is_ascii_digit() => return None,
                (b'<' | b'P', _) => {}
                _ => {
                    // Inline flags: those with another meaning here, and changes of $ and blanks, go to PCRE2.
                    let flags = self.input[self.at + 2..].iter().take_while(|byte| !b":)".contains(byte));
                    for flag in flags {
                        if !b"isU-".contains(flag) {
                            return None;
                        }
                    }
                }
            }
            self.out.push_str("(?");
            self.at += 2;
            return Some(());
        }
        self.out.push('(');
        self.at += 1;
        Some(())
    }

    fn escape(&mut self, in_class: bool) -> Option<()> {
        let next = self.peek(1)?;
        self.at += 2;
        match next {
            b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'n' | b'r' | b't' | b'f' => {
                self.out.push('\\');
                self.out.push(next as char);
            }
            b'b' if in_class => self.out.push_str("\\x08"),
            b'b' | b'B' | b'A' | b'z' if !in_class => {
                self.out.push('\\');
                self.out.push(next as char);
            }
            b'Z' if !in_class => self.out.push_str("(?:\\n?\\z)"),
            b'a' => self.out.push_str("\\x07"),
            b'e' => self.out.push_str("\\x1b"),
            b'h' if in_class => self.out.push_str("\\t\\x20\\xa0"),
            b'h' => self.out.push_str("[\\t\\x20\\xa0]"),
            b'H' if !in_class => self.out.push_str("[^\\t\\x20\\xa0]"),
            b'v' if in_class => self.out.push_str("\\n\\x0b\\f\\r\\x85"),
            b'v' => self.out.push_str("[\\n\\x0b\\f\\r\\x85]"),
            b'V' if !in_class => self.out.push_str("[^\\n\\x0b\\f\\r\\x85]"),
            b'R' if !in_class => self.out.push_str("(?:\\r\\n|[\\n\\x0b\\f\\r\\x85])"),
            b'N' if !in_class => self.out.push_str("[^\\n]"),
            b'c' => {
                let byte = self.peek(0)?.to_ascii_uppercase() ^ 0x40;
                self.at += 1;
                self.literal(byte);
            }
            b'x' => {
                let byte = self.hex_escape()?;
                self.literal(byte);
            }
            b'0' => {
                let byte = self.octal(0, 2)?;
                self.literal(byte);
            }
            b'1'..=b'7' if in_class => {
                let byte = self.octal(u32::from(next - b'0'), 2)?;
                self.literal(byte);
            }
            b'1'..=b'9' => {
                // \10 and above are octal only when no such group exists: three octal digits are sure enough.
                let digits: Vec<u8> = (0..2).filter_map(|ahead| self.peek(ahead)).collect();
                if next <= b'3' && digits.len() == 2 && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
                    let byte = self.octal(u32::from(next - b'0'), 2)?;
                    self.literal(byte);
                } else {
                    return None;
                }
            }
            b'Q' => {
                let rest = &self.input[self.at..];
                let end = memchr::memmem::find(rest, b"\\E").unwrap_or(rest.len());
                for index in 0..end {
                    let byte = self.input[self.at + index];
                    self.literal(byte);
                }
                self.at = (self.at + end + 2).min(self.input.len());
            }
            b'E' => {}
            _ if next.is_ascii_alphanumeric() => return None,
            _ => self.literal(next),
        }
        Some(())
    }

    fn hex_escape(&mut self) -> Option<u8> {
        if self.peek(0) == Some(b'{') {
            let end = memchr::memchr(b'}', &self.input[self.at..])?;
            let digits = std::str::from_utf8(&self.input[self.at + 1..self.at + end]).ok()?;
            let value = u8::from_str_radix(digits, 16).ok()?;
            self.at += end + 1;
            return Some(value);
        }
        let mut value = 0;
        for _ in 0..2 {
            match self.peek(0).and_then(crate::http::hex_value) {
                Some(digit) => {
                    value = value * 16 + digit;
                    self.at += 1;
                }
                None => break,
            }
        }
        Some(value)
    }

    fn octal(&mut self, first: u32, more: usize) -> Option<u8> {
        let mut value = first;
        for _ in 0..more {
            match self.peek(0) {
                Some(digit @ b'0'..=b'7') => {
                    value = value * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                _ => break,
            }
        }
        u8::try_from(value).ok()
    }

    fn class(&mut self) -> Option<()> {
        self.out.push('[');
        self.at += 1;
        if self.peek(0) == Some(b'^') {
            self.out.push('^');
            self.at += 1;
        }
        let mut first = true;
        // Whether a `-` now could begin a range: only after a single byte.
        let mut after_single = false;
        loop {
            let byte = self.peek(0)?;
            match byte {
                b']' if !first => {
                    self.out.push(']');
                    self.at += 1;
                    return Some(());
                }
                b'[' if matches!(self.peek(1), Some(b':')) => {
                    let end = memchr::memmem::find(&self.input[self.at..], b":]");
                    match end {
                        Some(end) if end < 14 => {
                            let name = std::str::from_utf8(&self.input[self.at..self.at + end + 2]).ok()?;
                            self.out.push_str(name);
                            self.at += end + 2;
                        }
                        _ => {
                            self.literal(b'[');
                            self.at += 1;
                        }
                    }
                    after_single = false;
                }
                b'\\' => {
                    let single = !matches!(
                        self.peek(1)?,
                        b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'h' | b'H' | b'v' | b'V' | b'R' | b'N' | b'Q' | b'E'
                    );
                    self.escape(true)?;
                    after_single = single;
                }
                b'-' => {
                    let ends = self.peek(1) == Some(b']');
                    let class_follows = self.peek(1) == Some(b'\\')
                        && matches!(self.peek(2), Some(b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'h' | b'v'));
                    self.at += 1;
                    if after_single && !ends && !class_follows && !first {
                        self.out.push('-');
                    } else {
                        self.literal(b'-');
                    }
                    after_single = false;
                }
                _ => {
                    self.literal(byte);
                    self.at += 1;
                    after_single = !self.out.ends_with('-') && !self.range_just_closed();
                }
            }
            first = false;
        }
    }

    /// After `a-z` a further `-` is literal.
    fn range_just_closed(&self) -> bool {
        let text = self.out.as_bytes();
        let unit = if text.len() >= 4 && text[text.len() - 4..].starts_with(b"\\x") { 4 } else { 1 };
        let before = text.len().saturating_sub(unit);
        before > 0 && text[before - 1] == b'-'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(pattern: &[u8], flags: PcreFlags) -> Expression {
        Expression::new(pattern, flags).unwrap_or_else(|error| panic!("{}: {error}", pattern.escape_ascii()))
    }

    fn find(built: &Expression, subject: &[u8]) -> Search {
        built.find(subject, 0, &mut 1_000_000)
    }

    fn is_match(pattern: &[u8], subject: &[u8]) -> bool {
        find(&expression(pattern, PcreFlags::default()), subject).unwrap().is_some()
    }

    #[test]
    fn linear_where_possible() {
        for (pattern, hit, miss) in [
            (b"a\\/b\\\"".as_slice(), b"a/b\"".as_slice(), b"a\\/b".as_slice()),
            (b"[\\w-.]+x", b"--x", b"  x"),
            (b"[a[b]+z", b"[z", b"cz"),
            (b"[]a]z", b"]z", b"bz"),
            (b"[a&&b]z", b"&z", b"cz"),
            (b"[a-c-e]z", b"-z", b"dz"),
            (b"[\\x41-\\x43]z", b"Bz", b"Dz"),
            (b"x{y}", b"x{y}", b"xy"),
            (b"x{,2}y", b"x{,2}y", b"xxy"),
            (b"x{2}y", b"xxy", b"xy"),
            (b"x{2,}?y", b"xxxy", b"xy"),
            (b"a\\hb", b"a\tb", b"a\nb"),
            (b"a\\vb", b"a\rb", b"a b"),
            (b"a\\Rb", b"a\r\nb", b"a b"),
            (b"\\<a\\>", b"<a>", b" a "),
            (b"\\101\\x2f\\x{41}", b"A/A", b"A/B"),
            (b"\\Qa.b\\E", b"a.b", b"axb"),
            (b"a$", b"a\n", b"ab"),
            (b"a\\Z", b"a\n", b"ab"),
            (b"\\cA", b"\x01", b"A"),
            (b"a(?#note)b", b"ab", b"anoteb"),
            (b"\xff\xfe", b"\xff\xfe", b"\xff"),
            (b"[\x80-\xff]{3}", b"\x90\x91\xfe", b"abc"),
            (b"(?i)abc", b"ABC", b"AB"),
            (b"[[:alpha:]]+1", b"ab1", b"--1"),
            (b"[^\\n]{5}", b"\xffbcde", b"ab\ncd"),
        ] {
            let built = expression(pattern, PcreFlags::default());
            assert!(!built.backtracks(), "{}", pattern.escape_ascii());
            assert!(find(&built, hit).unwrap().is_some(), "{} on {}", pattern.escape_ascii(), hit.escape_ascii());
            assert!(find(&built, miss).unwrap().is_none(), "{} on {}", pattern.escape_ascii(), miss.escape_ascii());
        }
    }

    #[test]
    fn backtracking_where_needed() {
        for (pattern, hit, miss) in [
            (b"a(?!b)".as_slice(), b"ac".as_slice(), b"ab".as_slice()),
            (b"(?<=a)b", b"ab", b"cb"),
            (b"(a|b)\\1", b"bb", b"ab"),
            (b"a++b", b"aab", b"ac"),
            (b"(?>a+)b", b"aab", b"ac"),
            (b"(?=\xff)\xff", b"\xff", b"a"),
        ] {
            assert!(expression(pattern, PcreFlags::default()).backtracks(), "{}", pattern.escape_ascii());
            assert!(is_match(pattern, hit), "{}", pattern.escape_ascii());
            assert!(!is_match(pattern, miss), "{}", pattern.escape_ascii());
        }
    }

    #[test]
    fn backtracking_is_bounded() {
        let built = expression(b"^(?=(a+)+$)(a+)+$", PcreFlags::default());
        assert_eq!(find(&built, &[b"a".repeat(60), b"b".to_vec()].concat()), Err(LimitReached));
    }

    #[test]
    fn flags() {
        let set = |change: fn(&mut PcreFlags)| {
            let mut flags = PcreFlags::default();
            change(&mut flags);
            flags
        };
        for (pattern, flags, hit, miss) in [
            (b"ab".as_slice(), set(|f| f.nocase = true), b"AB".as_slice(), b"A".as_slice()),
            (b"a.b", set(|f| f.dotall = true), b"a\nb", b"ab"),
            (b"^b$", set(|f| f.multiline = true), b"a\nb\nc", b"ab"),
            (b"a b # c", set(|f| f.extended = true), b"ab", b"a b"),
            (b"[a ]b c", set(|f| f.extended = true), b" bc", b"xbc"),
            (b"ab", set(|f| f.anchored = true), b"abc", b"xab"),
            (b"ab$", set(|f| f.dollar_endonly = true), b"ab", b"ab\n"),
            (b"a(?!x)b", set(|f| f.anchored = true), b"ab", b"xab"),
        ] {
            let built = expression(pattern, flags);
            assert!(find(&built, hit).unwrap().is_some(), "{} {flags:?}", pattern.escape_ascii());
            assert!(find(&built, miss).unwrap().is_none(), "{} {flags:?}", pattern.escape_ascii());
        }
        let lazy = expression(b"a+", set(|f| f.ungreedy = true));
        assert_eq!(find(&lazy, b"aaa"), Ok(Some((0, 1))));
    }

    #[test]
    fn broken_expressions_are_refused() {
        for pattern in [b"(".as_slice(), b"[a", b"a{2}{3}(", b"*"] {
            assert!(Expression::new(pattern, PcreFlags::default()).is_err(), "{}", pattern.escape_ascii());
        }
    }

    #[test]
    fn stability() {
        let of = |pattern: &[u8]| {
            let built = expression(pattern, PcreFlags::default());
            (built.stable, built.monotone)
        };
        assert_eq!(of(b"abc"), (true, true));
        assert_eq!(of(b"^abc"), (true, false));
        assert_eq!(of(b"abc$"), (false, false));
        assert_eq!(of(b"abc\\b"), (false, false));
        assert_eq!(of(b"abc(?=d)"), (false, false));
    }
}
