// SPDX-License-Identifier: Apache-2.0
//! The table: the grammar of plain requests and the search for contents as one automaton over classes of bytes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::grammar::{Grammar, AGENT, DEAD, FORBIDDEN, LINE, ONCE, START};
use super::guards::{self, Guard, Test};
use super::needs::{Need, Piece, Region, LONG, LONGEST, SHORTEST};
use super::text::fold;
use crate::packet::PacketFacts;

/// An entry of the table: the place of the next state's row, and which of the headers that may stand once has just
/// been named. The numbers are those of `bpf/clear.h`.
pub const STATE_MASK: u32 = (1 << 22) - 1;
pub const FLAG_BITS: u32 = 22;
pub const HOST_SEEN: u32 = 1 << FLAG_BITS;
/// A piece has been read that matters in lines of more bytes than [`LONG`] says.
pub const IN_LONG: [u32; 2] = [1 << 30, 1 << 31];
const _: () = assert!(FLAG_BITS as usize + ONCE.len() <= IN_LONG[0].trailing_zeros() as usize);

/// Why a set of rules cannot be cleared by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the service does not speak HTTP")]
    NotHttp,
    #[error("the tables of these rules would have more than {limit} entries of 4 bytes")]
    TooLarge { limit: usize },
    #[error("{} rules have no content that could be looked for", rules.len())]
    Open { rules: Vec<u32> },
}

/// What became of a rule set's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clearing {
    /// Rules that no plain request can match.
    pub never: usize,
    /// Rules that are looked for by a content.
    pub sought: usize,
    /// Rules that ask for what headers show.
    pub guarded: usize,
    /// Rules that wait for a bit of the connection.
    pub bits: usize,
    pub patterns: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    pub classes: [u8; 256],
    pub entries: Vec<u32>,
    /// Rows of the request's beginning and of a header line's.
    pub start: u32,
    pub line: u32,
    /// What is asked of a segment's headers first.
    pub tests: Vec<Test>,
    pub summary: Clearing,
    guards: Vec<(Guard, u32)>,
    /// For each piece the rules that it stands for, to say why a request was not cleared.
    pieces: Vec<(Piece, Vec<u32>)>,
    grammar: Grammar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Cleared,
    Travels,
}

/// Why a request travels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("not one complete head of 24 to 2048 bytes")]
    Length,
    #[error("a method other than GET and HEAD")]
    Method,
    #[error("{:?} in the target", char::from(*.0))]
    Target(u8),
    #[error("an unusual request line")]
    Version,
    #[error("a header that is not plain")]
    Header,
    #[error("a header twice")]
    Repeated,
    #[error("no Host header")]
    NoHost,
    #[error("a content of rules")]
    Rules(Vec<u8>, Vec<u32>),
    #[error("what rules ask of headers")]
    Guarded(Vec<u32>),
}

impl Tables {
    /// `needs` of the loaded rules; `ours`: whether a rule is for this service. At most `limit` entries.
    pub(crate) fn build(
        needs: &[Need],
        ours: impl Fn(u32) -> bool,
        percent: bool,
        limit: usize,
    ) -> Result<Tables, Refused> {
        let mut summary = Clearing::default();
        let mut open = Vec::new();
        let (mut tests, mut guards) = (Vec::new(), Vec::new());
        let mut rules_of: HashMap<(Box<[u8]>, u8, usize), usize> = HashMap::new();
        let mut pieces: Vec<(Piece, Vec<u32>)> = Vec::new();
        for (index, need) in needs.iter().enumerate().filter(|(index, _)| ours(*index as u32)) {
            match need {
                Need::Never => summary.never += 1,
                Need::Open => open.push(index as u32),
                Need::Bits => summary.bits += 1,
                Need::Guarded(guard) if guard.write(&mut tests) => {
                    summary.guarded += 1;
                    guards.push((guard.clone(), index as u32));
                }
                Need::Guarded(_) => open.push(index as u32),
                Need::Pieces(of_rule) => {
                    summary.sought += 1;
                    for piece in of_rule {
                        let key = (piece.bytes.clone(), piece.region as u8, piece.over);
                        let place = *rules_of.entry(key).or_insert_with(|| {
                            pieces.push((piece.clone(), Vec::new()));
                            pieces.len() - 1
                        });
                        let rules = &mut pieces[place].1;
                        if rules.last() != Some(&(index as u32)) {
                            rules.push(index as u32);
                        }
                    }
                }
            }
        }
        if !open.is_empty() {
            return Err(Refused::Open { rules: open });
        }
        summary.patterns = pieces.len();
        let mut build = Build::new(&pieces, percent);
        build.run(limit)?;
        let Build { classes, entries, start, line, grammar, .. } = build;
        Ok(Tables { classes, entries, start, line, tests, summary, guards, pieces, grammar })
    }

