// SPDX-License-Identifier: Apache-2.0
//! The engine against a host in memory: what reaches the server, what the honeypot, what is said about it.

use crate::counter::{Counter, NAMES};
use crate::event::{Event, Reason};
use crate::host::{count, flag, generation, Backend, Diversion, Facts, Host, Meta};
use crate::packet::{self, ACK, FIN, MAX_FRAME, PSH, RST};
use crate::{Config, Disposition, Engine, Method, Service};
use proptest::prelude::*;
use sd_rules::RuleSet;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

mod dialogue;

const SERVER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const HONEYPOT: [u8; 6] = [2, 0, 0, 0, 0, 2];
const OWN: [u8; 6] = [2, 0, 0, 0, 0, 3];
const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 4];
const ISN: u32 = 0xffff_ff00;
const MS: u64 = 1_000_000;

#[derive(Clone)]
struct Flow {
    facts: Facts,
    owner: Cell<u64>,
    stream: Cell<u64>,
    ack: Cell<(u32, u64)>,
    diversion: Cell<Option<Diversion>>,
    seal: Cell<(u64, u32)>,
    returned: Cell<u32>,
}

/// What was sent, in order: (destination, sequence number, flags, payload, has adopt option).
type Sent = ([u8; 6], u32, u8, Vec<u8>, bool);

struct World {
    flows: HashMap<u32, Flow>,
    sent: Vec<Sent>,
    events: Vec<Event>,
    counters: RefCell<Vec<u64>>,
    marked: Vec<[u8; 4]>,
    honeypot: bool,
    adopt: bool,
    clearing_held: Cell<Option<([u8; 4], u64)>>,
}

impl World {
    fn new() -> World {
        World {
            flows: HashMap::new(),
            sent: Vec::new(),
            events: Vec::new(),
            counters: RefCell::new(vec![0; NAMES.len()]),
            marked: Vec::new(),
            honeypot: true,
            adopt: true,
            clearing_held: Cell::new(None),
        }
    }

    fn counter(&self, which: Counter) -> u64 {
        self.counters.borrow()[which as usize]
    }

    /// Bytes of the stream as `mac` has received them, from ISN + 1; later copies must agree with earlier ones.
    fn received(&self, mac: [u8; 6]) -> Vec<u8> {
        let mut bytes: Vec<Option<u8>> = Vec::new();
        for (to, seq, flags, payload, _) in &self.sent {
            if *to != mac || flags & RST != 0 {
                continue;
            }
            let at = seq.wrapping_sub(ISN + 1) as usize;
            if bytes.len() < at + payload.len() {
                bytes.resize(at + payload.len(), None);
            }
            for (i, b) in payload.iter().enumerate() {
                assert!(bytes[at + i].is_none_or(|known| known == *b), "two readings at {}", at + i);
                bytes[at + i] = Some(*b);
            }
        }
        bytes.into_iter().map(|b| b.unwrap_or(b'?')).collect()
    }

    fn diversions(&self) -> Vec<&Event> {
        self.events.iter().filter(|e| matches!(e, Event::Diversion { .. })).collect()
    }
}

