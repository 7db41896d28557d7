// SPDX-License-Identifier: Apache-2.0
//! What rules remember between requests: bits and numbers of a connection (flowbits, flowint), bits of a source (xbits, hostbits), and counts
//! of matches (threshold, detection_filter).
//!
//! Those of a connection live in its [`crate::Transaction`]. The others live in one [`RuleState`] that all threads share;
//! a transaction that was not told its source ([`crate::Transaction::set_source`]) knows no bits of a source, and its rules
//! that count do not match.

use std::collections::hash_map::{DefaultHasher, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::document::{BitCommand, CountKind, CountOption, IntOperator, IntOption, Number, Port, Track};
use crate::score::Scores;

pub(crate) const SHARDS: usize = 16;
/// Entries that are looked at to make room for a new one in a full table.
pub(crate) const SAMPLE: usize = 32;

/// Bits and counts of sources, for all connections; bounded.
#[derive(Debug)]
pub struct RuleState {
    shards: [Mutex<HashMap<Key, Entry>>; SHARDS],
    per_shard: usize,
    now: AtomicU64,
    pub(crate) scores: Scores,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: u128,
    /// Of a bit's name or of a rule; the same in every rule set.
    what: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Milliseconds; a bit or a count's window ends then.
    expires: u64,
    count: u32,
}

impl RuleState {
    /// For about `capacity` bits and counts; beyond that those that end soonest give way.
    pub fn new(capacity: usize) -> RuleState {
        RuleState {
            shards: std::array::from_fn(|_| Mutex::default()),
            per_shard: (capacity / SHARDS).max(1),
            now: AtomicU64::new(0),
            scores: Scores::new(capacity / 4),
        }
    }

    /// Sets the time, in milliseconds of a clock that does not go back. Call it at least once a second.
    pub fn set_time(&self, milliseconds: u64) {
        self.now.fetch_max(milliseconds, Ordering::Relaxed);
    }

    /// Bits and counts that are kept, ended ones too.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, HashMap<Key, Entry>> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        lock(&self.shards[hasher.finish() as usize % SHARDS])
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn has(&self, source: u128, what: u64) -> bool {
        let key = Key { source, what };
        self.shard(&key).get(&key).is_some_and(|entry| entry.expires > self.now())
    }

    fn set(&self, source: u128, what: u64, seconds: u32) {
        let expires = self.now() + u64::from(seconds) * 1000;
        let key = Key { source, what };
        let mut shard = self.shard(&key);
        self.make_room(&mut shard, &key);
        shard.insert(key, Entry { expires, count: 0 });
    }

    fn unset(&self, source: u128, what: u64) {
        let key = Key { source, what };
        self.shard(&key).remove(&key);
    }

    /// One more match; how many there have been in the window, this one included.
    fn count(&self, source: u128, what: u64, seconds: u32) -> u32 {
        let now = self.now();
        let key = Key { source, what };
        let mut shard = self.shard(&key);
        self.make_room(&mut shard, &key);
        let entry = shard.entry(key).or_default();
        if entry.expires <= now {
            *entry = Entry { expires: now + u64::from(seconds) * 1000, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
        entry.count
    }

    fn make_room(&self, shard: &mut HashMap<Key, Entry>, key: &Key) {
        if shard.len() < self.per_shard || shard.contains_key(key) {
            return;
        }
        // The table's order is random: the soonest of a sample is nearly the soonest of all, at a bounded cost.
        let soonest = shard.iter().take(SAMPLE).min_by_key(|(_, entry)| entry.expires).map(|(key, _)| *key);
        if let Some(soonest) = soonest {
            shard.remove(&soonest);
        }
    }
}

/// A thread that panicked left the table as it was between two calls of it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same for a name in every rule set of a process and of all processes.
pub fn name_of(kind: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, name).hash(&mut hasher);
    hasher.finish()
}

/// What a rule asks of the state and does to it once its other options have matched.
#[derive(Debug, Default)]
pub struct StateOptions {
    pub bits: Vec<Bits>,
    pub ints: Vec<Int>,
    pub counts: Vec<CountOption>,
    /// It changes bits and reports nothing.
    pub silent: bool,
    /// For its counts.
    pub rule: u64,
}

#[derive(Debug)]
pub struct Bits {
    pub command: BitCommand,
    pub which: Which,
    /// One of several is enough.
    pub any: bool,
}

/// What a rule asks of a connection's number, or makes of it.
#[derive(Debug)]
pub struct Int {
    name: u64,
    op: IntOperator,
    value: IntValue,
}

#[derive(Debug)]
enum IntValue {
    Fixed(u32),
    /// Another number of the connection.
    Named(u64),
}

impl Int {
    pub fn new(option: &IntOption) -> Result<Int, String> {
        let name = |text: &str| name_of("flow int", &text.to_ascii_lowercase());
        let value = match &option.value {
            Number::Fixed(value) => IntValue::Fixed(u32::try_from(*value).map_err(|_| "flowint: out of range")?),
            Number::Name(other) => IntValue::Named(name(other)),
        };
        Ok(Int { name: name(&option.name), op: option.op, value })
    }

    /// Another number that has no value is taken for 0, as Suricata does.
    fn operand(&self, flow: &FlowBits) -> u32 {
        match self.value {
            IntValue::Fixed(value) => value,
            IntValue::Named(name) => flow.int(name).unwrap_or(0),
        }
    }

    fn holds(&self, flow: &FlowBits) -> bool {
        let known = flow.int(self.name);
        match self.op {
            IntOperator::Isset => return known.is_some(),
            IntOperator::Isnotset => return known.is_none(),
            _ => {}
        }
        let (Some(known), value) = (known, self.operand(flow)) else { return false };
        match self.op {
            IntOperator::Less => known < value,
            IntOperator::Greater => known > value,
            IntOperator::AtMost => known <= value,
            IntOperator::AtLeast => known >= value,
            IntOperator::Equal => known == value,
            _ => known != value,
        }
    }

    fn change(&self, flow: &mut FlowBits) {
        let value = self.operand(flow);
        match (self.op, flow.int(self.name)) {
            (IntOperator::Set, _) | (IntOperator::Add, None) => flow.set_int(self.name, value),
            (IntOperator::Add, Some(known)) => flow.set_int(self.name, known.wrapping_add(value)),
            (IntOperator::Subtract, Some(known)) => flow.set_int(self.name, known.wrapping_sub(value)),
            _ => {}
        }
    }
}

#[derive(Debug)]
pub enum Which {
    /// Of the connection; hashes of their names.
    Flow(Vec<u64>),
    /// Of whose address, and for how many seconds.
    Address(Track, u64, u32),
}

/// Who is at the ends of a connection, and what is remembered of all sources.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer<'a> {
    pub state: Option<&'a RuleState>,
    pub source: u128,
    pub destination: u128,
    /// The connection, for counts of its own.
    pub flow: u64,
    /// Source and destination.
    pub ports: (u16, u16),
}

impl Peer<'_> {
    /// Under what is remembered what `track` names. The service's own address is 0, outside captures.
    fn address(&self, track: Track) -> u128 {
        match track {
            Track::Source => self.source,
            Track::Destination => self.destination,
            // Whoever of them sends.
            Track::Both => self.source.max(self.destination).rotate_left(64) ^ self.source.min(self.destination),
            // No address begins like this.
            Track::Flow => 1 << 127 | u128::from(self.flow),
            Track::All => 0,
        }
    }
}