    /// The same walk as the kernel's.
    pub fn judge(&self, packet: &PacketFacts<'_>) -> Verdict {
        let request = packet.payload;
        if guards::travels(&self.tests, packet) {
            return Verdict::Travels;
        }
        if !(SHORTEST..=LONGEST).contains(&request.len()) || !request.ends_with(b"\r\n\r\n") {
            return Verdict::Travels;
        }
        let (mut begin, mut seen, mut twice) = (self.start, 0, 0);
        for line in request[..request.len() - 2].split_inclusive(|byte| *byte == b'\n') {
            let (end, named) = self.walk(begin, line);
            let long = LONG.into_iter().zip(IN_LONG).any(|(over, mark)| named & mark != 0 && line.len() > over);
            if end != self.line & STATE_MASK || long {
                return Verdict::Travels;
            }
            let named = named & !(IN_LONG[0] | IN_LONG[1]);
            begin = end;
            twice |= seen & named;
            seen |= named;
        }
        if twice == 0 && seen & HOST_SEEN != 0 {
            Verdict::Cleared
        } else {
            Verdict::Travels
        }
    }

    /// The state behind a line, and the bits of the headers that it names. No more is left of it, so the kernel remembers
    /// these for lines that it has walked.
    fn walk(&self, begin: u32, line: &[u8]) -> (u32, u32) {
        let (mut entry, mut named) = (begin, 0);
        for &byte in line {
            let place = (entry & STATE_MASK) + u32::from(self.classes[usize::from(byte)]);
            entry = self.entries[place as usize];
            named |= entry;
        }
        (entry & STATE_MASK, named & !STATE_MASK)
    }

    /// Behind the byte with which nothing plain and without a rule's content remained possible.
    fn end_of_walk(&self, walked: &[u8]) -> Option<usize> {
        let mut entry = self.start;
        let ends = walked.iter().position(|byte| {
            entry = self.entries[((entry & STATE_MASK) + u32::from(self.classes[usize::from(*byte)])) as usize];
            entry & STATE_MASK == 0
        });
        ends.map(|at| at + 1)
    }

    /// For people: why a request is not cleared; None when it is.
    pub fn why(&self, packet: &PacketFacts<'_>) -> Option<Why> {
        let request = packet.payload;
        if self.judge(packet) == Verdict::Cleared {
            return None;
        }
        let guarded: Vec<u32> =
            self.guards.iter().filter(|(guard, _)| guard.holds(packet)).map(|(_, rule)| *rule).collect();
        if !guarded.is_empty() {
            return Some(Why::Guarded(guarded));
        }
        if !(SHORTEST..=LONGEST).contains(&request.len()) || !request.ends_with(b"\r\n\r\n") {
            return Some(Why::Length);
        }
        let grammar = &self.grammar;
        let (mut state, mut seen, mut twice) = (START, 0, 0);
        let walked = &request[..request.len() - 2];
        for (at, &byte) in walked.iter().enumerate() {
            let (next, once) = grammar.next(state, byte);
            twice |= seen & once;
            seen |= once;
            if next == DEAD {
                return Some(match walked[..at].iter().filter(|byte| **byte == b' ').count() {
                    _ if grammar.area(state) != Region::Line => Why::Header,
                    0 => Why::Method,
                    1 => Why::Target(byte),
                    _ => Why::Version,
                });
            }
            state = next;
        }
        let folded: Vec<u8> = walked.iter().map(|byte| fold(*byte)).collect();
        let line_end = memchr::memchr(b'\n', &folded).map_or(folded.len(), |at| at + 1);
        let area = |region: Region| match region {
            Region::Line => &folded[..line_end],
            // With the line end before the first header.
            Region::Header => &folded[line_end.saturating_sub(2)..],
            Region::Agent => agent_of(&folded),
            Region::Both => &folded[..],
        };
        for (bytes, region) in FORBIDDEN {
            if memchr::memmem::find(area(region), bytes).is_some() {
                return Some(if region == Region::Line { Why::Target(bytes[1]) } else { Why::Header });
            }
        }
        let end = self.end_of_walk(walked);
        // A piece that ends where the walk did is the one; comparing is cheaper than searching for each.
        let here = self.pieces.iter().filter(|(piece, _)| end.is_some_and(|end| folded[..end].ends_with(&piece.bytes)));
        let others = self.pieces.iter().filter(|(piece, _)| end.is_some() || piece.over > 0);
        for (piece, rules) in here.chain(others) {
            if in_line_over(area(piece.region), piece) {
                return Some(Why::Rules(piece.bytes.to_vec(), rules.clone()));
            }
        }
        Some(match (end, twice) {
            (Some(_), _) => Why::Header,
            (None, 0) => Why::NoHost,
            (None, _) => Why::Repeated,
        })
    }
}