impl Host for World {
    fn facts(&self, flow: u32) -> Option<Facts> {
        self.flows.get(&flow).map(|f| f.facts)
    }
    fn owner(&self, flow: u32) -> u64 {
        self.flows[&flow].owner.get()
    }
    fn compare_exchange_owner(&self, flow: u32, old: u64, new: u64) -> bool {
        let f = &self.flows[&flow].owner;
        let same = f.get() == old;
        if same {
            f.set(new);
        }
        same
    }
    fn or_owner(&self, flow: u32, flags: u64) {
        let f = &self.flows[&flow].owner;
        f.set(f.get() | flags);
    }
    fn clear_owner(&self, flow: u32, flags: u64) {
        let f = &self.flows[&flow].owner;
        f.set(f.get() & !flags);
    }
    fn stream(&self, flow: u32) -> u64 {
        self.flows[&flow].stream.get()
    }
    fn compare_exchange_stream(&self, flow: u32, old: u64, new: u64) -> bool {
        let f = &self.flows[&flow].stream;
        let same = f.get() == old;
        if same {
            f.set(new);
        }
        same
    }
    fn acknowledged(&self, flow: u32) -> (u32, u64) {
        self.flows[&flow].ack.get()
    }
    fn first_ack(&self, _flow: u32) -> u32 {
        77
    }
    fn seal(&self, flow: u32) -> (u64, u32) {
        self.flows[&flow].seal.get()
    }
    fn sealed(&self, request: &[u8]) -> u64 {
        seal_of(request)
    }
    fn give_back(&self, flow: u32, count: u32, ack: u32) {
        self.flows[&flow].returned.set(count);
        self.flows[&flow].seal.set((0, ack));
    }
    fn hold_clearing(&self, source: [u8; 4], until: u64) {
        self.clearing_held.set(Some((source, until)));
    }
    fn last_seen(&self, _flow: u32) -> u64 {
        0
    }
    fn set_diversion(&self, flow: u32, diversion: Diversion) {
        self.flows[&flow].diversion.set(Some(diversion));
    }
    fn backend(&self, index: u16) -> Option<Backend> {
        let mac = if index == 9 { HONEYPOT } else { SERVER };
        Some(Backend { mac, address: [192, 0, 2, index as u8], adopt: self.adopt, options: 7, wscale: 10 })
    }
    fn honeypot_for(&self, _service: usize, _source: [u8; 4]) -> Option<u16> {
        self.honeypot.then_some(9)
    }
    fn send(&mut self, build: impl FnOnce(&mut [u8]) -> usize) {
        let mut frame = [0u8; MAX_FRAME];
        let n = build(&mut frame);
        self.note(&frame[..n]);
    }
    fn flush(&mut self) {}
    fn mark(&mut self, source: [u8; 4], _sid: u32) {
        self.marked.push(source);
    }
    fn marked(&self, source: [u8; 4]) -> bool {
        self.marked.contains(&source)
    }
    fn listed(&self, _flow: u32) -> Option<u32> {
        Some(77)
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
    fn count(&self, which: Counter, n: u64) {
        self.counters.borrow_mut()[which as usize] += n;
    }
    fn random(&mut self) -> u32 {
        7
    }
}

impl World {
    fn note(&mut self, frame: &[u8]) {
        let (s, n) = packet::parse(frame).expect("only sound frames are sent");
        let mut to = [0; 6];
        to.copy_from_slice(&frame[..6]);
        let adopt = frame[46] >> 4 == 12 && frame[54] == 253;
        self.sent.push((to, s.seq, s.flags, frame[s.payload..n].to_vec(), adopt));
    }
}

fn rules() -> Arc<RuleSet> {
    rules_against("/cgi-bin/phf")
}

fn rules_against(uri: &str) -> Arc<RuleSet> {
    let content = |buffer: &str, text: &str| {
        serde_json::json!({"kind": "content", "buffer": buffer, "nocase": true,
            "bytes": text.bytes().map(|b| format!("{b:02x}")).collect::<String>()})
    };
    let rule = |sid: u32, action: &str, options: Vec<serde_json::Value>| {
        serde_json::json!({"gid": 1, "sid": sid, "rev": 1, "msg": format!("rule {sid}"), "classtype": "web-application-attack",
            "category": "Web Application Attack", "priority": 1, "action": action, "file": "t.rules", "line": sid,
            "scope": "http", "options": options})
    };
    let list = serde_json::json!({"gid": 1, "sid": 77, "rev": 2, "msg": "a list", "networks": ["192.0.2.0/24"],
        "except": [], "priority": 2, "action": "alert"});
    let document = serde_json::json!({"version": 1, "services": [], "reputation": [list], "rules": [
        rule(1, "divert", vec![content("http_uri", uri)]),
        rule(2, "alert", vec![content("http_uri", "/robots.txt")]),
        rule(3, "divert", vec![content("raw", "EVILBODY")]),
        rule(4, "divert", vec![content("http_user_agent", "EVILAGENT")]),
        rule(10, "score", vec![content("http_uri", "/probe0")]),
        rule(11, "score", vec![content("http_uri", "/probe1")]),
        rule(12, "score", vec![content("http_uri", "/probe2")]),
        rule(13, "score", vec![content("http_uri", "/probe3")]),
        rule(14, "score", vec![content("http_uri", "/probe4")]),
        rule(15, "score", vec![content("http_uri", "e4")]),
    ]});
    let (set, refused) = RuleSet::from_json(&serde_json::to_vec(&document).unwrap()).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    Arc::new(set)
}

struct Bench {
    engine: Engine,
    world: World,
    now: u64,
    template: packet::Template,
}

const FLOW: u32 = 5;

impl Bench {
    fn new() -> Bench {
        Bench::with(Method::Adopt)
    }

    fn with(method: Method) -> Bench {
        let mut world = World::new();
        world.flows.insert(FLOW, flow(ISN));
        let mut frame = [0u8; MAX_FRAME];
        let n = packet::tests::template().build(&mut frame, SERVER, 1, ACK, &[]);
        let (segment, _) = packet::parse(&frame[..n]).unwrap();
        Bench {
            engine: Engine::new(config(method), vec![rules()]),
            world,
            now: 1_000_000 * MS,
            template: packet::Template::of(&frame, &segment),
        }
    }

    /// The client sends `payload` with its first byte at `offset` of its stream.
    fn segment(&mut self, offset: u32, payload: &[u8], flags: u8) {
        self.segment_from(FLOW, offset, payload, flags, false);
    }

    fn segment_from(&mut self, flow: u32, offset: u32, payload: &[u8], flags: u8, marked: bool) {
        let mut frame = [0u8; MAX_FRAME];
        let mut t = self.template;
        t.set_source_mac(ROUTER);
        let n = t.build(&mut frame, SERVER, (ISN + 1).wrapping_add(offset), flags, payload);
        let f = &self.world.flows[&flow];
        f.owner.set(f.owner.get() + (1 << 32));
        let meta = Meta { flow, count: count(f.owner.get()), generation: generation(f.owner.get()), marked };
        if let Disposition::Transmit(n) = self.engine.on_packet(self.now, meta, &frame[..n], &mut self.world) {
            self.world.note(&frame[..n]);
        }
        self.engine.on_flushed(&mut self.world);
    }

    /// XDP has given us one more packet, which has not arrived yet.
    fn one_on_its_way(&mut self) {
        let f = &self.world.flows[&FLOW];
        f.owner.set(f.owner.get() + (1 << 32));
    }