/// The bits and numbers of one connection, by their names' hashes: they outlive a reload. Few are ever set, and no more
/// than rules name.
#[derive(Debug, Default)]
pub struct FlowBits {
    bits: Vec<u64>,
    ints: Vec<(u64, u32)>,
    /// Of the connection; 0: not asked for yet.
    id: u64,
}

impl FlowBits {
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty() && self.ints.is_empty()
    }

    fn get(&self, bit: u64) -> bool {
        self.bits.contains(&bit)
    }

    fn put(&mut self, bit: u64, value: bool) {
        match self.bits.iter().position(|set| *set == bit) {
            None if value => self.bits.push(bit),
            Some(place) if !value => drop(self.bits.swap_remove(place)),
            _ => {}
        }
    }

    fn int(&self, name: u64) -> Option<u32> {
        self.ints.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn set_int(&mut self, name: u64, value: u32) {
        match self.ints.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.ints.push((name, value)),
        }
    }

    /// A number that no other connection has.
    pub fn id(&mut self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if self.id == 0 {
            self.id = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        self.id
    }
}

impl StateOptions {
    pub fn sets(&self) -> bool {
        self.bits.iter().any(|bits| !bits.command.tests()) || self.ints.iter().any(|int| int.op.changes())
    }

    /// None unless all tests of bits hold; then the changes are made, and the counts say whether the rule matches.
    pub fn apply(&self, flow: &mut FlowBits, peer: &Peer<'_>) -> Option<bool> {
        let holds = self.bits.iter().filter(|bits| bits.command.tests()).all(|bits| {
            let wanted = bits.command == BitCommand::Isset;
            match &bits.which {
                Which::Flow(list) if bits.any => list.iter().any(|bit| flow.get(*bit) == wanted),
                Which::Flow(list) => list.iter().all(|bit| flow.get(*bit) == wanted),
                Which::Address(track, name, _) => {
                    peer.state.is_some_and(|state| state.has(peer.address(*track), *name)) == wanted
                }
            }
        });
        let known = self.ints.iter().filter(|int| !int.op.changes()).all(|int| int.holds(flow));
        if !holds || !known {
            return None;
        }
        self.ints.iter().for_each(|int| int.change(flow));
        for bits in self.bits.iter().filter(|bits| !bits.command.tests()) {
            match &bits.which {
                Which::Flow(list) => {
                    for &bit in list {
                        let value = match bits.command {
                            BitCommand::Toggle => !flow.get(bit),
                            command => command == BitCommand::Set,
                        };
                        flow.put(bit, value);
                    }
                }
                Which::Address(track, name, seconds) => {
                    let Some(state) = peer.state else { continue };
                    let address = peer.address(*track);
                    let set = match bits.command {
                        BitCommand::Toggle => !state.has(address, *name),
                        command => command == BitCommand::Set,
                    };
                    if set {
                        state.set(address, *name, *seconds);
                    } else {
                        state.unset(address, *name);
                    }
                }
            }
        }
        let counted = self.counts.iter().all(|count| {
            let Some(state) = peer.state else { return false };
            let key = peer.address(count.track);
            let port = match count.unique {
                None => None,
                Some(Port::Source) => Some(peer.ports.0),
                Some(Port::Destination) => Some(peer.ports.1),
            };
            if let Some(port) = port {
                let what = name_of("port", &format!("{} {port}", self.rule));
                if state.has(key, what) {
                    return false;
                }
                state.set(key, what, count.seconds);
            }
            let number = state.count(key, self.rule, count.seconds);
            match count.how {
                CountKind::Threshold => number % count.count.max(1) == 0,
                CountKind::Both => number == count.count.max(1),
                CountKind::Filter => number > count.count,
                CountKind::Limit => number <= count.count,
                CountKind::Backoff => is_power(number, count.count.max(1), count.multiplier),
            }
        });
        Some(counted)
    }
}

