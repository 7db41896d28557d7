// SPDX-License-Identifier: Apache-2.0
//! Finds which rules can match at all: one pass over a buffer for the rarest literal of every rule.
//!
//! Each pattern is represented by its rarest window of four bytes (two for short patterns), case
//! folded. The pass hashes the window at every position and tests one byte of a table that stays in
//! the first-level cache; no position depends on the one before, unlike the walk through an
//! automaton, so the loads overlap. A marked hash leads to the few patterns of that window, which are
//! compared.

use std::collections::HashMap;

/// Slots of a table for each of its patterns, so that few positions are marked by chance; and the exponents of its
/// smallest and largest size: small tables of many buffers share the first-level cache.
const SLOTS_PER_PATTERN: usize = 64;
const LEAST_BITS: u32 = 9;
const MOST_BITS: u32 = 15;
const FOLD: u32 = 0x2020_2020;
/// Up to so many short patterns are searched one by one.
const FEW: usize = 8;
/// Places of such a pattern's window that are looked at one by one.
const TRIES: usize = 16;

#[derive(Default)]
pub struct PrefilterBuilder {
    patterns: Vec<Pattern>,
    index: HashMap<(Vec<u8>, bool), usize>,
}

struct Pattern {
    bytes: Vec<u8>,
    nocase: bool,
    rules: Vec<u32>,
}

/// The compiled patterns of one buffer.
#[derive(Default)]
pub struct Prefilter {
    long: Table,
    short: Table,
    /// One for each entry of `short`, when they are few and it regards case.
    finders: Vec<Option<memchr::memmem::Finder<'static>>>,
    /// Of one byte.
    single: Vec<Entry>,
    /// Bytes of all patterns.
    bytes: Vec<u8>,
    /// Rules of all patterns.
    rules: Vec<u32>,
    patterns: usize,
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    len: u32,
}

#[derive(Default)]
struct Table {
    /// Not zero for the slots where patterns' hashes lead; empty when there is no pattern. Bytes: bits cost instructions.
    marks: Vec<u8>,
    /// What of a hash is left out to make it the number of a slot.
    shift: u32,
    /// Sorted by hash.
    entries: Vec<Entry>,
    /// First entry for each group of hashes; there are about as many groups as entries.
    first: Vec<u32>,
    group_shift: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    /// Where in the pattern its window lies.
    window: u32,
    /// Where in the pattern the rarest byte of its window lies.
    rare: u32,
    /// Where its rarest byte lies outside of its window (or in it, when that is all), and that byte in lower case: it
    /// tells most places where only the window lies.
    proof: u32,
    proof_byte: u8,
    nocase: bool,
    bytes: Span,
    rules: Span,
}

impl PrefilterBuilder {
    /// `rule` is a candidate wherever `bytes`, which are not empty, occur.
    pub fn add(&mut self, bytes: &[u8], nocase: bool, rule: u32) {
        let bytes = if nocase { bytes.to_ascii_lowercase() } else { bytes.to_vec() };
        let patterns = &mut self.patterns;
        let place = *self.index.entry((bytes.clone(), nocase)).or_insert_with(|| {
            patterns.push(Pattern { bytes, nocase, rules: Vec::new() });
            patterns.len() - 1
        });
        self.patterns[place].rules.push(rule);
    }

