// SPDX-License-Identifier: Apache-2.0
//! Evaluates a rule's options on buffers, also on buffers that are still growing.
//!
//! The options of one buffer are cut into *units*. A unit begins with a content or pcre that may lie anywhere right of
//! where it may begin (its *lead*) and ends before the next such option; what follows the lead is bound to its place. Taking
//! the leftmost match of a unit is always right for the units after it, so units are solved one after
//! the other and never again, and a search goes on where it stopped when more bytes arrive. Only inside
//! a unit earlier options are retried. Whatever bytes to come could change is *pending*, so the result does not
//! depend on how a request was cut.

use std::ops::Range;
use std::sync::Arc;

use crate::bytes::{base64, ByteOption, Came, Names, Value, Variables, VARIABLES};
use crate::dataset::Lookup;
use crate::document::{self, Comparison, Dialect};
use crate::folded;
use crate::http::decoder::Decoder;
use crate::pcre::{Expression, Wanted};
use crate::prefilter::frequency;
use crate::transform::Transforms;
use crate::Buffer;

/// Retries inside units for one rule and call, besides those that the buffer's length allows.
pub const STEPS: u32 = 3_000;

pub enum PartOption {
    Content(Content),
    Pcre {
        expression: Arc<Expression>,
        relative: bool,
        negated: bool,
    },
    Length(Comparison, bool),
    DataAt {
        value: Value,
        /// Besides the value.
        more: usize,
        relative: bool,
        negated: bool,
    },
    Byte(ByteOption),
    /// The whole buffer is looked up.
    Dataset(Lookup),
    /// Judges `options` on what stands there in base64.
    Base64 {
        bytes: usize,
        offset: usize,
        relative: bool,
        options: Box<[PartOption]>,
    },
    /// Judges `options` on what the buffer becomes.
    Transform {
        steps: Transforms,
        options: Box<[PartOption]>,
    },
}

pub struct Content {
    bytes: Box<[u8]>,
    finder: Finder,
    negated: bool,
    endswith: bool,
    relative: bool,
    /// Relative: distance, else offset.
    from: i64,
    /// Length of the window that begins at `from`; i64::MAX: to the buffer's end.
    span: i64,
    /// Instead of `from` and `span` when one of them is taken from the request.
    varying: Option<Box<(Value, Value)>>,
    /// Snort: a negated content that would begin behind the end does not match, and windows are as they are written.
    inside: bool,
}

enum Finder {
    Exact(Box<memchr::memmem::Finder<'static>>),
    /// Index of the byte to look for, that byte in lower and in upper case, and the index of another to tell places by.
    Folded(usize, u8, u8, usize),
}

/// Places of a content's rarest byte that are looked at one by one.
const TRIES: usize = 16;
/// Units of work of a search, besides those for the bytes it passes over.
const COST_OF_SEARCH: usize = 2;

impl Content {
    pub fn new(content: document::Content, dialect: Dialect, names: &Names) -> Result<Content, String> {
        let length = content.bytes.len() as i64;
        let relative = content.distance.is_some() || content.within.is_some();
        let absolute = content.offset.is_some() || content.depth.is_some() || content.startswith;
        if relative && absolute {
            return Err("content: offset, depth and startswith cannot be combined with distance and within".into());
        }
        let offset = content.offset.as_ref().map(|offset| names.value(offset)).transpose()?;
        let distance = content.distance.as_ref().map(|distance| names.value(distance)).transpose()?;
        let limit = content.depth.as_ref().or(content.within.as_ref());
        let limit = limit.map(|limit| names.value(limit)).transpose()?;
        if matches!(limit, Some(Value::Fixed(limit)) if limit < length) {
            return Err("content: depth or within is shorter than the content".into());
        }
        if matches!(offset, Some(Value::Fixed(offset)) if offset < 0) {
            return Err("content: negative offset".into());
        }
        let begin = offset.or(distance).unwrap_or(Value::Fixed(0));
        let room = if content.startswith { Some(Value::Fixed(length)) } else { limit };
        let room = room.unwrap_or(Value::Fixed(i64::MAX));
        let none = [0; VARIABLES];
        let varying = (begin.varies() || room.varies()).then(|| Box::new((begin, room)));
        let finder = if content.nocase && content.bytes.iter().any(u8::is_ascii_alphabetic) {
            let bytes = &content.bytes;
            let rarest = |places: &mut dyn Iterator<Item = usize>| places.min_by_key(|at| frequency::byte(bytes[*at]));
            let first = rarest(&mut (0..bytes.len())).expect("contents are not empty");
            let others = |at: &usize| !bytes[*at].eq_ignore_ascii_case(&bytes[first]);
            let second = rarest(&mut (0..bytes.len()).filter(others)).unwrap_or(bytes.len() - 1);
            Finder::Folded(first, bytes[first].to_ascii_lowercase(), bytes[first].to_ascii_uppercase(), second)
        } else {
            Finder::Exact(Box::new(memchr::memmem::Finder::new(&content.bytes).into_owned()))
        };
        Ok(Content {
            finder,
            negated: content.negated,
            inside: dialect != Dialect::Suricata,
            endswith: content.endswith,
            relative,
            from: begin.get(&none),
            span: room.get(&none),
            varying,
            bytes: content.bytes.into_boxed_slice(),
        })
    }

