// SPDX-License-Identifier: Apache-2.0
//! From packets to verdicts: one [`Engine`] for each queue.

use crate::connection::{Connection, Moving, Phase, Verdict};
use crate::counter::Counter;
use crate::event::{Endpoint, Event, FlowId, Http, Place, Reason, Signature};
use crate::handoff::{adopt_option, Agreed};
use crate::host::{self, flag, generation, Diversion, Host, Meta};
use crate::packet::{self, Malformed, Segment, Template, ACK, FIN, MAX_FRAME, PSH, RST};
use crate::stream::{distance, Refused, Stream};
use sd_rules::score::{self, Echo};
use sd_rules::{Action, Buffer, Limits, Match, PacketFacts, Protocol, RuleSet, RuleState, Scratch, Step, Transaction};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

const MS: u64 = 1_000_000;
/// A client whose acknowledgement has stood still this long (and 1.5 round trips) has no more of an answer on its way.
/// Well below 8 ms: then Linux clients would send the held request again (tail loss probe).
const QUIET: u64 = 2 * MS;
/// How much older than true a time of XDP's can be: a tick of the slowest kernel.
const COARSE: u64 = 10 * MS;
const QUIET_MAX: u64 = 300 * MS;
/// How long a server may think before its answer to an earlier request begins, when an attack follows in the pipeline.
const ANSWER_MAX: u64 = 3_000 * MS;
/// After packets go to the honeypot: what XDP was sending to the server meanwhile must have left before the server's
/// socket is closed, or its reset would reach the client.
const RESET_DELAY: u64 = 5 * MS;
/// A new connection of a source whose proof is outstanding waits this long: longer than a delayed ACK (40 ms, later on a
/// busy client), shorter than a client's first repetition (200 ms).
const SUSPECT_HOLD: u64 = 120 * MS;
const SUSPECT_MAX: usize = 4096;
/// Replay: at once, then per millisecond; below what any stack takes before it has read.
const REPLAY_BURST: usize = 32 * 1024;
const REPLAY_REPEAT: [u64; 2] = [300 * MS, 700 * MS];
/// In a tunnel, this much is kept for rules whose parts lie apart (Transaction::forget).
const TUNNEL_KEPT: usize = 4096;
/// Bytes of an interim answer to `Expect: 100-continue`; more is an answer.
const ANSWER_TO_EXPECT: i32 = 64;
const CONFIRM_MAX: u64 = 1_000 * MS;
/// A connection without held bytes is forgotten after this; the flow table remembers what matters.
const FORGET_IDLE: u64 = 10_000 * MS;
/// Bits and counts that rules may keep of sources.
pub const RULE_STATE: usize = 65_536;
const SWEEP_EVERY: u64 = 1_000 * MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Adopt,
    Classic,
}

#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes and time that a request is held back at most; past them it streams.
    pub hold_bytes: usize,
    pub hold_ns: u64,
    /// Body bytes inspected.
    pub depth: usize,
    pub services: Vec<Service>,
    pub own_mac: [u8; 6],
    pub key: [u8; 16],
    /// Mark the source at once when the client has no timestamps to prove it with.
    pub mark_without_timestamps: bool,
    /// So many different rules of action "score" of one source divert it, within so many milliseconds; 0: never.
    pub score_sids: usize,
    pub score_ms: u64,
    /// Bytes of all connections together.
    pub memory: usize,
}

/// A port of the virtual address; its index is that of its rules and of its machines.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    pub port: u16,
    pub method: Method,
    /// Judge and report everything, divert nothing (but sources that are marked already).
    pub observe: bool,
}

/// What becomes of the frame that was given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Send its first so many bytes, with the director's own source MAC.
    Transmit(usize),
    Consumed,
}

/// Flow indexes are ours, not an attacker's: spreading them is enough.
#[derive(Default)]
struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u32(u32::from(*b));
        }
    }
    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0 ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

struct Suspect {
    flow: u32,
    generation: u16,
    since: u64,
}

/// What one thread needs to judge; apart from the connections, so that both can be borrowed.
struct Core {
    config: Config,
    /// Of each service, like its rules.
    limits: Vec<Limits>,
    rules: Vec<Arc<RuleSet>>,
    /// What rules remember of sources: bits and counts.
    state: Arc<RuleState>,
    scratch: Scratch,
    matches: Vec<Match>,
    timers: BinaryHeap<Reverse<(u64, u32, u16)>>,
    suspects: HashMap<[u8; 4], Suspect>,
    unconfirmed: Vec<u32>,
    memory: usize,
    /// The way a malformed frame went is not reported per packet, only counted.
    swept: u64,
}

pub struct Engine {
    connections: HashMap<u32, Box<Connection>, BuildHasherDefault<IndexHasher>>,
    core: Core,
}

enum Judged {
    /// All before this sequence number may go to the server.
    Forward(u32),
    Divert(Reason, Option<Place>),
}

impl Engine {
    /// `rules`: of each service, in their order.
    pub fn new(config: Config, rules: Vec<Arc<RuleSet>>) -> Engine {
        debug_assert_eq!(config.services.len(), rules.len());
        let of = |service: &Service| Limits { depth: config.depth, dst_port: service.port, ..Limits::default() };
        let limits = config.services.iter().map(of).collect();
        Engine {
            connections: HashMap::default(),
            core: Core {
                config,
                limits,
                rules,
                state: Arc::new(RuleState::new(RULE_STATE)),
                scratch: Scratch::default(),
                matches: Vec::new(),
                timers: BinaryHeap::new(),
                suspects: HashMap::new(),
                unconfirmed: Vec::new(),
                memory: 0,
                swept: 0,
            },
        }
    }

    /// From the next call on, judge by these rules: what is held is judged anew, a verdict that was given stands.
    pub fn use_rules(&mut self, rules: Vec<Arc<RuleSet>>) {
        debug_assert_eq!(self.core.rules.len(), rules.len());
        self.core.rules = rules;
    }

    /// Count and remember together with other engines.
    pub fn sharing(mut self, state: Arc<RuleState>) -> Engine {
        self.core.state = state;
        self
    }

    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Bytes that all connections hold.
    pub fn memory(&self) -> usize {
        self.core.memory
    }

