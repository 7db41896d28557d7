// SPDX-License-Identifier: Apache-2.0
//! Finds which rules can match at all: one pass over a buffer for the rarest literal of every rule.
//!
//! Each pattern is represented by its rarest window of four bytes (two for short patterns), case folded. The pass
//! hashes the window at every position and tests one bit of a table that stays in the first-level cache; no
//! position depends on the one before, unlike the walk through an automaton, so the loads overlap. A set bit leads to
//! the few patterns of that window, which are compared. Measured against an Aho-Corasick automaton over the
//! same patterns in `benches/requests.rs`.

/// Bits of a window's hash.
const HASH_BITS: u32 = 16;
const FOLD: u32 = 0x2020_2020;

pub struct PrefilterBuilder {
    patterns: Vec<Pattern>,
    index: std::collections::HashMap<(Vec<u8>, bool), usize>,
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
    /// Bytes of all patterns.
    bytes: Vec<u8>,
    /// Rules of all patterns.
    rules: Vec<u32>,
    single: Vec<(u8, bool, Span)>,
    patterns: usize,
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    len: u32,
}

#[derive(Default)]
struct Table {
    /// One bit for each hash; empty when there is no pattern.
    bits: Vec<u64>,
    /// First entry for each 8-bit prefix group of the hash: entries are sorted by hash.
    first: Vec<u32>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    /// Where in the pattern its window lies.
    window: u32,
    nocase: bool,
    bytes: Span,
    rules: Span,
}

impl PrefilterBuilder {
    pub fn new() -> Self {
        PrefilterBuilder {
            patterns: Vec::new(),
            index: std::collections::HashMap::new(),
        }
    }

    /// `rule` is a candidate wherever `bytes` occurs.
    pub fn add(&mut self, bytes: &[u8], nocase: bool, rule: u32) {
        let bytes = if nocase {
            bytes.to_ascii_lowercase()
        } else {
            bytes.to_vec()
        };
        let patterns = &mut self.patterns;
        let place = *self
            .index
            .entry((bytes.clone(), nocase))
            .or_insert_with(|| {
                patterns.push(Pattern {
                    bytes,
                    nocase,
                    rules: Vec::new(),
                });
                patterns.len() - 1
            });
        self.patterns[place].rules.push(rule);
    }

    pub fn build(self) -> Prefilter {
        let mut built = Prefilter {
            patterns: self.patterns.len(),
            ..Prefilter::default()
        };
        let mut load = std::collections::HashMap::<u32, u32>::new();
        for pattern in self.patterns {
            let bytes = Span {
                start: built.bytes.len() as u32,
                len: pattern.bytes.len() as u32,
            };
            built.bytes.extend_from_slice(&pattern.bytes);
            let rules = Span {
                start: built.rules.len() as u32,
                len: pattern.rules.len() as u32,
            };
            built.rules.extend_from_slice(&pattern.rules);
            if pattern.bytes.len() < 2 {
                built.single.push((pattern.bytes[0], pattern.nocase, rules));
                continue;
            }
            let size = if pattern.bytes.len() >= 4 { 4 } else { 2 };
            let hash = |window: &[u8]| {
                if size == 4 {
                    hash_four(window)
                } else {
                    hash_two(window)
                }
            };
            // The rarest window; many patterns in one window would make a hit there expensive.
            let (window, chosen) = pattern
                .bytes
                .windows(size)
                .enumerate()
                .map(|(at, window)| (at, hash(window), frequency::cost(window)))
                .map(|(at, hash, cost)| {
                    (at, hash, cost + 64 * load.get(&hash).copied().unwrap_or(0))
                })
                .min_by_key(|&(_, _, cost)| cost)
                .map(|(at, hash, _)| (at, hash))
                .expect("a pattern has at least one window");
            if size == 4 {
                *load.entry(chosen).or_insert(0) += 1;
            }
            let table = if size == 4 {
                &mut built.long
            } else {
                &mut built.short
            };
            table.entries.push(Entry {
                hash: chosen,
                window: window as u32,
                nocase: pattern.nocase,
                bytes,
                rules,
            });
        }
        built.long.index();
        built.short.index();
        built
    }
}

fn hash_four(window: &[u8]) -> u32 {
    fold_four(u32::from_le_bytes([
        window[0], window[1], window[2], window[3],
    ]))
}

#[inline(always)]
fn fold_four(word: u32) -> u32 {
    (word | FOLD).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)
}

fn hash_two(window: &[u8]) -> u32 {
    u32::from(u16::from_le_bytes([window[0], window[1]]) | FOLD as u16)
}

impl Table {
    fn index(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        self.entries.sort_by_key(|entry| entry.hash);
        self.bits = vec![0; 1 << (HASH_BITS - 6)];
        self.first = vec![0; (1 << (HASH_BITS - 8)) + 1];
        for entry in &self.entries {
            self.bits[entry.hash as usize >> 6] |= 1 << (entry.hash & 63);
            self.first[(entry.hash as usize >> 8) + 1] += 1;
        }
        for group in 1..self.first.len() {
            self.first[group] += self.first[group - 1];
        }
    }

