// SPDX-License-Identifier: Apache-2.0
//! What an expression's first group captures: simulated, at a cost that is told beforehand.

use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{Compiler, WhichCaptures, NFA};
use regex_automata::util::primitives::PatternID;

use super::parser;
use super::translate::translate;
use crate::document::PcreFlags;

/// Each byte costs as much as there are states.
const MAX_STATES: usize = 2_000;

pub struct Capture(PikeVM);

impl Capture {
    pub fn new(pattern: &str) -> Result<Capture, String> {
        let flags = PcreFlags::default();
        let text = translate(pattern.as_bytes(), flags, false).ok_or("the expression needs backtracking")?;
        let hir = parser(flags).parse(&text).map_err(|error| error.to_string())?;
        let config = NFA::config().utf8(false).which_captures(WhichCaptures::All).nfa_size_limit(Some(1 << 20));
        let nfa = Compiler::new().configure(config).build_from_hir(&hir).map_err(|error| error.to_string())?;
        if nfa.states().len() > MAX_STATES {
            return Err("the expression is too large".into());
        }
        if nfa.group_info().group_len(PatternID::ZERO) < 2 {
            return Err("the expression captures nothing".into());
        }
        PikeVM::new_from_nfa(nfa).map(Capture).map_err(|error| error.to_string())
    }

    /// Units of work of a search, of some nanoseconds.
    pub fn cost(&self, length: usize) -> usize {
        16 + length.saturating_mul(self.0.get_nfa().states().len()) / 4
    }

    /// What is captured by the first group of the leftmost match; empty: nothing.
    pub fn first<'a>(&self, subject: &'a [u8]) -> &'a [u8] {
        let mut found = self.0.create_captures();
        self.0.captures(&mut self.0.create_cache(), subject, &mut found);
        found.get_group(1).map_or(&[], |span| &subject[span.range()])
    }
}