    /// One packet from XDP. `frame`: Ethernet header and on, destination already the server's.
    pub fn on_packet<H: Host>(&mut self, now: u64, meta: Meta, frame: &[u8], host: &mut H) -> Disposition {
        let (segment, length) = match packet::parse(frame) {
            Ok(parsed) => parsed,
            Err(why) => {
                host.count(if why == Malformed::Checksum { Counter::DropChecksum } else { Counter::DropMalformed }, 1);
                return Disposition::Consumed;
            }
        };
        if segment.refused_option {
            host.count(Counter::DropTcpOption, 1);
            return Disposition::Consumed;
        }
        let owner = host.owner(meta.flow);
        if generation(owner) != meta.generation {
            host.count(Counter::DropStaleFlow, 1);
            return Disposition::Consumed;
        }
        let stale = self.connections.get(&meta.flow).is_some_and(|c| c.generation != meta.generation);
        if stale {
            self.forget(meta.flow);
        }
        if !self.connections.contains_key(&meta.flow) {
            let Some(c) = self.core.meet(now, meta, owner, frame, &segment, host) else {
                host.count(Counter::DropStaleFlow, 1);
                return Disposition::Consumed;
            };
            self.connections.insert(meta.flow, c);
        }
        let Some(c) = self.connections.get_mut(&meta.flow) else { return Disposition::Consumed };
        self.core.follow_kernel(c, now, host);
        let disposition = self.core.on_segment(c, now, meta, frame, &segment, length, host);
        self.core.account(c);
        disposition
    }

    /// After a batch has been handed to the kernel (all frames flushed): the servers have got it.
    pub fn on_flushed<H: Host>(&mut self, host: &mut H) {
        for flow in self.core.unconfirmed.drain(..) {
            if let Some(c) = self.connections.get_mut(&flow) {
                let pending = c.word & 0xffff_ffff;
                let word = pending << 32 | pending;
                if host.compare_exchange_stream(flow, c.word, word) {
                    c.word = word;
                    if !c.midway && host.owner(flow) & flag::MIDSTREAM != 0 {
                        host.clear_owner(flow, flag::MIDSTREAM);
                    }
                    give_back(c, host);
                }
            }
        }
    }

    /// Run what is due.
    pub fn on_tick<H: Host>(&mut self, now: u64, host: &mut H) {
        while let Some(&Reverse((at, flow, generation))) = self.core.timers.peek() {
            if at > now {
                break;
            }
            self.core.timers.pop();
            let mut done = false;
            if let Some(c) = self.connections.get_mut(&flow) {
                if c.generation == generation {
                    done = self.core.on_timer(c, now, host);
                    self.core.account(c);
                }
            }
            if done {
                self.forget(flow);
            }
        }
        if now.saturating_sub(self.core.swept) >= SWEEP_EVERY {
            self.core.swept = now;
            self.core.state.set_time(now / MS);
            self.sweep(now, host);
        }
    }

    /// When [`Engine::on_tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<u64> {
        self.core.timers.peek().map(|Reverse((at, _, _))| *at)
    }

    fn forget(&mut self, flow: u32) {
        if let Some(c) = self.connections.remove(&flow) {
            self.core.memory -= c.memory;
        }
    }

    fn sweep<H: Host>(&mut self, now: u64, host: &H) {
        let core = &mut self.core;
        core.suspects.retain(|_, s| now.saturating_sub(s.since) < CONFIRM_MAX);
        self.connections.retain(|&flow, c| {
            let owner = host.owner(flow);
            // XDP may have served it meanwhile, and rules remember bits of connections.
            let seen = c.last_seen.max(if generation(owner) == c.generation { host.last_seen(flow) } else { 0 });
            let idle = now.saturating_sub(seen) >= FORGET_IDLE;
            let needed = !matches!(c.phase, Phase::Over)
                && (!c.stream.request().is_empty() || c.streaming || c.tunnel || c.deep.is_some());
            let closed = owner & flag::CLOSED != 0 && idle;
            let keep = generation(owner) == c.generation && !closed && (!idle || needed);
            if !keep {
                core.memory -= c.memory;
            }
            keep
        });
    }
}

impl Core {
    fn account(&mut self, c: &mut Connection) {
        let memory = c.stream.memory() + c.transaction.memory();
        self.memory = self.memory + memory - c.memory;
        c.memory = memory;
    }

    fn arm(&mut self, c: &Connection, at: u64) {
        self.timers.push(Reverse((at, c.flow, c.generation)));
    }

    /// A connection that this process has not seen: new, or known to a predecessor.
    fn meet<H: Host>(
        &mut self,
        now: u64,
        meta: Meta,
        owner: u64,
        frame: &[u8],
        segment: &Segment,
        host: &mut H,
    ) -> Option<Box<Connection>> {
        let facts = host.facts(meta.flow)?;
        let template = Template::of(frame, segment);
        let (_, port) = template.ports();
        let service = self.config.services.iter().position(|service| service.port == port)?;
        let word = host.stream(meta.flow);
        let (next, pending) = ((word >> 32) as u32, word as u32);
        // A predecessor died between sending up to `pending` and saying so. If the client goes on behind it, the server
        // has got it; if it comes again, it is judged again and the server knows it already.
        let base = if distance(segment.seq, pending) >= 0 { pending } else { next };
        let mut c = Box::new(Connection {
            flow: meta.flow,
            generation: meta.generation,
            id: flow_id(meta, &facts),
            facts,
            service,
            template,
            server_mac: mac(frame, 0),
            router_mac: mac(frame, 6),
            own_mac: self.config.own_mac,
            stream: Stream::new(base),
            transaction: Transaction::default(),
            phase: Phase::Judging,
            word,
            streaming: false,
            deep: None,
            tunnel: false,
            midway: false,
            allowed: owner & flag::ALLOWED != 0,
            seen: meta.count,
            deadline: 0,
            suspended: false,
            began: 0,
            last_seen: now,
            requests: 0,
            answered_before: None,
            forwarded: None,
            completed: None,
            stays: false,
            sealed: None,
            given_back: false,
            memory: 0,
            observed: false,
            echo: None,
            scored: 0,
        });
        c.template.set_source_mac(self.config.own_mac);
        c.transaction.set_source(&self.state, u128::from(u32::from_be_bytes(c.template.client())));
        c.remember_seal(now, host);
        if owner & flag::MOVING != 0 {
            // The predecessor had handed it over and was about to give it to XDP.
            host.or_owner(meta.flow, flag::DIVERTED);
            c.phase = Phase::Over;
        } else if owner & flag::MIDSTREAM != 0 {
            self.reset_both(&mut c, next, host);
        } else if base != next {
            let word = u64::from(base) << 32 | u64::from(base);
            if host.compare_exchange_stream(meta.flow, c.word, word) {
                c.word = word;
            }
        }
        if self.dialogue(&c) {
            // Positions count from the stream's first byte, also for one that a predecessor knew.
            c.transaction.forget(c.stream.next().wrapping_sub(c.first_byte()) as usize);
        }
        if owner & flag::LISTED != 0 {
            host.clear_owner(meta.flow, flag::LISTED);
            self.report_listed(&c, host);
        }
        Some(c)
    }

