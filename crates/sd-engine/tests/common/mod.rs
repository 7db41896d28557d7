// SPDX-License-Identifier: Apache-2.0
//! The engine between a director and machines of memory, from outside: what XDP would give it, and what then arrives where.
#![allow(dead_code)] // each test file uses its part

pub mod fuzz;

use sd_engine::counter::{Counter, NAMES};
use sd_engine::event::{Event, Reason};
use sd_engine::host::{count, flag, generation, Backend, Diversion, Facts, Host, Meta};
use sd_engine::packet::{self, Template, ACK, ETH, FIN, IP, MAX_FRAME, PSH, RST, SYN};
use sd_engine::{Config, Disposition, Engine, Method, Service};
use sd_rules::{Limits, Match, RuleSet, Scratch, Step, Transaction};
use serde_json::{json, Value};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub const SERVER: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const HONEYPOT: [u8; 6] = [2, 0, 0, 0, 0, 2];
const OWN: [u8; 6] = [2, 0, 0, 0, 0, 3];
const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 4];
/// Sequence numbers wrap within a few hundred bytes.
pub const ISN: u32 = 0xffff_ff00;
pub const MS: u64 = 1_000_000;
const FIRST_PORT: u16 = 0xc000;

/// What one machine received of one connection.
#[derive(Debug, Default)]
pub struct Received {
    bytes: Vec<Option<u8>>,
    pub resets: usize,
    /// Payload came after a reset.
    pub after_reset: bool,
    /// Two different bytes came for one sequence number.
    pub contradicted: bool,
}

impl Received {
    fn add(&mut self, at: usize, payload: &[u8]) {
        self.after_reset |= self.resets > 0 && !payload.is_empty();
        if self.bytes.len() < at + payload.len() {
            self.bytes.resize(at + payload.len(), None);
        }
        for (place, byte) in self.bytes[at..].iter_mut().zip(payload) {
            self.contradicted |= place.is_some_and(|known| known != *byte);
            place.get_or_insert(*byte);
        }
    }

    /// The stream from its beginning to the first gap.
    pub fn stream(&self) -> Vec<u8> {
        self.bytes.iter().map_while(|byte| *byte).collect()
    }

    pub fn has_gap(&self) -> bool {
        self.bytes.iter().any(Option::is_none)
    }

    /// All bytes with `?` in the gaps.
    pub fn all(&self) -> Vec<u8> {
        self.bytes.iter().map(|byte| byte.unwrap_or(b'?')).collect()
    }
}

struct Flow {
    facts: Facts,
    owner: Cell<u64>,
    stream: Cell<u64>,
    ack: Cell<(u32, u64)>,
    diversion: Cell<Option<Diversion>>,
}

/// Flow table, machines, ears.
pub struct World {
    flows: BTreeMap<u32, Flow>,
    pub server: BTreeMap<u32, Received>,
    pub honeypot: BTreeMap<u32, Received>,
    pub events: Vec<Event>,
    counters: RefCell<Vec<u64>>,
    marked: Vec<[u8; 4]>,
}

impl World {
    pub fn counter(&self, which: Counter) -> u64 {
        self.counters.borrow()[which as usize]
    }