    /// Where the content may lie: begin and end, not yet cut to the buffer.
    fn window(&self, cursor: usize, budget: &Budget) -> (usize, usize) {
        let base = if self.relative { cursor as i64 } else { -(budget.origin as i64) };
        let Some(values) = &self.varying else {
            let from = base.saturating_add(self.from);
            return self.between(from, from.saturating_add(self.span));
        };
        let (from, span) = (values.0.get(&budget.variables), values.1.get(&budget.variables));
        // Suricata counts without a sign, where the content stands relative to nothing.
        let whole = |value: i64| if self.inside || self.relative || value >= 0 { value } else { i64::MAX };
        let from = base.saturating_add(whole(from));
        let mut end = from.saturating_add(whole(span));
        if !self.inside && self.relative && values.0.varies() {
            // It adds once more where the window begins.
            end = end.saturating_add(from.max(0));
        }
        self.between(from, end)
    }

    fn between(&self, from: i64, end: i64) -> (usize, usize) {
        // To Suricata, a window that ends before the beginning has no end.
        let end = if end < 0 && !self.inside { i64::MAX } else { end };
        (from.max(0) as usize, end.max(0) as usize)
    }

    /// The first place at or after `from` where the content lies in `bytes[..to]`.
    fn find(&self, bytes: &[u8], from: usize, to: usize, budget: &mut Budget) -> Option<usize> {
        let length = self.bytes.len();
        if from >= to || to - from < length || budget.exhausted {
            return None;
        }
        let hay = &bytes[from..to];
        match &self.finder {
            Finder::Exact(finder) => {
                let found = finder.find(hay);
                budget.work(COST_OF_SEARCH + found.unwrap_or(hay.len()) / 64);
                found.map(|at| from + at)
            }
            Finder::Folded(index, lower, upper, second) => {
                let mut start = *index;
                let last = hay.len() - (length - index);
                budget.work(COST_OF_SEARCH);
                for _ in 0..TRIES {
                    if start > last {
                        return None;
                    }
                    let next = memchr::memchr2(*lower, *upper, &hay[start..=last]);
                    if !budget.work(1 + next.unwrap_or(last - start) / 64) {
                        return None;
                    }
                    let at = start + next?;
                    if hay[at - index..at - index + length].eq_ignore_ascii_case(&self.bytes) {
                        return Some(from + at - index);
                    }
                    start = at + 1;
                }
                // The byte is frequent here.
                let begin = start - index;
                let (found, looked) = folded::find(&hay[begin..], &self.bytes, [*index, *second]);
                budget.work(1 + looked + found.unwrap_or(hay.len() - begin) / 32);
                found.map(|at| from + begin + at)
            }
        }
    }
}

impl PartOption {
    fn is_positive(&self) -> bool {
        matches!(self, PartOption::Content(Content { negated: false, .. }) | PartOption::Pcre { negated: false, .. })
    }