    /// XDP found the source on a rule's list of addresses: said once for a connection.
    fn report_listed<H: Host>(&self, c: &Connection, host: &mut H) {
        let Some(rule) = host.listed(c.flow).and_then(|sid| self.rules[c.service].listed(sid)) else { return };
        let place = Place { buffer: Buffer::Raw, offset: 0, length: 0 };
        self.alert(c, Arc::new(Signature::of(rule)), place, false, false, Http::default(), host);
    }

    /// XDP has forwarded requests since this connection was given back.
    fn follow_kernel<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) {
        let word = host.stream(c.flow);
        if word == c.word || matches!(c.phase, Phase::Over) {
            c.given_back = false;
            return;
        }
        let next = (word >> 32) as u32;
        c.word = word;
        // Only what was given back with nothing held is XDP's to move; else both have taken the same bytes.
        if !c.stream.idle() || !matches!(c.phase, Phase::Judging) || c.streaming || c.tunnel || c.deep.is_some() {
            self.reset_both(c, next, host);
            return;
        }
        c.given_back = false;
        c.stream = Stream::new(next);
        c.began = 0;
        c.remember_seal(now, host);
    }

    /// A segment that begins with what XDP forwarded last: the same bytes are taken up, as if they had come here. True when
    /// they contradict it.
    fn unseal<H: Host>(&mut self, c: &mut Connection, seq: u32, payload: &[u8], host: &H) -> bool {
        let Some(seal) = c.sealed else { return false };
        let length = (seal & 0xffff) as usize;
        if seq.wrapping_add(length as u32) != c.stream.start() || payload.len() < length {
            return false;
        }
        if host.sealed(&payload[..length]) != seal {
            return true;
        }
        c.stream.recall(&payload[..length]);
        c.sealed = None;
        false
    }

    /// Caught in the middle of a request whose beginning only a dead predecessor knew: never guessed.
    fn reset_both<H: Host>(&mut self, c: &mut Connection, next: u32, host: &mut H) {
        let (template, server) = (c.template, c.server_mac);
        host.send(|out| template.build_with(out, server, next, RST | ACK, &[], &[]));
        let back = template.reversed(self.config.own_mac);
        let (router, seq) = (c.router_mac, template.ack);
        host.send(|out| back.build_with(out, router, seq, RST, &[], &[]));
        host.or_owner(c.flow, flag::SILENT | flag::CLOSED);
        host.count(Counter::ConnectionsReset, 1);
        host.event(Event::Reset { flow: self.name(c) });
        c.phase = Phase::Over;
    }

    /// The service's protocol is not HTTP: the whole connection is one stream.
    fn dialogue(&self, c: &Connection) -> bool {
        self.rules[c.service].service().protocol == Protocol::Tcp
    }

    fn name(&self, c: &Connection) -> FlowId {
        let (sport, dport) = c.template.ports();
        FlowId {
            id: c.id,
            source: Endpoint { address: c.template.client(), port: sport },
            destination: Endpoint { address: c.template.vip(), port: dport },
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn on_segment<H: Host>(
        &mut self,
        c: &mut Connection,
        now: u64,
        meta: Meta,
        frame: &[u8],
        segment: &Segment,
        length: usize,
        host: &mut H,
    ) -> Disposition {
        c.seen = meta.count;
        c.last_seen = now;
        host.count(Counter::Segments, 1);
        host.count(Counter::Bytes, segment.length as u64);
        if matches!(c.phase, Phase::Over) {
            host.count(Counter::DropClosed, 1);
            return Disposition::Consumed;
        }
        if self.memory > self.config.memory && c.stream.memory() + segment.length > 2048 {
            host.count(Counter::DropMemory, 1);
            return Disposition::Consumed;
        }
        if distance(segment.ack, c.template.ack) >= 0 {
            c.template = Template::of(frame, segment);
            c.template.set_source_mac(self.config.own_mac);
            note_echo(c, now, segment.seq);
        }
        c.server_mac = mac(frame, 0);
        c.router_mac = mac(frame, 6);
        let payload = &frame[segment.payload..segment.payload + segment.length];
        let in_order = segment.seq == c.stream.next();
        let contradicts = self.unseal(c, segment.seq, payload, host);
        let mut inserted = c.stream.insert(segment.seq, payload, segment.flags & FIN != 0);
        inserted.conflict |= contradicts;
        if let Some(why) = inserted.refused {
            host.count(
                match why {
                    Refused::OutOfWindow => Counter::DropOutOfWindow,
                    Refused::NoRoom => Counter::DropReassemblyFull,
                    Refused::Unverifiable => Counter::DropUnverifiable,
                },
                1,
            );
        }
        match c.phase {
            Phase::Judging => {}
            Phase::Waiting(_) => return Disposition::Consumed,
            Phase::Moving(_) => {
                self.move_on(c, segment, host);
                return Disposition::Consumed;
            }
            Phase::Over => return Disposition::Consumed,
        }
        if inserted.conflict && !c.allowed && self.diverts(c, &Reason::Conflict, None, host) {
            self.divert(c, now, Reason::Conflict, None, host);
            return Disposition::Consumed;
        }
        if self.rules[c.service].has_packet_rules() && segment.length > 0 {
            if let Judged::Divert(reason, place) = self.judge_segment(c, frame, segment, host) {
                self.divert(c, now, reason, place, host);
                return Disposition::Consumed;
            }
        }
        if let Some((from, to)) = inserted.again {
            host.count(Counter::Retransmissions, 1);
            self.send_again(c, from, to, host);
        }
        if !inserted.advanced {
            return Disposition::Consumed;
        }
        if c.began == 0 {
            c.began = now;
        }
        if meta.marked && !c.allowed {
            self.divert(c, now, Reason::MarkedSource, None, host);
            return Disposition::Consumed;
        }
        if !self.suspects.is_empty() && !c.allowed && !c.streaming && self.suspected(c, now, host) {
            return Disposition::Consumed;
        }
        let in_place = in_order && segment.canonical && inserted.again.is_none();
        let sent = c.stream.sent();
        match self.judge(c, now, host) {
            Judged::Divert(reason, place) => self.divert(c, now, reason, place, host),
            Judged::Forward(to) => {
                let end = segment.seq.wrapping_add(segment.length as u32);
                if in_place && sent == segment.seq && to == end && to == c.stream.next() {
                    if !self.advance_word(c, to, host) {
                        return Disposition::Consumed;
                    }
                    self.after_forwarding(c, now, to, host);
                    return Disposition::Transmit(length);
                }
                self.forward(c, now, to, host);
            }
        }
        Disposition::Consumed
    }

    /// True while the request has to wait for the proof of its source on another connection (or was handed over).
    fn suspected<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) -> bool {
        let source = c.template.client();
        let Some(s) = self.suspects.get(&source) else { return false };
        let owner = host.owner(s.flow);
        if s.flow == c.flow || generation(owner) != s.generation {
            return false;
        }
        if owner & flag::PROVED != 0 {
            // From here on the mark decides, which an operator may have taken away.
            self.suspects.remove(&source);
            if !host.marked(source) {
                return false;
            }
            self.divert(c, now, Reason::MarkedSource, None, host);
            return true;
        }
        let until = s.since + SUSPECT_HOLD;
        if now >= until {
            return false;
        }
        if !c.suspended {
            c.suspended = true;
            self.arm(c, now + MS);
        }
        true
    }

    fn judge_segment<H: Host>(&mut self, c: &mut Connection, frame: &[u8], segment: &Segment, host: &mut H) -> Judged {
        let header = &frame[packet::ETH..segment.payload];
        let facts = PacketFacts {
            payload: &frame[segment.payload..segment.payload + segment.length],
            flags: segment.flags,
            seq: segment.seq,
            ack: segment.ack,
            window: u16::from_be_bytes([header[packet::IP + 14], header[packet::IP + 15]]),
            src_port: c.template.client_port(),
            dst_port: self.config.services[c.service].port,
            ip: &header[..packet::IP],
            ..PacketFacts::default()
        };
        self.matches.clear();
        c.transaction.judge_packet(&self.rules[c.service], &mut self.scratch, &facts, &mut self.matches);
        self.report(c, Http::default(), host)
    }

    /// Raise an alert for each match; the first that diverts decides, or the score that the others make.
    fn report<H: Host>(&mut self, c: &mut Connection, http: Http, host: &mut H) -> Judged {
        let rules = &self.rules[c.service];
        let mut decided = None;
        let mut reached = None;
        for m in &self.matches {
            let rule = rules.rule(m.rule);
            let signature = Arc::new(Signature::of(rule));
            let place = Place { buffer: m.buffer, offset: m.offset, length: m.len };
            let attack = rule.action == Action::Divert && !c.allowed;
            if attack && decided.is_none() {
                decided = Some((Reason::Rule(signature.clone()), place));
            }
            let scored = rule.action == Action::Score;
            if scored && !c.allowed && self.scores(c, (rule.gid, rule.sid)) {
                reached.get_or_insert(place);
            }
            self.alert(c, signature, place, attack, scored, http.clone(), host);
        }
        if let (None, Some(place)) = (&decided, reached) {
            let signature = Arc::new(Signature {
                gid: score::GID,
                sid: score::SID,
                rev: 1,
                message: score::MESSAGE.to_owned(),
                category: "Policy".to_owned(),
                priority: 1,
            });
            self.alert(c, signature.clone(), place, true, false, http, host);
            decided = Some((Reason::Rule(signature), place));
        }
        match decided {
            Some((reason, place)) if self.diverts(c, &reason, Some(place), host) => Judged::Divert(reason, Some(place)),
            _ => Judged::Forward(c.stream.sent()),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn alert<H: Host>(
        &self,
        c: &Connection,
        signature: Arc<Signature>,
        place: Place,
        attack: bool,
        scored: bool,
        http: Http,
        host: &mut H,
    ) {
        let observe = self.config.services[c.service].observe;
        host.count(Counter::AlertsRaised, 1);
        host.event(Event::Alert {
            flow: self.name(c),
            signature,
            place,
            diverted: attack && !observe,
            would_divert: attack && observe,
            scored,
            http,
            request: c.requests,
        });
    }

    /// A match of a rule that scores: true when the source has enough of them. A request gives one new rule at most: what
    /// makes a scanner is many requests, not one that several rules look at.
    fn scores(&self, c: &mut Connection, rule: (u32, u32)) -> bool {
        if self.config.score_sids == 0 || c.scored == c.requests + 1 {
            return false;
        }
        let echo = match c.echo {
            Some(offset) => Echo::Clock { server: c.facts.server, offset },
            None => Echo::Connection(c.id),
        };
        let source = u128::from(u32::from_be_bytes(c.template.client()));
        let (number, new) = self.state.score(source, echo, rule, self.config.score_ms);
        if new {
            c.scored = c.requests + 1;
        }
        number >= self.config.score_sids
    }

    /// An attack was found: false when it is only observed, which is said once per request.
    fn diverts<H: Host>(&self, c: &mut Connection, reason: &Reason, place: Option<Place>, host: &mut H) -> bool {
        if !self.config.services[c.service].observe {
            return true;
        }
        if !c.observed {
            c.observed = true;
            host.count(Counter::WouldDivert, 1);
            host.event(Event::WouldDivert {
                flow: self.name(c),
                reason: reason.clone(),
                place,
                server: c.facts.server,
                request_bytes: c.stream.request().len(),
                request: c.requests,
            });
        }
        false
    }

    /// Judge what is in order; says how far it may be forwarded.
    fn judge<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) -> Judged {
        let mut everything = c.streaming || c.tunnel || c.stream.finished() || (c.deadline != 0 && now >= c.deadline);
        loop {
            if let Some(from) = c.deep {
                let next = c.stream.next();
                let step = c.transaction.skip_body(c.stream.range(from, next));
                self.matches.clear();
                c.transaction.report_skipped(&self.rules[c.service], &mut self.matches);
                if !self.matches.is_empty() {
                    if let Judged::Divert(reason, place) = self.report(c, Http::default(), host) {
                        return Judged::Divert(reason, place);
                    }
                }
                match step {
                    Step::Done { consumed } => self.request_done(c, from.wrapping_add(consumed as u32), host),
                    Step::Tunnel => {
                        // The framing broke where nobody looks for rules any more: from here on everything is judged.
                        c.deep = None;
                        c.tunnel = true;
                        c.stream.judged_from(from);
                    }
                    _ => {
                        c.deep = Some(next);
                        c.streaming = true;
                        return Judged::Forward(next);
                    }
                }
                continue;
            }
            if c.stream.request().is_empty() {
                return Judged::Forward(c.stream.next());
            }
            self.matches.clear();
            self.limits[c.service].src_port = c.template.client_port();
            let step = c.transaction.advance(
                &self.rules[c.service],
                &self.limits[c.service],
                &mut self.scratch,
                c.stream.request(),
                everything,
                &mut self.matches,
            );
            if !self.matches.is_empty() {
                let http = Http::of(&c.transaction.summary(c.stream.request()));
                if let Judged::Divert(reason, place) = self.report(c, http, host) {
                    host.count(Counter::RequestsInspected, 1);
                    return Judged::Divert(reason, place);
                }
            }
            match step {
                Step::Done { consumed } => {
                    let end = c.stream.request_start().wrapping_add(consumed as u32);
                    self.request_done(c, end, host);
                    everything = c.stream.finished();
                    if consumed == 0 {
                        return Judged::Forward(c.stream.request_start());
                    }
                }
                Step::BodyTooDeep => {
                    host.count(Counter::DepthReached, 1);
                    c.deep = Some(c.stream.next());
                }
                Step::Tunnel => {
                    c.tunnel = true;
                    let extra = c.stream.request().len().saturating_sub(TUNNEL_KEPT);
                    if extra > TUNNEL_KEPT {
                        c.transaction.forget(extra);
                        c.stream.judged_from(c.stream.request_start().wrapping_add(extra as u32));
                    }
                    if c.stream.finished() {
                        if let Judged::Divert(reason, place) = self.judge_end(c, host) {
                            return Judged::Divert(reason, place);
                        }
                    }
                    return Judged::Forward(c.stream.next());
                }
                Step::NeedMore => {
                    if c.stream.finished() {
                        if let Judged::Divert(reason, place) = self.judge_end(c, host) {
                            return Judged::Divert(reason, place);
                        }
                    }
                    if everything {
                        if !c.streaming {
                            c.streaming = true;
                            host.count(Counter::RequestsStreamed, 1);
                        }
                        return Judged::Forward(c.stream.next());
                    }
                    let limit = self.config.hold_bytes.min(8 * usize::from(c.facts.mss.max(536)));
                    let held = c.stream.request().len();
                    if held <= limit && !c.transaction.expects_more_than(limit - held) {
                        if c.deadline == 0 {
                            c.deadline = now + self.config.hold_ns;
                            self.arm(c, c.deadline);
                        }
                        return Judged::Forward(c.stream.request_start());
                    }
                    everything = true;
                }
            }
        }
    }

    /// Nothing more comes: what waited for the end.
    fn judge_end<H: Host>(&mut self, c: &mut Connection, host: &mut H) -> Judged {
        self.matches.clear();
        let data = c.stream.request();
        let (rules, limits) = (&self.rules[c.service], &self.limits[c.service]);
        c.transaction.finish(rules, limits, &mut self.scratch, data, &mut self.matches);
        if self.matches.is_empty() {
            return Judged::Forward(c.stream.sent());
        }
        let http = Http::of(&c.transaction.summary(c.stream.request()));
        let judged = self.report(c, http, host);
        if matches!(judged, Judged::Divert(..)) {
            host.count(Counter::RequestsInspected, 1);
        }
        judged
    }

    fn request_done<H: Host>(&mut self, c: &mut Connection, end: u32, host: &mut H) {
        host.count(Counter::RequestsInspected, 1);
        c.requests = c.requests.wrapping_add(1);
        let request = c.transaction.summary(c.stream.request());
        c.stays |= request.upgrade || request.method == b"CONNECT";
        c.stays |= c.completed.replace(c.template.ack) == Some(c.template.ack);
        c.observed = false;
        c.stream.request_ends(end);
        c.transaction.reset();
        c.answered_before = None;
        c.streaming = false;
        c.deep = None;
        c.deadline = 0;
    }

    /// Say in the flow table what is about to be sent. False: the table's place belongs to another flow by now.
    fn advance_word<H: Host>(&mut self, c: &mut Connection, to: u32, host: &mut H) -> bool {
        // A dialogue can be taken up again where a line begins.
        let line_ended = self.dialogue(c) && c.stream.range(to.wrapping_sub(1), to) == b"\n";
        c.midway = (c.streaming || c.tunnel) && !line_ended;
        if c.midway {
            host.or_owner(c.flow, flag::MIDSTREAM);
        }
        if c.streaming || c.tunnel {
            c.answered_before.get_or_insert(c.template.ack);
        }
        let word = (c.word & !0xffff_ffff) | u64::from(to);
        if !host.compare_exchange_stream(c.flow, c.word, word) {
            host.count(Counter::DropStaleFlow, 1);
            if generation(host.owner(c.flow)) == c.generation {
                // XDP forwarded something else at the same moment.
                let next = (host.stream(c.flow) >> 32) as u32;
                self.reset_both(c, next, host);
            }
            c.phase = Phase::Over;
            return false;
        }
        c.word = word;
        self.unconfirmed.push(c.flow);
        true
    }

    fn after_forwarding<H: Host>(&mut self, c: &mut Connection, now: u64, to: u32, host: &mut H) {
        c.stream.forwarded(to);
        c.forwarded = Some((c.template.ack, now));
        if c.stream.request().is_empty() {
            if c.began != 0 {
                host.held(c.began);
            }
            c.began = 0;
        }
        if c.deep.is_some() {
            c.stream.trim_deep();
        } else {
            c.stream.trim();
        }
        if c.stream.finished() && to == c.stream.next() {
            host.or_owner(c.flow, flag::CLOSED);
        }
    }

    /// Forward up to `to` in canonical segments.
    fn forward<H: Host>(&mut self, c: &mut Connection, now: u64, to: u32, host: &mut H) {
        let from = c.stream.sent();
        let fin = c.stream.finished() && to == c.stream.next();
        if distance(to, from) <= 0 && !fin {
            return;
        }
        if !self.advance_word(c, to, host) {
            return;
        }
        send_range(&c.template, c.server_mac, &c.stream, from, to, fin, host);
        self.after_forwarding(c, now, to, host);
    }

    fn send_again<H: Host>(&mut self, c: &Connection, from: u32, to: u32, host: &mut H) {
        if c.stream.range(from, to).is_empty() {
            // A keep-alive whose byte is no longer kept: without it, the server answers all the same.
            let (template, server) = (c.template, c.server_mac);
            host.send(|out| template.build(out, server, from, ACK, &[]));
        } else {
            send_range(&c.template, c.server_mac, &c.stream, from, to, false, host);
        }
    }

    /// An attack: what came before it goes to the server, nothing of it does.
    fn divert<H: Host>(&mut self, c: &mut Connection, now: u64, reason: Reason, place: Option<Place>, host: &mut H) {
        let start = c.stream.request_start();
        if distance(start, c.stream.sent()) > 0 {
            self.forward(c, now, start, host);
            if matches!(c.phase, Phase::Over) {
                return;
            }
        }
        c.suspended = false;
        c.deadline = 0;
        let (ack, _) = host.acknowledged(c.flow);
        c.phase = Phase::Waiting(Verdict { reason, place, at: now, ack, ack_since: now });
        self.hand_over_when_quiet(c, now, host);
    }

    /// Answers to earlier requests must have arrived: the honeypot continues where the client's acknowledgement stands.
    fn hand_over_when_quiet<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) {
        let Phase::Waiting(verdict) = &mut c.phase else { return };
        let (ack, moved) = host.acknowledged(c.flow);
        if verdict.ack != ack {
            (verdict.ack, verdict.ack_since) = (ack, now);
        }
        let verdict = verdict.clone();
        let first = c.stream.request_start() == c.first_byte();
        // XDP's clock is coarse; ours is not, but has only been looked at since the verdict.
        let quiet_for = now.saturating_sub(verdict.ack_since).max(now.saturating_sub(moved + COARSE));
        let quiet = match c.forwarded {
            // A server that speaks first may be about to.
            _ if first && self.dialogue(c) => quiet_for >= QUIET,
            _ if first => true,
            Some((then, at)) if then == ack && !c.streaming => now.saturating_sub(at) >= ANSWER_MAX,
            _ => quiet_for >= QUIET.max((u64::from(c.facts.rtt_us) * 1500).min(QUIET_MAX)),
        };
        if !quiet {
            self.arm(c, now + MS);
            return;
        }
        if distance(ack, c.template.ack) > 0 {
            c.template.ack = ack;
        }
        self.hand_over(c, now, verdict, host);
    }

    fn hand_over<H: Host>(&mut self, c: &mut Connection, now: u64, verdict: Verdict, host: &mut H) {
        host.count(Counter::ConnectionsDiverted, 1);
        let source = c.template.client();
        let sid = match &verdict.reason {
            Reason::Rule(rule) => rule.sid,
            _ => 0,
        };
        let marked = verdict.reason == Reason::MarkedSource;
        if marked {
            host.count(Counter::ConnectionsMarked, 1);
        }
        let server = host.backend(c.facts.server);
        let honeypot = host.honeypot_for(c.service, source).and_then(|i| host.backend(i).map(|b| (i, b)));
        let agreed = server.map_or(0, |s| s.options) & c.facts.options;
        let timestamps = agreed & host::OPT_TIMESTAMPS != 0;
        // A server that has begun to answer a request that is still streaming: the honeypot's answer cannot follow on it.
        let answering = c.answered_before.is_some_and(|before| distance(c.template.ack, before) > ANSWER_TO_EXPECT);
        let method = self.config.services[c.service].method;
        // The honeypot cannot take up a dialogue in its middle: its own greeting would come then.
        let begun = self.dialogue(c)
            && (c.stream.request_start() != c.first_byte() || c.template.ack != host.first_ack(c.flow));
        let possible = method == Method::Adopt
            && !begun
            && c.stream.replayable()
            && !answering
            && timestamps == c.template.timestamps.is_some();
        let moving = Moving {
            verdict,
            adopt: false,
            honeypot: honeypot.map_or(u16::MAX, |(i, _)| i),
            honeypot_mac: honeypot.map_or([0; 6], |(_, b)| b.mac),
            from: c.stream.request_start(),
            replayed: c.stream.request_start(),
            fin_sent: false,
            adopt_ack: c.template.ack,
            at: now,
            repeats: 0,
            server_reset: false,
            probe: None,
            given_away: false,
            confirmed: false,
        };
        let (Some((_, pot)), Some(server)) = (honeypot.filter(|(_, b)| b.adopt && possible), server) else {
            // No honeypot, or none that can adopt: silence to the client, as in the paper. Never production.
            host.or_owner(c.flow, flag::SILENT | flag::CLOSED);
            let probe = (timestamps && !marked).then_some(c.template.timestamps).flatten().map(|(_, tsecr)| {
                let proof_base = beyond(tsecr, host);
                host.set_diversion(c.flow, Diversion { honeypot: moving.honeypot, proof_base, sid, at: now });
                host.or_owner(c.flow, flag::PROVE);
                self.suspect(c, source, now, host);
                proof_base
            });
            let unproven = method == Method::Classic || self.config.mark_without_timestamps;
            if probe.is_none() && unproven && !marked {
                // Without timestamps nothing can prove the source; the paper's method marks it all the same.
                host.mark(source, sid);
            }
            self.arm(c, now + RESET_DELAY);
            host.event(self.diversion(c, &moving, false));
            c.phase = Phase::Moving(Moving { given_away: true, confirmed: true, probe, ..moving });
            ask_for_proof(c, host);
            return;
        };
        let (tsval, tsecr) = c.template.timestamps.unwrap_or((0, 0));
        let proof_base = beyond(tsecr, host);
        let agreed = Agreed {
            tsval,
            tsecr: proof_base,
            mss: c.facts.mss.max(536),
            client_wscale: if c.facts.wscale > 14 { 0 } else { c.facts.wscale },
            own_wscale: server.wscale,
            options: agreed,
        };
        host.set_diversion(c.flow, Diversion { honeypot: moving.honeypot, proof_base, sid, at: now });
        // From here on everything of this connection comes to us, so that nothing of it reaches the honeypot before its
        // socket exists, nor the server after the handover.
        let proof = timestamps && !marked;
        host.or_owner(c.flow, flag::MOVING | if proof { flag::PROVE } else { 0 });
        let option = adopt_option(&self.config.key, &c.template, moving.from, &agreed);
        let (template, from) = (c.template, moving.from);
        host.send(|out| template.build_with(out, pot.mac, from, ACK, &option, &[]));
        c.phase = Phase::Moving(Moving { adopt: true, ..moving });
        self.replay(c, host);
        if proof {
            self.suspect(c, source, now, host);
        } else if !marked && self.config.mark_without_timestamps {
            host.mark(source, sid);
        }
        self.arm(c, now + MS);
        self.give_away(c, host);
    }

    /// The proof of its address is outstanding: its other connections wait for a moment.
    fn suspect<H: Host>(&mut self, c: &Connection, source: [u8; 4], now: u64, host: &H) {
        host.hold_clearing(now + SUSPECT_HOLD);
        if self.suspects.len() < SUSPECT_MAX {
            self.suspects.insert(source, Suspect { flow: c.flow, generation: c.generation, since: now });
        }
    }

    /// Send the honeypot the next piece of what it has not got.
    fn replay<H: Host>(&mut self, c: &mut Connection, host: &mut H) {
        let Phase::Moving(m) = &mut c.phase else { return };
        if !m.adopt {
            return;
        }
        let left = distance(c.stream.next(), m.replayed).max(0) as usize;
        let to = m.replayed.wrapping_add(left.min(REPLAY_BURST) as u32);
        let fin = c.stream.finished() && to == c.stream.next() && !m.fin_sent;
        if left > 0 || fin {
            send_range(&c.template, m.honeypot_mac, &c.stream, m.replayed, to, fin, host);
            m.fin_sent |= fin;
            m.replayed = to;
        }
    }

    /// A segment came while the connection moves.
    fn move_on<H: Host>(&mut self, c: &mut Connection, segment: &Segment, host: &mut H) {
        let Phase::Moving(m) = &c.phase else { return };
        if !m.adopt {
            return;
        }
        if segment.length == 0 && segment.flags & FIN == 0 {
            let (template, to, seq, flags) = (c.template, m.honeypot_mac, segment.seq, segment.flags & (ACK | RST));
            host.send(|out| template.build(out, to, seq, flags, &[]));
        }
        // The first burst may be followed at once by what the client itself sent since.
        if distance(c.stream.next(), m.replayed) as usize <= REPLAY_BURST {
            self.replay(c, host);
        }
        self.give_away(c, host);
    }

    /// When all that XDP gave us has gone to the honeypot, XDP sends the rest itself.
    fn give_away<H: Host>(&mut self, c: &mut Connection, host: &mut H) {
        let Phase::Moving(m) = &mut c.phase else { return };
        if m.given_away || m.replayed != c.stream.next() {
            return;
        }
        let owner = host.owner(c.flow);
        if generation(owner) != c.generation || host::count(owner) != c.seen {
            return;
        }
        host.flush();
        m.given_away = host.compare_exchange_owner(c.flow, owner, owner | flag::DIVERTED);
    }

    /// True when the connection can be forgotten.
    fn on_timer<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) -> bool {
        match c.phase {
            Phase::Judging => {
                if c.suspended {
                    c.suspended = false;
                    if self.suspected(c, now, host) {
                        return false;
                    }
                } else if c.deadline == 0 || now < c.deadline {
                    return false;
                }
                match self.judge(c, now, host) {
                    Judged::Divert(reason, place) => self.divert(c, now, reason, place, host),
                    Judged::Forward(to) => self.forward(c, now, to, host),
                }
                false
            }
            Phase::Waiting(_) => {
                self.hand_over_when_quiet(c, now, host);
                false
            }
            Phase::Moving(_) => self.on_moving_timer(c, now, host),
            Phase::Over => true,
        }
    }

    fn on_moving_timer<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) -> bool {
        self.replay(c, host);
        self.give_away(c, host);
        let owner = host.owner(c.flow);
        let (ack, _) = host.acknowledged(c.flow);
        let same = generation(owner) == c.generation;
        let (template, server, sent) = (c.template, c.server_mac, c.stream.sent());
        let Phase::Moving(m) = &mut c.phase else { return true };
        let since = now.saturating_sub(m.at);
        if !m.server_reset && since >= RESET_DELAY {
            m.server_reset = true;
            host.send(|out| template.build_with(out, server, sent, RST | ACK, &[], &[]));
        }
        if !m.confirmed {
            let answered = same && (ack != m.adopt_ack || owner & flag::PROVED != 0);
            if answered || since >= CONFIRM_MAX || !same {
                m.confirmed = true;
                host.count(if answered { Counter::AdoptionsConfirmed } else { Counter::AdoptionsUnconfirmed }, 1);
                let Phase::Moving(m) = &c.phase else { return true };
                let event = self.diversion(c, m, answered);
                host.event(event);
            } else if usize::from(m.repeats) < REPLAY_REPEAT.len() && since >= REPLAY_REPEAT[usize::from(m.repeats)] {
                // Nothing came back: a part of the replay may have been lost, and the client will not send it again.
                m.repeats += 1;
                m.replayed = m.from;
                m.fin_sent = false;
                self.replay(c, host);
            }
        }
        let Phase::Moving(m) = &mut c.phase else { return true };
        let mut asking = m.probe.is_some() && same && owner & flag::PROVED == 0;
        if asking && usize::from(m.repeats) < REPLAY_REPEAT.len() && since >= REPLAY_REPEAT[usize::from(m.repeats)] {
            m.repeats += 1;
            ask_for_proof(c, host);
        }
        asking &= since < CONFIRM_MAX;
        let Phase::Moving(m) = &c.phase else { return true };
        let stuck = since >= 2 * CONFIRM_MAX;
        if stuck && !m.given_away && same {
            host.or_owner(c.flow, flag::DIVERTED);
        }
        if m.server_reset && m.confirmed && !asking && (m.given_away || stuck) {
            return true;
        }
        self.arm(c, now + if since < 20 * MS { MS } else { 10 * MS });
        false
    }

    fn diversion(&self, c: &Connection, m: &Moving, adopted: bool) -> Event {
        let began = if c.began == 0 { m.verdict.at } else { c.began };
        Event::Diversion {
            flow: self.name(c),
            reason: m.verdict.reason.clone(),
            place: m.verdict.place,
            server: c.facts.server,
            honeypot: (m.honeypot != u16::MAX).then_some(m.honeypot),
            adopted,
            method: if m.adopt { "adopt" } else { "classic" },
            held_us: m.at.saturating_sub(began) / 1000,
            handoff_us: m.at.saturating_sub(m.verdict.at) / 1000,
            request_bytes: c.stream.request().len(),
            request: c.requests,
        }
    }
}

