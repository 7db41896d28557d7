// SPDX-License-Identifier: Apache-2.0
//! Tells whether an expression matches at all, with one bit for each of its positions.
//!
//! Expressions that count far (`[^\n]{1000}`) have more states than any memory: each byte that can begin a match begins
//! another count. Side by side, as bits of a row of words, all these counts cost a shift for each byte, whatever comes.
//! What the expression asks besides bytes (word boundaries, the end) is left out, so a match that is told of may be none
//! then: [`Bits::is_exact`].

use std::collections::{BTreeMap, HashMap};

use regex_automata::util::prefilter::Prefilter;
use regex_automata::{MatchKind, Span};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

/// Positions of an expression, edges between them, and words that are looked at beside the row.
const MOST_POSITIONS: usize = 4_096;
const MOST_EDGES: usize = 1 << 16;
const MOST_WORDS: usize = 64;
/// Rows of fewer bytes are not looked for.
const LEAST_ROW: u32 = 32;
/// What things cost is counted in so many parts of a unit of work.
const PARTS: u64 = 6;
const ROW: usize = MOST_POSITIONS / 64 + 1;

/// Where a match may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Anywhere,
    AtStart,
    OfLine,
}

pub struct Bits {
    words: usize,
    /// Rows for each class of bytes: the positions that stand for such a byte.
    classes: Box<[u8; 256]>,
    reach: Vec<u64>,
    /// Positions that the one before leads to, and those that lead to themselves.
    shift: Vec<u64>,
    stay: Vec<u64>,
    /// What leads elsewhere, and where: (word, bits) of both.
    leaps: Vec<(Vec<Word>, Vec<Word>)>,
    first: Vec<Word>,
    last: Vec<Word>,
    /// Classes that a match may begin with.
    begins: Vec<bool>,
    begin: Begin,
    literal: Option<Prefilter>,
    /// Bytes of which so many have to stand in a row.
    row: Option<(Box<[bool; 256]>, usize)>,
    /// Words that the leaps look at.
    beside: usize,
    /// A match that is told of is one; when `filled`, if the search begins at the subject's beginning.
    exact: bool,
    filled: bool,
}

type Word = (usize, u64);