    fn client_acks(&mut self, ack: u32) {
        self.template.ack = ack;
        self.world.flows[&FLOW].ack.set((ack, self.now));
    }

    fn pass_time(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += MS;
            self.engine.on_tick(self.now, &mut self.world);
            self.engine.on_flushed(&mut self.world);
        }
    }
}

fn flow(isn: u32) -> Flow {
    Flow {
        facts: Facts { server: 0, created: 1, client_isn: isn, rtt_us: 100, mss: 1460, wscale: 7, options: 7 },
        owner: Cell::new(3 << 16 | 1),
        stream: Cell::new(u64::from(isn + 1) << 32 | u64::from(isn + 1)),
        ack: Cell::new((77, 0)),
        diversion: Cell::new(None),
        seal: Cell::new((0, 0)),
        returned: Cell::new(0),
    }
}

fn config(method: Method) -> Config {
    Config {
        hold_bytes: 8192,
        hold_ns: 150 * MS,
        depth: 1 << 20,
        services: vec![Service { port: 80, method, observe: false }],
        own_mac: OWN,
        key: [1; 16],
        mark_without_timestamps: false,
        score_sids: 5,
        score_ms: 300_000,
        memory: 64 << 20,
    }
}

/// In the form of XDP's: a hash and the length.
fn seal_of(request: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    request.iter().fold(0xcbf2_9ce4_8422_2325, mix) << 16 | request.len() as u64
}

#[path = "clearing_tests.rs"]
mod clearing;

const GOOD: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: shop\r\n\r\n";
const EVIL: &[u8] = b"GET /cgi-bin/phf?Qalias=x HTTP/1.1\r\nHost: shop\r\n\r\n";

#[test]
fn a_clean_request_passes_as_it_came() {
    let mut b = Bench::new();
    b.segment(0, GOOD, ACK | PSH);
    assert_eq!(b.world.received(SERVER), GOOD);
    assert_eq!(b.world.counter(Counter::RequestsInspected), 1);
    let next = (ISN + 1).wrapping_add(GOOD.len() as u32);
    assert_eq!(b.world.flows[&FLOW].stream.get(), u64::from(next) << 32 | u64::from(next));
    assert!(b.world.events.is_empty());
}

#[test]
fn an_attack_after_clean_requests_goes_to_the_honeypot_whole() {
    let mut b = Bench::new();
    b.segment(0, GOOD, ACK | PSH);
    b.client_acks(500);
    b.pass_time(30);
    let at = GOOD.len() as u32;
    b.segment(at, EVIL, ACK | PSH);
    b.pass_time(1);
    assert_eq!(b.world.received(SERVER), GOOD, "no byte of the attack");
    let to_honeypot: Vec<_> = b.world.sent.iter().filter(|s| s.0 == HONEYPOT).collect();
    assert!(to_honeypot[0].4 && to_honeypot[0].3.is_empty(), "the adopt segment comes first");
    assert_eq!(to_honeypot[0].1, (ISN + 1).wrapping_add(at));
    assert_eq!(&b.world.received(HONEYPOT)[GOOD.len()..], EVIL);
    assert_ne!(b.world.flows[&FLOW].owner.get() & flag::DIVERTED, 0, "XDP sends the rest by itself");
    assert!(!b.world.sent.iter().any(|s| s.2 & RST != 0), "the server is reset only after its last packets");
    b.pass_time(10);
    let reset: Vec<_> = b.world.sent.iter().filter(|s| s.2 & RST != 0).collect();
    assert_eq!(reset.len(), 1);
    assert_eq!((reset[0].0, reset[0].1), (SERVER, (ISN + 1).wrapping_add(at)));
    b.client_acks(900);
    b.pass_time(30);
    let diversions = b.world.diversions();
    assert!(
        matches!(diversions[..], [Event::Diversion { adopted: true, reason: Reason::Rule(_), .. }]),
        "{diversions:?}"
    );
    assert!(b.world.marked.is_empty(), "only an echo proves the source");
}

#[test]
fn packets_on_their_way_follow_before_xdp_takes_over() {
    let mut b = Bench::new();
    b.segment(0, &EVIL[..20], ACK);
    b.one_on_its_way();
    let mut frame = [0u8; MAX_FRAME];
    let n = b.template.build(&mut frame, SERVER, (ISN + 1).wrapping_add(20), ACK | PSH, &EVIL[20..]);
    let owner = b.world.flows[&FLOW].owner.get();
    let meta = Meta { flow: FLOW, count: count(owner), generation: generation(owner), marked: false };
    b.one_on_its_way();
    assert_eq!(b.engine.on_packet(b.now, meta, &frame[..n], &mut b.world), Disposition::Consumed);
    let owner = b.world.flows[&FLOW].owner.get();
    assert_eq!(owner & (flag::MOVING | flag::DIVERTED), flag::MOVING, "an acknowledgement is on its way to us");
    assert_eq!(b.world.received(HONEYPOT), EVIL);
    let at = b.world.sent.len();
    let n = b.template.build(&mut frame, SERVER, (ISN + 1).wrapping_add(EVIL.len() as u32), ACK, &[]);
    let meta = Meta { count: count(owner), ..meta };
    b.engine.on_packet(b.now, meta, &frame[..n], &mut b.world);
    assert_eq!(b.world.sent[at..].iter().map(|s| (s.0, s.2)).collect::<Vec<_>>(), [(HONEYPOT, ACK)]);
    assert_ne!(b.world.flows[&FLOW].owner.get() & flag::DIVERTED, 0);
}

