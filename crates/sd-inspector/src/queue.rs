// SPDX-License-Identifier: Apache-2.0
//! One NIC queue: frames from AF_XDP into the engine, and out again.

use crate::eve::Stamped;
use crate::reload::Slot;
use crate::travelled;
use sd_engine::counter::Counter;
use sd_engine::event::Event;
use sd_engine::host::{Backend, Diversion, Facts, Host, Meta, OPT_SACK, OPT_TIMESTAMPS, OPT_WSCALE};
use sd_engine::packet::MAX_FRAME;
use sd_engine::{Config, Disposition, Engine};
use sd_io::abi;
use sd_io::clearing::{SharedClearing, Travelled};
use sd_io::shared::{Attackers, SharedBackends, SharedConfig, SharedCounters, SharedFlows};
use sd_io::xsk::Xsk;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::Arc;
use std::time::SystemTime;

/// How long the thread sleeps at most when nothing happens, milliseconds.
const IDLE_MS: u64 = 500;
/// How often the kernel is asked what it lost for this socket, ns.
const STATISTICS_EVERY: u64 = 500_000_000;
/// Longest frame that is looked at; the service's segments are no longer than the MTU.
const FRAME_MAX: usize = 4096;

#[derive(Clone)]
pub struct Shared {
    pub flows: Arc<SharedFlows>,
    pub backends: Arc<SharedBackends>,
    pub config: Arc<SharedConfig>,
    pub counters: Arc<SharedCounters>,
    pub attackers: Arc<Attackers>,
    pub expiry_ns: u64,
    /// By which XDP clears, if it can.
    pub tables: Option<Arc<SharedClearing>>,
    /// Why it did not.
    pub travelled: Option<Arc<Travelled>>,
    /// What rules remember of sources, all queues together.
    pub state: Arc<sd_rules::RuleState>,
}

struct QueueHost<'a> {
    xsk: Xsk,
    shared: &'a Shared,
    events: SyncSender<Stamped>,
    /// When the requests began to arrive that leave with the next flush.
    leaving: Vec<u64>,
}

/// Run until the process ends.
pub fn run(xsk: Xsk, shared: &Shared, config: Config, slot: &Slot, events: SyncSender<Stamped>) {
    let own_mac = config.own_mac;
    let (mut generation, rules) = slot.current();
    let mut engine = Engine::new(config, rules).sharing(shared.state.clone());
    let mut host = QueueHost { xsk, shared, events, leaving: Vec::new() };
    let mut batch = Vec::with_capacity(64);
    let mut copy = [0u8; FRAME_MAX];
    let (mut asked, mut lost) = (0, 0);
    loop {
        host.xsk.reap();
        host.xsk.receive(&mut batch);
        // After the receipt: what came once the new rules were announced is judged by them.
        if slot.generation() != generation {
            let (number, rules) = slot.current();
            generation = number;
            engine.use_rules(rules);
        }
        let now = sd_io::net::now_ns();
        if now - asked >= STATISTICS_EVERY {
            asked = now;
            if let Ok(s) = host.xsk.statistics() {
                let total = s.dropped + s.ring_full;
                host.count(Counter::DropBusy, total - lost);
                lost = total;
            }
        }
        if batch.is_empty() {
            engine.on_tick(now, &mut host);
            Host::flush(&mut host);
            engine.on_flushed(&mut host);
            let wait = engine.next_deadline().map_or(IDLE_MS, |at| at.saturating_sub(now).div_ceil(1_000_000));
            host.xsk.wait(wait.min(IDLE_MS) as i32);
            continue;
        }
        let mut looked = false;
        for mut frame in batch.drain(..) {
            let raw = host.xsk.meta(&frame);
            let Some(meta) = read_meta(&raw) else {
                shared.counters.add(Counter::DropMalformed as usize, 1);
                host.xsk.release(frame);
                continue;
            };
            // A copy, so that the engine can send while it looks at the frame; some 30 ns.
            let bytes = host.xsk.bytes(&frame);
            let length = bytes.len().min(FRAME_MAX);
            copy[..length].copy_from_slice(&bytes[..length]);
            if let (false, true, Some(travelled)) = (looked, judged(&raw), &shared.travelled) {
                looked = true;
                travelled::look(travelled, &slot.known(), &copy[..length], |port| shared.config.service(port));
            }
            match engine.on_packet(now, meta, &copy[..length], &mut host) {
                Disposition::Transmit(length) => {
                    host.xsk.bytes_mut(&frame)[6..12].copy_from_slice(&own_mac);
                    frame.set_len(length);
                    if let Err(frame) = host.xsk.transmit(frame) {
                        shared.counters.add(Counter::DropNoRoom as usize, 1);
                        host.xsk.release(frame);
                    }
                }
                Disposition::Consumed => host.xsk.release(frame),
            }
        }
        engine.on_tick(now, &mut host);
        Host::flush(&mut host);
        engine.on_flushed(&mut host);
    }
}

fn read_meta(raw: &[u8; 16]) -> Option<Meta> {
    let word = |at: usize| u32::from_ne_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
    let half = |at: usize| u16::from_ne_bytes([raw[at], raw[at + 1]]);
    (half(12) == abi::META_MAGIC).then(|| Meta {
        flow: word(0),
        count: word(4),
        generation: half(8),
        marked: half(10) & abi::META_MARKED != 0,
    })
}

/// A request that XDP did not clear for what it is.
fn judged(raw: &[u8; 16]) -> bool {
    u16::from_ne_bytes([raw[10], raw[11]]) & abi::META_JUDGED != 0
}