impl Bits {
    /// None: there are too many positions or edges, or nothing has to be there.
    pub fn new(hir: &Hir) -> Option<Bits> {
        let looks = hir.properties().look_set();
        let mut parts = flatten(hir);
        let mut begin = Begin::Anywhere;
        let (mut exact, mut filled) = (looks.is_empty(), false);
        if let Some(HirKind::Look(look @ (Look::Start | Look::StartLF))) = parts.first().map(Hir::kind) {
            begin = if *look == Look::Start { Begin::AtStart } else { Begin::OfLine };
            parts.remove(0);
            exact = parts.iter().all(|part| part.properties().look_set().is_empty());
            // Of a line's or the subject's beginning and what fills up from there to anywhere, nothing is left.
            let fill = parts.first().and_then(filling);
            if fill.is_some_and(|all| all || begin == Begin::OfLine) {
                begin = Begin::Anywhere;
                filled = true;
                parts.remove(0);
            }
        } else if hir.properties().look_set_prefix().contains(Look::Start) {
            begin = Begin::AtStart;
        }
        // A shorter match will do: what may be there before its first byte or behind its last one need not be.
        if begin == Begin::Anywhere {
            trim(&mut parts, false);
        }
        trim(&mut parts, true);
        let row = parts.iter().filter_map(row_of).max_by_key(|(_, least)| *least);
        let needed = Hir::concat(parts);
        let mut graph = Graph::default();
        let whole = graph.add(&needed)?;
        if whole.nullable || graph.bytes.is_empty() {
            return None;
        }
        let literal = match begin {
            Begin::Anywhere => Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &needed),
            _ => None,
        };
        let bits = graph.finish(&whole, begin, literal)?;
        Some(Bits { exact, filled, row, ..bits })
    }

    /// Whether a match that [`Bits::find`] tells of is one for certain.
    pub fn is_exact(&self, from: usize) -> bool {
        self.exact && (from == 0 || !self.filled)
    }

    /// Where the first match ends that begins at or after `from`, and how many units of work that took: about `left` at most,
    /// beyond which it is not followed.
    pub fn find(&self, subject: &[u8], from: usize, left: u64) -> (Option<usize>, u64) {
        let rows = self.may_have_row(&subject[from.min(subject.len())..]);
        let mut cost = 12 + rows.unwrap_or_else(|passed| passed) as u64;
        if rows.is_err() {
            return (None, cost / PARTS);
        }
        // With a word in front, so that each has a neighbour below; above `high` words there is nothing.
        let (mut one, mut other) = ([0u64; ROW + 1], [0u64; ROW + 1]);
        let (mut row, mut next) = (&mut one, &mut other);
        let mut high = 0;
        let mut at = from;
        while at < subject.len() && cost / PARTS <= left {
            if high == 0 {
                let to = self.skip(subject, at);
                cost += if self.literal.is_some() { 60 + (to - at) as u64 / 8 } else { 6 + (to - at) as u64 };
                at = to;
                if at == subject.len() {
                    break;
                }
            }
            let class = usize::from(self.classes[usize::from(subject[at])]);
            let reach = &self.reach[class * self.words..][..self.words];
            let mut top = self.words.min(high + 1);
            cost += 10 + (top + self.beside) as u64;
            if high > 0 {
                let (shift, stay, allowed) = (&self.shift[..top], &self.stay[..top], &reach[..top]);
                let (below, here, new) = (&row[..top], &row[1..=top], &mut next[1..=top]);
                for at in 0..top {
                    new[at] = ((here[at] << 1 | below[at] >> 63) & shift[at] | here[at] & stay[at]) & allowed[at];
                }
                for (sources, targets) in &self.leaps {
                    if sources.iter().any(|(word, bits)| row[word + 1] & bits != 0) {
                        for (word, bits) in targets {
                            next[word + 1] |= bits & reach[*word];
                            top = top.max(word + 1);
                        }
                    }
                }
            }
            let begins = match self.begin {
                Begin::Anywhere => true,
                Begin::AtStart => at == 0,
                Begin::OfLine => at == 0 || subject[at - 1] == b'\n',
            };
            if begins {
                for (word, bits) in &self.first {
                    next[word + 1] |= bits & reach[*word];
                    top = top.max(word + 1);
                }
            }
            at += 1;
            if self.last.iter().any(|(word, bits)| next[word + 1] & bits != 0) {
                return (Some(at), cost / PARTS);
            }
            row[1..=high].fill(0);
            std::mem::swap(&mut row, &mut next);
            high = row[1..=top].iter().rposition(|word| *word != 0).map_or(0, |word| word + 1);
        }
        (None, cost / PARTS)
    }

    /// Whether there are as many bytes in a row as there have to be; and how many were looked at.
    fn may_have_row(&self, subject: &[u8]) -> Result<usize, usize> {
        let Some((class, least)) = &self.row else { return Ok(0) };
        let (mut looked, mut start) = (0, 0);
        // From the end of where a row could be to its beginning: most of what is too short is never looked at.
        let mut known = 0;
        while let Some(row) = subject.get(start..start + least) {
            let fresh = &row[known..];
            match fresh.iter().rposition(|byte| !class[usize::from(*byte)]) {
                None => return Ok(looked + fresh.len()),
                Some(at) => {
                    looked += fresh.len() - at;
                    known = fresh.len() - at - 1;
                    start = start + least - known;
                }
            }
        }
        Err(looked)
    }

    /// Where a match can begin, at or after `at`.
    fn skip(&self, subject: &[u8], at: usize) -> usize {
        let line = |at: usize| memchr::memchr(b'\n', &subject[at..]).map_or(subject.len(), |end| at + end + 1);
        match (self.begin, &self.literal) {
            (Begin::AtStart, _) if at > 0 => subject.len(),
            (Begin::AtStart, _) => at,
            (Begin::OfLine, _) if at == 0 || subject[at - 1] == b'\n' => at,
            (Begin::OfLine, _) => line(at),
            (Begin::Anywhere, Some(literal)) => {
                literal.find(subject, Span { start: at, end: subject.len() }).map_or(subject.len(), |found| found.start)
            }
            (Begin::Anywhere, None) => {
                let begins = |byte: &u8| self.begins[usize::from(self.classes[usize::from(*byte)])];
                subject[at..].iter().position(begins).map_or(subject.len(), |found| at + found)
            }
        }
    }
}

/// What `hir` is a sequence of.
fn flatten(hir: &Hir) -> Vec<Hir> {
    match hir.kind() {
        HirKind::Capture(capture) => flatten(&capture.sub),
        HirKind::Concat(parts) => parts.iter().flat_map(flatten).collect(),
        HirKind::Empty => Vec::new(),
        _ => vec![hir.clone()],
    }
}

