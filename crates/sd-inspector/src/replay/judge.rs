// SPDX-License-Identifier: Apache-2.0
//! Says which rules match what a capture holds: both directions, packets, reassembled streams and HTTP requests, with
//! the addresses that are there.
//!
//! The matcher is the director's. What is asked of it is wider, since a capture has what the director never sees: answers,
//! other protocols, segments without payload. Actions follow Suricata: a match of `pass` ends what is said of a packet (of
//! the connection, when it stands for one), `drop` likewise after it has been told. Counts do, too: a rule on a stream is
//! told once for each part of it that is judged.

use super::decode::{be16, Packet, Tcp};
use super::flow::{begins_request, changes_protocol, End, Flow};
use super::Options;
use sd_engine::event::Http;
use sd_engine::packet::{ACK, FIN, RST, SYN};
use sd_rules::View;
use sd_rules::{number, Action, Limits, Match, PacketFacts, RuleId, RuleSet, RuleState, Scratch, Segment, Step, Unit};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Bytes of a stream that are judged at once, and those before them that a match may begin in.
const CHUNK: usize = 2560;
const TAIL: usize = 4096;
const FLOWS_MAX: usize = 65_536;
const MEMORY_MAX: usize = 256 << 20;
/// A connection without a packet for so long is over.
const IDLE: u64 = 240 * SECOND;
const SECOND: u64 = 1_000_000_000;
/// A rule's match and where it was found.
pub struct Alert {
    pub rule: RuleId,
    pub found: Match,
    pub flow: u64,
    pub source: End,
    pub destination: End,
    pub protocol: u8,
    pub client: Option<bool>,
    /// Number of the capture's packet with which it matched, from 1; 0: at the end.
    pub packet: u64,
    pub http: Option<Http>,
    /// Number of the request in its connection, from 0.
    pub request: u32,
}

/// What has matched with one packet, and whether it says something of the whole connection.
struct Found {
    found: Match,
    whole: bool,
    client: Option<bool>,
    request: u32,
}

pub struct Judge {
    rules: Arc<RuleSet>,
    flows: HashMap<(u8, End, End), Flow>,
    state: Arc<RuleState>,
    scratch: Scratch,
    matches: Vec<Match>,
    /// Of the client, while it is judged.
    segment: Option<Segment>,
    ports: Vec<u16>,
    depth: usize,
    flow_number: u64,
    now: u64,
    memory: usize,
    packet: u64,
    /// Of the packet as captured.
    length: usize,
    pub alerts: Vec<Alert>,
}

impl Judge {
    pub fn new(rules: Arc<RuleSet>, options: &Options) -> Judge {
        Judge {
            rules,
            flows: HashMap::new(),
            state: Arc::new(RuleState::new(1 << 18)),
            scratch: Scratch::default(),
            matches: Vec::new(),
            segment: None,
            ports: options.http_ports.clone(),
            depth: options.depth,
            flow_number: 0,
            now: 0,
            memory: 0,
            packet: 0,
            length: 0,
            alerts: Vec::new(),
        }
    }

    /// The capture's next packet, `number` from 1, when it came and how long it is.
    pub fn at(&mut self, number: u64, now: u64, length: usize) {
        self.packet = number;
        self.length = length;
        self.now = self.now.max(now);
        self.state.set_time(self.now / 1_000_000);
    }

    /// The connection of these ends, whichever is the client: its number in events.
    pub fn flow_of(&self, protocol: u8, one: End, other: End) -> Option<u64> {
        self.flows.get(&key(protocol, one, other)).map(|flow| flow.id)
    }

