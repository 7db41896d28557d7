// SPDX-License-Identifier: Apache-2.0
//! Regular expressions of rules: linear engines after a textual translation, else PCRE2 with a bound.
//!
//! Nearly all expressions of rule sets need no backtracking, so they run in time linear in the subject whatever an
//! attacker sends. Every search says what it has cost; one that would cost more than is left is not done, and what
//! reaches a bound is an error that the caller reports.

mod automaton;
mod backtracking;
mod bits;
mod capture;
mod translate;

use regex_syntax::hir::Hir;

use self::automaton::Linear;
use self::backtracking::Backtracking;
pub use self::capture::Capture;
use self::translate::translate;
use crate::document::PcreFlags;

/// A bound was reached; nothing is known about the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached;

/// Where a match begins and ends.
type Found = Option<(usize, usize)>;
type Search = Result<Found, LimitReached>;

/// What about a match is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The leftmost one's beginning and end.
    Where,
    /// Whether there is one; its place is only shown, and may be that of a shorter one.
    Whether,
}

pub struct Expression {
    engine: Engine,
}

enum Engine {
    Linear(Linear),
    Backtracking(Backtracking),
}

impl Expression {
    /// `pattern`: the bytes between the slashes.
    pub fn new(pattern: &[u8], flags: PcreFlags) -> Result<Expression, String> {
        let linear = translate(pattern, flags, false).and_then(|text| Linear::new(text, flags));
        let engine = match linear {
            Some(linear) => Engine::Linear(linear),
            None => Engine::Backtracking(Backtracking::new(pattern, flags)?),
        };
        Ok(Expression { engine })
    }

    /// Build now what would be built at first use.
    pub fn warm(&self) {
        match &self.engine {
            Engine::Linear(linear) => linear.warm(),
            Engine::Backtracking(backtracking) => backtracking.places.iter().for_each(|places| places.warm()),
        }
    }

    /// The leftmost match that starts at or after `from`; `^` is the subject's beginning. Takes what the search costs from
    /// `left`, in units of some nanoseconds; one that would cost more takes all and is not done.
    pub fn find(&self, subject: &[u8], from: usize, wanted: Wanted, left: &mut u64) -> Search {
        match &self.engine {
            Engine::Linear(linear) => linear.find(subject, from, wanted, left),
            Engine::Backtracking(_) if from > subject.len() => Ok(None),
            Engine::Backtracking(backtracking) => backtracking.find(subject, from, left),
        }
    }

    /// The same for a subject that is the end of one in which nothing was found: only what begins with it can be a match.
    pub fn find_in_rest(&self, subject: &[u8], wanted: Wanted, left: &mut u64) -> Search {
        match &self.engine {
            Engine::Linear(linear) => linear.find_at_start(subject, wanted, left),
            Engine::Backtracking(backtracking) => backtracking.find(subject, 0, left),
        }
    }

    fn linear(&self) -> Option<&Linear> {
        match &self.engine {
            Engine::Linear(linear) => Some(linear),
            Engine::Backtracking(_) => None,
        }
    }

    /// Length of the longest match, if there is one: a search of a grown subject need not begin anew.
    pub fn longest(&self) -> Option<usize> {
        self.linear()?.longest
    }

    /// What is true of a match stays true when bytes are appended to the subject.
    pub fn stable(&self) -> bool {
        self.linear().is_some_and(|linear| linear.stable)
    }

    /// A search that fails from some position also fails from every later one.
    pub fn monotone(&self) -> bool {
        self.linear().is_some_and(|linear| linear.monotone)
    }

    /// True when the expression needs the backtracking engine.
    pub fn backtracks(&self) -> bool {
        self.linear().is_none()
    }
}

fn take(left: &mut u64, units: u64) {
    *left = left.saturating_sub(units);
}

/// The expression as it is parsed; None when only the backtracking engine knows it.
pub fn parsed(pattern: &[u8], flags: PcreFlags) -> Option<Hir> {
    parser(flags).parse(&translate(pattern, flags, false)?).ok()
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

#[cfg(test)]
mod tests;
