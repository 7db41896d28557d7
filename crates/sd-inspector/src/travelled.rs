// SPDX-License-Identifier: Apache-2.0
//! Why live requests were not cleared by the kernel: the reasons and the rules, counted beside its tables.
//!
//! One request of each batch that is received is looked at: every one when there is little to do, and a sample under load.

use std::sync::Arc;

use sd_io::clearing::Travelled;
use sd_rules::clearing::{Tables, Why};
use sd_rules::{PacketFacts, RuleId, RuleSet};

/// Of each service: by what its requests are cleared, and the rules.
pub type Known = Vec<Option<(Arc<Tables>, Arc<RuleSet>)>>;

const ETHERNET: usize = 14;
const IP: usize = 20;
const TCP: usize = 20;
/// Rules that are named for one request.
const RULES_MAX: usize = 8;

/// What the tables ask of a frame whose IP header has no options.
pub fn facts(frame: &[u8]) -> Option<PacketFacts<'_>> {
    let ip = frame.get(ETHERNET..ETHERNET + IP)?;
    let tcp = frame.get(ETHERNET + IP..)?.first_chunk::<TCP>()?;
    let short = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    let long = |at: usize| u32::from(short(at)) << 16 | u32::from(short(at + 2));
    let header = usize::from(tcp[12] >> 4) * 4;
    let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let end = (ETHERNET + total).min(frame.len());
    (header >= TCP).then_some(())?;
    Some(PacketFacts {
        payload: frame.get(ETHERNET + IP + header..end)?,
        flags: tcp[13],
        seq: long(4),
        ack: long(8),
        window: short(14),
        src_port: short(0),
        dst_port: short(2),
        ip,
        tcp: frame.get(ETHERNET + IP..ETHERNET + IP + header)?,
        ..PacketFacts::default()
    })
}

/// Count why this frame's request was not cleared.
pub fn look(travelled: &Travelled, known: &Known, frame: &[u8], service: impl Fn(u16) -> Option<usize>) {
    let Some(packet) = facts(frame) else { return };
    let Some(service) = service(packet.dst_port) else { return };
    let Some(Some((tables, rules))) = known.get(service) else { return };
    // A request that is cleared by now was judged by other tables.
    let Some(why) = tables.why(&packet) else { return };
    travelled.add(keys(service, &why, rules));
}

/// The places of a reason in the table, and of the rules behind it.
fn keys(service: usize, why: &Why, rules: &RuleSet) -> impl Iterator<Item = u64> {
    let key = move |kind: u64, detail: u32| kind << 56 | (service as u64) << 32 | u64::from(detail);
    let (kind, ids) = match why {
        Why::Rules(_, ids) => (RULES, &ids[..ids.len().min(RULES_MAX)]),
        Why::Guarded(ids) => (GUARDED, &ids[..ids.len().min(RULES_MAX)]),
        // There are few places, and any client can send any byte.
        Why::Target(_) => (TARGET, &[][..]),
        other => (PLAIN.iter().position(|plain| plain == other).map_or(0, |at| at as u64 + 1), &[][..]),
    };
    let detail = match why {
        Why::Target(byte) if byte.is_ascii_graphic() => u32::from(*byte),
        _ => 0,
    };
    let sids: Vec<u32> = ids.iter().map(|id| rules.rule(RuleId(*id)).sid).collect();
    let all = std::iter::once(key(kind, detail)).chain(sids.into_iter().map(move |sid| key(kind, sid)));
    all.filter(move |_| kind != 0)
}

/// The numbers of the reasons in the table are these's places, from 1.
const PLAIN: [Why; 6] = [Why::Length, Why::Method, Why::Version, Why::Header, Why::Repeated, Why::NoHost];
const TARGET: u64 = 7;
const RULES: u64 = 8;
const GUARDED: u64 = 9;

/// A reason in words: service, words, and the sid of a rule that stands behind it or 0.
pub fn said(key: u64) -> Option<(usize, String, u32)> {
    let (service, detail) = ((key >> 32 & 0xff_ffff) as usize, key as u32);
    let words = match key >> 56 {
        TARGET if detail == 0 => "a blank, control or 8-bit character in the target".to_owned(),
        TARGET => Why::Target(detail as u8).to_string(),
        RULES => Why::Rules(Vec::new(), Vec::new()).to_string(),
        GUARDED => Why::Guarded(Vec::new()).to_string(),
        kind => PLAIN.get((kind as usize).checked_sub(1)?)?.to_string(),
    };
    Some((service, words, if key >> 56 >= RULES { detail } else { 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_words() {
        for kind in 1..=9u64 {
            let (service, words, sid) = said(kind << 56 | 3 << 32 | u64::from(b'%')).expect("a reason");
            assert_eq!((service, sid), (3, if kind >= RULES { u32::from(b'%') } else { 0 }));
            assert!(!words.is_empty());
        }
        assert_eq!(said(TARGET << 56 | u64::from(b'%')).unwrap().1, "'%' in the target");
        assert!(said(0).is_none() && said(10 << 56).is_none());
    }

    #[test]
    fn bytes_of_clients_take_few_places() {
        let rules = RuleSet::from_json(br#"{"version":1,"rules":[]}"#).unwrap().0;
        let tables = rules.clearing(1 << 22).unwrap();
        let request = |byte| [b"GET /a".as_slice(), &[byte], b"b HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let travel: Vec<Why> = (0..=255)
            .filter_map(|byte| {
                let request = request(byte);
                tables.why(&PacketFacts { payload: &request, ..PacketFacts::default() })
            })
            .collect();
        let places: HashSet<u64> = travel.iter().flat_map(|why| keys(0, why, &rules)).collect();
        assert!(travel.len() > 150 && places.len() < 10, "{} {places:?}", travel.len());
        assert!(places.iter().all(|key| said(*key).is_some()));
    }

    #[test]
    fn a_frame_of_any_length_is_read_within_its_bounds() {
        let mut frame = vec![0u8; ETHERNET + IP + TCP];
        frame[ETHERNET + 2..][..2].copy_from_slice(&47u16.to_be_bytes());
        frame[ETHERNET + IP + 2..][..2].copy_from_slice(&80u16.to_be_bytes());
        frame[ETHERNET + IP + 12] = 5 << 4;
        frame.extend(b"request and padding");
        let read = facts(&frame).unwrap();
        assert_eq!((read.dst_port, read.payload), (80, &b"request"[..]));
        for length in 0..frame.len() {
            let _ = facts(&frame[..length]);
        }
        frame[ETHERNET + IP + 12] = 0xf0;
        assert!(facts(&frame).is_none());
        frame[ETHERNET + IP + 12] = 0;
        assert!(facts(&frame).is_none());
    }
}