    fn note(&mut self, frame: &[u8]) {
        let (segment, length) = packet::parse(frame).expect("only sound frames are sent");
        let port = u16::from_be_bytes([frame[ETH + IP], frame[ETH + IP + 1]]);
        let flow = u32::from(port.wrapping_sub(FIRST_PORT));
        let Some(known) = self.flows.get(&flow) else { return }; // a reset on its way back to the client
        let machine = match frame[..6] {
            [2, 0, 0, 0, 0, 1] => &mut self.server,
            [2, 0, 0, 0, 0, 2] => &mut self.honeypot,
            _ => return,
        };
        let received = machine.entry(flow).or_default();
        let at = segment.seq.wrapping_sub(known.facts.client_isn.wrapping_add(1)) as usize;
        let payload = &frame[segment.payload..length];
        if at >= 1 << 24 {
            // For an earlier connection from the same port. This one's socket takes no notice of a reset, and the honeypot
            // may still be given its own.
            assert!(payload.is_empty() || frame[..6] == HONEYPOT, "far outside what the client sent");
        } else if segment.flags & RST != 0 {
            received.resets += 1;
        } else if !payload.is_empty() {
            received.add(at, payload);
        }
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
        let word = &self.flows[&flow].owner;
        let same = word.get() == old;
        if same {
            word.set(new);
        }
        same
    }
    fn or_owner(&self, flow: u32, flags: u64) {
        let word = &self.flows[&flow].owner;
        word.set(word.get() | flags);
    }
    fn clear_owner(&self, flow: u32, flags: u64) {
        let word = &self.flows[&flow].owner;
        word.set(word.get() & !flags);
    }
    fn stream(&self, flow: u32) -> u64 {
        self.flows[&flow].stream.get()
    }
    fn compare_exchange_stream(&self, flow: u32, old: u64, new: u64) -> bool {
        let word = &self.flows[&flow].stream;
        let same = word.get() == old;
        if same {
            word.set(new);
        }
        same
    }
    fn acknowledged(&self, flow: u32) -> (u32, u64) {
        self.flows[&flow].ack.get()
    }
    fn first_ack(&self, _flow: u32) -> u32 {
        77
    }
    fn set_diversion(&self, flow: u32, diversion: Diversion) {
        self.flows[&flow].diversion.set(Some(diversion));
    }
    fn backend(&self, index: u16) -> Option<Backend> {
        let mac = if index == 9 { HONEYPOT } else { SERVER };
        Some(Backend { mac, address: [192, 0, 2, index as u8], adopt: true, options: 7, wscale: 10 })
    }
    fn honeypot_for(&self, _service: usize, _source: [u8; 4]) -> Option<u16> {
        Some(9)
    }
    fn send(&mut self, build: impl FnOnce(&mut [u8]) -> usize) {
        let mut frame = [0u8; MAX_FRAME];
        let length = build(&mut frame);
        self.note(&frame[..length]);
    }
    fn flush(&mut self) {}
    fn mark(&mut self, source: [u8; 4], _sid: u32) {
        self.marked.push(source);
    }
    fn marked(&self, source: [u8; 4]) -> bool {
        self.marked.contains(&source)
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

pub fn config() -> Config {
    Config {
        hold_bytes: 8192,
        hold_ns: 150 * MS,
        depth: 1 << 20,
        services: vec![Service { port: 80, method: Method::Adopt, observe: false }],
        own_mac: OWN,
        key: [1; 16],
        mark_without_timestamps: false,
        score_sids: 0,
        score_ms: 300_000,
        memory: 64 << 20,
    }
}

pub struct Site {
    pub engine: Engine,
    pub world: World,
    config: Config,
    rules: Arc<RuleSet>,
    pub now: u64,
}

impl Site {
    pub fn new(config: Config, rules: Arc<RuleSet>) -> Site {
        let world = World {
            flows: BTreeMap::new(),
            server: BTreeMap::new(),
            honeypot: BTreeMap::new(),
            events: Vec::new(),
            counters: RefCell::new(vec![0; NAMES.len()]),
            marked: Vec::new(),
        };
        let engine = Engine::new(config.clone(), vec![rules.clone()]);
        Site { engine, world, config, rules, now: 1_000_000 * MS }
    }

    /// A handshake: this place of the flow table belongs to a new connection from now on.
    pub fn connect(&mut self, flow: u32) {
        let before = self.world.flows.get(&flow).map_or(0, |f| generation(f.owner.get()));
        // Another connection from the same port begins elsewhere.
        let isn = ISN.wrapping_add(u32::from(before) << 26);
        let next = u64::from(isn.wrapping_add(1));
        self.world.server.remove(&flow);
        self.world.honeypot.remove(&flow);
        let facts =
            Facts { server: 0, created: self.now, client_isn: isn, rtt_us: 100, mss: 1460, wscale: 7, options: 7 };
        self.world.flows.insert(
            flow,
            Flow {
                facts,
                owner: Cell::new(u64::from(before.wrapping_add(1)) << 16 | 1),
                stream: Cell::new(next << 32 | next),
                ack: Cell::new((77, self.now)),
                diversion: Cell::new(None),
            },
        );
    }

    fn template(&self, flow: u32) -> Template {
        let mut template = Template::between(([198, 51, 100, 11], FIRST_PORT + flow as u16), ([192, 0, 2, 100], 80));
        template.ack = self.world.flows[&flow].ack.get().0;
        template.timestamps = Some(((self.now / MS) as u32, (self.now / MS) as u32));
        template.set_source_mac(ROUTER);
        template
    }

    /// A frame of the client's with `payload` at `offset` of its stream.
    pub fn frame(&self, flow: u32, offset: u32, payload: &[u8], flags: u8) -> Vec<u8> {
        let mut frame = [0u8; MAX_FRAME];
        let seq = self.world.flows[&flow].facts.client_isn.wrapping_add(1).wrapping_add(offset);
        let length = self.template(flow).build(&mut frame, SERVER, seq, flags, payload);
        frame[..length].to_vec()
    }

    pub fn segment(&mut self, flow: u32, offset: u32, payload: &[u8]) {
        let frame = self.frame(flow, offset, payload, ACK | PSH);
        self.deliver(flow, &frame);
    }

    /// What bpf/director.bpf.c does with a frame of a known connection.
    pub fn deliver(&mut self, flow: u32, frame: &[u8]) {
        let Some(known) = self.world.flows.get(&flow) else { return };
        let owner = known.owner.get();
        let (flags, has_payload) = match frame.get(ETH + IP + 13) {
            Some(flags) => (*flags & 0x3f, payload_length(frame) > 0),
            None => return,
        };
        let plain = frame[12..14] == [8, 0] && frame[ETH] == 0x45 && frame[ETH + 6] & 0x3f == 0 && frame[ETH + 7] == 0;
        if !plain || flags & SYN != 0 || owner & flag::SILENT != 0 {
            return; // fragments and IP options are dropped, so is data on a SYN
        }
        if owner & flag::DIVERTED != 0 {
            // The honeypot's from here on, never the server's.
            if let Ok((segment, length)) = packet::parse(frame) {
                let at = segment.seq.wrapping_sub(known.facts.client_isn.wrapping_add(1)) as usize;
                if at < 1 << 20 {
                    self.world.honeypot.entry(flow).or_default().add(at, &frame[segment.payload..length]);
                }
            }
            return;
        }
        let plain_end = !has_payload && flags & FIN == 0 || flags & ACK == 0 || flags & RST != 0;
        if owner & flag::MOVING == 0 && plain_end {
            return;
        }
        known.owner.set(owner + (1 << 32));
        let owner = known.owner.get();
        let meta = Meta { flow, count: count(owner), generation: generation(owner), marked: false };
        if let Disposition::Transmit(length) = self.engine.on_packet(self.now, meta, frame, &mut self.world) {
            let mut frame = frame[..length].to_vec();
            frame[6..12].copy_from_slice(&OWN);
            self.world.note(&frame);
        }
        self.engine.on_flushed(&mut self.world);
    }

    /// The client acknowledges more of what it gets.
    pub fn acknowledge(&mut self, flow: u32, more: u32) {
        if let Some(known) = self.world.flows.get(&flow) {
            known.ack.set((known.ack.get().0.wrapping_add(more), self.now));
        }
    }

    pub fn pass_time(&mut self, ms: u64) {
        let end = self.now + ms * MS;
        while self.now < end {
            // Nothing happens before the next deadline.
            let next = self.engine.next_deadline().unwrap_or(end);
            self.now = next.clamp(self.now + MS, end.max(self.now + MS));
            self.engine.on_tick(self.now, &mut self.world);
            self.engine.on_flushed(&mut self.world);
        }
    }

    /// The inspector was killed; another one goes on with what the flow table knows.
    pub fn restart(&mut self) {
        self.engine = Engine::new(self.config.clone(), vec![self.rules.clone()]);
    }

    pub fn reload(&mut self) {
        self.engine.use_rules(vec![self.rules.clone()]);
    }

    pub fn to_server(&self, flow: u32) -> Vec<u8> {
        self.world.server.get(&flow).map(Received::stream).unwrap_or_default()
    }

    pub fn diverted(&self) -> Option<&Reason> {
        self.world.events.iter().find_map(|event| match event {
            Event::Diversion { reason, .. } => Some(reason),
            _ => None,
        })
    }

    /// Sids of the alerts.
    pub fn alerts(&self) -> BTreeSet<u32> {
        let sid = |event: &Event| match event {
            Event::Alert { signature, .. } => Some(signature.sid),
            _ => None,
        };
        self.world.events.iter().filter_map(sid).collect()
    }
}

fn payload_length(frame: &[u8]) -> usize {
    let total = usize::from(u16::from_be_bytes([frame[ETH + 2], frame[ETH + 3]]));
    let header = usize::from(frame[ETH + IP + 12] >> 4) * 4;
    total.saturating_sub(IP + header)
}

/// Make the checksums of a frame that was changed right again.
pub fn finish(frame: &mut [u8]) {
    fn fold(parts: &[&[u8]]) -> [u8; 2] {
        let mut sum = 0u32;
        for part in parts {
            for pair in part.chunks(2) {
                sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            }
        }
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!(sum as u16)).to_be_bytes()
    }
    let header = usize::from(frame[ETH] & 15) * 4;
    frame[ETH + 10..ETH + 12].fill(0);
    let check = fold(&[&frame[ETH..ETH + header]]);
    frame[ETH + 10..ETH + 12].copy_from_slice(&check);
    let tcp = ETH + header;
    if frame.len() >= tcp + 20 {
        frame[tcp + 16..tcp + 18].fill(0);
        let length = ((frame.len() - tcp) as u32).to_be_bytes();
        let check = fold(&[&frame[ETH + 12..ETH + 20], &[0, 6], &length, &frame[tcp..]]);
        frame[tcp + 16..tcp + 18].copy_from_slice(&check);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Rules that divert: on the URI, on the stream as sent, on bodies; one that only alerts.
pub fn rules() -> Arc<RuleSet> {
    let content = |buffer: &str, text: &str, more: Value| {
        let mut option = json!({"kind": "content", "buffer": buffer, "nocase": true, "bytes": hex(text.as_bytes())});
        option.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        option
    };
    let rule = |sid: u32, action: &str, options: Vec<Value>| {
        json!({"gid": 1, "sid": sid, "rev": 1, "msg": format!("rule {sid}"), "classtype": "web-application-attack",
            "category": "Web Application Attack", "priority": 1, "action": action, "file": "t.rules", "line": sid,
            "scope": "http", "options": options})
    };
    let document = json!({"version": 1, "services": [], "rules": [
        rule(1, "divert", vec![content("http_uri", "/cgi-bin/phf", json!({}))]),
        rule(2, "alert", vec![content("http_uri", "/robots.txt", json!({}))]),
        rule(3, "divert", vec![content("raw", "EVILBODY", json!({}))]),
        rule(4, "divert", vec![
            content("http_client_body", "drop", json!({})),
            content("http_client_body", "table", json!({"distance": 1, "within": 12})),
        ]),
        rule(5, "alert", vec![content("http_header", "X-Odd: 1", json!({}))]),
    ]});
    let (set, refused) = RuleSet::from_json(&serde_json::to_vec(&document).unwrap()).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    Arc::new(set)
}

/// The rules of action divert that a stream matches which a server has got so far, judged by itself. `None`: nobody can
/// tell from here on (a body behind the depth, a tunnel).
pub fn attacks_in(rules: &RuleSet, limits: &Limits, stream: &[u8]) -> Option<Vec<u32>> {
    let (mut transaction, mut scratch) = (Transaction::default(), Scratch::default());
    let mut found: Vec<Match> = Vec::new();
    let mut rest = stream;
    let all = |found: &[Match]| {
        let attacks =
            found.iter().map(|one| rules.rule(one.rule)).filter(|meta| meta.action == sd_rules::Action::Divert);
        attacks.map(|meta| meta.sid).collect::<Vec<_>>()
    };
    while !rest.is_empty() {
        transaction.reset();
        match transaction.advance(rules, limits, &mut scratch, rest, true, &mut found) {
            Step::Done { consumed } if consumed > 0 => rest = &rest[consumed..],
            Step::BodyTooDeep | Step::Tunnel => return (!found.is_empty()).then(|| all(&found)),
            _ => break,
        }
    }
    Some(all(&found))
}