#[test]
fn an_attack_waits_for_earlier_answers() {
    let mut b = Bench::new();
    let mut both = GOOD.to_vec();
    both.extend_from_slice(EVIL);
    b.client_acks(77);
    b.segment(0, &both, ACK | PSH);
    assert_eq!(b.world.received(SERVER), GOOD, "the clean request of the pipeline is answered by the server");
    b.pass_time(50);
    assert!(b.world.received(HONEYPOT).is_empty(), "its answer has not begun");
    b.client_acks(600);
    b.pass_time(2);
    assert!(b.world.received(HONEYPOT).is_empty(), "it may go on");
    b.pass_time(6);
    assert_eq!(&b.world.received(HONEYPOT)[GOOD.len()..], EVIL);
}

/// Who waits is looked at now and then, not each millisecond; and whose acknowledgement never rests waits no longer than
/// that.
#[test]
fn waiting_for_answers_costs_little_and_ends() {
    for moves in [false, true] {
        let mut b = Bench::new();
        b.client_acks(77);
        b.segment(0, &[GOOD, EVIL].concat(), ACK | PSH);
        let (began, mut looks) = (b.now, 0);
        while b.world.received(HONEYPOT).is_empty() {
            b.now = b.engine.next_deadline().expect("it is waiting");
            assert!(b.now < began + 61_000 * MS, "for ever");
            looks += 1;
            if moves {
                let ack = b.template.ack + 1;
                b.client_acks(ack);
            }
            b.engine.on_tick(b.now, &mut b.world);
        }
        assert!(looks < if moves { 6_500 } else { 250 }, "{looks}");
    }
}

#[test]
fn what_comes_while_an_attack_waits_has_a_bound() {
    let mut b = Bench::new();
    b.segment(0, GOOD, ACK | PSH);
    let mut at = GOOD.len() as u32;
    b.segment(at, EVIL, ACK | PSH);
    at += EVIL.len() as u32;
    let most = b.engine.memory() + (1 << 20) + (5 << 20);
    for _ in 0..10_000 {
        b.segment(at, &[b'x'; 1400], ACK);
        at += 1400;
    }
    assert!(b.engine.memory() < most, "{}", b.engine.memory());
    b.pass_time(4_000);
    assert_eq!(b.world.received(SERVER), GOOD);
    assert!(b.world.received(HONEYPOT)[GOOD.len()..].starts_with(EVIL));
}

#[test]
fn held_and_released() {
    let mut b = Bench::new();
    b.segment(0, &GOOD[..10], ACK);
    assert!(b.world.sent.is_empty(), "held");
    b.pass_time(149);
    assert!(b.world.sent.is_empty());
    b.pass_time(2);
    assert_eq!(b.world.received(SERVER), &GOOD[..10], "past the time bound it streams");
    assert_ne!(b.world.flows[&FLOW].owner.get() & flag::MIDSTREAM, 0);
    b.segment(10, &GOOD[10..], ACK);
    assert_eq!(b.world.received(SERVER), GOOD);
    assert_eq!(b.world.flows[&FLOW].owner.get() & flag::MIDSTREAM, 0);
}

#[test]
fn header_lines_behind_a_line_without_version_are_awaited_as_long_as_a_head() {
    let mut request = b"GET /index.html\r\n".to_vec();
    (0..300).for_each(|n| request.extend_from_slice(format!("X-{n:04}: {}\r\n", "x".repeat(40)).as_bytes()));
    request.extend_from_slice(b"User-Agent: evilagent\r\n\r\n");
    let mut b = Bench::new();
    for (i, chunk) in request.chunks(1400).enumerate() {
        b.segment((i * 1400) as u32, chunk, ACK);
    }
    let told = |event: &Event| matches!(event, Event::Alert { signature, .. } if signature.sid == 4);
    assert_eq!(b.world.events.iter().filter(|event| told(event)).count(), 1);
    let server = b.world.received(SERVER);
    assert!(server.len() > 10_000 && server.len() < request.len() - 100, "{}", server.len());
}

#[test]
fn a_long_body_streams_and_is_cut_off_before_the_attack_is_complete() {
    let mut b = Bench::new();
    let body = 200_000;
    let mut request = format!("POST /form HTTP/1.1\r\nHost: shop\r\nContent-Length: {body}\r\n\r\n").into_bytes();
    let head = request.len();
    request.resize(head + body, b'x');
    let attack = head + 150_000;
    request[attack..attack + 8].copy_from_slice(b"EVILBODY");
    b.client_acks(77);
    for (i, chunk) in request.chunks(1400).enumerate() {
        b.segment((i * 1400) as u32, chunk, ACK);
        b.pass_time(if i % 8 == 0 { 1 } else { 0 });
    }
    b.pass_time(400);
    let server = b.world.received(SERVER);
    assert!(server.len() > 100_000 && server.len() <= attack + 8, "{}", server.len());
    assert!(!server.windows(8).any(|w| w == b"EVILBODY"));
    assert_eq!(b.world.received(HONEYPOT), request);
}