    pub fn build(self) -> Prefilter {
        let mut built = Prefilter { patterns: self.patterns.len(), ..Prefilter::default() };
        let mut load = HashMap::<u32, u32>::new();
        for pattern in self.patterns {
            let bytes = Span { start: built.bytes.len() as u32, len: pattern.bytes.len() as u32 };
            built.bytes.extend_from_slice(&pattern.bytes);
            let rules = Span { start: built.rules.len() as u32, len: pattern.rules.len() as u32 };
            built.rules.extend_from_slice(&pattern.rules);
            let size = match pattern.bytes.len() {
                1 => 1,
                2 | 3 => 2,
                _ => 4,
            };
            // The rarest window; many patterns in one window would make a hit there expensive.
            let hash = |window: &[u8]| hash(window, window.len());
            // Bytes that repeat themselves can fill a request, each a hit: only where there is nothing else.
            let repeats = |window: &[u8]| (1..4).any(|by| window.windows(by + 1).all(|part| part[0] == part[by]));
            let cost = |window: &[u8]| {
                let known = load.get(&hash(window)).copied().unwrap_or(0);
                frequency::cost(window) + 64 * known + 300 * u32::from(window.len() == 4 && repeats(window))
            };
            let windows = pattern.bytes.windows(size).enumerate();
            let (window, chosen) = windows.min_by_key(|(_, window)| cost(window)).expect("patterns are not empty");
            let rare = (window..window + size)
                .min_by_key(|at| frequency::byte(pattern.bytes[*at]))
                .expect("windows are not empty");
            // Not a byte of the window, if there is another: a run of that would pass every test.
            let outside = |at: &usize| !chosen.iter().any(|byte| byte.eq_ignore_ascii_case(&pattern.bytes[*at]));
            let proof = (0..pattern.bytes.len())
                .min_by_key(|at| (!outside(at), frequency::byte(pattern.bytes[*at])))
                .expect("patterns are not empty");
            let entry = Entry {
                hash: hash(chosen),
                window: window as u32,
                rare: rare as u32,
                proof: proof as u32,
                proof_byte: pattern.bytes[proof].to_ascii_lowercase(),
                nocase: pattern.nocase,
                bytes,
                rules,
            };
            match size {
                1 => built.single.push(entry),
                2 => built.short.entries.push(entry),
                _ => {
                    *load.entry(entry.hash).or_insert(0) += 1;
                    built.long.entries.push(entry);
                }
            }
        }
        built.long.index();
        built.short.index();
        if built.short.entries.len() <= FEW {
            let bytes = &built.bytes;
            let finder = |entry: &Entry| {
                let window = &bytes[(entry.bytes.start + entry.window) as usize..][..2];
                (!entry.nocase).then(|| memchr::memmem::Finder::new(window).into_owned())
            };
            built.finders = built.short.entries.iter().map(finder).collect();
        }
        built
    }
}

/// The hash of the first `size` (2 or 4) bytes of a little-endian word, without regard to case.
#[inline(always)]
fn hash_word(word: u64, size: usize) -> u32 {
    let folded = word as u32 | FOLD;
    let window = if size == 4 { folded } else { folded & 0xffff };
    window.wrapping_mul(0x9E37_79B1)
}

fn hash(window: &[u8], size: usize) -> u32 {
    hash_word(window.iter().take(size).rev().fold(0, |word, byte| word << 8 | u64::from(*byte)), size)
}

impl Table {
    fn index(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        self.entries.sort_by_key(|entry| entry.hash);
        let slots = self.entries.len() * SLOTS_PER_PATTERN;
        let bits = slots.next_power_of_two().trailing_zeros().clamp(LEAST_BITS, MOST_BITS);
        self.shift = 32 - bits;
        self.marks = vec![0; 1 << bits];
        let group_bits = self.entries.len().next_power_of_two().trailing_zeros().clamp(1, 16);
        self.group_shift = 32 - group_bits;
        self.first = vec![0; (1 << group_bits) + 1];
        for entry in &self.entries {
            self.marks[(entry.hash >> self.shift) as usize] = 1;
            self.first[(entry.hash >> self.group_shift) as usize + 1] += 1;
        }
        for group in 1..self.first.len() {
            self.first[group] += self.first[group - 1];
        }
    }

    /// Calls `hit` for each position of `data` whose window of `SIZE` bytes some pattern may have.
    #[inline(always)]
    fn positions<const SIZE: usize>(&self, data: &[u8], mut hit: impl FnMut(u32, usize)) {
        if self.marks.is_empty() {
            return;
        }
        let (marks, shift, mask) = (self.marks.as_slice(), self.shift, self.marks.len() - 1);
        let marked = |hash: u32| marks[(hash >> shift) as usize & mask];
        let mut at = 0;
        // As many positions as a word holds with one load and one branch: hits are rare.
        while let Some(word) = data[at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            let mut any = 0;
            for place in 0..=8 - SIZE {
                any |= marked(hash_word(word >> (8 * place), SIZE));
            }
            if any != 0 {
                for place in 0..=8 - SIZE {
                    let hash = hash_word(word >> (8 * place), SIZE);
                    if marked(hash) != 0 {
                        hit(hash, at + place);
                    }
                }
            }
            at += 9 - SIZE;
        }
        for (place, window) in data[at..].windows(SIZE).enumerate() {
            let hash = hash(window, SIZE);
            if marked(hash) != 0 {
                hit(hash, at + place);
            }
        }
    }

    #[inline(never)]
    fn hit(&self, filter: &Prefilter, hash: u32, data: &[u8], at: usize, found: &mut impl Found) {
        let group = (hash >> self.group_shift) as usize;
        let range = self.first[group] as usize..self.first[group + 1] as usize;
        for entry in self.entries[range].iter().filter(|entry| entry.hash == hash) {
            entry.compare(filter, data, at, found);
        }
    }
}

/// Who is told of the rules whose patterns were found.
pub trait Found {
    /// All rules of the pattern of this rule are known already: it need not be compared again.
    fn knows(&self, rule: u32) -> bool;
    fn found(&mut self, rule: u32);
}

