// SPDX-License-Identifier: Apache-2.0
//! Suspicion: how many different rules of action "score" one source has matched lately.
//!
//! One such match says little, several different ones are a scanner. What is counted must be the source's own, or
//! somebody who forges its address could collect a score for it. So matches are kept in *runs*: those of connections
//! whose packets echo the same clock of the same server. A server's timestamps begin at a secret number for each pair of
//! addresses (RFC 7323, section 5.4; Linux does so), which only who gets its answers can echo. A blind forger's matches
//! make a run of their own, which no connection of the true source ever joins. Without timestamps, or where a server's
//! clocks differ between connections, a run is one connection.

use std::collections::hash_map::{DefaultHasher, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Mutex;

use crate::http::decoder;
use crate::state::{lock, RuleState, SAMPLE, SHARDS};

/// The built-in rule that such a source matches.
pub const GID: u32 = decoder::GID;
pub const SID: u32 = 100;
pub const MESSAGE: &str = "Policy: several different suspicious requests of one source";

/// Runs that are kept of a source; of more, the oldest goes.
const RUNS: usize = 4;
/// Different rules that are kept of a run.
pub const MAX_RULES: usize = 32;
/// How far the same clock may be off, in milliseconds: an echo is as old as the server's last packet.
const TOLERANCE: u32 = 4_000;

/// Which matches belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// `offset`: of the server's clock that the client echoes, in milliseconds, against ours.
    Clock { server: u16, offset: u32 },
    /// No clock is echoed: only this connection's.
    Connection(u64),
}

impl Echo {
    fn same(self, other: Echo) -> bool {
        match (self, other) {
            (Echo::Clock { server, offset }, Echo::Clock { server: s, offset: o }) => {
                server == s && (offset.wrapping_sub(o) as i32).unsigned_abs() <= TOLERANCE
            }
            (one, other) => one == other,
        }
    }
}

#[derive(Debug)]
struct Run {
    echo: Echo,
    /// Rule and when it was matched first in the window; milliseconds.
    rules: Vec<(u64, u64)>,
    last: u64,
}

/// Of all sources; bounded.
#[derive(Debug)]
pub(crate) struct Scores {
    shards: [Mutex<HashMap<u128, Vec<Run>>>; SHARDS],
    per_shard: usize,
}

impl Scores {
    pub fn new(sources: usize) -> Scores {
        Scores { shards: std::array::from_fn(|_| Mutex::default()), per_shard: (sources / SHARDS).max(1) }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

impl RuleState {
    /// `source` matched the rule `gid`:`sid`, which scores. How many different ones it has in its run within
    /// `window` milliseconds, and whether this one is new.
    pub fn score(&self, source: u128, echo: Echo, (gid, sid): (u32, u32), window: u64) -> (usize, bool) {
        let now = self.now();
        let rule = u64::from(gid) << 32 | u64::from(sid);
        let mut hasher = DefaultHasher::new();
        source.hash(&mut hasher);
        let mut shard = lock(&self.scores.shards[hasher.finish() as usize % SHARDS]);
        if shard.len() >= self.scores.per_shard && !shard.contains_key(&source) {
            let last = |runs: &Vec<Run>| runs.iter().map(|run| run.last).max();
            let oldest = shard.iter().take(SAMPLE).min_by_key(|(_, runs)| last(runs)).map(|(source, _)| *source);
            oldest.map(|oldest| shard.remove(&oldest));
        }
        let runs = shard.entry(source).or_default();
        let at = match runs.iter().position(|run| run.echo.same(echo)) {
            Some(at) => at,
            None => {
                if runs.len() >= RUNS {
                    let oldest = (0..runs.len()).min_by_key(|at| runs[*at].last);
                    oldest.map(|oldest| runs.swap_remove(oldest));
                }
                runs.push(Run { echo, rules: Vec::new(), last: now });
                runs.len() - 1
            }
        };
        let run = &mut runs[at];
        run.last = now;
        run.rules.retain(|(_, since)| now.saturating_sub(*since) < window);
        let new = !run.rules.iter().any(|(known, _)| *known == rule);
        if new && run.rules.len() < MAX_RULES {
            run.rules.push((rule, now));
        }
        (run.rules.len(), new)
    }

    /// Sources that have a score, ended ones too.
    pub fn scored(&self) -> usize {
        self.scores.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 60_000;

    fn clock(offset: u32) -> Echo {
        Echo::Clock { server: 1, offset }
    }

    #[test]
    fn different_rules_of_one_clock_add_up_over_connections() {
        let state = RuleState::new(1000);
        assert_eq!(state.score(1, clock(5), (1, 10), WINDOW), (1, true));
        assert_eq!(state.score(1, clock(5), (1, 10), WINDOW), (1, false), "the same rule again says nothing new");
        assert_eq!(state.score(1, clock(3_000), (1, 11), WINDOW), (2, true));
        assert_eq!(state.score(1, clock(u32::MAX - 500), (1, 12), WINDOW), (3, true), "across the clock's end");
        assert_eq!(state.score(2, clock(5), (1, 13), WINDOW), (1, true), "of another source");
    }

    #[test]
    fn who_cannot_echo_the_clock_collects_for_himself() {
        let state = RuleState::new(1000);
        for sid in 0..30 {
            state.score(1, clock(1 << 30), (1, sid), WINDOW);
            state.score(1, Echo::Connection(7), (1, sid), WINDOW);
        }
        assert_eq!(state.score(1, clock(5), (1, 99), WINDOW).0, 1);
        assert_eq!(state.score(1, Echo::Clock { server: 2, offset: 1 << 30 }, (1, 99), WINDOW).0, 1);
        assert_eq!(state.score(1, Echo::Connection(8), (1, 99), WINDOW).0, 1);
    }

    #[test]
    fn the_window_ends() {
        let state = RuleState::new(1000);
        state.set_time(1_000);
        state.score(1, clock(5), (1, 10), WINDOW);
        state.set_time(1_000 + WINDOW / 2);
        assert_eq!(state.score(1, clock(5), (1, 11), WINDOW).0, 2);
        state.set_time(1_000 + WINDOW);
        assert_eq!(state.score(1, clock(5), (1, 12), WINDOW).0, 2, "the first is over");
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let state = RuleState::new(1600);
        for n in 0..50_000u32 {
            state.score(u128::from(n % 5_000), clock(n.wrapping_mul(0x9e37_79b9)), (1, n), WINDOW);
        }
        for n in 0..10_000u32 {
            state.score(7, clock(9), (1, n), WINDOW);
        }
        assert!(state.scored() <= 400, "{}", state.scored());
        assert_eq!(state.score(7, clock(9), (1, 99_999), WINDOW).0, MAX_RULES);
    }
}