    /// Judge a packet that is no TCP segment.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let (ports, payload, flows) = transport(packet);
        let ends = ((packet.source, ports.0), (packet.destination, ports.1));
        let mut facts =
            PacketFacts { ip: packet.header, src_port: ports.0, dst_port: ports.1, ..PacketFacts::default() };
        facts.payload = payload;
        if !flows {
            // It belongs to no connection.
            let mut flow = Flow::default();
            let found =
                self.ask(&mut flow, packet.protocol, ends, None, Unit::Packet { first: true, added: false }, facts);
            self.finalize(&mut flow, packet.protocol, ends, found);
            return;
        }
        let key = key(packet.protocol, ends.0, ends.1);
        let mut flow = self.take(key, ends);
        let client = flow.client == Some(ends.0);
        let first = !std::mem::replace(&mut flow.met[usize::from(!client)], true);
        flow.count(client, self.length);
        if !flow.over {
            flow.tcp.established = flow.met == [true; 2];
            let unit = Unit::Packet { first, added: false };
            let found = self.ask(&mut flow, packet.protocol, ends, Some(client), unit, facts);
            self.finalize(&mut flow, packet.protocol, ends, found);
        }
        self.flows.insert(key, flow);
    }

    /// Judge a TCP segment.
    pub fn segment(&mut self, packet: &Packet<'_>, tcp: &Tcp<'_>) {
        let ends = (tcp.source, tcp.destination);
        let key = key(6, ends.0, ends.1);
        let begins = tcp.flags & (SYN | ACK | RST) == SYN;
        // The same ends again: a new connection, when the old one is over. Before, whoever gets it goes on with the old one.
        if begins && self.flows.get(&key).is_some_and(|flow| flow.tcp.ends) {
            self.end(key);
        }
        let mut ends_of_flow = ends;
        if !self.flows.contains_key(&key) {
            let answers = tcp.flags & (SYN | ACK) == SYN | ACK || !begins && tcp.payload.starts_with(b"HTTP/1.");
            if answers {
                ends_of_flow = (ends.1, ends.0);
            }
        }
        let mut flow = self.take(key, ends_of_flow);
        let client = flow.client == Some(ends.0);
        let first = !std::mem::replace(&mut flow.met[usize::from(!client)], true);
        flow.count(client, self.length);
        if flow.over {
            self.flows.insert(key, flow);
            return;
        }
        let facts = PacketFacts {
            payload: tcp.payload,
            flags: tcp.flags,
            seq: tcp.seq,
            ack: tcp.ack,
            window: tcp.window,
            src_port: ends.0 .1,
            dst_port: ends.1 .1,
            ip: packet.header,
            tcp: tcp.header,
            ..PacketFacts::default()
        };
        self.segment = (client && self.rules.asks_for_segments()).then(|| Segment::of(&facts));
        let mut found = Vec::new();
        // A packet that makes the connection is none of it yet.
        let stood = flow.tcp.established;
        let added = self.stream(&mut flow, ends, client, tcp, &mut found);
        self.segment = None;
        let now = std::mem::replace(&mut flow.tcp.established, stood);
        found.extend(self.ask(&mut flow, 6, ends, Some(client), Unit::Packet { first, added }, facts));
        flow.tcp.established = now;
        self.finalize(&mut flow, 6, ends, found);
        self.memory += flow.memory();
        self.flows.insert(key, flow);
        if self.memory > MEMORY_MAX {
            self.make_room();
        }
    }

    /// The capture is over: what waited for more is judged.
    pub fn finish(&mut self) {
        self.packet = 0;
        let mut open: Vec<(u64, (u8, End, End))> = self.flows.iter().map(|(key, flow)| (flow.id, *key)).collect();
        open.sort_unstable();
        for (_, key) in open {
            self.end(key);
        }
    }

    /// The flow of a packet, taken out of the table.
    fn take(&mut self, key: (u8, End, End), (client, server): (End, End)) -> Flow {
        if self.flows.get(&key).is_some_and(|flow| self.now.saturating_sub(flow.seen) > IDLE) {
            self.end(key);
        }
        if self.flows.len() >= FLOWS_MAX {
            self.make_room();
        }
        let mut flow = self.flows.remove(&key).unwrap_or_default();
        if flow.client.is_none() {
            self.flow_number += 1;
            flow.id = flow_id(self.flow_number, client, server);
            (flow.client, flow.server) = (Some(client), Some(server));
            flow.begun = self.now;
            flow.requests.transaction.set_source(&self.state, number(client.0));
            if self.ports.contains(&server.1) {
                flow.requests.http = Some(true);
            }
        }
        self.memory = self.memory.saturating_sub(flow.memory());
        flow.seen = self.now;
        flow.had.age = (flow.seen / SECOND).saturating_sub(flow.begun / SECOND);
        flow
    }

    /// End the connections that are idle, and at least an eighth.
    fn make_room(&mut self) {
        let mut ages: Vec<(u64, (u8, End, End))> = self.flows.iter().map(|(key, flow)| (flow.seen, *key)).collect();
        ages.sort_unstable();
        let least = ages.len() / 8 + 1;
        for (i, (seen, key)) in ages.into_iter().enumerate() {
            if i >= least && self.now.saturating_sub(seen) < IDLE {
                break;
            }
            self.end(key);
        }
    }

    fn end(&mut self, key: (u8, End, End)) {
        let Some(mut flow) = self.flows.remove(&key) else { return };
        self.memory = self.memory.saturating_sub(flow.memory());
        if flow.over || key.0 != 6 {
            return;
        }
        let (Some(client), Some(server)) = (flow.client, flow.server) else { return };
        for side in [0, 1] {
            let ends = if side == 0 { (client, server) } else { (server, client) };
            let mut found = Vec::new();
            self.inspect(&mut flow, ends, side, &mut found);
            while let Some(bytes) = flow.tcp.halves[side].rest() {
                self.gap(&mut flow, ends, side, &mut found);
                self.deliver(&mut flow, ends, side, &bytes, &mut found);
                self.inspect(&mut flow, ends, side, &mut found);
            }
            if side == 0 {
                self.end_request(&mut flow, ends, &mut found);
            }
            self.finalize(&mut flow, 6, ends, found);
        }
    }

    /// Follow the connection; true when the segment's payload is part of its stream.
    fn stream(
        &mut self,
        flow: &mut Flow,
        ends: (End, End),
        client: bool,
        tcp: &Tcp<'_>,
        found: &mut Vec<Found>,
    ) -> bool {
        let side = usize::from(!client);
        let session = &mut flow.tcp;
        let (syn, ack) = (tcp.flags & SYN != 0, tcp.flags & ACK != 0);
        if tcp.flags & RST != 0 {
            session.halves.iter_mut().for_each(|half| half.closed = true);
            session.ends = true;
            self.inspect_acknowledged(flow, ends, side, found);
            // What it carries nobody reads: it is a part of the stream that is never judged.
            return true;
        }
        // Its receiver leaves it out, too.
        if !syn && !ack {
            return false;
        }
        let mut added = false;
        if syn {
            session.halves[side].begin(tcp.seq.wrapping_add(1));
            session.sizes[side] = session.sizes[side].max(1);
            session.stamps[side] = tcp.timestamps.map(|(stamp, _)| stamp);
            if ack {
                session.halves[1 - side].begin(tcp.ack);
                session.answered[side] = true;
                session.established |= session.fast_open || session.answered == [true; 2];
            } else {
                session.fast_open |= tcp.fast_open;
            }
            if tcp.payload.is_empty() || !tcp.fast_open || !client {
                return false;
            }
        } else if !session.halves[side].has_begun() {
            // From the middle on, or the other direction is missing.
            session.halves[side].begin(tcp.seq);
            if tcp.ack != 0 {
                session.halves[1 - side].begin(tcp.ack);
            }
            session.established = true;
        }
        if session.is_old(side, tcp) {
            return false;
        }
        let payload = tcp.payload.len() + usize::from(tcp.flags & FIN != 0);
        let reach = session.halves[side].reach(tcp.seq.wrapping_add(u32::from(syn)), payload);
        session.sizes[side] = session.sizes[side].max(reach + 1);
        session.ends |= client && tcp.flags & FIN != 0;
        if ack && !syn {
            session.acked[1 - side] = tcp.ack;
            session.established |= session.answered != [false; 2];
            if let Some(bytes) = session.halves[1 - side].acknowledged(tcp.ack) {
                let back = (ends.1, ends.0);
                self.inspect(flow, back, 1 - side, found);
                self.gap(flow, back, 1 - side, found);
                self.deliver(flow, back, 1 - side, &bytes, found);
            }
        }
        if !tcp.payload.is_empty() {
            let seq = tcp.seq.wrapping_add(u32::from(syn));
            let inserted = flow.tcp.halves[side].insert(seq, tcp.payload);
            added = inserted.added;
            // Data that goes on where it should, though nobody answered: one side of a connection.
            flow.tcp.established |= added && !syn;
            if !inserted.bytes.is_empty() {
                self.deliver(flow, ends, side, &inserted.bytes, found);
            }
        }
        flow.tcp.halves[side].closed |= tcp.flags & FIN != 0;
        if flow.tcp.ends {
            self.inspect_acknowledged(flow, ends, side, found);
        }
        added
    }

    /// Bytes that are next in a direction.
    fn deliver(&mut self, flow: &mut Flow, ends: (End, End), side: usize, bytes: &[u8], found: &mut Vec<Found>) {
        flow.tcp.sent[side] += bytes.len() as u64;
        if side == 0 {
            if flow.requests.http == Some(true) {
                // The answer before it is complete.
                self.inspect(flow, (ends.1, ends.0), 1, found);
            }
            self.requests(flow, ends, bytes, found);
        } else if flow.requests.http.is_none() && flow.tcp.sent[1] == bytes.len() as u64 {
            flow.requests.http = bytes.starts_with(b"HTTP/1.").then_some(true);
            if flow.requests.http == Some(true) && !flow.requests.data.is_empty() {
                self.requests(flow, (ends.1, ends.0), &[], found);
            }
        }
        if side == 1 && flow.requests.http == Some(true) && changes_protocol(&flow.requests, bytes) {
            flow.requests.tunnel = true;
        }
        let chunk = &mut flow.tcp.chunks[side];
        chunk.bytes.extend_from_slice(bytes);
        if chunk.bytes.len() >= CHUNK || side == 0 && std::mem::take(&mut flow.requests.done) > 0 {
            self.inspect(flow, ends, side, found);
        }
    }

    /// Bytes are missing from here on.
    fn gap(&mut self, flow: &mut Flow, ends: (End, End), side: usize, found: &mut Vec<Found>) {
        flow.tcp.chunks[side].tail.clear();
        if side == 0 {
            self.end_request(flow, ends, found);
        }
    }

    /// Judge the part of a stream that has not been judged.
    fn inspect(&mut self, flow: &mut Flow, ends: (End, End), side: usize, found: &mut Vec<Found>) {
        self.inspect_first(flow, ends, side, usize::MAX, found);
    }

    /// Of it what the receiver has acknowledged.
    fn inspect_acknowledged(&mut self, flow: &mut Flow, ends: (End, End), side: usize, found: &mut Vec<Found>) {
        let behind = flow.tcp.halves[side].unacknowledged(flow.tcp.acked[side]);
        let length = flow.tcp.chunks[side].bytes.len().saturating_sub(behind);
        self.inspect_first(flow, ends, side, length, found);
    }

    /// Of it so many bytes.
    fn inspect_first(&mut self, flow: &mut Flow, ends: (End, End), side: usize, length: usize, found: &mut Vec<Found>) {
        let mut chunk = std::mem::take(&mut flow.tcp.chunks[side]);
        let later = chunk.bytes.split_off(length.min(chunk.bytes.len()));
        if !chunk.bytes.is_empty() && !flow.over {
            let facts = PacketFacts {
                src_port: ends.0 .1,
                dst_port: ends.1 .1,
                sent: flow.tcp.sizes.into(),
                ..PacketFacts::default()
            };
            let stood = std::mem::replace(&mut flow.tcp.established, true);
            let client = Some(side == 0);
            let own = PacketFacts { payload: &chunk.bytes, ..facts };
            let matched = self.ask(flow, 6, ends, client, Unit::Stream, own);
            let already: HashSet<RuleId> = matched.iter().map(|one| one.found.rule).collect();
            found.extend(matched);
            if !chunk.tail.is_empty() {
                // What began in the part before it, once.
                let mut joined = std::mem::take(&mut chunk.tail);
                joined.extend_from_slice(&chunk.bytes);
                let both = PacketFacts { payload: &joined, ..facts };
                let matched = self.ask(flow, 6, ends, client, Unit::Stream, both);
                let fresh =
                    |one: &Found| !already.contains(&one.found.rule) && !chunk.matched.contains(&one.found.rule);
                found.extend(matched.into_iter().filter(fresh));
                chunk.tail = joined;
            } else {
                chunk.tail = std::mem::take(&mut chunk.bytes);
            }
            chunk.bytes.clear();
            let surplus = chunk.tail.len().saturating_sub(TAIL);
            chunk.tail.drain(..surplus);
            chunk.matched.extend(found.iter().map(|one| one.found.rule));
            flow.tcp.established = stood;
        }
        chunk.bytes = later;
        flow.tcp.chunks[side] = chunk;
    }

    /// Judge what the client sends as HTTP requests, if it is.
    fn requests(&mut self, flow: &mut Flow, ends: (End, End), bytes: &[u8], found: &mut Vec<Found>) {
        let r = &mut flow.requests;
        if r.http == Some(false) || r.tunnel {
            return;
        }
        if r.deep {
            self.matches.clear();
            let step = r.transaction.skip_body(bytes);
            r.transaction.report_skipped(&self.rules, &mut self.matches);
            found.extend(self.matches.drain(..).map(|m| of_request(m, r.number)));
            match step {
                Step::Done { consumed } => {
                    r.next();
                    r.data.extend_from_slice(&bytes[consumed..]);
                }
                Step::Tunnel => (r.deep, r.tunnel) = (false, true),
                _ => return,
            }
        } else {
            r.data.extend_from_slice(bytes);
        }
        if r.http.is_none() {
            r.http = begins_request(&r.data);
        }
        if r.http != Some(true) {
            return;
        }
        let limits = self.limits(flow, ends);
        while !flow.requests.data.is_empty() && !flow.requests.tunnel {
            let r = &mut flow.requests;
            self.matches.clear();
            let step =
                r.transaction.advance(&self.rules, &limits, &mut self.scratch, &r.data, false, &mut self.matches);
            let summary = r.transaction.summary(&r.data);
            if !summary.method.is_empty() {
                r.summary = Http::of(&summary);
            }
            found.extend(self.matches.drain(..).map(|m| of_request(m, r.number)));
            match step {
                Step::NeedMore => break,
                Step::Done { consumed } => {
                    r.next();
                    r.data.drain(..consumed);
                }
                Step::BodyTooDeep => {
                    r.deep = true;
                    r.data.clear();
                }
                Step::Tunnel if r.transaction.awaits_headers() => break,
                Step::Tunnel => {
                    r.tunnel = true;
                    r.data = Vec::new();
                }
            }
        }
    }

    /// The request that is under way will not be completed.
    fn end_request(&mut self, flow: &mut Flow, ends: (End, End), found: &mut Vec<Found>) {
        let limits = self.limits(flow, ends);
        let r = &mut flow.requests;
        if r.http == Some(true) && !r.deep && !r.tunnel && !r.data.is_empty() {
            self.matches.clear();
            r.transaction.finish(&self.rules, &limits, &mut self.scratch, &r.data, &mut self.matches);
            found.extend(self.matches.drain(..).map(|m| of_request(m, r.number)));
        }
        r.transaction.reset();
        r.data.clear();
        r.deep = false;
    }

    fn limits(&self, flow: &Flow, ends: (End, End)) -> Limits {
        let view = view(flow, 6, ends, Some(true), Unit::Request, true);
        Limits {
            depth: self.depth,
            src_port: ends.0 .1,
            dst_port: ends.1 .1,
            sent: flow.tcp.sizes.into(),
            segment: self.segment,
            view: Some(view),
            flow: flow.had,
            ..Limits::default()
        }
    }

    /// What the rules say of a packet or a part of a stream.
    fn ask(
        &mut self,
        flow: &mut Flow,
        protocol: u8,
        ends: (End, End),
        client: Option<bool>,
        unit: Unit,
        facts: PacketFacts<'_>,
    ) -> Vec<Found> {
        let view = view(flow, protocol, ends, client, unit, flow.tcp.established);
        let facts = PacketFacts { view: Some(&view), sent: flow.tcp.sizes.into(), flow: flow.had, ..facts };
        self.matches.clear();
        flow.requests.transaction.judge_packet(&self.rules, &mut self.scratch, &facts, &mut self.matches);
        let stream = unit == Unit::Stream;
        let (rules, number) = (&self.rules, flow.requests.number);
        self.matches
            .drain(..)
            .map(|found| Found { found, whole: stream || rules.of_connection(found.rule), client, request: number })
            .collect()
    }

    /// Tell what has matched with a packet, as far as the actions let it be told.
    fn finalize(&mut self, flow: &mut Flow, protocol: u8, ends: (End, End), mut found: Vec<Found>) {
        if flow.over {
            return;
        }
        // The document has the rules in the order in which their actions apply.
        found.sort_by_key(|one| one.found.rule);
        for one in found {
            let rule = one.found.rule;
            let meta = self.rules.rule(rule);
            if meta.action == Action::Pass {
                flow.over |= one.whole;
                break;
            }
            if self.rules.drops(rule) {
                flow.over |= one.whole;
            }
            if self.rules.is_silent(rule) {
                continue;
            }
            let server_side = one.client == Some(false);
            let (source, destination) = match (flow.client, flow.server) {
                (Some(client), Some(server)) if server_side => (server, client),
                (Some(client), Some(server)) => (client, server),
                _ => ends,
            };
            self.alerts.push(Alert {
                rule,
                found: one.found,
                flow: if flow.id == 0 { flow_id(0, source, destination) } else { flow.id },
                source,
                destination,
                protocol,
                client: one.client,
                packet: self.packet,
                http: (flow.requests.http == Some(true)).then(|| flow.requests.summary.clone()),
                request: one.request,
            });
        }
    }
}