/// The piece stands in a line that is long enough.
fn in_line_over(text: &[u8], piece: &Piece) -> bool {
    memchr::memmem::find_iter(text, &piece.bytes).any(|at| {
        let last = at + piece.bytes.len() - 1;
        let begin = memchr::memrchr(b'\n', &text[..last]).map_or(0, |end| end + 1);
        let end = memchr::memchr(b'\n', &text[last..]).map_or(text.len(), |end| last + end + 1);
        piece.over == 0 || end - begin > piece.over
    })
}

/// The line of the header User-Agent, from the line end before it to its own.
fn agent_of(folded: &[u8]) -> &[u8] {
    let Some(at) = memchr::memmem::find(folded, AGENT) else { return &[] };
    let line = &folded[at..];
    &line[..memchr::memmem::find(&line[2..], b"\r\n").map_or(line.len(), |end| end + 4)]
}

/// Aho and Corasick's automaton over symbols; node 0 is its root, `HIT` an accepting one.
struct Search {
    next: Vec<u32>,
    /// Of each node: flags of entries that lead to it.
    marks: Vec<u32>,
    symbols: usize,
}

const HIT: u32 = u32::MAX;
const NONE: u32 = u32::MAX - 1;

impl Search {
    /// Patterns with the mark that they leave; without one they end all.
    fn new<'a>(patterns: impl Iterator<Item = (&'a [u8], u32)>, symbol: &[u8; 256], symbols: usize) -> Search {
        let mut search = Search { next: vec![NONE; symbols], marks: vec![0], symbols };
        'patterns: for (pattern, mark) in patterns {
            let mut node = 0u32;
            for (at, byte) in pattern.iter().enumerate() {
                let place = node as usize * symbols + usize::from(symbol[usize::from(*byte)]);
                match search.next[place] {
                    HIT => continue 'patterns,
                    _ if at + 1 == pattern.len() && mark == 0 => search.next[place] = HIT,
                    NONE => {
                        let new = (search.next.len() / symbols) as u32;
                        search.next[place] = new;
                        search.next.resize(search.next.len() + symbols, NONE);
                        search.marks.push(0);
                        node = new;
                    }
                    known => node = known,
                }
            }
            search.marks[node as usize] |= mark;
        }
        search.complete();
        search
    }

    /// Breadth first: each missing edge is that of the longest proper suffix.
    fn complete(&mut self) {
        let symbols = self.symbols;
        let mut fail = vec![0u32; self.next.len() / symbols];
        let mut queue = std::collections::VecDeque::new();
        for place in 0..symbols {
            match self.next[place] {
                NONE => self.next[place] = 0,
                HIT => {}
                node => queue.push_back(node),
            }
        }
        while let Some(node) = queue.pop_front() {
            let base = node as usize * symbols;
            let suffix = fail[node as usize] as usize * symbols;
            for symbol in 0..symbols {
                let of_suffix = self.next[suffix + symbol];
                match self.next[base + symbol] {
                    HIT => {}
                    NONE => self.next[base + symbol] = of_suffix,
                    // A shorter piece ends here too.
                    _ if of_suffix == HIT => self.next[base + symbol] = HIT,
                    child => {
                        fail[child as usize] = of_suffix;
                        self.marks[child as usize] |= self.marks[of_suffix as usize];
                        queue.push_back(child);
                    }
                }
            }
        }
    }
}

/// For numbers of states, which nobody chooses: a million are looked up.
#[derive(Default)]
struct Mixed(u64);

impl Mixed {
    fn mix(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
    }
}

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

const AREAS: [Region; 3] = [Region::Line, Region::Header, Region::Agent];

struct Build {
    grammar: Grammar,
    /// For `Line`, `Header` and `Agent`.
    searches: [Search; 3],
    classes: [u8; 256],
    /// Of each class one byte, and its symbol.
    class_bytes: Vec<(u8, u8)>,
    entries: Vec<u32>,
    start: u32,
    line: u32,
}