/// Somewhere in the next 2^30 ms of the server's clock, beyond all that it can have said (design.md, section 6).
fn beyond<H: Host>(tsecr: u32, host: &mut H) -> u32 {
    tsecr.wrapping_add(0x1000_0000 + (host.random() & 0x2fff_ffff))
}

/// Where no honeypot takes over, the director itself sends what only the client's own address receives: the last byte of
/// the server's stream once more, as a keep-alive would, with the timestamp that is to be echoed. Every TCP answers it with
/// an acknowledgement (RFC 9293, section 3.8.4), whose echo XDP looks for.
fn ask_for_proof<H: Host>(c: &Connection, host: &mut H) {
    let Phase::Moving(Moving { probe: Some(base), .. }) = c.phase else { return };
    let Some((tsval, _)) = c.template.timestamps else { return };
    let (ack, _) = host.acknowledged(c.flow);
    let mut back = c.template.reversed(c.own_mac);
    back.ack = c.stream.sent();
    back.timestamps = Some((base, tsval));
    let router = c.router_mac;
    host.send(|out| back.build(out, router, ack.wrapping_sub(1), ACK, &[0]));
}

/// What the client echoes of the server's clock. With its first bytes that is the time of the server's SYN+ACK, later that
/// of the last packet, which may be long ago: the youngest is nearest to the truth.
fn note_echo(c: &mut Connection, now: u64, seq: u32) {
    let Some((_, echoed)) = c.template.timestamps else { return };
    let first = seq == c.facts.client_isn.wrapping_add(1);
    let offset = echoed.wrapping_sub((if first { c.facts.created } else { now } / MS) as u32);
    if c.echo.is_none_or(|known| distance(offset, known) > 0) {
        c.echo = Some(offset);
    }
}