/// Whether `number` is `first`, or that times a power of `factor`.
fn is_power(number: u32, first: u32, factor: u32) -> bool {
    let (mut next, number) = (u64::from(first), u64::from(number));
    while next < number && factor > 1 {
        next *= u64::from(factor);
    }
    next == number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_tells_less_and_less() {
        let told = |first, factor| (1..=1000).filter(|n| is_power(*n, first, factor)).collect::<Vec<u32>>();
        assert_eq!((told(1, 10), told(3, 4)), (vec![1, 10, 100, 1000], vec![3, 12, 48, 192, 768]));
        assert_eq!(told(5, 1), [5]);
        assert!(is_power(u32::MAX, u32::MAX, u32::MAX) && !is_power(u32::MAX, 2, 3));
    }

    #[test]
    fn bits_end_with_their_time_and_are_a_sources_own() {
        let state = RuleState::new(1000);
        state.set_time(5_000);
        state.set(1, 7, 10);
        assert!(state.has(1, 7) && !state.has(2, 7) && !state.has(1, 8));
        state.set_time(14_999);
        assert!(state.has(1, 7));
        state.set_time(15_000);
        assert!(!state.has(1, 7));
        state.set_time(1); // a clock that goes back is not believed
        assert!(!state.has(1, 7));
        state.set(1, 7, 10);
        state.unset(1, 7);
        assert!(!state.has(1, 7));
    }

    #[test]
    fn counts_begin_anew_with_a_window() {
        let state = RuleState::new(1000);
        assert_eq!([1, 2, 3].map(|_| state.count(1, 7, 10)), [1, 2, 3]);
        assert_eq!(state.count(2, 7, 10), 1);
        state.set_time(10_000);
        assert_eq!(state.count(1, 7, 10), 1);
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let state = RuleState::new(1600);
        for source in 0..50_000 {
            state.count(source, 1, 60);
        }
        assert!(state.len() <= 1600, "{}", state.len());
        assert_eq!(state.count(49_999, 1, 60), 2, "the newest is kept");
    }
}
