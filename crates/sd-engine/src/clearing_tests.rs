// SPDX-License-Identifier: Apache-2.0
//! The engine beside a kernel that clears requests: the protocol of bpf/director.bpf.c's clear_request(), modelled.

use super::*;
use sd_rules::clearing::{Tables, Verdict};
use std::sync::OnceLock;

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| rules().clearing(1 << 22).unwrap())
}

impl Bench {
    /// What XDP does with a segment: true when it sent it on.
    fn kernel_clears(&mut self, offset: u32, payload: &[u8]) -> bool {
        let seq = (ISN + 1).wrapping_add(offset);
        let f = &self.world.flows[&FLOW];
        let (word, (seal, cleared_ack)) = (f.stream.get(), f.seal.get());
        let next = (word >> 32) as u32;
        let end = seq.wrapping_add(payload.len() as u32);
        let busy = flag::CLOSED | flag::DIVERTED | flag::MOVING | flag::SILENT | flag::MIDSTREAM;
        if f.owner.get() & busy != 0 || count(f.owner.get()) != f.returned.get() || next != word as u32 {
            return false;
        }
        if seq != next && (end != next || payload.len() as u64 != seal & 0xffff) {
            return false;
        }
        if seq == next && offset != 0 && self.template.ack == cleared_ack {
            return false;
        }
        let packet = sd_rules::PacketFacts { payload, ..Default::default() };
        if tables().judge(&packet) != Verdict::Cleared || seq != next && seal != seal_of(payload) {
            return false;
        }
        if seq == next {
            f.seal.set((seal_of(payload), self.template.ack));
            f.stream.set(u64::from(end) << 32 | u64::from(end));
        }
        let mut frame = [0u8; MAX_FRAME];
        let n = self.template.build(&mut frame, SERVER, seq, ACK | PSH, payload);
        self.world.note(&frame[..n]);
        true
    }

    /// The client sends a segment.
    fn send(&mut self, offset: u32, payload: &[u8]) -> bool {
        let cleared = self.kernel_clears(offset, payload);
        if !cleared {
            self.segment(offset, payload, ACK | PSH);
        }
        cleared
    }
}

const OTHER: &[u8] = b"GET /about.html HTTP/1.1\r\nHost: shop\r\n\r\n";
/// Clean, but not plain.
const ENCODED: &[u8] = b"GET /%69ndex.html HTTP/1.1\r\nHost: shop\r\n\r\n";
const G: u32 = GOOD.len() as u32;
const E: u32 = ENCODED.len() as u32;

#[test]
fn a_connection_changes_its_owner_and_back() {
    let mut b = Bench::new();
    assert!(b.send(0, GOOD));
    b.client_acks(500);
    assert!(!b.send(G, ENCODED), "not plain");
    b.client_acks(900);
    assert!(b.send(G + E, GOOD), "the inspector has given it back");
    b.client_acks(1300);
    assert!(!b.send(2 * G + E, ENCODED));
    assert_eq!(b.world.received(SERVER), [GOOD, ENCODED, GOOD, ENCODED].concat());
    assert_eq!(b.world.counter(Counter::RequestsInspected), 2);
}

#[test]
fn a_connection_is_not_given_back_with_packets_on_their_way_or_bytes_held() {
    let mut b = Bench::new();
    b.segment(0, ENCODED, ACK | PSH);
    b.one_on_its_way();
    b.client_acks(500);
    assert!(!b.kernel_clears(E, GOOD));
    let mut b = Bench::new();
    b.segment(0, &GOOD[..10], ACK);
    assert!(!b.kernel_clears(0, GOOD) && !b.kernel_clears(10, GOOD));
    b.segment(10, &GOOD[10..], ACK);
    b.client_acks(500);
    assert!(b.kernel_clears(G, GOOD));
}

#[test]
fn what_was_cleared_comes_again() {
    let mut b = Bench::new();
    assert!(b.send(0, GOOD));
    assert!(b.send(0, GOOD), "the same");
    let sent = b.world.sent.len();
    assert!(!b.send(0, OTHER), "other bytes of the same length");
    assert!(b.world.sent[sent..].iter().all(|s| s.0 != SERVER || s.2 & RST != 0), "none of them for the server");
    b.pass_time(4_000);
    assert!(matches!(b.world.diversions()[..], [Event::Diversion { reason: Reason::Conflict, .. }]));
}

#[test]
fn what_was_cleared_comes_again_with_the_next_request() {
    let mut b = Bench::new();
    assert!(b.send(0, GOOD));
    assert!(!b.send(0, &[GOOD, OTHER].concat()), "merged with a second one by the client");
    assert_eq!(b.world.received(SERVER), [GOOD, OTHER].concat());
    b.client_acks(500);
    assert!(!b.send(G + OTHER.len() as u32, GOOD), "a client that does not wait for answers stays with the inspector");
}

#[test]
fn a_second_request_before_the_answer_travels() {
    let mut b = Bench::new();
    assert!(b.send(0, GOOD));
    assert!(!b.send(G, GOOD));
    assert_eq!(b.world.received(SERVER), [GOOD, GOOD].concat());
}

#[test]
fn an_attack_after_cleared_requests_goes_to_the_honeypot_when_they_are_answered() {
    let mut b = Bench::new();
    b.client_acks(77);
    assert!(b.send(0, GOOD));
    assert!(!b.send(G, EVIL));
    b.pass_time(50);
    assert!(b.world.received(HONEYPOT).is_empty(), "the cleared request's answer has not begun");
    b.client_acks(600);
    b.pass_time(30);
    assert_eq!(b.world.received(SERVER), GOOD);
    assert_eq!(&b.world.received(HONEYPOT)[GOOD.len()..], EVIL);
    let held = b.world.clearing_held.get().map(|(source, _)| source);
    assert_eq!(held, Some(b.template.client()), "its other connections, and nobody else's, wait for its proof");
}