/// Whether the part is `.*`: Some(true) with, Some(false) without the end of lines.
fn filling(part: &Hir) -> Option<bool> {
    match part.kind() {
        HirKind::Repetition(Repetition { min: 0, max: None, sub, .. }) => match sub.kind() {
            HirKind::Class(Class::Bytes(class)) => {
                let missing = (0..=255).filter(|byte| !has(class, *byte));
                match missing.collect::<Vec<u8>>()[..] {
                    [] => Some(true),
                    [b'\n'] => Some(false),
                    _ => None,
                }
            }
            HirKind::Capture(capture) => filling(&capture.sub),
            _ => None,
        },
        HirKind::Capture(capture) => filling(&capture.sub),
        _ => None,
    }
}

/// Of a part that is a row of bytes of one class: which, and how many at least, if that is worth a look.
fn row_of(part: &Hir) -> Option<(Box<[bool; 256]>, usize)> {
    let HirKind::Repetition(repetition) = part.kind() else { return None };
    let HirKind::Class(Class::Bytes(class)) = repetition.sub.kind() else { return None };
    let mut table = Box::new([false; 256]);
    (0..=255).filter(|byte| has(class, *byte)).for_each(|byte| table[usize::from(byte)] = true);
    (repetition.min >= LEAST_ROW).then_some((table, repetition.min as usize))
}

fn has(class: &ClassBytes, byte: u8) -> bool {
    class.iter().any(|range| (range.start()..=range.end()).contains(&byte))
}

/// Takes from the beginning or the end what need not be there.
fn trim(parts: &mut Vec<Hir>, end: bool) {
    loop {
        let at = if end { parts.len().wrapping_sub(1) } else { 0 };
        let Some(part) = parts.get_mut(at) else { return };
        let HirKind::Repetition(repetition) = part.kind() else { return };
        let least = Repetition { max: Some(repetition.min), ..repetition.clone() };
        // What is counted may itself have a beginning or end that need not be there: left as it is.
        if least.min > 0 {
            *part = Hir::repetition(least);
            return;
        }
        parts.remove(at);
    }
}

/// Positions, each of which stands for a set of bytes, and which may follow which.
#[derive(Default)]
struct Graph {
    bytes: Vec<ClassBytes>,
    follow: Vec<Vec<u32>>,
    edges: usize,
}

/// A part of the expression: which of its positions come first and last, and whether it may be empty.
#[derive(Clone, Default)]
struct Section {
    first: Vec<u32>,
    last: Vec<u32>,
    nullable: bool,
}

impl Graph {
    fn position(&mut self, class: ClassBytes) -> Option<Section> {
        let at = self.bytes.len();
        if at == MOST_POSITIONS {
            return None;
        }
        self.bytes.push(class);
        self.follow.push(Vec::new());
        Some(Section { first: vec![at as u32], last: vec![at as u32], nullable: false })
    }

    fn link(&mut self, from: &[u32], to: &[u32]) -> Option<()> {
        self.edges += from.len() * to.len();
        if self.edges > MOST_EDGES {
            return None;
        }
        for from in from {
            self.follow[*from as usize].extend_from_slice(to);
        }
        Some(())
    }

    fn then(&mut self, before: Section, after: Section) -> Option<Section> {
        self.link(&before.last, &after.first)?;
        let Section { mut first, mut last, nullable } = before;
        if nullable {
            first.extend_from_slice(&after.first);
        }
        if !after.nullable {
            last.clear();
        }
        last.extend(after.last);
        Some(Section { first, last, nullable: nullable && after.nullable })
    }