impl Build {
    fn new(pieces: &[(Piece, Vec<u32>)], percent: bool) -> Build {
        let grammar = Grammar::new(percent);
        let of = |area: Region| {
            let mark = |piece: &Piece| LONG.iter().position(|over| *over == piece.over).map_or(0, |at| IN_LONG[at]);
            let from_rules = pieces.iter().map(move |(piece, _)| (&*piece.bytes, piece.region, mark(piece)));
            let all = FORBIDDEN.into_iter().map(|(bytes, region)| (bytes, region, 0)).chain(from_rules);
            all.filter(move |(_, region, _)| region.reaches(area)).map(|(bytes, _, mark)| (bytes, mark))
        };
        // Symbol 0: bytes that no piece has.
        let mut symbol = [0u8; 256];
        let mut symbols = 1;
        for byte in AREAS.into_iter().flat_map(of).flat_map(|(bytes, _)| bytes) {
            if symbol[usize::from(*byte)] == 0 {
                symbol[usize::from(*byte)] = symbols;
                symbols += 1;
            }
        }
        let searches = AREAS.map(|area| Search::new(of(area), &symbol, usize::from(symbols)));
        // Bytes are of one class when pieces and grammar treat them alike everywhere.
        let mut classes = [0u8; 256];
        let mut class_bytes = Vec::new();
        let mut known: HashMap<(u8, Vec<(u16, u16)>), u8> = HashMap::new();
        for byte in 0..=255u8 {
            let symbol = symbol[usize::from(fold(byte))];
            let edges: Vec<_> = (0..grammar.states() as u16).map(|state| grammar.next(state, byte)).collect();
            let dead = edges.iter().all(|(to, _)| *to == DEAD);
            let key = (if dead { 0 } else { symbol }, edges);
            let new = class_bytes.len() as u8;
            let class = *known.entry(key).or_insert(new);
            if class == new {
                class_bytes.push((byte, symbol));
            }
            classes[usize::from(byte)] = class;
        }
        Build { grammar, searches, classes, class_bytes, entries: Vec::new(), start: 0, line: 0 }
    }

    /// Breadth first over the states that can be reached.
    fn run(&mut self, limit: usize) -> Result<(), Refused> {
        let width = self.class_bytes.len();
        let limit = limit.min(STATE_MASK as usize + 1 - width);
        let mut number: HashMap<(u16, u32), u32, BuildHasherDefault<Mixed>> = HashMap::default();
        let mut queue = std::collections::VecDeque::new();
        // Row 0 is where all ends that is not plain.
        self.entries = vec![0; width];
        let mut rows = 1u32;
        let mut place = |state: (u16, u32), queue: &mut std::collections::VecDeque<(u16, u32)>| {
            *number.entry(state).or_insert_with(|| {
                queue.push_back(state);
                rows += 1;
                (rows - 1) * width as u32
            })
        };
        self.start = place((START, 0), &mut queue);
        // What has been read when a line begins is a line end, and its name when a value of an area of its own does.
        let after = self.read(Region::Header, b"\r\n");
        let agent = self.read(Region::Agent, AGENT);
        self.line = place((LINE, after), &mut queue);
        while let Some((context, node)) = queue.pop_front() {
            if self.entries.len() + width > limit {
                return Err(Refused::TooLarge { limit });
            }
            let area = self.grammar.area(context);
            for class in 0..width {
                let (to, once) = self.grammar.next(context, self.class_bytes[class].0);
                let begins_agent = area == Region::Header && self.grammar.area(to) == Region::Agent;
                let entry = match to {
                    DEAD => 0,
                    _ => match (self.searched(area, node, class as u8), to) {
                        (HIT, _) => 0,
                        // All lines begin alike: no piece goes on after a line end that it does not begin with.
                        (_, LINE) => self.line,
                        _ if begins_agent && agent == HIT => 0,
                        (node, to) => {
                            let flags = u32::from(once) << FLAG_BITS | self.search(area).marks[node as usize];
                            place((to, if begins_agent { agent } else { node }), &mut queue) | flags
                        }
                    },
                };
                self.entries.push(entry);
            }
        }
        Ok(())
    }

    /// The state of an area's search after `text`.
    fn read(&self, area: Region, text: &[u8]) -> u32 {
        text.iter().fold(0, |node, byte| match node {
            HIT => HIT,
            node => self.searched(area, node, self.classes[usize::from(*byte)]),
        })
    }

    fn search(&self, area: Region) -> &Search {
        match area {
            Region::Line => &self.searches[0],
            Region::Agent => &self.searches[2],
            Region::Header | Region::Both => &self.searches[1],
        }
    }

    fn searched(&self, area: Region, node: u32, class: u8) -> u32 {
        let search = self.search(area);
        search.next[node as usize * search.symbols + usize::from(self.class_bytes[usize::from(class)].1)]
    }
}