#[test]
fn an_attack_in_two_pieces_behind_a_cleared_request() {
    let mut b = Bench::new();
    assert!(b.send(0, GOOD));
    b.client_acks(600);
    assert!(!b.send(G, &EVIL[..12]));
    assert!(!b.send(G + 12, &EVIL[12..]));
    assert!(!b.send(G, GOOD), "what is held is not sent over");
    b.pass_time(30);
    assert_eq!(b.world.received(SERVER), GOOD);
}

#[test]
fn both_at_the_same_moment_end_the_connection() {
    let mut b = Bench::new();
    let f = &b.world.flows[&FLOW];
    // A piece of a request is on its way to the inspector while XDP judges another segment for the same place.
    let old = f.owner.get();
    b.segment(0, &GOOD[..10], ACK);
    let f = &b.world.flows[&FLOW];
    let now = f.owner.replace(old);
    assert!(b.kernel_clears(0, OTHER));
    b.world.flows[&FLOW].owner.set(now);
    b.segment(10, &GOOD[10..], ACK);
    assert_eq!(b.world.received(SERVER), OTHER);
    assert_ne!(b.world.flows[&FLOW].owner.get() & flag::SILENT, 0);
}

#[test]
fn a_successor_goes_on_behind_what_was_cleared() {
    let mut b = Bench::new();
    assert!(b.send(0, GOOD));
    b.client_acks(500);
    b.engine = Engine::new(config(Method::Adopt), vec![rules()]);
    assert!(!b.send(G, ENCODED));
    assert!(!b.send(0, GOOD), "known by its hash, or let go");
    assert_eq!(b.world.received(SERVER), [GOOD, ENCODED].concat());
}

/// What waits for the bit alone is met by whatever comes next.
#[test]
fn a_connection_with_a_bit_is_not_given_back() {
    const ROBOTS: &[u8] = b"GET /robots.txt HTTP/1.1\r\nHost: shop\r\n\r\n";
    const R: u32 = ROBOTS.len() as u32;
    let rule = |sid: u32, silent: bool, options: serde_json::Value| serde_json::json!({"sid": sid, "action": "alert", "scope": "http", "silent": silent, "options": options});
    let bit = |command: &str| serde_json::json!({"kind": "flowbits", "command": command, "bits": ["seen"]});
    let uri = serde_json::json!({"kind": "content", "buffer": "http_uri",
        "bytes": b"/robots.txt".map(|byte| format!("{byte:02x}")).concat()});
    let with = |waits: bool| {
        let mut b = Bench::new();
        let setter = rule(20, true, serde_json::json!([uri, bit("set")]));
        let rules = if waits { vec![setter, rule(21, false, serde_json::json!([bit("isset")]))] } else { vec![] };
        let document = serde_json::json!({"version": 1, "rules": rules}).to_string();
        let set = RuleSet::from_json(document.as_bytes()).unwrap().0;
        assert!(set.clearing(1 << 22).is_ok());
        b.engine = Engine::new(config(Method::Adopt), vec![Arc::new(set)]);
        assert!(b.send(0, GOOD));
        b.client_acks(500);
        assert!(!b.send(G, ROBOTS), "another rule's");
        b.client_acks(900);
        b
    };
    assert!(with(false).send(G + R, GOOD));
    let mut b = with(true);
    let alerts = |b: &Bench| b.world.counter(Counter::AlertsRaised);
    let before = alerts(&b);
    assert!(!b.send(G + R, GOOD));
    b.client_acks(1300);
    assert!(!b.send(2 * G + R, OTHER));
    assert_eq!(alerts(&b), before + 2);
    assert_eq!(b.world.received(SERVER), [GOOD, ROBOTS, GOOD, OTHER].concat());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// Requests cut, repeated, merged, acknowledged or not: the server gets them all, once, and nothing of an attack.
    #[test]
    fn whatever_the_owner(
        kinds in proptest::collection::vec(0usize..3, 1..6),
        steps in proptest::collection::vec((0usize..6, 1usize..60), 5..60),
        evil in any::<bool>(),
    ) {
        let mut b = Bench::new();
        let mut stream: Vec<u8> = Vec::new();
        let mut ends = vec![0];
        for kind in kinds {
            stream.extend_from_slice([GOOD, OTHER, ENCODED][kind]);
            ends.push(stream.len());
        }
        let clean = stream.clone();
        if evil {
            stream.extend_from_slice(EVIL);
            ends.push(stream.len());
        }
        let mut at = 0;
        for (step, length) in steps {
            let end_of = |at: usize| *ends.iter().find(|end| **end > at).unwrap_or(&stream.len());
            let (from, to) = match step {
                0 => (at, (at + length).min(stream.len())),
                1 | 2 => (at, end_of(at)),
                3 => (at.saturating_sub(length), at),
                4 => (ends.iter().rev().find(|end| **end < at).copied().unwrap_or(0), at),
                _ => (at, (at + 3 * length).min(stream.len())),
            };
            if from < to {
                b.send(from as u32, &stream[from..to]);
                at = at.max(to);
            }
            if length % 2 == 0 {
                let ack = b.template.ack + 10;
                b.client_acks(ack);
            }
            b.pass_time((length % 3) as u64);
        }
        if at < stream.len() {
            b.send(at as u32, &stream[at..]);
        }
        b.pass_time(400);
        prop_assert_eq!(b.world.received(SERVER), clean);
        prop_assert_eq!(b.world.flows[&FLOW].owner.get() & flag::SILENT, 0);
    }
}
