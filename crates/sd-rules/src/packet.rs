// SPDX-License-Identifier: Apache-2.0
//! Rules on single TCP segments: sizes, flags and numbers that the reassembled stream no longer shows.

use crate::document::Comparison;
use crate::matcher::{Budget, PartState, Status, WORK, WORK_PER_BYTE};
use crate::prefilter::Found;
use crate::ruleset::{Rule, RuleSet};
use crate::transaction::Scratch;
use crate::{Buffer, Match, RuleId};

/// What a segment shows besides the stream.
#[derive(Clone, Copy, Debug)]
pub struct PacketFacts<'a> {
    pub payload: &'a [u8],
    /// As in the TCP header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub dst_port: u16,
}

pub(crate) enum PacketTest {
    Size(Comparison),
    Flags(FlagsTest),
    Ack(u32),
    Seq(u32),
}

pub(crate) struct FlagsTest {
    set: u8,
    mask: u8,
    mode: FlagsMode,
}

#[derive(PartialEq, Eq)]
enum FlagsMode {
    /// These and no others.
    Exactly,
    /// These, and perhaps others.
    AtLeast,
    Any,
    /// None of these.
    None,
}

impl FlagsTest {
    pub fn new(set: &str, mode: &str, mask: &str) -> Result<FlagsTest, String> {
        let mode = match mode {
            "" | "=" => FlagsMode::Exactly,
            "+" => FlagsMode::AtLeast,
            "*" => FlagsMode::Any,
            "!" => FlagsMode::None,
            other => return Err(format!("flags: unknown mode {other:?}")),
        };
        Ok(FlagsTest { set: flag_bits(set)?, mask: !flag_bits(mask)?, mode })
    }

    fn holds(&self, flags: u8) -> bool {
        let flags = flags & self.mask;
        match self.mode {
            FlagsMode::Exactly => flags == self.set,
            FlagsMode::AtLeast => flags & self.set == self.set,
            FlagsMode::Any => flags & self.set != 0,
            FlagsMode::None => flags & self.set == 0,
        }
    }
}

fn flag_bits(text: &str) -> Result<u8, String> {
    text.chars().try_fold(0, |bits, letter| {
        let bit = match letter.to_ascii_uppercase() {
            'F' => 1,
            'S' => 2,
            'R' => 4,
            'P' => 8,
            'A' => 16,
            'U' => 32,
            'E' | '2' => 64,
            'C' | '1' => 128,
            '0' | ',' | ' ' => 0,
            other => return Err(format!("flags: unknown flag {other:?}")),
        };
        Ok(bits | bit)
    })
}

impl Rule {
    fn packet_tests_hold(&self, facts: &PacketFacts<'_>) -> bool {
        self.tests.iter().all(|test| match test {
            PacketTest::Size(comparison) => comparison.holds(facts.payload.len()),
            PacketTest::Flags(flags) => flags.holds(facts.flags),
            PacketTest::Ack(value) => facts.ack == *value,
            PacketTest::Seq(value) => facts.seq == *value,
        })
    }
}

/// The candidates of a segment, which has few.
struct Segment<'a>(&'a mut Vec<u32>);

impl Found for Segment<'_> {
    fn knows(&self, rule: u32) -> bool {
        self.0.last() == Some(&rule)
    }

    fn found(&mut self, rule: u32) {
        self.0.push(rule);
    }
}

/// So few rules are asked directly: their tests of size and flags cost less than a look at the payload.
const FEW: usize = 8;

/// Judges one segment by the rules of scope `packet`; appends each rule that matches once.
pub fn judge_packet(rules: &RuleSet, scratch: &mut Scratch, facts: &PacketFacts<'_>, out: &mut Vec<Match>) {
    if !rules.has_packet_rules() {
        return;
    }
    let candidates = scratch.packet_candidates();
    candidates.clear();
    if rules.packet_rules.len() <= FEW {
        candidates.extend_from_slice(&rules.packet_rules);
    } else {
        candidates.extend_from_slice(&rules.packet_always);
        rules.packet_prefilter.scan(facts.payload, 0, &mut Segment(candidates));
        candidates.sort_unstable();
        candidates.dedup();
    }
    let mut left = WORK + WORK_PER_BYTE * facts.payload.len() as u64;
    let mut bounds = 0;
    'candidates: for &id in candidates.iter() {
        let rule = &rules.rules[id as usize];
        if rule.ports.as_ref().is_some_and(|ports| !ports.allow(facts.dst_port)) || !rule.packet_tests_hold(facts) {
            continue;
        }
        let mut budget = Budget::new(facts.payload.len(), 0, left);
        let mut place = (0, 0);
        for part in &rule.parts {
            let mut state = PartState::default();
            part.advance(&mut state, facts.payload, true, &mut budget);
            left = budget.left();
            if budget.exhausted {
                bounds |= budget.bound().bit();
            }
            if left == 0 {
                break 'candidates;
            }
            if state.status != Status::Matched {
                continue 'candidates;
            }
            place = state.place;
        }
        out.push(Match { rule: RuleId(id), buffer: Buffer::Raw, offset: place.0, len: place.1 });
    }
    rules.push_decoders(bounds, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_tests() {
        for (set, mode, mask, hit, miss) in [
            ("A", "+", "", 0x18, 0x08),
            ("AP", "=", "", 0x18, 0x38),
            ("SF", "*", "", 0x01, 0x10),
            ("SF", "!", "", 0x10, 0x01),
            ("S", "=", "12", 0xc2, 0x12),
            ("0", "=", "", 0, 1),
        ] {
            let test = FlagsTest::new(set, mode, mask).unwrap();
            assert!(test.holds(hit), "{set}{mode}{mask}");
            assert!(!test.holds(miss), "{set}{mode}{mask}");
        }
        assert!(FlagsTest::new("X", "", "").is_err());
        assert!(FlagsTest::new("A", "?", "").is_err());
    }
}