    fn add(&mut self, hir: &Hir) -> Option<Section> {
        let nothing = Section { nullable: true, ..Section::default() };
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Some(nothing),
            HirKind::Literal(literal) => {
                let mut whole = nothing;
                for byte in literal.0.iter() {
                    let one = self.position(ClassBytes::new([ClassBytesRange::new(*byte, *byte)]))?;
                    whole = self.then(whole, one)?;
                }
                Some(whole)
            }
            HirKind::Class(Class::Bytes(class)) => self.position(class.clone()),
            HirKind::Class(Class::Unicode(_)) => None,
            HirKind::Capture(capture) => self.add(&capture.sub),
            HirKind::Concat(parts) => {
                let mut whole = nothing;
                for part in parts {
                    let part = self.add(part)?;
                    whole = self.then(whole, part)?;
                }
                Some(whole)
            }
            HirKind::Alternation(parts) => {
                let mut whole = Section::default();
                for part in parts {
                    let part = self.add(part)?;
                    whole.first.extend(part.first);
                    whole.last.extend(part.last);
                    whole.nullable |= part.nullable;
                }
                Some(whole)
            }
            HirKind::Repetition(repetition) => self.repeat(repetition),
        }
    }

    fn repeat(&mut self, repetition: &Repetition) -> Option<Section> {
        let mut whole = Section { nullable: true, ..Section::default() };
        for _ in 0..repetition.min.saturating_sub(u32::from(repetition.max.is_none())) {
            let one = self.add(&repetition.sub)?;
            whole = self.then(whole, one)?;
        }
        let Some(most) = repetition.max else {
            let mut one = self.add(&repetition.sub)?;
            self.link(&one.last, &one.first)?;
            one.nullable |= repetition.min == 0;
            return self.then(whole, one);
        };
        let mut rest = Section { nullable: true, ..Section::default() };
        // Where each of those that may be left out ends: `x(x(x)?)?`.
        let (mut before, mut ends): (Option<Vec<u32>>, Vec<u32>) = (None, Vec::new());
        for _ in repetition.min..most {
            let one = self.add(&repetition.sub)?;
            if one.nullable {
                rest = self.then(rest, one)?;
                continue;
            }
            match &before {
                None => rest.first = one.first,
                Some(before) => self.link(before, &one.first)?,
            }
            ends.extend_from_slice(&one.last);
            before = Some(one.last);
        }
        if before.is_some() {
            rest.last = ends;
        }
        self.then(whole, rest)
    }

    fn finish(mut self, whole: &Section, begin: Begin, literal: Option<Prefilter>) -> Option<Bits> {
        let words = self.bytes.len().div_ceil(64);
        let mut rows = vec![0u64; 256 * words];
        for (at, class) in self.bytes.iter().enumerate() {
            for range in class.iter() {
                for byte in range.start()..=range.end() {
                    rows[usize::from(byte) * words + at / 64] |= 1 << (at % 64);
                }
            }
        }
        let (mut classes, mut reach) = (Box::new([0u8; 256]), Vec::new());
        let mut known: HashMap<&[u64], u8> = HashMap::new();
        for (class, row) in classes.iter_mut().zip(rows.chunks(words)) {
            let new = known.len() as u8;
            *class = *known.entry(row).or_insert_with(|| {
                reach.extend_from_slice(row);
                new
            });
        }
        let (mut shift, mut stay) = (vec![0u64; words], vec![0u64; words]);
        let mut leaps: HashMap<Vec<u32>, Vec<u32>> = HashMap::new();
        for (at, mut follow) in self.follow.drain(..).enumerate() {
            follow.sort_unstable();
            follow.dedup();
            follow.retain(|to| match *to as usize {
                to if to == at => {
                    stay[to / 64] |= 1 << (to % 64);
                    false
                }
                to if to == at + 1 => {
                    shift[to / 64] |= 1 << (to % 64);
                    false
                }
                _ => true,
            });
            if !follow.is_empty() {
                leaps.entry(follow).or_default().push(at as u32);
            }
        }
        let leaps: Vec<_> = leaps.iter().map(|(to, from)| (sparse(from), sparse(to))).collect();
        let beside = leaps.iter().map(|(from, _)| from.len() + 1).sum();
        if beside > MOST_WORDS {
            return None;
        }
        let (first, last) = (sparse(&whole.first), sparse(&whole.last));
        let begins = |class: usize| first.iter().any(|(word, bits)| reach[class * words + word] & bits != 0);
        let begins = (0..reach.len() / words).map(begins).collect();
        Some(Bits {
            words,
            classes,
            reach,
            shift,
            stay,
            leaps,
            first,
            last,
            begins,
            begin,
            literal,
            row: None,
            beside,
            exact: false,
            filled: false,
        })
    }
}

/// A row with these bits, as far as it is not zero.
fn sparse(positions: &[u32]) -> Vec<Word> {
    let mut row: BTreeMap<usize, u64> = BTreeMap::new();
    for at in positions {
        *row.entry(*at as usize / 64).or_default() |= 1 << (at % 64);
    }
    row.into_iter().collect()
}