/// IPv6 form.
fn mapped(address: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0u8; 16];
    bytes[10..12].fill(0xff);
    bytes[12..].copy_from_slice(&address);
    bytes
}

impl Host for QueueHost<'_> {
    fn facts(&self, flow: u32) -> Option<Facts> {
        let f = self.shared.flows.facts(flow)?;
        Some(Facts {
            server: f.server,
            created: f.created,
            client_isn: f.client_isn,
            rtt_us: f.rtt_us,
            mss: f.mss,
            wscale: f.wscale,
            options: f.options,
        })
    }

    fn owner(&self, flow: u32) -> u64 {
        self.shared.flows.owner(flow).unwrap_or(0)
    }

    fn compare_exchange_owner(&self, flow: u32, old: u64, new: u64) -> bool {
        self.shared.flows.compare_exchange_owner(flow, old, new)
    }

    fn or_owner(&self, flow: u32, flags: u64) {
        self.shared.flows.or_owner(flow, flags);
    }

    fn clear_owner(&self, flow: u32, flags: u64) {
        self.shared.flows.and_owner(flow, !flags);
    }

    fn stream(&self, flow: u32) -> u64 {
        self.shared.flows.stream(flow).unwrap_or(0)
    }

    fn compare_exchange_stream(&self, flow: u32, old: u64, new: u64) -> bool {
        self.shared.flows.compare_exchange_stream(flow, old, new)
    }

    fn acknowledged(&self, flow: u32) -> (u32, u64) {
        (self.shared.flows.last_ack(flow).unwrap_or(0), self.shared.flows.ack_time(flow).unwrap_or(0))
    }

    fn first_ack(&self, flow: u32) -> u32 {
        self.shared.flows.first_ack(flow).unwrap_or(0)
    }

    fn seal(&self, flow: u32) -> (u64, u32) {
        self.shared.flows.seal(flow).unwrap_or((0, 0))
    }

    fn sealed(&self, request: &[u8]) -> u64 {
        self.shared.tables.as_ref().map_or(0, |tables| tables.seal(request))
    }

    fn give_back(&self, flow: u32, count: u32, ack: u32) {
        self.shared.flows.give_back(flow, count, ack);
    }

    fn hold_clearing(&self, source: [u8; 4], until: u64) {
        if let Some(tables) = &self.shared.tables {
            tables.hold(source, until);
        }
    }

    fn last_seen(&self, flow: u32) -> u64 {
        self.shared.flows.last_seen(flow).unwrap_or(0)
    }

    fn set_diversion(&self, flow: u32, d: Diversion) {
        let flows = &self.shared.flows;
        flows.set_honeypot(flow, d.honeypot);
        flows.set_proof_base(flow, d.proof_base);
        flows.set_attack_sid(flow, d.sid);
        flows.set_diverted_at(flow, d.at);
    }

    fn backend(&self, index: u16) -> Option<Backend> {
        let b = self.shared.backends.get(index)?;
        if b.flags & abi::BACKEND_RESOLVED == 0 {
            return None;
        }
        let has = |flag: u16, option: u8| if b.flags & flag != 0 { option } else { 0 };
        Some(Backend {
            mac: b.mac,
            address: b.address,
            adopt: b.flags & abi::BACKEND_ADOPT != 0,
            options: has(abi::BACKEND_SACK, OPT_SACK)
                | has(abi::BACKEND_TIMESTAMPS, OPT_TIMESTAMPS)
                | has(abi::BACKEND_WSCALE, OPT_WSCALE),
            wscale: b.wscale.unwrap_or(0),
        })
    }

    fn honeypot_for(&self, service: usize, source: [u8; 4]) -> Option<u16> {
        self.shared.config.honeypot_for(service, source)
    }

    fn send(&mut self, build: impl FnOnce(&mut [u8]) -> usize) {
        if let Some(mut frame) = self.xsk.alloc() {
            let length = build(&mut self.xsk.bytes_mut(&frame)[..MAX_FRAME]);
            frame.set_len(length);
            match self.xsk.transmit(frame) {
                Ok(()) => return,
                Err(frame) => self.xsk.release(frame),
            }
        }
        self.count(Counter::DropNoRoom, 1);
    }

    fn flush(&mut self) {
        if self.xsk.flush().is_err() {
            self.count(Counter::SendErrors, 1);
        }
        if !self.leaving.is_empty() {
            let now = sd_io::net::now_ns();
            for since in std::mem::take(&mut self.leaving) {
                self.count(sd_engine::counter::held(now.saturating_sub(since)), 1);
            }
        }
    }

    fn listed(&self, flow: u32) -> Option<u32> {
        self.shared.flows.attack_sid(flow)
    }

    fn held(&mut self, since: u64) {
        self.leaving.push(since);
    }

    fn marked(&self, source: [u8; 4]) -> bool {
        let mark = self.shared.attackers.get(mapped(source));
        matches!(mark, Ok(Some(m)) if m.expires > sd_io::net::now_ns())
    }

    fn mark(&mut self, source: [u8; 4], sid: u32) {
        let now = sd_io::net::now_ns();
        if self.shared.attackers.mark(mapped(source), now, self.shared.expiry_ns, sid).is_err() {
            self.count(Counter::MarksRefused, 1);
        }
    }

    fn event(&mut self, event: Event) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.events.try_send((SystemTime::now(), event))
        {
            self.count(Counter::EventsLost, 1);
        }
    }

    fn count(&self, which: Counter, n: u64) {
        self.shared.counters.add(which as usize, n);
    }

    fn random(&mut self) -> u32 {
        // The honeypot shows these to whoever attacks: earlier ones must not tell later ones.
        sd_io::net::random_word().expect("the kernel has random bytes") as u32
    }
}
