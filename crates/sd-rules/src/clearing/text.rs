// SPDX-License-Identifier: Apache-2.0
//! How ordinary a piece of text is in requests: bits of surprise, so that the rarest content is looked for.

use std::sync::OnceLock;

/// Requests of ordinary clients.
const ORDINARY: &str = include_str!("../ordinary.txt");
/// Bits after which a piece is rare enough: one in 2^46 places.
const ENOUGH: f32 = 46.0;
/// A piece is not cut shorter than this, and longer ones are cut to the other.
const SHORTEST: usize = 5;
const LONGEST: usize = 24;
/// What stands in ordinary requests as it is, has at most so many bits.
const SEEN: f32 = 6.0;

/// The form in which the automaton compares: letters without case, a plus as the space that some servers read.
pub fn fold(byte: u8) -> u8 {
    match byte {
        b'+' => b' ',
        _ => byte.to_ascii_lowercase(),
    }
}

struct Model {
    text: Vec<u8>,
    /// Each four bytes that stand in the text, by their hash.
    fours: Vec<bool>,
    /// Bits of a byte after another one.
    bits: Vec<f32>,
}

impl Model {
    /// Whether a piece stands in the text. Few have all their fours there: the text is searched for those.
    fn has(&self, piece: &[u8]) -> bool {
        piece.windows(4).all(|four| self.fours[hash(four)]) && memchr::memmem::find(&self.text, piece).is_some()
    }
}

/// Of four bytes, in 16 bits.
fn hash(four: &[u8]) -> usize {
    let word = four.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    (word.wrapping_mul(0x9E37_79B1) >> 16) as usize
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let text: Vec<u8> = ORDINARY.replace('\n', "\r\n").bytes().map(fold).collect();
        let mut one = [0.1f32; 256];
        let mut two = vec![0f32; 65_536];
        for &byte in &text {
            one[usize::from(byte)] += 1.0;
        }
        // Any letter may be expected anywhere.
        (b'a'..=b'z').for_each(|letter| one[usize::from(letter)] += 20.0);
        for pair in text.windows(2) {
            two[usize::from(pair[0]) << 8 | usize::from(pair[1])] += 1.0;
        }
        let all: f32 = one.iter().sum();
        let mut bits = vec![0f32; 65_536];
        for first in 0..256 {
            let row = &two[first << 8..][..256];
            let seen: f32 = row.iter().sum();
            for second in 0..256 {
                let chance = (row[second] + 20.0 * one[second] / all) / (seen + 20.0);
                bits[first << 8 | second] = -chance.log2();
            }
        }
        let mut fours = vec![false; 65_536];
        text.windows(4).for_each(|four| fours[hash(four)] = true);
        Model { text, fours, bits }
    })
}

/// Bits of a folded piece.
pub fn bits(piece: &[u8]) -> f32 {
    let model = model();
    let Some(&first) = piece.first() else { return 0.0 };
    // The first byte may follow any: as rare as after a space or a slash, whichever expects it more.
    let begin = |before: u8| model.bits[usize::from(before) << 8 | usize::from(first)];
    let mut sum = begin(b' ').min(begin(b'/')).min(begin(b'a'));
    for pair in piece.windows(2) {
        sum += model.bits[usize::from(pair[0]) << 8 | usize::from(pair[1])];
    }
    if sum > SEEN && model.has(piece) {
        return SEEN;
    }
    sum
}

/// The part of a folded piece to look for: short where that costs little.
pub fn shortened(piece: &[u8]) -> &[u8] {
    let rarest = |length: usize| {
        let rated = piece.windows(length).map(|part| (bits(part), part));
        rated.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, piece))
    };
    for length in SHORTEST..=LONGEST.min(piece.len()) {
        let (bits, best) = rarest(length);
        if bits >= ENOUGH {
            return best;
        }
    }
    if piece.len() <= LONGEST {
        return piece;
    }
    rarest(LONGEST).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_has_more_bits() {
        assert!(bits(b"cmd.exe") > bits(b"user-agent:"));
        assert!(bits(b"xp_cmdshell") > bits(b"/phf"));
        assert!(bits(b"/phf") > bits(b"http/1.1"));
    }

    #[test]
    fn long_pieces_are_cut() {
        assert!(shortened(b"/scripts/xp_cmdshell.asp").len() < 24);
        assert_eq!(shortened(b"/a"), b"/a");
    }
}
