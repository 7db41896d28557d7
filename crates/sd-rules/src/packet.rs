// SPDX-License-Identifier: Apache-2.0
//! Rules on single TCP segments: sizes, flags and numbers that the reassembled stream no longer shows.

use crate::document::{Comparison, FlowField, HeaderField, PacketBytes, StreamSide};
use crate::http::decoder::Oddities;
use crate::matcher::{Budget, Part, PartState, Status, WORK, WORK_PER_BYTE};
use crate::prefilter::Found;
use crate::ruleset::RuleSet;
use crate::transaction::Scratch;
use crate::view::View;
use crate::{Action, Buffer, Match, RuleId};

/// What a segment shows besides the stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketFacts<'a> {
    pub payload: &'a [u8],
    /// As in the TCP header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub src_port: u16,
    pub dst_port: u16,
    /// The IP header with its options; empty: not known.
    pub ip: &'a [u8],
    /// Likewise the TCP header.
    pub tcp: &'a [u8],
    /// In a capture: of the connection so far.
    pub flow: FlowFacts,
    /// Bytes of payload that the client and the server have sent so far.
    pub sent: (u64, u64),
    /// In a capture.
    pub view: Option<&'a View>,
    /// Of the payload, where that is not at hand.
    pub length: Option<usize>,
}

/// What a connection has had, this packet included; of client and server.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowFacts {
    /// Seconds since its first packet.
    pub age: u64,
    pub packets: [u64; 2],
    /// Of whole packets, from the IP header on.
    pub bytes: [u64; 2],
}

/// What of a segment is kept for rules on the request that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    length: usize,
    flags: u8,
    seq: u32,
    ack: u32,
    window: u16,
    ip: [u8; 60],
    ip_length: usize,
    tcp: [u8; 60],
    tcp_length: usize,
}

impl Segment {
    pub fn of(facts: &PacketFacts<'_>) -> Segment {
        let mut ip = [0; 60];
        let ip_length = facts.ip.len().min(ip.len());
        ip[..ip_length].copy_from_slice(&facts.ip[..ip_length]);
        let mut tcp = [0; 60];
        let tcp_length = facts.tcp.len().min(tcp.len());
        tcp[..tcp_length].copy_from_slice(&facts.tcp[..tcp_length]);
        let PacketFacts { flags, seq, ack, window, .. } = *facts;
        Segment { length: facts.payload.len(), flags, seq, ack, window, ip, ip_length, tcp, tcp_length }
    }

    pub(crate) fn facts(&self) -> PacketFacts<'_> {
        let Segment { length, flags, seq, ack, window, .. } = *self;
        let (length, ip, tcp) = (Some(length), &self.ip[..self.ip_length], &self.tcp[..self.tcp_length]);
        PacketFacts { length, flags, seq, ack, window, ip, tcp, ..PacketFacts::default() }
    }
}

pub(crate) enum PacketTest {
    Size(Comparison),
    Flags(FlagsTest),
    Ack(u32),
    Seq(u32),
    Header(HeaderField, Comparison),
    FragmentBits(FlagsTest),
    IpOption(u16),
    SameAddress,
    StreamSize(StreamSide, Comparison),
    Bytes(PacketBytes, Box<Part>),
    FlowSize(FlowField, Comparison),
}

impl PacketTest {
    /// It asks for nothing that only one segment has.
    pub fn is_of_connection(&self) -> bool {
        matches!(self, PacketTest::StreamSize(..) | PacketTest::FlowSize(..))
    }