impl Entry {
    /// Reports the pattern's rules if it lies where its window is at `at`.
    fn compare(&self, filter: &Prefilter, data: &[u8], at: usize, found: &mut impl Found) {
        let rules = &filter.rules[self.rules.start as usize..][..self.rules.len as usize];
        if found.knows(rules[0]) {
            return;
        }
        let bytes = &filter.bytes[self.bytes.start as usize..][..self.bytes.len as usize];
        let Some(begin) = at.checked_sub(self.window as usize) else { return };
        if data.get(begin + self.proof as usize).is_some_and(|byte| byte.to_ascii_lowercase() != self.proof_byte) {
            return;
        }
        // What lies behind the available bytes is not known yet: a candidate, evaluated later.
        let seen = &data[begin.min(data.len())..data.len().min(begin + bytes.len())];
        let bytes = &bytes[..seen.len()];
        let equal = if self.nocase { seen.eq_ignore_ascii_case(bytes) } else { seen == bytes };
        if equal {
            rules.iter().for_each(|rule| found.found(*rule));
        }
    }
}

impl Prefilter {
    pub fn is_empty(&self) -> bool {
        self.patterns == 0
    }

    pub fn patterns(&self) -> usize {
        self.patterns
    }

    /// Tells `found` the rules of each pattern in `data`, of which `data[..done]` was scanned by
    /// an earlier call. A rule may be found several times, and too early where `data` ends in the
    /// middle of a pattern.
    #[inline]
    pub fn scan<F: Found>(&self, data: &[u8], done: usize, found: &mut F) {
        let from = done.saturating_sub(3).min(data.len());
        self.long.positions::<4>(&data[from..], |hash, at| {
            self.long.hit(self, hash, data, from + at, found);
        });
        let from = done.saturating_sub(1).min(data.len());
        if self.short.entries.len() > FEW {
            self.short.positions::<2>(&data[from..], |hash, at| {
                self.short.hit(self, hash, data, from + at, found);
            });
        } else {
            'entries: for (entry, finder) in self.short.entries.iter().zip(&self.finders) {
                match finder {
                    None => self.each(entry, data, from, found),
                    Some(finder) => {
                        let mut next = from;
                        let known = |found: &mut F| found.knows(self.rules[entry.rules.start as usize]);
                        for _ in 0..TRIES {
                            let Some(at) = finder.find(&data[next..]).filter(|_| !known(found)) else {
                                continue 'entries;
                            };
                            entry.compare(self, data, next + at, found);
                            next += at + 1;
                        }
                        // The window is frequent here, the pattern is not.
                        let window = &self.bytes[(entry.bytes.start + entry.window) as usize..][..2];
                        for (at, _) in data[next..].windows(2).enumerate().filter(|(_, pair)| *pair == window) {
                            entry.compare(self, data, next + at, found);
                            if known(found) {
                                break;
                            }
                        }
                    }
                }
            }
        }
        let from = done.min(data.len());
        self.single.iter().for_each(|entry| self.each(entry, data, from, found));
    }

    /// Searches one pattern by the rarest byte of its window.
    fn each(&self, entry: &Entry, data: &[u8], from: usize, found: &mut impl Found) {
        let byte = self.bytes[(entry.bytes.start + entry.rare) as usize];
        let upper = if entry.nocase { byte.to_ascii_uppercase() } else { byte };
        let into_window = (entry.rare - entry.window) as usize;
        for at in memchr::memchr2_iter(byte, upper, &data[from..]) {
            if let Some(at) = (from + at).checked_sub(into_window) {
                entry.compare(self, data, at, found);
                if found.knows(self.rules[entry.rules.start as usize]) {
                    break;
                }
            }
        }
    }
}

/// How ordinary a piece of bytes is in HTTP requests.
pub mod frequency {
    use std::collections::HashMap;
    use std::sync::OnceLock;

    /// Requests of ordinary clients: what is frequent here is a bad choice to look for.
    const ORDINARY: &str = include_str!("ordinary.txt");

    struct Model {
        four: HashMap<[u8; 4], u32>,
        two: HashMap<[u8; 2], u32>,
        one: [u32; 256],
    }