/// Nothing of the connection is here any more, and the server's stream is between two requests: XDP may go on alone. If
/// it has counted further packets, they come here and it does not.
fn give_back<H: Host>(c: &mut Connection, host: &H) {
    let free = matches!(c.phase, Phase::Judging)
        && c.stream.idle()
        && !(c.streaming || c.tunnel || c.stays || c.suspended || c.deep.is_some());
    if let Some(ack) = c.completed.filter(|_| free && !c.given_back) {
        c.given_back = true;
        host.give_back(c.flow, c.seen, ack);
    }
}

fn mac(frame: &[u8], at: usize) -> [u8; 6] {
    let mut mac = [0; 6];
    mac.copy_from_slice(&frame[at..at + 6]);
    mac
}

/// Names a connection in events; 53 bits, so that JSON readers keep it whole.
fn flow_id(meta: Meta, facts: &host::Facts) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(facts.created, u64::from(facts.client_isn));
    hasher.write_u64(u64::from(meta.flow) << 16 | u64::from(meta.generation));
    hasher.finish() & ((1 << 53) - 1)
}

fn send_range<H: Host>(
    template: &Template,
    to_mac: [u8; 6],
    stream: &Stream,
    from: u32,
    to: u32,
    fin: bool,
    host: &mut H,
) {
    let bytes = stream.range(from, to);
    let mut seq = from;
    let mut chunks = bytes.chunks(template.room()).peekable();
    if chunks.peek().is_none() && fin {
        host.send(|out| template.build(out, to_mac, seq, ACK | FIN, &[]));
    }
    while let Some(chunk) = chunks.next() {
        let last = chunks.peek().is_none();
        let flags = ACK | if last { PSH | if fin { FIN } else { 0 } } else { 0 };
        host.send(|out| {
            debug_assert!(out.len() >= MAX_FRAME);
            template.build(out, to_mac, seq, flags, chunk)
        });
        seq = seq.wrapping_add(chunk.len() as u32);
    }
}