    pub fn holds(&self, facts: &PacketFacts<'_>) -> bool {
        let ip = facts.ip;
        let version = ip.first().map_or(0, |byte| byte >> 4);
        let word = |at: usize| ip.get(at..at + 2).map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]])));
        match self {
            PacketTest::Size(comparison) => comparison.holds(facts.length.unwrap_or(facts.payload.len())),
            PacketTest::Flags(flags) => flags.holds(facts.flags),
            PacketTest::Ack(value) => facts.ack == *value,
            PacketTest::Seq(value) => facts.seq == *value,
            PacketTest::Header(HeaderField::Window, comparison) => comparison.holds(usize::from(facts.window)),
            PacketTest::Header(HeaderField::Mss, comparison) => {
                matches!(tcp_option(facts.tcp, 2), Some(&[a, b]) if comparison.holds(usize::from(u16::from_be_bytes([a, b]))))
            }
            PacketTest::Header(HeaderField::Wscale, comparison) => {
                matches!(tcp_option(facts.tcp, 3), Some(&[shift]) if comparison.holds(usize::from(shift)))
            }
            PacketTest::Header(field, comparison) => {
                let byte = |at: usize| ip.get(at).map(|byte| usize::from(*byte));
                let value = match (field, version) {
                    (HeaderField::Ttl, 4) => byte(8),
                    (HeaderField::Ttl, 6) => byte(7),
                    (HeaderField::Protocol, 4) => byte(9),
                    (HeaderField::Protocol, 6) => byte(6),
                    (HeaderField::Tos, 4) => byte(1),
                    (HeaderField::Tos, 6) => word(0).map(|word| word >> 4 & 0xff),
                    (HeaderField::Id, 4) => word(4),
                    (HeaderField::Fragoffset, 4) => word(6).map(|word| word & 0x1fff),
                    _ => None,
                };
                value.is_some_and(|value| comparison.holds(value))
            }
            PacketTest::FragmentBits(bits) => {
                version == 4 && word(6).is_some_and(|word| bits.holds((word >> 13) as u8))
            }
            PacketTest::IpOption(wanted) => version == 4 && has_option(ip.get(20..).unwrap_or_default(), *wanted),
            PacketTest::SameAddress => match version {
                4 => ip.len() >= 20 && ip[12..16] == ip[16..20],
                6 => ip.len() >= 40 && ip[8..24] == ip[24..40],
                _ => false,
            },
            PacketTest::StreamSize(side, comparison) => {
                let (client, server) = (facts.sent.0 as usize, facts.sent.1 as usize);
                match side {
                    StreamSide::Client => comparison.holds(client),
                    StreamSide::Server => comparison.holds(server),
                    StreamSide::Both => comparison.holds(client) && comparison.holds(server),
                    StreamSide::Either => comparison.holds(client) || comparison.holds(server),
                }
            }
            PacketTest::Bytes(of, part) => {
                let bytes = match (of, version) {
                    (PacketBytes::Tcp, _) => facts.tcp,
                    (PacketBytes::Ipv4, 4) | (PacketBytes::Ipv6, 6) => ip,
                    (PacketBytes::Source, 4) => ip.get(12..16).unwrap_or_default(),
                    (PacketBytes::Destination, 4) => ip.get(16..20).unwrap_or_default(),
                    (PacketBytes::Source, 6) => ip.get(8..24).unwrap_or_default(),
                    (PacketBytes::Destination, 6) => ip.get(24..40).unwrap_or_default(),
                    _ => &[],
                };
                let mut state = PartState::default();
                if !bytes.is_empty() {
                    part.advance(&mut state, bytes, true, &mut Budget::new(bytes.len(), 0, WORK));
                }
                state.status == Status::Matched
            }
            PacketTest::FlowSize(field, comparison) => {
                let FlowFacts { age, packets, bytes } = facts.flow;
                let holds = |value: u64| comparison.holds(value as usize);
                match field {
                    FlowField::Age => holds(age),
                    FlowField::PacketsToServer => holds(packets[0]),
                    FlowField::PacketsToClient => holds(packets[1]),
                    FlowField::Packets => packets.into_iter().any(holds),
                    FlowField::BytesToServer => holds(bytes[0]),
                    FlowField::BytesToClient => holds(bytes[1]),
                    FlowField::Bytes => bytes.into_iter().any(holds),
                }
            }
        }
    }
}

/// What the first option of this kind in a TCP header says.
fn tcp_option(header: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut options = header.get(20..)?;
    while let [kind, rest @ ..] = options {
        options = match kind {
            0 => return None,
            1 => rest,
            _ => {
                let size = usize::from(*rest.first()?);
                if *kind == wanted {
                    return options.get(2..size);
                }
                options.get(size.max(2)..)?
            }
        };
    }
    None
}