#[test]
fn a_server_that_answers_early_is_not_replaced_in_the_middle() {
    let mut b = Bench::new();
    let mut request = b"POST /form HTTP/1.1\r\nHost: shop\r\nContent-Length: 50000\r\n\r\n".to_vec();
    request.resize(30_000, b'x');
    request.extend_from_slice(b"EVILBODY");
    for (i, chunk) in request.chunks(1400).enumerate() {
        if i == 15 {
            b.client_acks(5000);
        }
        b.segment((i * 1400) as u32, chunk, ACK);
    }
    b.pass_time(1500);
    assert!(b.world.received(HONEYPOT).is_empty());
    assert!(!b.world.received(SERVER).windows(8).any(|w| w == b"EVILBODY"));
    assert!(matches!(b.world.diversions()[..], [Event::Diversion { adopted: false, method: "classic", .. }]));
    assert!(b.world.marked.is_empty(), "nothing proves the source");
}

#[test]
fn retransmissions_are_sent_again_and_conflicts_divert() {
    let mut b = Bench::new();
    b.segment(0, GOOD, ACK);
    b.segment(0, GOOD, ACK);
    assert_eq!(b.world.sent.len(), 2);
    let mut other = GOOD.to_vec();
    other[5] ^= 1;
    b.client_acks(90);
    b.pass_time(20);
    b.segment(0, &other, ACK);
    b.pass_time(1500);
    assert_eq!(b.world.received(SERVER), GOOD);
    assert!(matches!(b.world.diversions()[..], [Event::Diversion { reason: Reason::Conflict, .. }]));
}

#[test]
fn classic_is_silence_and_a_mark() {
    let mut b = Bench::with(Method::Classic);
    b.segment(0, EVIL, ACK);
    b.pass_time(10);
    assert_eq!(b.world.sent.len(), 2, "the question to the client, the server's reset: {:?}", b.world.sent);
    assert!(b.world.sent.iter().any(|(to, seq, ..)| *to == ROUTER && *seq == 76));
    assert!(b.world.received(SERVER).is_empty() && b.world.received(HONEYPOT).is_empty());
    assert!(b.world.marked.is_empty(), "XDP marks it with the answer");
    assert_ne!(b.world.flows[&FLOW].owner.get() & flag::PROVE, 0);
    assert!(b.world.flows[&FLOW].diversion.get().is_some_and(|d| d.proof_base != 0));
    assert_ne!(b.world.flows[&FLOW].owner.get() & flag::SILENT, 0);
    assert!(matches!(b.world.diversions()[..], [Event::Diversion { adopted: false, method: "classic", .. }]));
}

#[test]
fn without_a_honeypot_nothing_goes_anywhere() {
    let mut b = Bench::new();
    b.world.honeypot = false;
    b.segment(0, EVIL, ACK);
    b.pass_time(10);
    assert!(b.world.received(SERVER).is_empty() && b.world.received(HONEYPOT).is_empty());
    assert!(matches!(b.world.diversions()[..], [Event::Diversion { honeypot: None, .. }]));
    assert!(b.world.marked.is_empty());
}

#[test]
fn other_connections_of_a_suspect_wait_for_the_proof_and_follow() {
    let mut b = Bench::new();
    b.world.flows.insert(6, flow(ISN));
    b.segment(0, EVIL, ACK);
    b.pass_time(2);
    b.segment_from(6, 0, GOOD, ACK, false);
    assert!(b.world.received(SERVER).is_empty(), "held while the proof is outstanding");
    b.world.or_owner(FLOW, flag::PROVED);
    b.world.marked.push([198, 51, 100, 11]);
    b.pass_time(3);
    assert!(b.world.received(SERVER).is_empty());
    assert_eq!(b.world.counter(Counter::RequestsInspected), 1, "the second was not judged");
    assert_eq!(b.world.flows[&6].diversion.get().map(|d| d.honeypot), Some(9));
    // Proved, but an operator has taken the mark away.
    let mut b = Bench::new();
    b.world.flows.insert(6, flow(ISN));
    b.segment(0, EVIL, ACK);
    b.world.or_owner(FLOW, flag::PROVED);
    b.segment_from(6, 0, GOOD, ACK, false);
    assert_eq!(b.world.received(SERVER), GOOD);
    // Unproved, a third party is delayed and nothing else.
    let mut b = Bench::new();
    b.world.flows.insert(6, flow(ISN));
    b.segment(0, EVIL, ACK);
    b.segment_from(6, 0, GOOD, ACK, false);
    b.pass_time(100);
    assert!(b.world.received(SERVER).is_empty());
    b.pass_time(30);
    assert_eq!(b.world.received(SERVER), GOOD);
}

#[test]
fn one_connection_of_a_source_at_a_time_proves_it() {
    for method in [Method::Adopt, Method::Classic] {
        let mut b = Bench::with(method);
        for other in [6, 7] {
            b.world.flows.insert(other, flow(ISN));
        }
        let proves = |b: &Bench, flow: u32| b.world.flows[&flow].owner.get() & flag::PROVE != 0;
        b.segment(0, EVIL, ACK | PSH);
        b.pass_time(200);
        b.segment_from(6, 0, EVIL, ACK | PSH, false);
        assert!(proves(&b, FLOW) && !proves(&b, 6), "who guesses would do so on many at once");
        b.pass_time(2_000);
        b.segment_from(7, 0, EVIL, ACK | PSH, false);
        assert!(proves(&b, 7));
        assert!(b.world.marked.is_empty());
    }
}

