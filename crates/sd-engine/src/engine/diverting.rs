// SPDX-License-Identifier: Apache-2.0
//! The handoff: a connection leaves its server, the honeypot adopts it, and its source proves its address.

use super::forwarding::send_range;
use super::{Core, Method, Suspect, CONFIRM_MAX, MS};
use crate::connection::{Connection, Moving, Phase, Verdict};
use crate::counter::Counter;
use crate::event::{Event, Place, Reason};
use crate::handoff::{adopt_option, Agreed};
use crate::host::{self, flag, generation, Diversion, Host};
use crate::packet::{Segment, ACK, FIN, RST};
use crate::stream::distance;

/// A client whose acknowledgement has stood still this long (and 1.5 round trips) has no more of an answer on its way.
/// Well below 8 ms: then Linux clients would send the held request again (tail loss probe).
const QUIET: u64 = 2 * MS;
/// How much older than true a time of XDP's can be: a tick of the slowest kernel.
const COARSE: u64 = 10 * MS;
const QUIET_MAX: u64 = 300 * MS;
/// How long a server may think before its answer to an earlier request begins, when an attack follows in the pipeline.
const ANSWER_MAX: u64 = 3_000 * MS;
/// Longest download that an attack in its pipeline waits for.
const WAIT_MAX: u64 = 60_000 * MS;
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
/// Bytes of an interim answer to `Expect: 100-continue`; more is an answer.
const ANSWER_TO_EXPECT: i32 = 64;

impl Core {
    /// True while the request has to wait for the proof of its source on another connection (or was handed over).
    pub(super) fn suspected<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) -> bool {
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

    /// An attack: what came before it goes to the server, nothing of it does.
    pub(super) fn divert<H: Host>(
        &mut self,
        c: &mut Connection,
        now: u64,
        reason: Reason,
        place: Option<Place>,
        host: &mut H,
    ) {
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
    pub(super) fn hand_over_when_quiet<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) {
        let Phase::Waiting(verdict) = &mut c.phase else { return };
        let (ack, moved) = host.acknowledged(c.flow);
        let moving = verdict.ack != ack;
        if moving {
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
        let waited = now.saturating_sub(verdict.at);
        if !quiet && waited < WAIT_MAX {
            // Many can wait at once, and anybody can make them: who waits long is looked at less often.
            let step = match waited / MS {
                0..20 => MS,
                20..200 => 5 * MS,
                _ => 20 * MS,
            };
            self.arm(c, now + if moving { QUIET.max(step / 2) } else { step });
            return;
        }
        if distance(ack, c.template.ack) > 0 {
            c.template.ack = ack;
        }
        self.hand_over(c, now, verdict, host);
    }

    pub(super) fn hand_over<H: Host>(&mut self, c: &mut Connection, now: u64, verdict: Verdict, host: &mut H) {
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
            let echo = timestamps.then_some(c.template.timestamps).flatten();
            let probe = echo.filter(|_| !marked && self.may_prove(source)).map(|(_, tsecr)| {
                let proof_base = beyond(tsecr, host);
                host.set_diversion(c.flow, Diversion { honeypot: moving.honeypot, proof_base, sid, at: now });
                host.or_owner(c.flow, flag::PROVE);
                self.suspect(c, source, now, host);
                proof_base
            });
            let unproven = method == Method::Classic || self.config.mark_without_timestamps;
            if echo.is_none() && unproven && !marked {
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
        let proof = timestamps && !marked && self.may_prove(source);
        host.or_owner(c.flow, flag::MOVING | if proof { flag::PROVE } else { 0 });
        let option = adopt_option(&self.config.key, &c.template, moving.from, &agreed);
        let (template, from) = (c.template, moving.from);
        host.send(|out| template.build_with(out, pot.mac, from, ACK, &option, &[]));
        c.phase = Phase::Moving(Moving { adopt: true, ..moving });
        self.replay(c, host);
        if proof {
            self.suspect(c, source, now, host);
        } else if !timestamps && !marked && self.config.mark_without_timestamps {
            host.mark(source, sid);
        }
        self.arm(c, now + MS);
        self.give_away(c, host);
    }

    /// One connection of a source at a time can prove it: who has to guess the echo could else guess on many at once.
    fn may_prove(&self, source: [u8; 4]) -> bool {
        self.suspects.len() < SUSPECT_MAX && !self.suspects.contains_key(&source)
    }

    /// The proof of its address is outstanding: its other connections wait for a moment.
    pub(super) fn suspect<H: Host>(&mut self, c: &Connection, source: [u8; 4], now: u64, host: &H) {
        host.hold_clearing(source, now + SUSPECT_HOLD);
        self.suspects.insert(source, Suspect { flow: c.flow, generation: c.generation, since: now });
    }

    /// Send the honeypot the next piece of what it has not got.
    pub(super) fn replay<H: Host>(&mut self, c: &mut Connection, host: &mut H) {
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
    pub(super) fn move_on<H: Host>(&mut self, c: &mut Connection, segment: &Segment, host: &mut H) {
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
    pub(super) fn give_away<H: Host>(&mut self, c: &mut Connection, host: &mut H) {
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

    pub(super) fn on_moving_timer<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) -> bool {
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

    pub(super) fn diversion(&self, c: &Connection, m: &Moving, adopted: bool) -> Event {
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

/// Somewhere in 2^30 ms of the server's clock, beyond all that it can have said.
pub(super) fn beyond<H: Host>(tsecr: u32, host: &mut H) -> u32 {
    tsecr.wrapping_add(0x1000_0000 + (host.random() & 0x3fff_ffff))
}

/// Where no honeypot takes over, the director itself sends what only the client's own address receives: the last byte of
/// the server's stream once more, as a keep-alive would, with the timestamp that is to be echoed. Every TCP answers it with
/// an acknowledgement (RFC 9293, section 3.8.4), whose echo XDP looks for.
pub(super) fn ask_for_proof<H: Host>(c: &Connection, host: &mut H) {
    let Phase::Moving(Moving { probe: Some(base), .. }) = c.phase else { return };
    let Some((tsval, _)) = c.template.timestamps else { return };
    let (ack, _) = host.acknowledged(c.flow);
    let mut back = c.template.reversed(c.own_mac);
    back.ack = c.stream.sent();
    back.timestamps = Some((base, tsval));
    let router = c.router_mac;
    host.send(|out| back.build(out, router, ack.wrapping_sub(1), ACK, &[0]));
}
