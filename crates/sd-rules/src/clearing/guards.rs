// SPDX-License-Identifier: Apache-2.0
//! What a rule asks of a segment besides its bytes: where nothing in these can be looked for, the kernel asks that.
//!
//! A guard is wider than its rule, never narrower: what it does not know of the rule's options it leaves out.

use super::needs::{FLAGS, LONGEST, SHORTEST};
use crate::document::{Comparison, HeaderField, Number, Operator, Rule, RuleOption};
use crate::packet::{FlagsTest, PacketFacts};
use crate::view::{self, SERVER};
use crate::Buffer;

/// Numbers of a segment; their own are those of `bpf/clear.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Source,
    Port,
    Length,
    Flags,
    Ttl,
    Tos,
    Id,
    Window,
    Ack,
    Seq,
    Fragment,
}

const FIELDS: [Field; 11] = [
    Field::Source,
    Field::Port,
    Field::Length,
    Field::Flags,
    Field::Ttl,
    Field::Tos,
    Field::Id,
    Field::Window,
    Field::Ack,
    Field::Seq,
    Field::Fragment,
];

/// In order, not overlapping, both ends with them.
type Ranges = Vec<(u32, u32)>;

/// A rule's ranges of one field beyond this number are joined with what lies between them.
const RANGES: usize = 64;
/// What a request has besides its target, at least: method, blanks, protocol, two line ends.
const BESIDES_TARGET: u32 = 17;

/// Few ordinary requests are longer than this; what that is worth, in bits.
const LONG: u32 = 900;
const LONG_BITS: f32 = 8.0;

impl Field {
    /// Of the segments that may be cleared.
    fn possible(self) -> Ranges {
        match self {
            Field::Source | Field::Ack | Field::Seq => vec![(0, u32::MAX)],
            Field::Port | Field::Id | Field::Window => vec![(0, u32::from(u16::MAX))],
            Field::Length => vec![(SHORTEST as u32, LONGEST as u32)],
            Field::Flags => FLAGS.map(|flags| (u32::from(flags), u32::from(flags))).to_vec(),
            Field::Ttl | Field::Tos => vec![(0, 255)],
            // Without the bit for more fragments, which are dropped.
            Field::Fragment => [0, 2, 4, 6].map(|bits| (bits, bits)).to_vec(),
        }
    }

    fn of(self, packet: &PacketFacts<'_>) -> Option<u32> {
        let ip = packet.ip;
        let word = |at: usize| ip.get(at..at + 2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        match self {
            Field::Source => Some(word(12)? << 16 | word(14)?),
            Field::Port => Some(u32::from(packet.src_port)),
            Field::Length => u32::try_from(packet.payload.len()).ok(),
            Field::Flags => Some(u32::from(packet.flags)),
            Field::Ttl => ip.get(8).copied().map(u32::from),
            Field::Tos => ip.get(1).copied().map(u32::from),
            Field::Id => word(4),
            Field::Window => Some(u32::from(packet.window)),
            Field::Ack => Some(packet.ack),
            Field::Seq => Some(packet.seq),
            Field::Fragment => word(6).map(|word| word >> 13),
        }
    }
}

/// One question about a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Test {
    pub field: u16,
    pub low: u32,
    /// The highest number less the lowest.
    pub span: u32,
    /// The next question when the number is in the range, and when it is not; always a later one.
    pub hit: u16,
    pub miss: u16,
}

/// Instead of a next question: the segment travels.
pub const TRAVELS: u16 = u16::MAX;
/// Questions that are asked of each segment of a service, at most.
pub const TESTS: usize = 256;

/// The rule matches only segments of which each of these fields is in one of its ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard(Vec<(Field, Ranges)>);