#[test]
fn marked_sources_move_at_their_next_request() {
    let mut b = Bench::new();
    b.segment_from(FLOW, 0, GOOD, ACK, true);
    b.pass_time(1200);
    assert!(b.world.received(SERVER).is_empty());
    assert_eq!(b.world.received(HONEYPOT), GOOD);
    assert_eq!(b.world.counter(Counter::RequestsInspected), 0);
}

#[test]
fn allowed_sources_are_only_reported() {
    let mut b = Bench::new();
    b.world.or_owner(FLOW, flag::ALLOWED);
    b.segment(0, EVIL, ACK);
    assert_eq!(b.world.received(SERVER), EVIL);
    assert!(matches!(b.world.events[..], [Event::Alert { diverted: false, .. }]));
}

impl Bench {
    /// A connection of its own for each request, from the same address; how many were diverted.
    fn visits(&mut self, requests: &[&str]) -> usize {
        let before = self.world.diversions().len();
        for request in requests {
            let flow_index = 100 + self.world.flows.len() as u32;
            let mut new = flow(ISN);
            new.facts.created = self.now - MS;
            self.world.flows.insert(flow_index, new);
            let text = format!("GET {request} HTTP/1.1\r\nHost: shop\r\n\r\n");
            self.segment_from(flow_index, 0, text.as_bytes(), ACK, false);
            self.pass_time(1_500);
            // The server's clock goes on as ours.
            self.template.timestamps = self.template.timestamps.map(|(value, echo)| (value, echo.wrapping_add(1_500)));
        }
        self.world.diversions().len() - before
    }
}

const PROBES: [&str; 5] = ["/probe0", "/probe1", "/probe2", "/probe3", "/probe4"];

#[test]
fn several_different_probes_of_one_source_divert() {
    let mut b = Bench::new();
    assert_eq!(b.visits(&PROBES[..4]), 0);
    assert_eq!(b.visits(&["/probe0", "/probe1", "/probe1", "/index.html", "/robots.txt"]), 0, "nothing new");
    assert_eq!(b.visits(&["/probe4"]), 1);
    let [Event::Diversion { reason: Reason::Rule(rule), .. }] = b.world.diversions()[..] else { panic!() };
    assert_eq!((rule.gid, rule.sid), (1_000_000, 100));
    let scored = |event: &&Event| matches!(event, Event::Alert { scored: true, diverted: false, .. });
    assert_eq!(b.world.events.iter().filter(scored).count(), 9, "four, three again, and two rules for the last one");
}

#[test]
fn one_request_gives_one_new_rule() {
    let mut b = Bench::new();
    assert_eq!(b.visits(&["/probe0/probe1/probe2/probe3/probe4", "/probe0", "/probe1", "/probe2"]), 0);
}

#[test]
fn nobody_collects_a_score_for_an_address_whose_answers_he_does_not_get() {
    let mut b = Bench::new();
    let truth = b.template.timestamps;
    // A forger has to guess what the server's clock says.
    b.template.timestamps = truth.map(|(value, echo)| (value, echo.wrapping_add(0x1234_5678)));
    assert_eq!(b.visits(&PROBES[..4]), 0);
    b.template.timestamps = truth;
    assert_eq!(b.visits(&["/probe4"]), 0, "the true owner of the address");
}

#[test]
fn without_timestamps_a_connection_scores_for_itself() {
    let mut b = Bench::new();
    b.template.timestamps = None;
    assert_eq!(b.visits(&PROBES), 0);
    let mut sent = 0;
    for uri in PROBES {
        let request = format!("GET {uri} HTTP/1.1\r\nHost: shop\r\n\r\n");
        b.segment(sent, request.as_bytes(), ACK);
        b.client_acks(b.template.ack + 500);
        b.pass_time(20);
        sent += request.len() as u32;
    }
    b.pass_time(1_500);
    assert_eq!(b.world.diversions().len(), 1);
}

