// SPDX-License-Identifier: Apache-2.0
//! The lines of a stream that is not HTTP, each judged by itself as well: Snort judges segments, and a client of a dialogue
//! (SMTP, FTP) sends a line in each. So `depth:5` is that of a command, and an expression or a negation that waits for the
//! end of what it looks at gets one. Where the line ends does not depend on the segments.

use crate::ruleset::RuleSet;
use crate::transaction::{Scratch, Transaction, When};
use crate::{Limits, Match, RuleId};

/// Shorter lines are no commands; a client may send very many.
const SHORTEST: usize = 4;

#[derive(Debug, Default)]
pub struct Lines {
    /// Of the line that is not complete yet.
    line: Transaction,
    /// Where it begins in the stream's data.
    start: usize,
    /// No line end in the data before it.
    searched: usize,
    /// Rules that lines have matched: each is reported once for a connection.
    reported: Vec<RuleId>,
    generation: u64,
}

impl Lines {
    pub fn has_reported(&self, rule: RuleId) -> bool {
        self.reported.contains(&rule)
    }

    /// Goes on with `data`, the stream as far as it is kept; `end`: nothing more comes. `known`: has been reported of the
    /// stream itself.
    #[allow(clippy::too_many_arguments)]
    pub fn advance(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        scratch: &mut Scratch,
        data: &[u8],
        end: bool,
        known: &dyn Fn(RuleId) -> bool,
        out: &mut Vec<Match>,
    ) {
        if self.generation != rules.generation {
            self.generation = rules.generation;
            self.reported.clear();
        }
        let before = out.len();
        loop {
            let from = self.searched.max(self.start).min(data.len());
            let line_end = memchr::memchr(b'\n', &data[from..]).map(|at| from + at + 1);
            let line = &data[self.start.min(data.len())..line_end.unwrap_or(data.len())];
            let when = if line_end.is_some() || end { When::End } else { When::Now };
            if line.len() >= SHORTEST {
                self.line.judge_line(rules, limits, scratch, line, when, out);
            }
            let Some(next) = line_end else { break };
            self.line.reset();
            (self.start, self.searched) = (next, next);
        }
        self.searched = data.len();
        let reported = &mut self.reported;
        let mut at = before;
        while let Some(found) = out.get(at).copied() {
            if reported.contains(&found.rule) || known(found.rule) {
                out.swap_remove(at);
            } else {
                reported.push(found.rule);
                at += 1;
            }
        }
    }

    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        size_of::<Lines>() + self.line.memory() + self.reported.capacity() * size_of::<RuleId>()
    }

    /// The first `bytes` of the data are gone.
    pub fn forget(&mut self, bytes: usize) {
        if bytes > self.start {
            self.line.forget(bytes - self.start);
        }
        self.start = self.start.saturating_sub(bytes);
        self.searched = self.searched.saturating_sub(bytes);
    }
}
