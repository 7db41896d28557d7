// SPDX-License-Identifier: Apache-2.0
//! Finds bytes without regard to case, many places at a time.

/// What the cases of a letter differ in; setting it in all bytes makes some others alike, too.
const FOLD: u8 = 0x20;

/// True when both, of the same length, are equal without regard to case.
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    const FOLDS: u64 = u64::from_ne_bytes([FOLD; 8]);
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |word| u64::from_ne_bytes(*word) | FOLDS);
    // Eight at once: what begins like the needle is seldom it.
    let mut words = one.chunks_exact(8).zip(other.chunks_exact(8));
    let rest = one.len().saturating_sub(8);
    words.all(|(one, other)| word(one) == word(other))
        && word(&one[rest..]) == word(&other[rest..])
        && one.eq_ignore_ascii_case(other)
}

/// Where `needle` lies in `hay`, without regard to case, and how many places looked like it. `pair`: two places in it.
pub fn find(hay: &[u8], needle: &[u8], pair: [usize; 2]) -> (Option<usize>, usize) {
    /// Places with one test, which compilers make instructions on vectors of.
    const LANES: usize = 32;
    let bytes = pair.map(|place| needle[place] | FOLD);
    let places = (hay.len() + 1).saturating_sub(needle.len());
    let here = |at: usize| equal(&hay[at..at + needle.len()], needle);
    let (mut at, mut looked) = (0, 0);
    while at + LANES <= places {
        let [Some(first), Some(second)] = pair.map(|place| hay[at + place..].first_chunk::<LANES>()) else { break };
        let alike: [u8; LANES] = std::array::from_fn(|lane| {
            u8::from(first[lane] | FOLD == bytes[0]) & u8::from(second[lane] | FOLD == bytes[1])
        });
        if alike.iter().fold(0, |any, here| any | here) != 0 {
            for (place, word) in (at..).step_by(8).zip(alike.chunks_exact(8)) {
                let mut word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
                while word != 0 {
                    let place = place + word.trailing_zeros() as usize / 8;
                    looked += 1;
                    if here(place) {
                        return (Some(place), looked);
                    }
                    word &= word - 1;
                }
            }
        }
        at += LANES;
    }
    ((at..places).find(|at| here(*at)), looked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slowly(hay: &[u8], needle: &[u8]) -> Option<usize> {
        hay.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
    }

    #[test]
    fn signs_that_only_look_like_letters_are_told() {
        // They differ in the same bit as the cases of a letter.
        let hay = [b"@{".repeat(40).as_slice(), b"`[a"].concat();
        assert_eq!(find(&hay, b"`[", [0, 1]).0, Some(80));
        assert!(!equal(b"0123456789[", b"0123456789{"));
        assert!(equal(b"0123456789Z", b"0123456789z"));
    }

    proptest! {
        #[test]
        fn finds_what_a_slow_search_finds(
            hay in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'B'), Just(b'b'), Just(b'@'), any::<u8>()], 0..200),
            needle in proptest::collection::vec(prop_oneof![Just(b'A'), Just(b'b'), Just(b'`')], 1..12),
            pair in any::<[prop::sample::Index; 2]>(),
            at in any::<prop::sample::Index>(),
        ) {
            let pair = pair.map(|place| place.index(needle.len()));
            prop_assert_eq!(find(&hay, &needle, pair).0, slowly(&hay, &needle));
            let mut hay = hay;
            let at = at.index(hay.len() + 1);
            hay.splice(at..at, needle.to_ascii_uppercase());
            prop_assert_eq!(find(&hay, &needle, pair).0, slowly(&hay, &needle));
        }
    }
}