#[test]
fn allowed_sources_do_not_score() {
    let mut b = Bench::new();
    b.template.timestamps = None;
    b.world.or_owner(FLOW, flag::ALLOWED);
    let all: Vec<u8> =
        PROBES.iter().flat_map(|uri| format!("GET {uri} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()).collect();
    b.segment(0, &all, ACK);
    b.pass_time(1_500);
    assert!(b.world.diversions().is_empty());
}

impl Bench {
    fn observing() -> Bench {
        let mut b = Bench::new();
        let mut observing = config(Method::Adopt);
        observing.services[0].observe = true;
        b.engine = Engine::new(observing, vec![rules()]);
        b
    }
}

#[test]
fn observing_reports_attacks_and_diverts_nothing() {
    let mut b = Bench::observing();
    let mut sent = Vec::new();
    for request in [EVIL, GOOD, EVIL] {
        b.segment(sent.len() as u32, request, ACK);
        sent.extend_from_slice(request);
        b.pass_time(20);
    }
    b.pass_time(2000);
    assert_eq!(b.world.received(SERVER), sent);
    assert!(b.world.received(HONEYPOT).is_empty() && b.world.marked.is_empty());
    assert_eq!(b.world.counter(Counter::WouldDivert), 2);
    assert_eq!(b.world.counter(Counter::ConnectionsDiverted), 0);
    assert_eq!(b.world.flows[&FLOW].owner.get() & (flag::MOVING | flag::SILENT | flag::DIVERTED), 0);
    let said: Vec<_> = b.world.events.iter().collect();
    for (event, number) in [(&said[..2], 0), (&said[2..], 2)] {
        let [Event::WouldDivert { request, reason: Reason::Rule(rule), .. }, Event::Alert { diverted, would_divert, .. }] =
            (match event {
                [a @ Event::Alert { .. }, w] => [*w, *a],
                _ => panic!("{event:?}"),
            })
        else {
            panic!("{event:?}")
        };
        assert_eq!((*request, rule.sid, *diverted, *would_divert), (number, 1, false, true));
    }
}

#[test]
fn observing_takes_no_second_reading() {
    let mut b = Bench::observing();
    b.segment(0, GOOD, ACK);
    let mut other = GOOD.to_vec();
    other[5] ^= 1;
    b.segment(0, &other, ACK);
    b.segment(GOOD.len() as u32, GOOD, ACK);
    b.pass_time(1500);
    assert_eq!(b.world.received(SERVER), [GOOD, GOOD].concat());
    assert!(matches!(b.world.events[..], [Event::WouldDivert { reason: Reason::Conflict, .. }]));
}

#[test]
fn a_held_request_is_judged_by_the_new_rules() {
    for (new, attack) in [("/index", true), ("/other", false)] {
        let mut b = Bench::new();
        b.segment(0, &GOOD[..20], ACK);
        b.engine.use_rules(vec![rules_against(new)]);
        b.segment(20, &GOOD[20..], ACK);
        b.pass_time(1500);
        assert_eq!(b.world.received(if attack { HONEYPOT } else { SERVER }), GOOD);
        assert!(b.world.received(if attack { SERVER } else { HONEYPOT }).is_empty());
    }
}

#[test]
fn a_streamed_request_is_judged_by_the_new_rules_from_its_beginning() {
    let mut b = Bench::new();
    let head = b"POST /index.html HTTP/1.1\r\nHost: shop\r\nContent-Length: 20\r\n\r\n";
    b.segment(0, head, ACK);
    b.pass_time(200);
    assert_eq!(b.world.received(SERVER), head);
    b.engine.use_rules(vec![rules_against("/index")]);
    b.segment(head.len() as u32, b"0123456789", ACK);
    b.pass_time(1500);
    assert_eq!(b.world.received(SERVER), head, "what came after the change was not forwarded");
    assert_eq!(b.world.diversions().len(), 1);
}

#[test]
fn a_verdict_outlives_the_rules_that_gave_it() {
    let mut b = Bench::new();
    b.segment(0, GOOD, ACK);
    b.client_acks(500);
    b.segment(GOOD.len() as u32, EVIL, ACK);
    b.engine.use_rules(vec![Arc::new(RuleSet::from_json(br#"{"version":1,"services":[],"rules":[]}"#).unwrap().0)]);
    b.pass_time(1500);
    assert_eq!(b.world.received(SERVER), GOOD);
    let diversions = b.world.diversions();
    assert!(
        matches!(diversions[..], [Event::Diversion { reason: Reason::Rule(r), .. }] if r.sid == 1),
        "{diversions:?}"
    );
}

#[test]
fn a_source_on_a_list_is_told_once_for_a_connection() {
    let mut b = Bench::new();
    let owner = &b.world.flows[&FLOW].owner;
    owner.set(owner.get() | flag::LISTED);
    b.segment(0, GOOD, ACK);
    let told: Vec<_> = b.world.events.iter().filter(|e| matches!(e, Event::Alert { .. })).collect();
    assert!(matches!(told[..], [Event::Alert { signature, diverted: false, .. }] if signature.sid == 77), "{told:?}");
    assert_eq!(b.world.flows[&FLOW].owner.get() & flag::LISTED, 0);
    b.segment(GOOD.len() as u32, GOOD, ACK);
    assert_eq!(b.world.received(SERVER), [GOOD, GOOD].concat());
    assert_eq!(b.world.events.len(), 1);
}

#[test]
fn a_restarted_inspector_goes_on_at_a_boundary_and_resets_elsewhere() {
    let mut b = Bench::new();
    b.segment(0, GOOD, ACK);
    b.engine = Engine::new(config(Method::Adopt), vec![rules()]);
    b.segment(GOOD.len() as u32, GOOD, ACK);
    assert_eq!(b.world.received(SERVER), [GOOD, GOOD].concat());

    let mut b = Bench::new();
    b.segment(0, &GOOD[..10], ACK);
    b.pass_time(200);
    b.engine = Engine::new(config(Method::Adopt), vec![rules()]);
    b.segment(10, &GOOD[10..], ACK);
    assert_eq!(b.world.received(SERVER), &GOOD[..10], "never guessed");
    let resets: Vec<_> = b.world.sent.iter().filter(|s| s.2 & RST != 0).map(|s| s.0).collect();
    assert_eq!(resets, [SERVER, ROUTER]);
}

#[test]
fn killed_between_sending_and_saying_so() {
    let mut b = Bench::new();
    let pending = (ISN + 1).wrapping_add(GOOD.len() as u32);
    b.world.flows[&FLOW].stream.set(u64::from(ISN + 1) << 32 | u64::from(pending));
    b.segment(GOOD.len() as u32, GOOD, ACK);
    assert_eq!(b.world.received(SERVER).len(), 2 * GOOD.len(), "the client went on: the server had it");
    let mut b = Bench::new();
    b.world.flows[&FLOW].stream.set(u64::from(ISN + 1) << 32 | u64::from(pending));
    b.segment(0, GOOD, ACK);
    assert_eq!(b.world.received(SERVER), GOOD, "it comes again: judged and sent");
}

#[test]
fn half_closed_clients_are_served() {
    let mut b = Bench::new();
    b.segment(0, GOOD, ACK | FIN);
    assert_eq!(b.world.received(SERVER), GOOD);
    assert_ne!(b.world.sent[0].2 & FIN, 0);
    let mut b = Bench::new();
    b.segment(0, EVIL, ACK | FIN);
    b.pass_time(2);
    assert_eq!(b.world.received(HONEYPOT), EVIL);
    assert_ne!(b.world.sent.iter().rfind(|s| s.0 == HONEYPOT).unwrap().2 & FIN, 0);
}

#[test]
fn another_clients_packet_in_a_place_that_changed_hands_is_dropped() {
    let mut b = Bench::new();
    b.segment(0, &GOOD[..10], ACK);
    let mine = b.template;
    b.template = packet::Template::between(([203, 0, 113, 9], 4000), ([192, 0, 2, 100], 80));
    b.segment(10, &GOOD[10..], ACK | PSH);
    assert_eq!(b.world.counter(Counter::DropStaleFlow), 1);
    b.template = mine;
    b.segment(10, &GOOD[10..], ACK | PSH);
    assert_eq!(b.world.received(SERVER), GOOD);
}

#[test]
fn stale_generations_are_dropped() {
    let mut b = Bench::new();
    b.segment(0, &GOOD[..5], ACK);
    let f = &b.world.flows[&FLOW];
    f.owner.set(f.owner.get() + (1 << 16));
    f.stream.set(u64::from(ISN + 1) << 32 | u64::from(ISN + 1));
    b.segment(0, GOOD, ACK);
    assert_eq!(b.world.received(SERVER), GOOD, "the place's new flow begins afresh");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// However a pipeline with an attack is cut, ordered and repeated: the server gets exactly what comes before it.
    #[test]
    fn any_segmentation(cuts in prop::collection::vec(1usize..140, 0..12), order in any::<u64>(), repeat in any::<u64>(),
                        attack in any::<bool>()) {
        let mut stream = GOOD.to_vec();
        stream.extend_from_slice(b"POST /a HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        let clean = stream.len();
        if attack { stream.extend_from_slice(EVIL); } else { stream.extend_from_slice(GOOD); }
        let mut edges: Vec<usize> = cuts.into_iter().filter(|c| *c < stream.len()).collect();
        edges.push(0);
        edges.push(stream.len());
        edges.sort_unstable();
        edges.dedup();
        let mut pieces: Vec<(usize, usize)> = edges.windows(2).map(|w| (w[0], w[1])).collect();
        let repeated: Vec<_> = pieces.iter().enumerate().filter(|(i, _)| repeat >> (i % 64) & 1 == 1).map(|(_, p)| *p).collect();
        pieces.extend(repeated);
        let mut seed = order;
        for i in (1..pieces.len()).rev() {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            pieces.swap(i, (seed >> 33) as usize % (i + 1));
        }
        let mut b = Bench::new();
        b.client_acks(77);
        for (from, to) in pieces {
            b.segment(from as u32, &stream[from..to], ACK);
        }
        b.client_acks(78);
        b.pass_time(30);
        let server = b.world.received(SERVER);
        if attack {
            prop_assert_eq!(&server[..], &stream[..clean]);
            prop_assert_eq!(&b.world.received(HONEYPOT)[clean..], EVIL);
        } else {
            prop_assert_eq!(&server[..], &stream[..]);
        }
    }
}

#[test]
fn rules_that_count_do_so_by_source_across_connections() {
    let content = "2f6c6f67696e"; // /login
    let document = serde_json::json!({"version": 1, "services": [], "rules": [{
        "gid": 1, "sid": 7, "rev": 1, "msg": "many logins", "classtype": "web-application-attack",
        "category": "Web Application Attack", "priority": 1, "action": "alert", "file": "t.rules", "line": 1, "scope": "http",
        "options": [{"kind": "content", "buffer": "http_uri", "bytes": content, "nocase": false},
                    {"kind": "count", "how": "threshold", "count": 3, "seconds": 60, "track": "source"}]}]});
    let (set, refused) = RuleSet::from_json(&serde_json::to_vec(&document).unwrap()).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    let mut b = Bench::new();
    b.engine = Engine::new(config(Method::Adopt), vec![Arc::new(set)]);
    b.pass_time(1);
    const LOGIN: &[u8] = b"GET /login HTTP/1.1\r\nHost: s\r\n\r\n";
    for flow_number in 10..13 {
        b.world.flows.insert(flow_number, flow(ISN));
        b.segment_from(flow_number, 0, LOGIN, ACK, false);
    }
    assert_eq!(b.world.counter(Counter::AlertsRaised), 1, "the third within the time");
}