    #[inline(always)]
    fn has(&self, hash: u32) -> bool {
        // The hash has HASH_BITS bits, the table 2^HASH_BITS.
        self.bits
            .get(hash as usize >> 6)
            .is_some_and(|word| word >> (hash & 63) & 1 == 1)
    }

    #[cold]
    fn hit(
        &self,
        filter: &Prefilter,
        hash: u32,
        data: &[u8],
        at: usize,
        found: &mut impl FnMut(u32),
    ) {
        let group = hash as usize >> 8;
        let entries = &self.entries[self.first[group] as usize..self.first[group + 1] as usize];
        let start = entries.partition_point(|entry| entry.hash < hash);
        for entry in entries[start..]
            .iter()
            .take_while(|entry| entry.hash == hash)
        {
            let bytes = &filter.bytes[entry.bytes.start as usize..][..entry.bytes.len as usize];
            let Some(begin) = at.checked_sub(entry.window as usize) else {
                continue;
            };
            // What lies behind the available bytes is not known yet: a candidate then, to be evaluated later.
            let seen = &data[begin..data.len().min(begin + bytes.len())];
            let bytes = &bytes[..seen.len()];
            let equal = if entry.nocase {
                seen.eq_ignore_ascii_case(bytes)
            } else {
                seen == bytes
            };
            if equal {
                for &rule in &filter.rules[entry.rules.start as usize..][..entry.rules.len as usize]
                {
                    found(rule);
                }
            }
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

    /// Calls `found` for the rules of each pattern in `data`; the windows that end at or before `done` were seen in an
    /// earlier call. A rule may be found several times, and where `data` ends in the middle of a pattern too early.
    #[inline]
    pub fn scan(&self, data: &[u8], done: usize, mut found: impl FnMut(u32)) {
        if !self.long.entries.is_empty() {
            let from = done.saturating_sub(3);
            if data.len() >= from + 4 {
                for (index, window) in data[from..].windows(4).enumerate() {
                    let hash = fold_four(u32::from_le_bytes([
                        window[0], window[1], window[2], window[3],
                    ]));
                    if self.long.has(hash) {
                        self.long.hit(self, hash, data, from + index, &mut found);
                    }
                }
            }
        }
        if !self.short.entries.is_empty() {
            let from = done.saturating_sub(1);
            if data.len() >= from + 2 {
                for (index, window) in data[from..].windows(2).enumerate() {
                    let hash = hash_two(window);
                    if self.short.has(hash) {
                        self.short.hit(self, hash, data, from + index, &mut found);
                    }
                }
            }
        }
        for &(byte, nocase, rules) in &self.single {
            let rest = &data[done.min(data.len())..];
            let there = memchr::memchr(byte, rest).is_some()
                || nocase && memchr::memchr(byte.to_ascii_uppercase(), rest).is_some();
            if there {
                for &rule in &self.rules[rules.start as usize..][..rules.len as usize] {
                    found(rule);
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
    }

    fn model() -> &'static Model {
        static MODEL: OnceLock<Model> = OnceLock::new();
        MODEL.get_or_init(|| {
            let text = ORDINARY
                .replace('\n', "\r\n")
                .to_ascii_lowercase()
                .into_bytes();
            let mut model = Model {
                four: HashMap::new(),
                two: HashMap::new(),
            };
            for window in text.windows(4) {
                *model
                    .four
                    .entry([window[0], window[1], window[2], window[3]])
                    .or_insert(0) += 1;
            }
            for window in text.windows(2) {
                *model.two.entry([window[0], window[1]]).or_insert(0) += 1;
            }
            model
        })
    }

    /// Higher is more ordinary; `window` has two or four bytes.
    pub fn cost(window: &[u8]) -> u32 {
        let model = model();
        let lower = window.to_ascii_lowercase();
        let pairs: u32 = lower
            .windows(2)
            .map(|pair| {
                model
                    .two
                    .get(&[pair[0], pair[1]])
                    .copied()
                    .unwrap_or(0)
                    .min(60)
            })
            .sum();
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

    fn found(patterns: &[(&[u8], bool)], data: &[u8]) -> Vec<u32> {
        let mut builder = PrefilterBuilder::new();
        for (index, (bytes, nocase)) in patterns.iter().enumerate() {
            builder.add(bytes, *nocase, index as u32);
        }
        let mut all = Vec::new();
        builder.build().scan(data, 0, |rule| all.push(rule));
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn finds_patterns_of_every_length() {
        let patterns: &[(&[u8], bool)] = &[
            (b"x", false),
            (b"yz", false),
            (b"abc", true),
            (b"abcd", false),
            (b"longer one", true),
        ];
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
    fn every_split_finds_the_pattern() {
        for pattern in [b"abcdefgh".as_slice(), b"abc", b"ab", b"a"] {
            let mut builder = PrefilterBuilder::new();
            builder.add(pattern, false, 7);
            let filter = builder.build();
            let data = [b"....".as_slice(), pattern, b"...."].concat();
            for cut in 0..data.len() {
                let mut hits = 0;
                filter.scan(&data[..cut], 0, |_| hits += 1);
                filter.scan(&data, cut, |_| hits += 1);
                assert!(hits > 0, "{} cut at {cut}", pattern.escape_ascii());
            }
        }
    }
}