    fn is_relative(&self) -> bool {
        match self {
            PartOption::Content(content) => content.relative,
            PartOption::Pcre { relative, .. } | PartOption::DataAt { relative, .. } => *relative,
            PartOption::Length(_, relative) | PartOption::Base64 { relative, .. } => *relative,
            PartOption::Byte(option) => option.is_relative(),
            PartOption::Transform { .. } | PartOption::Dataset(_) => false,
        }
    }

    /// Makes sense only after all options before it have been evaluated: they move its place or give it values.
    fn in_order(&self) -> bool {
        match self {
            PartOption::Content(content) => content.varying.is_some(),
            PartOption::DataAt { value, .. } => value.varies(),
            PartOption::Byte(option) => option.in_order(),
            // What changes a set is asked last.
            PartOption::Base64 { .. } | PartOption::Transform { .. } | PartOption::Dataset(_) => true,
            PartOption::Pcre { .. } | PartOption::Length(..) => false,
        }
    }

    /// May begin a unit after others: a positive option whose failure from some place means failure from all later ones.
    fn leads(&self) -> bool {
        match self {
            PartOption::Content(content) => !content.negated && (!content.relative || content.span == i64::MAX),
            PartOption::Pcre { expression, relative, negated } => !negated && (!relative || expression.monotone()),
            _ => false,
        }
    }

    /// Only a complete buffer decides it.
    fn needs_end(&self) -> bool {
        match self {
            PartOption::Content(content) => content.endswith || content.negated && content.span == i64::MAX,
            PartOption::Pcre { .. } => true,
            PartOption::Length(..) | PartOption::Base64 { .. } | PartOption::Transform { .. } => true,
            PartOption::Dataset(_) => true,
            PartOption::DataAt { .. } | PartOption::Byte(_) => false,
        }
    }
}

/// A rule's options on one buffer.
pub struct Part {
    pub buffer: Buffer,
    /// Checks that hang on no match: each is evaluated from the buffer's beginning.
    checks: Vec<PartOption>,
    options: Vec<PartOption>,
    units: Vec<Unit>,
    /// The options cannot be cut into units: each is evaluated after those before it, with all retries.
    in_order: bool,
    pub absence: Absence,
}

/// What it means that a request does not have the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absence {
    #[default]
    Fails,
    Matches,
    /// The same; and a request that has the buffer does not match.
    Wanted,
}

struct Unit {
    options: Range<usize>,
    /// Something behind the lead (or an `endswith` lead) waits for the end of the buffer.
    needs_end: bool,
}

impl Part {
    pub fn new(buffer: Buffer, list: Vec<PartOption>) -> Part {
        if list.iter().any(PartOption::in_order) {
            let (checks, units, absence) = (Vec::new(), Vec::new(), Absence::Fails);
            return Part { buffer, checks, options: list, units, in_order: true, absence };
        }
        let (checks, options, units) = (Vec::new(), Vec::new(), Vec::new());
        let mut part = Part { buffer, checks, options, units, in_order: false, absence: Absence::Fails };
        for option in list {
            if part.units.is_empty() && option.is_positive() || option.leads() {
                let needs_end = matches!(&option, PartOption::Content(content) if content.endswith);
                let at = part.options.len();
                part.units.push(Unit { options: at..at + 1, needs_end });
                part.options.push(option);
            } else if part.units.is_empty() || !option.is_relative() {
                part.checks.push(option);
            } else {
                let unit = part.units.last_mut().expect("there is a unit");
                unit.needs_end |= option.needs_end();
                unit.options.end += 1;
                part.options.push(option);
            }
        }
        part
    }