fn of_request(found: Match, request: u32) -> Found {
    Found { found, whole: true, client: Some(true), request }
}

fn key(protocol: u8, one: End, other: End) -> (u8, End, End) {
    if one <= other {
        (protocol, one, other)
    } else {
        (protocol, other, one)
    }
}

fn view(flow: &Flow, protocol: u8, ends: (End, End), client: Option<bool>, unit: Unit, established: bool) -> View {
    View {
        unit,
        source: ends.0 .0,
        destination: ends.1 .0,
        src_port: ends.0 .1,
        dst_port: ends.1 .1,
        protocol,
        server: flow.server.map(|(address, _)| address),
        client,
        established,
        http: flow.requests.http == Some(true),
    }
}

/// Ports and payload of a packet that is no TCP segment, and whether it belongs to a connection.
fn transport<'a>(packet: &Packet<'a>) -> ((u16, u16), &'a [u8], bool) {
    let body = packet.body;
    match packet.protocol {
        _ if packet.fragment => ((0, 0), &[], false),
        17 if body.len() >= 8 => ((be16(body, 0), be16(body, 2)), &body[8..], true),
        // The number of an echo stands for the ports.
        1 | 58 if body.len() >= 8 => {
            let number = if matches!(body[0], 0 | 8 | 128 | 129) { be16(body, 4) } else { 0 };
            ((number, number), &body[8..], true)
        }
        _ => ((0, 0), body, false),
    }
}

fn flow_id(number: u64, client: End, server: End) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (number, client, server).hash(&mut hasher);
    hasher.finish() & ((1 << 53) - 1)
}