impl Guard {
    /// A guard without conditions holds for all segments; None: the rule matches none. `least`: so many bytes it matches.
    pub fn of(rule: &Rule, least: usize) -> Option<Guard> {
        let mut known = FIELDS.map(Field::possible);
        let mut narrow = |field: Field, to: &[(u32, u32)]| {
            let ranges = &mut known[field as usize];
            *ranges = intersection(ranges, to);
        };
        narrow(Field::Length, &[(u32::try_from(least).unwrap_or(u32::MAX), u32::MAX)]);
        if let Some(ports) = &rule.src_ports {
            let ports = ports.iter().map(|(low, high)| (u32::from(*low), u32::from(*high)));
            narrow(Field::Port, &joined(ports.collect()));
        }
        if let Some((within, without)) = rule.sources.as_ref().and_then(sources) {
            narrow(Field::Source, &within);
            narrow(Field::Source, &complement(&without));
        }
        for option in &rule.options {
            match option {
                RuleOption::Dsize(comparison) => narrow(Field::Length, &ranges(comparison)),
                RuleOption::Urilen(found) | RuleOption::Bsize(found) if !found.relative => {
                    let besides = match rule.dialect.buffer(found.buffer) {
                        Buffer::HttpUri | Buffer::HttpUriSnort2 | Buffer::HttpUriSnort3 | Buffer::HttpRawUri => {
                            BESIDES_TARGET
                        }
                        Buffer::Raw => 0,
                        _ => continue,
                    };
                    let least = ranges(&found.comparison).first().map_or(u32::MAX, |range| range.0);
                    narrow(Field::Length, &[(least.saturating_add(besides), u32::MAX)]);
                }
                RuleOption::Isdataat {
                    buffer: Buffer::Raw,
                    value: Number::Fixed(value),
                    relative: false,
                    negated: false,
                } => {
                    let least = u32::try_from(value.saturating_add(1).max(0)).unwrap_or(u32::MAX);
                    narrow(Field::Length, &[(least, u32::MAX)]);
                }
                RuleOption::Flags { set, mode, mask } => {
                    let Ok(test) = FlagsTest::new(set, mode, mask) else { continue };
                    narrow(Field::Flags, &chosen(0..=255, |flags| test.holds(flags)));
                }
                RuleOption::Fragbits { set, mode } => {
                    let Ok(test) = FlagsTest::of_fragments(set, mode) else { continue };
                    narrow(Field::Fragment, &chosen(0..=7, |bits| test.holds(bits)));
                }
                RuleOption::Ack { value } => narrow(Field::Ack, &[(*value, *value)]),
                RuleOption::Seq { value } => narrow(Field::Seq, &[(*value, *value)]),
                RuleOption::Header { field, comparison } => {
                    let field = match field {
                        HeaderField::Ttl => Field::Ttl,
                        HeaderField::Tos => Field::Tos,
                        HeaderField::Id => Field::Id,
                        HeaderField::Window => Field::Window,
                        HeaderField::Protocol if comparison.holds(6) => continue,
                        HeaderField::Fragoffset if comparison.holds(0) => continue,
                        HeaderField::Protocol | HeaderField::Fragoffset => return None,
                        // Of a SYN: later segments that have more options than timestamps are not cleared.
                        HeaderField::Mss | HeaderField::Wscale => return None,
                    };
                    narrow(field, &ranges(comparison));
                }
                // What has options is dropped.
                RuleOption::Ipopts { .. } => return None,
                _ => {}
            }
        }
        let mut conditions = Vec::new();
        for (field, ranges) in FIELDS.into_iter().zip(known) {
            if ranges.is_empty() {
                return None;
            }
            if ranges != field.possible() {
                conditions.push((field, few(ranges)));
            }
        }
        Some(Guard(conditions))
    }

    /// It says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How rarely it holds, in bits, by what nobody chooses to be the same for all, and by requests that are long.
    pub fn bits(&self) -> f32 {
        let spread = |field: &Field| matches!(field, Field::Source | Field::Port | Field::Ack | Field::Seq | Field::Id);
        let size = |ranges: &[(u32, u32)]| ranges.iter().map(|(low, high)| f64::from(high - low) + 1.0).sum::<f64>();
        let rare = |(field, ranges): &(Field, Ranges)| match field {
            Field::Length if ranges[0].0 >= LONG => LONG_BITS,
            field if spread(field) => (size(&field.possible()) / size(ranges)).log2() as f32,
            _ => 0.0,
        };
        self.0.iter().map(rare).sum()
    }

    pub fn holds(&self, packet: &PacketFacts<'_>) -> bool {
        self.0.iter().all(|(field, ranges)| {
            field.of(packet).is_some_and(|value| ranges.iter().any(|(low, high)| (*low..=*high).contains(&value)))
        })
    }

    /// Append its questions; false when there would be too many.
    pub fn write(&self, tests: &mut Vec<Test>) -> bool {
        let end = tests.len() + self.0.iter().map(|(_, ranges)| ranges.len()).sum::<usize>();
        if end > TESTS {
            return false;
        }
        for (n, (field, ranges)) in self.0.iter().enumerate() {
            let next = tests.len() + ranges.len();
            let hit = if n + 1 == self.0.len() { TRAVELS } else { next as u16 };
            for (at, (low, high)) in ranges.iter().enumerate() {
                let miss = if at + 1 == ranges.len() { end } else { tests.len() + 1 } as u16;
                tests.push(Test { field: *field as u16, low: *low, span: high - low, hit, miss });
            }
        }
        true
    }
}

/// The same walk over the questions as the kernel's: whether the segment travels.
pub fn travels(tests: &[Test], packet: &PacketFacts<'_>) -> bool {
    let mut at = 0;
    while let Some(test) = tests.get(at) {
        let value = FIELDS.get(usize::from(test.field)).and_then(|field| field.of(packet));
        let inside = value.is_some_and(|value| value.wrapping_sub(test.low) <= test.span);
        at = usize::from(if inside { test.hit } else { test.miss });
    }
    at != tests.len()
}