    fn model() -> &'static Model {
        static MODEL: OnceLock<Model> = OnceLock::new();
        MODEL.get_or_init(|| {
            let text = ORDINARY.replace('\n', "\r\n").to_ascii_lowercase().into_bytes();
            let mut model = Model { four: HashMap::new(), two: HashMap::new(), one: [0; 256] };
            for &byte in &text {
                model.one[usize::from(byte)] += 1;
            }
            for window in text.windows(4) {
                *model.four.entry([window[0], window[1], window[2], window[3]]).or_insert(0) += 1;
            }
            for window in text.windows(2) {
                *model.two.entry([window[0], window[1]]).or_insert(0) += 1;
            }
            model
        })
    }

    /// Occurrences of a byte in ordinary requests, both cases counted together.
    pub fn byte(byte: u8) -> u32 {
        model().one[usize::from(byte.to_ascii_lowercase())]
    }

    /// Higher is more ordinary; `window` has up to four bytes.
    pub fn cost(window: &[u8]) -> u32 {
        let model = model();
        let lower = window.to_ascii_lowercase();
        let pairs: u32 =
            lower.windows(2).map(|pair| model.two.get(&[pair[0], pair[1]]).copied().unwrap_or(0).min(60)).sum();
        match lower[..] {
            [a, b, c, d] => pairs / 3 + 400 * model.four.get(&[a, b, c, d]).copied().unwrap_or(0),
            _ => 4 * pairs,
        }
    }

    /// How good a literal is to look for: higher is rarer. Length counts, but a long piece of every request is worst.
    pub fn rarity(bytes: &[u8]) -> i64 {
        match bytes.len() {
            0 => i64::MIN,
            1 => -1_000_000,
            2 | 3 => {
                let best = bytes.windows(2).map(cost).min().unwrap_or(0);
                -20_000 - i64::from(best) * 20 + bytes.len() as i64
            }
            length => {
                let best = bytes.windows(4).map(cost).min().unwrap_or(0);
                length.min(20) as i64 * 4 - i64::from(best)
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn rare_beats_ordinary() {
            assert!(rarity(b"cmd.exe") > rarity(b"User-Agent:"));
            assert!(rarity(b"/phf") > rarity(b"HTTP/1.1"));
            assert!(rarity(b"HTTP/1.1") > rarity(b"a"));
            assert!(rarity(b"xp_cmdshell") > rarity(b"/phf"));
            assert!(rarity(b"%%%%") > rarity(b"%%"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Found for Vec<u32> {
        fn knows(&self, rule: u32) -> bool {
            self.contains(&rule)
        }

        fn found(&mut self, rule: u32) {
            self.push(rule);
        }
    }

    fn found(patterns: &[(&[u8], bool)], data: &[u8]) -> Vec<u32> {
        let mut builder = PrefilterBuilder::default();
        for (index, (bytes, nocase)) in patterns.iter().enumerate() {
            builder.add(bytes, *nocase, index as u32);
        }
        let mut all = Vec::new();
        builder.build().scan(data, 0, &mut all);
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn finds_patterns_of_every_length() {
        let patterns: &[(&[u8], bool)] =
            &[(b"x", false), (b"yz", false), (b"abc", true), (b"abcd", false), (b"longer one", true)];
        assert_eq!(found(patterns, b"x"), [0]);
        assert_eq!(found(patterns, b"..yz"), [1]);
        assert_eq!(found(patterns, b"ABC."), [2]);
        assert_eq!(found(patterns, b"abcd"), [2, 3]);
        assert_eq!(found(patterns, b"a LONGER ONE here"), [4]);
        assert_eq!(found(patterns, b"ABD"), Vec::<u32>::new());
    }

    #[test]
    fn case_matters_unless_told_otherwise() {
        assert_eq!(found(&[(b"aBcDe", false)], b"abcde"), Vec::<u32>::new());
        assert_eq!(found(&[(b"aBcDe", false)], b"aBcDe"), [0]);
        assert_eq!(found(&[(b"aBcDe", true)], b"AbCdE"), [0]);
    }

    #[test]
    fn overlapping_occurrences_are_found() {
        assert_eq!(found(&[(b"../", false)], b"..../"), [0]);
        assert_eq!(found(&[(b"aab", true)], b"aaaab"), [0]);
        let many: Vec<Vec<u8>> = (b'a'..=b'z').map(|byte| vec![byte, byte, b'/']).collect();
        let many: Vec<(&[u8], bool)> = many.iter().map(|bytes| (bytes.as_slice(), false)).collect();
        assert_eq!(found(&many, b"cccc/"), [2]);
    }

    #[test]
    fn every_split_finds_the_pattern() {
        for pattern in [b"abcdefgh".as_slice(), b"abc", b"ab", b"a"] {
            let mut builder = PrefilterBuilder::default();
            builder.add(pattern, false, 7);
            let filter = builder.build();
            let data = [b"....".as_slice(), pattern, b"...."].concat();
            for cut in 0..data.len() {
                let mut hits = Vec::new();
                filter.scan(&data[..cut], 0, &mut hits);
                filter.scan(&data, cut, &mut hits);
                assert!(!hits.is_empty(), "{} cut at {cut}", pattern.escape_ascii());
            }
        }
    }
}