    /// Goes on with a part; `state` is the default one for a first call.
    pub fn advance(&self, state: &mut PartState, bytes: &[u8], complete: bool, budget: &mut Budget) {
        if self.in_order {
            if complete || state.worth_a_search(bytes.len()) {
                match self.tail(&self.options, bytes, complete, 0, budget) {
                    Outcome::Match(_) => {
                        state.status = Status::Matched;
                        state.place = budget.place;
                    }
                    Outcome::Fail => state.status = Status::Failed,
                    Outcome::Pending => {}
                }
            }
            return;
        }
        while let Some(check) = self.checks.get(state.check as usize) {
            match self.option(check, bytes, complete, 0, &[], budget) {
                Outcome::Match(_) => state.check += 1,
                Outcome::Pending => break,
                Outcome::Fail => {
                    state.status = Status::Failed;
                    return;
                }
            }
        }
        while let Some(unit) = self.units.get(state.unit as usize) {
            match self.unit(unit, state, bytes, complete, budget) {
                Outcome::Match(cursor) => {
                    state.unit += 1;
                    state.base = cursor as u32;
                    state.resume = 0;
                    state.scanned = 0;
                }
                Outcome::Pending => return,
                Outcome::Fail => {
                    state.status = Status::Failed;
                    return;
                }
            }
        }
        if state.check as usize == self.checks.len() {
            state.status = Status::Matched;
        }
    }

    fn unit(&self, unit: &Unit, state: &mut PartState, bytes: &[u8], complete: bool, budget: &mut Budget) -> Outcome {
        if unit.needs_end && !complete {
            return Outcome::Pending;
        }
        let base = state.base as usize;
        let (lead, tail) = self.options[unit.options.clone()].split_first().expect("a unit has a lead");
        match lead {
            PartOption::Content(content) => {
                let (from, to) = content.window(base, budget);
                let end = to.min(bytes.len());
                let mut at = from.max(state.resume as usize);
                if content.endswith {
                    at = at.max(bytes.len().saturating_sub(content.bytes.len()));
                }
                while let Some(found) = content.find(bytes, at, end, budget) {
                    let cursor = found + content.bytes.len();
                    let fits = !content.endswith || cursor == bytes.len();
                    match if fits { self.tail(tail, bytes, complete, cursor, budget) } else { Outcome::Fail } {
                        Outcome::Match(after) => {
                            if state.unit == 0 {
                                state.place = (found as u32, content.bytes.len() as u32);
                            }
                            return Outcome::Match(after);
                        }
                        Outcome::Pending => {
                            state.resume = found as u32;
                            return Outcome::Pending;
                        }
                        Outcome::Fail => at = found + 1,
                    }
                    if budget.exhausted {
                        return Outcome::Fail;
                    }
                }
                if complete || to <= bytes.len() {
                    return Outcome::Fail;
                }
                state.resume = at.max((bytes.len() + 1).saturating_sub(content.bytes.len())) as u32;
                Outcome::Pending
            }
            PartOption::Pcre { expression, relative, .. } => {
                let last = tail.is_empty() && state.unit as usize + 1 == self.units.len();
                let early = last && expression.stable();
                let start = if *relative { base } else { 0 };
                let subject = &bytes[start.min(bytes.len())..];
                let again =
                    complete || early && (expression.longest().is_some() || state.worth_a_search(subject.len()));
                if !again {
                    return Outcome::Pending;
                }
                let wanted = if last { Wanted::Whether } else { Wanted::Where };
                let mut at = state.resume as usize;
                loop {
                    match budget.find(expression, subject, at, wanted) {
                        Some((found, end)) => match self.tail(tail, bytes, complete, start + end, budget) {
                            Outcome::Match(after) => {
                                if state.unit == 0 {
                                    state.place = ((start + found) as u32, (end - found) as u32);
                                }
                                return Outcome::Match(after);
                            }
                            Outcome::Pending => return Outcome::Pending,
                            Outcome::Fail => at = found + 1,
                        },
                        None if complete => return Outcome::Fail,
                        None => {
                            let longest = expression.longest().unwrap_or(subject.len());
                            state.resume = at.max(subject.len().saturating_sub(longest)) as u32;
                            return Outcome::Pending;
                        }
                    }
                    if !budget.step() {
                        return Outcome::Fail;
                    }
                }
            }
            // Only contents and expressions lead.
            _ => Outcome::Fail,
        }
    }

