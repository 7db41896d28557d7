// SPDX-License-Identifier: Apache-2.0
//! Expressions with look-around, back-references or possessive quantifiers: PCRE2, on bytes, with Suricata's bound.
//!
//! PCRE2 counts its steps anew at each place where a match may begin, so one search could cost the bound times the
//! subject's length. Hence it is tried at single places, those at which a linear expression matches that is the same
//! without what needs backtracking; and with few steps before with all, so that what it costs is known well enough.

use pcre2::bytes::{Regex, RegexBuilder};

use super::automaton::Linear;
use super::translate::{escape_high_bytes, translate};
use super::{take, LimitReached, Search, Wanted};
use crate::document::PcreFlags;

/// Steps for one place: what Suricata allows by default.
const MATCH_LIMIT: u64 = 3_500;
/// Steps that nearly always suffice.
const FEW: u64 = 60;
/// Units of work that an attempt costs with few steps, and with all.
const COST_OF_FEW: u64 = 120;
const COST_OF_ALL: u64 = 8_000;

pub struct Backtracking {
    /// Where a match may begin; None: it cannot be told, everywhere.
    pub places: Option<Box<Linear>>,
    few: Regex,
    all: Regex,
}

impl Backtracking {
    pub fn new(pattern: &[u8], flags: PcreFlags) -> Result<Backtracking, String> {
        let text = std::str::from_utf8(pattern).map(str::to_owned).unwrap_or_else(|_| escape_high_bytes(pattern));
        let text = if text.is_ascii() { text } else { escape_high_bytes(pattern) };
        let places = translate(pattern, flags, true).and_then(|text| Linear::new(text, flags)).map(Box::new);
        let build = |limit| {
            let mut full = format!("(*LIMIT_MATCH={limit})");
            let bound = flags.anchored || places.is_some();
            if bound {
                full.push_str("\\G(?:");
            }
            if flags.ungreedy {
                full.push_str("(?U)");
            }
            full.push_str(&text);
            if bound {
                // In extended mode a comment would swallow the parenthesis.
                full.push_str(if flags.extended { "\n)" } else { ")" });
            }
            // Interpreted: the sandbox forbids executable memory, so a reload could not make any, and machine code counts its
            // steps differently.
            RegexBuilder::new()
                .caseless(flags.nocase)
                .dotall(flags.dotall)
                .multi_line(flags.multiline)
                .extended(flags.extended)
                .build(&full)
                .map_err(|error| format!("pcre: {error}"))
        };
        Ok(Backtracking { few: build(FEW)?, all: build(MATCH_LIMIT)?, places })
    }

    pub fn find(&self, subject: &[u8], from: usize, left: &mut u64) -> Search {
        let Some(places) = &self.places else {
            take(left, MATCH_LIMIT.min(100 + 4 * (subject.len() - from) as u64));
            let found = self.all.find_at(subject, from).map_err(|_| LimitReached)?;
            return Ok(found.map(|found| (found.start(), found.end())));
        };
        let mut at = from;
        while let Some((place, _)) = places.find(subject, at, Wanted::Where, left)? {
            if let Some(found) = self.at(subject, place, left)? {
                return Ok(Some(found));
            }
            at = place + 1;
        }
        Ok(None)
    }

    /// The match that begins at `place`.
    fn at(&self, subject: &[u8], place: usize, left: &mut u64) -> Search {
        for (regex, cost) in [(&self.few, COST_OF_FEW), (&self.all, COST_OF_ALL)] {
            take(left, cost);
            if *left == 0 {
                break;
            }
            if let Ok(found) = regex.find_at(subject, place) {
                return Ok(found.map(|found| (found.start(), found.end())));
            }
        }
        Err(LimitReached)
    }
}
