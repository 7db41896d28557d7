// SPDX-License-Identifier: Apache-2.0
//! Suricata's datasets: whole values that rules look up by a set's name, and, in rules with `set` and `unset`, change.
//!
//! What a set was loaded with belongs to one rule set. What rules change outlives a reload, is shared by all threads, and is
//! bounded: a full set takes nothing more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::document::{self, DatasetCommand, ReputationOperator};
use crate::state::lock;

/// Values that rules may add to one set, and their bytes in sum.
const VALUES_MAX: usize = 65_536;
const BYTES_MAX: usize = 16 << 20;

/// What rules have made of a set: values that are in it now, and those that are not.
pub type Changes = Arc<Mutex<Changed>>;

#[derive(Debug, Default)]
pub struct Changed {
    values: HashMap<Box<[u8]>, bool>,
    bytes: usize,
}

impl Changed {
    /// False when there is no room for it.
    fn put(&mut self, value: &[u8], inside: bool) -> bool {
        if let Some(known) = self.values.get_mut(value) {
            *known = inside;
            return true;
        }
        if self.values.len() >= VALUES_MAX || self.bytes + value.len() > BYTES_MAX {
            return false;
        }
        self.bytes += value.len();
        self.values.insert(value.into(), inside);
        true
    }
}

/// A set of one rule set.
#[derive(Debug, Default)]
pub struct Dataset {
    /// Loaded values, and their reputation.
    loaded: HashMap<Box<[u8]>, u16>,
    changes: Changes,
}

impl Dataset {
    fn contains(&self, value: &[u8]) -> bool {
        let changed = lock(&self.changes).values.get(value).copied();
        changed.unwrap_or_else(|| self.loaded.contains_key(value))
    }
}

/// All sets of a rule set, by name. `changes` are those of the sets beside which it is made, too.
#[derive(Debug, Default)]
pub struct Datasets {
    known: HashMap<String, Arc<Dataset>>,
}

impl Datasets {
    pub fn new<'a>(listed: Vec<document::Dataset>, others: impl Iterator<Item = &'a Datasets>) -> Datasets {
        let mut changes: HashMap<String, Changes> = HashMap::new();
        for (name, set) in others.flat_map(|others| &others.known) {
            changes.entry(name.clone()).or_insert_with(|| set.changes.clone());
        }
        let mut known: HashMap<String, Arc<Dataset>> = changes
            .into_iter()
            .map(|(name, changes)| (name, Arc::new(Dataset { loaded: HashMap::new(), changes })))
            .collect();
        for one in listed {
            let changes = known.get(&one.name).map(|set| set.changes.clone()).unwrap_or_default();
            let loaded = one.entries.into_iter().map(|entry| (entry.bytes.into_boxed_slice(), entry.reputation));
            known.insert(one.name, Arc::new(Dataset { loaded: loaded.collect(), changes }));
        }
        Datasets { known }
    }

    pub fn get(&mut self, name: &str) -> Arc<Dataset> {
        self.known.entry(name.to_owned()).or_default().clone()
    }
}

/// What a rule asks of a set, or makes of it.
pub struct Lookup {
    set: Arc<Dataset>,
    command: DatasetCommand,
    /// The values' length, when all have one.
    length: Option<usize>,
}

impl Lookup {
    pub fn new(option: &document::DatasetLookup, sets: &mut Datasets) -> Lookup {
        let length = match option.values.as_str() {
            "md5" => Some(16),
            "sha256" => Some(32),
            "ipv4" => Some(4),
            "ip" => Some(16),
            _ => None,
        };
        Lookup { set: sets.get(&option.name), command: option.command, length }
    }

    /// Whether the rule goes on with this value.
    pub fn holds(&self, value: &[u8]) -> bool {
        let mapped: [u8; 16];
        let value = match (self.length, value) {
            // An IPv4 address among both kinds.
            (Some(16), &[a, b, c, d]) => {
                mapped = std::net::Ipv4Addr::new(a, b, c, d).to_ipv6_mapped().octets();
                &mapped[..]
            }
            (Some(length), value) if value.len() != length => return false,
            (_, value) => value,
        };
        match self.command {
            DatasetCommand::Isset => self.set.contains(value),
            DatasetCommand::Isnotset => !self.set.contains(value),
            // Only what changes something is a match.
            DatasetCommand::Set => !self.set.contains(value) && lock(&self.set.changes).put(value, true),
            DatasetCommand::Unset => self.set.contains(value) && lock(&self.set.changes).put(value, false),
            DatasetCommand::Reputation { op, value: wanted } => {
                self.set.loaded.get(value).is_some_and(|reputation| match op {
                    ReputationOperator::Less => *reputation < wanted,
                    ReputationOperator::Greater => *reputation > wanted,
                    ReputationOperator::Equal => *reputation == wanted,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(sets: &mut Datasets, command: DatasetCommand, values: &str) -> Lookup {
        let option = document::DatasetLookup {
            buffer: crate::Buffer::Raw,
            name: "seen".to_owned(),
            values: values.to_owned(),
            command,
        };
        Lookup::new(&option, sets)
    }

    #[test]
    fn values_are_added_once_and_taken_out() {
        let mut sets = Datasets::default();
        let [isset, set, unset] = [DatasetCommand::Isset, DatasetCommand::Set, DatasetCommand::Unset]
            .map(|command| lookup(&mut sets, command, "string"));
        assert!(!isset.holds(b"a") && set.holds(b"a") && isset.holds(b"a") && !set.holds(b"a"));
        let mut again = Datasets::new(Vec::new(), [&sets].into_iter());
        let isset = lookup(&mut again, DatasetCommand::Isset, "string");
        assert!(isset.holds(b"a") && unset.holds(b"a") && !isset.holds(b"a") && !unset.holds(b"a"));
    }

    #[test]
    fn addresses_and_lengths() {
        let mut sets = Datasets::default();
        let set = lookup(&mut sets, DatasetCommand::Set, "ip");
        let isset = lookup(&mut sets, DatasetCommand::Isset, "ip");
        assert!(set.holds(&[192, 0, 2, 1]) && isset.holds(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1]));
        assert!(!set.holds(b"five!"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut sets = Datasets::default();
        let set = lookup(&mut sets, DatasetCommand::Set, "string");
        let kept = (0..VALUES_MAX + 10).filter(|number| set.holds(&number.to_be_bytes())).count();
        assert_eq!(kept, VALUES_MAX);
        let long = lookup(&mut Datasets::default(), DatasetCommand::Set, "string");
        assert!(long.holds(&vec![1; BYTES_MAX]) && !long.holds(b"x"));
    }
}