    fn tail(
        &self,
        options: &[PartOption],
        bytes: &[u8],
        complete: bool,
        cursor: usize,
        budget: &mut Budget,
    ) -> Outcome {
        match options.split_first() {
            None => Outcome::Match(cursor),
            Some((option, rest)) => {
                if !budget.step() {
                    return Outcome::Fail;
                }
                self.option(option, bytes, complete, cursor, rest, budget)
            }
        }
    }

    /// Notes where an option has matched; the first one's place is noted last.
    fn place(&self, outcome: Outcome, (at, length): (usize, usize), budget: &mut Budget) -> Outcome {
        if matches!(outcome, Outcome::Match(_)) {
            budget.place = (at as u32, length as u32);
        }
        outcome
    }

    /// One option that is bound to `cursor`, then those after it.
    fn option(
        &self,
        option: &PartOption,
        bytes: &[u8],
        complete: bool,
        cursor: usize,
        rest: &[PartOption],
        budget: &mut Budget,
    ) -> Outcome {
        match option {
            PartOption::Content(content) => {
                let (from, to) = content.window(cursor, budget);
                let end = to.min(bytes.len());
                let decided = complete || to <= bytes.len();
                if content.endswith && !complete {
                    return Outcome::Pending;
                }
                let mut at = from;
                if content.endswith {
                    at = at.max(bytes.len().saturating_sub(content.bytes.len()));
                }
                if content.negated {
                    // Nothing to search as long as the bytes to come decide.
                    if content.span == i64::MAX && !complete {
                        return Outcome::Pending;
                    }
                    if content.inside && from > bytes.len() {
                        return if complete { Outcome::Fail } else { Outcome::Pending };
                    }
                    let found = content.find(bytes, at, end, budget);
                    let there = |found| !content.endswith || found + content.bytes.len() == bytes.len();
                    if budget.exhausted || found.is_some_and(there) {
                        return Outcome::Fail;
                    }
                    return if decided { self.tail(rest, bytes, complete, cursor, budget) } else { Outcome::Pending };
                }
                while let Some(found) = content.find(bytes, at, end, budget) {
                    let after = found + content.bytes.len();
                    if !content.endswith || after == bytes.len() {
                        match self.tail(rest, bytes, complete, after, budget) {
                            Outcome::Fail => {}
                            outcome => return self.place(outcome, (found, content.bytes.len()), budget),
                        }
                    }
                    if !budget.step() {
                        return Outcome::Fail;
                    }
                    at = found + 1;
                }
                if decided {
                    Outcome::Fail
                } else {
                    Outcome::Pending
                }
            }
            PartOption::Pcre { expression, relative, negated } => {
                if !complete {
                    return Outcome::Pending;
                }
                let start = if *relative { cursor.min(bytes.len()) } else { 0 };
                let subject = &bytes[start..];
                if *negated {
                    return match budget.find_relative(expression, bytes, start, Wanted::Whether) {
                        Some(_) => Outcome::Fail,
                        None if budget.exhausted => Outcome::Fail,
                        None => self.tail(rest, bytes, complete, cursor, budget),
                    };
                }
                let wanted = if self.in_order && rest.is_empty() { Wanted::Whether } else { Wanted::Where };
                let mut next = budget.find_relative(expression, bytes, start, wanted);
                while let Some((found, end)) = next {
                    match self.tail(rest, bytes, complete, start + end, budget) {
                        Outcome::Fail => {}
                        outcome => return self.place(outcome, (start + found, end - found), budget),
                    }
                    if !budget.step() {
                        return Outcome::Fail;
                    }
                    next = budget.find(expression, subject, found + 1, wanted);
                }
                Outcome::Fail
            }
            PartOption::Length(comparison, relative) => {
                if !complete {
                    return Outcome::Pending;
                }
                let before = if *relative { cursor } else { 0 };
                if comparison.holds(bytes.len().saturating_sub(before)) {
                    self.tail(rest, bytes, complete, cursor, budget)
                } else {
                    Outcome::Fail
                }
            }
            PartOption::DataAt { value, more, relative, negated } => {
                let value = (value.get(&budget.variables).max(0) as usize).saturating_add(*more);
                let there = if *relative {
                    cursor.saturating_add(value) <= bytes.len()
                } else {
                    value < bytes.len() + budget.origin
                };
                match (there, negated, complete) {
                    (true, false, _) | (false, true, true) => self.tail(rest, bytes, complete, cursor, budget),
                    (true, true, _) | (false, false, true) => Outcome::Fail,
                    (false, _, false) => Outcome::Pending,
                }
            }
            PartOption::Dataset(lookup) => {
                if !complete {
                    return Outcome::Pending;
                }
                budget.charge(bytes.len());
                if lookup.holds(bytes) {
                    self.tail(rest, bytes, complete, cursor, budget)
                } else {
                    Outcome::Fail
                }
            }
            PartOption::Byte(option) => match option.apply(bytes, cursor, complete, &mut budget.variables) {
                Came::To(cursor) => self.tail(rest, bytes, complete, cursor, budget),
                Came::Not => Outcome::Fail,
                Came::Behind => Outcome::Pending,
            },
            PartOption::Base64 { bytes: most, offset, relative, options } => {
                if !complete {
                    return Outcome::Pending;
                }
                let begin = offset + if *relative { cursor } else { 0 };
                let text = bytes.get(begin..).unwrap_or_default();
                let text = &text[..text.len().min(*most)];
                budget.charge(text.len());
                let mut decoded = Vec::new();
                base64(text, &mut decoded);
                if decoded.is_empty() {
                    return Outcome::Fail;
                }
                let place = (begin, text.len());
                let inner = self.tail(options, &decoded, true, 0, budget);
                // Other bytes may come to lie where these are.
                budget.missing = None;
                match inner {
                    Outcome::Match(_) => self.place(self.tail(rest, bytes, complete, cursor, budget), place, budget),
                    outcome => outcome,
                }
            }
            PartOption::Transform { steps, options } => {
                if !complete {
                    return Outcome::Pending;
                }
                let Some(made) = steps.apply(bytes, |units| budget.work(units)) else { return Outcome::Fail };
                let inner = self.tail(options, &made, true, 0, budget);
                budget.missing = None;
                match inner {
                    Outcome::Match(_) => {
                        self.place(self.tail(rest, bytes, complete, cursor, budget), (0, bytes.len()), budget)
                    }
                    outcome => outcome,
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// With the cursor behind the last match.
    Match(usize),
    Fail,
    /// Bytes to come decide.
    Pending,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Running,
    Matched,
    Failed,
}

/// How far a part has come in one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartState {
    pub status: Status,
    check: u16,
    unit: u16,
    /// Cursor behind the units that matched.
    base: u32,
    /// No lead of the current unit lies before it; an expression's is counted from where it may begin.
    resume: u32,
    /// Bytes that the current unit's expression has been run over.
    scanned: u32,
    /// Of a buffer that each part of a body has: which one this is about.
    pub value: u32,
    /// Place and length of the first unit's lead.
    pub place: (u32, u32),
}

impl PartState {
    /// From the beginning, with the next value of a buffer that has several.
    pub fn next_value(&self) -> PartState {
        PartState { value: self.value + 1, ..PartState::default() }
    }

    /// The first `bytes` of the buffer are gone.
    pub fn shift(&mut self, bytes: usize) {
        for place in [&mut self.base, &mut self.resume, &mut self.place.0] {
            *place = place.saturating_sub(bytes as u32);
        }
    }

    /// Running an expression again over a growing buffer stays linear: all runs together may cost a multiple of its length.
    fn worth_a_search(&mut self, length: usize) -> bool {
        if self.scanned as usize > 8 * length + (64 << 10) {
            return false;
        }
        self.scanned = self.scanned.saturating_add(length as u32);
        true
    }
}

/// Units of work that evaluating the rules on one request may take, whatever is in it: a constant, so many for each byte
/// that has arrived, and for each call. A unit is a comparison or a search through 32 or 64 bytes: some nanoseconds. Ordinary
/// requests need a few dozen units; the constant is what a short request made to be expensive can cost.
pub const WORK: u64 = 20_000;
pub const WORK_PER_BYTE: u64 = 5;
pub const WORK_PER_CALL: u64 = 1_000;

/// Bounds the work for one rule, and takes it from what the request may still cost.
pub struct Budget {
    steps: u32,
    /// Units that the request has left.
    left: u64,
    /// Bytes of the stream in front of the buffer that are gone.
    origin: usize,
    /// No more for this rule.
    pub exhausted: bool,
    /// An expression reached its own bound.
    backtracking: bool,
    variables: Variables,
    /// An expression that was not found, in which bytes, and from where on.
    missing: Option<(Searched, usize)>,
    /// Of options that are evaluated in order: where the first of them has matched, and how long that is.
    place: (u32, u32),
}

/// Addresses of an expression and of the bytes, and their number.
type Searched = (usize, usize, usize);

impl Budget {
    /// For a buffer of which `length` bytes may be searched; `left`: units that the request may still cost.
    pub fn new(length: usize, origin: usize, left: u64) -> Budget {
        Budget {
            steps: STEPS.saturating_add((length / 4) as u32),
            left,
            origin,
            exhausted: false,
            backtracking: false,
            variables: [0; VARIABLES],
            missing: None,
            place: (0, 0),
        }
    }

    /// Units that are left; 0: nothing more may be asked about the request.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Which bound was reached, when one was.
    pub fn bound(&self) -> Decoder {
        match (self.left, self.backtracking) {
            (0, _) => Decoder::WorkBound,
            (_, true) => Decoder::PcreBound,
            (_, false) => Decoder::MatchBound,
        }
    }

    /// Another of the rule's buffers is looked at.
    pub fn look(&mut self) {
        self.work(2);
    }

    /// Takes units; false when there are no more.
    fn work(&mut self, units: usize) -> bool {
        self.left = self.left.saturating_sub(units as u64);
        self.exhausted |= self.left == 0;
        !self.exhausted
    }

    fn step(&mut self) -> bool {
        self.exhausted |= self.steps == 0;
        self.steps = self.steps.saturating_sub(1);
        self.work(1)
    }

    /// Takes what looking at places in so many bytes costs; false when there is no more.
    pub fn pass(&mut self, bytes: usize) -> bool {
        self.work(1 + bytes / 4)
    }

    /// Passing over bytes costs too.
    fn charge(&mut self, bytes: usize) {
        self.steps = self.steps.saturating_sub((bytes / 256) as u32);
        self.work(1 + bytes / 4);
    }

    fn find(&mut self, expression: &Expression, subject: &[u8], from: usize, wanted: Wanted) -> Option<(usize, usize)> {
        let before = self.left;
        let found = expression.find(subject, from, wanted, &mut self.left);
        self.searched(before, found.ok())
    }

    /// The first match in `bytes[start..]`. One that follows a content is tried behind each place of that: when nothing was
    /// found behind the first, the others need not be gone through again.
    fn find_relative(
        &mut self,
        expression: &Expression,
        bytes: &[u8],
        start: usize,
        wanted: Wanted,
    ) -> Option<(usize, usize)> {
        let which = (std::ptr::from_ref(expression) as usize, bytes.as_ptr() as usize, bytes.len());
        let before = self.left;
        let missing = self.missing.is_some_and(|(searched, from)| searched == which && from <= start);
        let found = match missing {
            true => expression.find_in_rest(&bytes[start..], wanted, &mut self.left),
            false => expression.find(&bytes[start..], 0, wanted, &mut self.left),
        };
        if found == Ok(None) && !missing {
            self.missing = Some((which, start));
        }
        self.searched(before, found.ok())
    }

    /// Counts a search; None: it reached its bound.
    fn searched(&mut self, before: u64, found: Option<Option<(usize, usize)>>) -> Option<(usize, usize)> {
        self.steps = self.steps.saturating_sub(((before - self.left) / 64) as u32);
        self.exhausted |= self.left == 0;
        found.unwrap_or_else(|| {
            self.backtracking = true;
            self.exhausted = true;
            None
        })
    }
}