/// Whether IP options have one with this number; 256: one that is more than padding.
fn has_option(mut options: &[u8], wanted: u16) -> bool {
    while let [kind, rest @ ..] = options {
        if wanted == u16::from(*kind) || wanted == 256 && *kind > 1 {
            return true;
        }
        let size = match kind {
            0 => return false,
            1 => 1,
            _ => usize::from(*rest.first().unwrap_or(&0)),
        };
        if size == 0 || size > options.len() {
            return false;
        }
        options = &options[size..];
    }
    false
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

    /// The same of an IP header's bits.
    pub fn of_fragments(set: &str, mode: &str) -> Result<FlagsTest, String> {
        let set = set.chars().try_fold(0, |bits, letter| match letter.to_ascii_uppercase() {
            'M' => Ok(bits | 1),
            'D' => Ok(bits | 2),
            'R' => Ok(bits | 4),
            other => Err(format!("fragbits: unknown bit {other:?}")),
        })?;
        Ok(FlagsTest { set, ..FlagsTest::new("", mode, "")? })
    }

    pub fn holds(&self, flags: u8) -> bool {
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

/// The candidates of a segment, which has few.
struct Few<'a>(&'a mut Vec<u32>);

impl Found for Few<'_> {
    fn knows(&self, rule: u32) -> bool {
        self.0.last() == Some(&rule)
    }

    fn found(&mut self, rule: u32) {
        self.0.push(rule);
    }
}

/// So few rules are asked directly: their tests of size and flags cost less than a look at the payload.
const FEW: usize = 8;

/// The rules of scope `packet` that match one segment but for their state, in the order of their numbers. Returns the
/// built-in rules about bounds that were reached.
pub(crate) fn matching(
    rules: &RuleSet,
    scratch: &mut Scratch,
    facts: &PacketFacts<'_>,
    source: Option<u128>,
    mut found: impl FnMut(Match),
) -> Oddities {
    let candidates = scratch.packet_candidates();
    candidates.clear();
    if rules.packet_rules.len() <= FEW {
        candidates.extend_from_slice(&rules.packet_rules);
    } else {
        candidates.extend_from_slice(&rules.packet_always);
        rules.packet_prefilter.scan(facts.payload, 0, &mut Few(candidates));
        candidates.sort_unstable();
        candidates.dedup();
    }
    let mut left = WORK + WORK_PER_BYTE * facts.payload.len() as u64;
    let mut bounds = 0;
    'candidates: for &id in candidates.iter() {
        let rule = &rules.rules[id as usize];
        if !rule.allows(facts.src_port, facts.dst_port, source) || !rule.tests.iter().all(|test| test.holds(facts)) {
            continue;
        }
        if let (Some(test), Some(view)) = (&rule.view, facts.view) {
            if !test.admits(view) || facts.payload.is_empty() && !rule.parts.is_empty() {
                continue;
            }
        }
        let mut budget = Budget::new(facts.payload.len(), 0, left);
        let mut place = (0, 0);
        for (index, part) in rule.parts.iter().enumerate() {
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
            if index == rule.place {
                place = state.place;
            }
        }
        // A segment by itself shows nothing of where something stands.
        let action = rule.standing.as_ref().map_or(rules.rule(RuleId(id)).action, |_| Action::Score);
        found(Match { rule: RuleId(id), buffer: Buffer::Raw, offset: place.0, len: place.1, action });
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_options() {
        let header = |options: &[u8]| [&[0; 20], options].concat();
        assert_eq!(tcp_option(&header(&[1, 3, 3, 7, 2, 4, 5, 180]), 2), Some(&[5, 180][..]));
        assert_eq!(tcp_option(&header(&[1, 3, 3, 7]), 3), Some(&[7][..]));
        for odd in [&[0, 2, 4, 5, 180][..], &[9, 0, 0, 0], &[2, 9, 1, 1], &[2], &[]] {
            assert_eq!(tcp_option(&header(odd), 2), None, "{odd:?}");
        }
    }

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
