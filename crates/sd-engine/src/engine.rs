// SPDX-License-Identifier: Apache-2.0
//! From packets to verdicts: one [`Engine`] for each queue.
//!
//! A connection is taken up in `meeting`, judged in `judging`; what was judged goes on in `forwarding`, or the connection is handed
//! over in `diverting`.

mod diverting;
mod forwarding;
mod judging;
mod meeting;

use crate::connection::{Connection, Phase};
use crate::counter::Counter;
use crate::event::{Endpoint, FlowId, Reason};
use crate::host::{flag, generation, Host, Meta};
use crate::packet::{self, Malformed, Segment, Template, FIN};
use crate::stream::{distance, Refused};
use sd_rules::{Limits, Match, Protocol, RuleSet, RuleState, Scratch};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use forwarding::give_back;
use judging::{note_echo, Judged};
use meeting::mac;

const MS: u64 = 1_000_000;
const CONFIRM_MAX: u64 = 1_000 * MS;
/// A connection without held bytes is forgotten after this; the flow table remembers what matters.
const FORGET_IDLE: u64 = 10_000 * MS;
/// Bits and counts that rules may keep of sources.
pub const RULE_STATE: usize = 65_536;
/// Bytes that a client may send while its attack waits to be handed over, besides what is inspected: more than servers let it.
const WAITING_MOST: usize = 4 << 20;
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
    /// When connections that nothing needs were last looked for.
    swept: u64,
}

pub struct Engine {
    connections: HashMap<u32, Box<Connection>, BuildHasherDefault<IndexHasher>>,
    core: Core,
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
        if !c.template.is_of(frame) {
            // XDP counted it for the flow whose place this was until just then.
            host.count(Counter::DropStaleFlow, 1);
            return Disposition::Consumed;
        }
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
        let held = c.stream.memory() + segment.length;
        let waits = !matches!(c.phase, Phase::Judging);
        if self.memory > self.config.memory && held > 2048 || waits && held > self.config.depth + WAITING_MOST {
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
        if self.rules[c.service].asks_for_segments() {
            c.segment = Some(Box::new(sd_rules::Segment::of(&self.facts(c, frame, segment))));
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
}