fn ranges(comparison: &Comparison) -> Ranges {
    let value = comparison.value;
    let below = value.checked_sub(1).map(|high| (0, high));
    let above = value.checked_add(1).map(|low| (low, u32::MAX));
    match comparison.op {
        Operator::Equal => vec![(value, value)],
        Operator::Less => below.into_iter().collect(),
        Operator::Greater => above.into_iter().collect(),
        Operator::AtMost => vec![(0, value)],
        Operator::AtLeast => vec![(value, u32::MAX)],
        Operator::Not => below.into_iter().chain(above).collect(),
        Operator::Between => {
            let high = comparison.high.unwrap_or(u32::MAX).saturating_sub(1);
            above.map(|(low, _)| (low, high)).filter(|(low, high)| low <= high).into_iter().collect()
        }
    }
}

/// IPv4 networks: those that are meant and those that are not. None: the text is not understood, or all may be meant.
fn sources(networks: &crate::document::Networks) -> Option<(Ranges, Ranges)> {
    let of = |list: &[String]| {
        let ranges = list.iter().filter(|text| *text != SERVER).map(|text| view::range(text));
        let ranges: Result<Vec<(u128, u128)>, String> = ranges.collect();
        let first = view::number(std::net::Ipv4Addr::UNSPECIFIED.into());
        let last = first | u128::from(u32::MAX);
        let v4 = ranges.ok()?.into_iter().filter(|(low, high)| *low <= last && *high >= first);
        Some(joined(v4.map(|(low, high)| ((low.max(first)) as u32, high.min(last) as u32)).collect()))
    };
    let any = networks.within.is_empty() || networks.within.iter().any(|text| text == SERVER);
    let within = if any { vec![(0, u32::MAX)] } else { of(&networks.within)? };
    Some((within, of(&networks.without)?))
}

fn chosen(numbers: std::ops::RangeInclusive<u8>, holds: impl Fn(u8) -> bool) -> Ranges {
    joined(numbers.filter(|number| holds(*number)).map(|number| (u32::from(number), u32::from(number))).collect())
}

fn joined(mut ranges: Ranges) -> Ranges {
    ranges.retain(|(low, high)| low <= high);
    ranges.sort_unstable();
    let mut out: Ranges = Vec::new();
    for (low, high) in ranges {
        match out.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => out.push((low, high)),
        }
    }
    out
}

fn complement(ranges: &[(u32, u32)]) -> Ranges {
    let mut out = Vec::new();
    let mut begin = Some(0);
    for (low, high) in ranges {
        if let Some(first) = begin.filter(|first| first < low) {
            out.push((first, low - 1));
        }
        begin = high.checked_add(1);
    }
    out.extend(begin.map(|first| (first, u32::MAX)));
    out
}

fn intersection(left: &[(u32, u32)], right: &[(u32, u32)]) -> Ranges {
    let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    let mut out: Ranges = pairs.filter(|(low, high)| low <= high).collect();
    out.sort_unstable();
    out
}

/// Not more than [`RANGES`]: the smallest gaps are closed.
fn few(mut ranges: Ranges) -> Ranges {
    if ranges.len() > RANGES {
        let mut gaps: Vec<(u32, usize)> = (1..ranges.len()).map(|at| (ranges[at].0 - ranges[at - 1].1, at)).collect();
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        let mut kept: Vec<usize> = gaps[..RANGES - 1].iter().map(|(_, at)| *at).collect();
        kept.sort_unstable();
        let begins = std::iter::once(0).chain(kept.iter().copied());
        let ends = kept.iter().copied().chain(std::iter::once(ranges.len()));
        ranges = begins.zip(ends).map(|(begin, end)| (ranges[begin].0, ranges[end - 1].1)).collect();
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_sets() {
        assert_eq!(joined(vec![(5, 7), (1, 2), (3, 3), (9, 8), (6, 9)]), [(1, 3), (5, 9)]);
        assert_eq!(complement(&[(0, 3), (7, 8)]), [(4, 6), (9, u32::MAX)]);
        assert_eq!(complement(&[(2, u32::MAX)]), [(0, 1)]);
        assert_eq!(complement(&[]), [(0, u32::MAX)]);
        assert_eq!(intersection(&[(0, 5), (8, 9)], &[(3, 8)]), [(3, 5), (8, 8)]);
        let many: Ranges = (0..100).map(|n| (n * 10 + n * n, n * 10 + n * n + 1)).collect();
        let fewer = few(many.clone());
        assert_eq!(fewer.len(), RANGES);
        assert!(many.iter().all(|(low, high)| fewer.iter().any(|(from, to)| from <= low && high <= to)));
        assert_eq!(intersection(&fewer, &fewer), fewer);
    }

    #[test]
    fn a_comparison_is_its_ranges() {
        let ops = [
            Operator::Equal,
            Operator::Less,
            Operator::Greater,
            Operator::AtMost,
            Operator::AtLeast,
            Operator::Not,
            Operator::Between,
        ];
        for op in ops {
            for (value, high) in [(0, 0), (0, 3), (3, 6), (3, 4), (5, 2)] {
                let comparison = Comparison { op, value, high: Some(high) };
                let ranges = ranges(&comparison);
                for number in 0..10u32 {
                    let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&number));
                    assert_eq!(inside, comparison.holds(number as usize), "{comparison:?} {number}");
                }
            }
        }
    }
}
