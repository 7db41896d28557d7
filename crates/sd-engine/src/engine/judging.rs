// SPDX-License-Identifier: Apache-2.0
//! From bytes to a verdict: what is in order is judged, matches are reported, and one of them or the score decides.

use super::{Core, MS};
use crate::connection::Connection;
use crate::counter::Counter;
use crate::event::{Event, Http, Place, Reason, Signature};
use crate::host::Host;
use crate::packet::{self, Segment};
use crate::stream::distance;
use sd_rules::score::{self, Echo};
use sd_rules::{Action, PacketFacts, Step};
use std::sync::Arc;

/// In a tunnel, this much is kept for rules whose parts lie apart (Transaction::forget).
const TUNNEL_KEPT: usize = 4096;

pub(super) enum Judged {
    /// All before this sequence number may go to the server.
    Forward(u32),
    Divert(Reason, Option<Place>),
}

impl Core {
    pub(super) fn judge_segment<H: Host>(
        &mut self,
        c: &mut Connection,
        frame: &[u8],
        segment: &Segment,
        host: &mut H,
    ) -> Judged {
        let facts = self.facts(c, frame, segment);
        self.matches.clear();
        c.transaction.judge_packet(&self.rules[c.service], &mut self.scratch, &facts, &mut self.matches);
        self.report(c, Http::default(), host)
    }

    /// What rules may ask of a segment.
    pub(super) fn facts<'a>(&self, c: &Connection, frame: &'a [u8], segment: &Segment) -> PacketFacts<'a> {
        let header = &frame[packet::ETH..segment.payload];
        PacketFacts {
            payload: &frame[segment.payload..segment.payload + segment.length],
            flags: segment.flags,
            seq: segment.seq,
            ack: segment.ack,
            window: u16::from_be_bytes([header[packet::IP + 14], header[packet::IP + 15]]),
            src_port: c.template.client_port(),
            dst_port: self.config.services[c.service].port,
            ip: &header[..packet::IP],
            tcp: &header[packet::IP..],
            ..PacketFacts::default()
        }
    }

    /// Raise an alert for each match; the first that diverts decides, or the score that the others make.
    pub(super) fn report<H: Host>(&mut self, c: &mut Connection, http: Http, host: &mut H) -> Judged {
        let rules = &self.rules[c.service];
        let mut decided = None;
        let mut reached = None;
        for m in &self.matches {
            let rule = rules.rule(m.rule);
            let signature = Arc::new(Signature::of(rule));
            let place = Place { buffer: m.buffer, offset: m.offset, length: m.len };
            let attack = m.action == Action::Divert && !c.allowed;
            if attack && decided.is_none() {
                decided = Some((Reason::Rule(signature.clone()), place));
            }
            let scored = m.action == Action::Score;
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
                anomaly: None,
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
    pub(super) fn alert<H: Host>(
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
        host.count(if signature.anomaly.is_some() { Counter::AnomaliesFound } else { Counter::AlertsRaised }, 1);
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
    pub(super) fn scores(&self, c: &mut Connection, rule: (u32, u32)) -> bool {
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
    pub(super) fn diverts<H: Host>(
        &self,
        c: &mut Connection,
        reason: &Reason,
        place: Option<Place>,
        host: &mut H,
    ) -> bool {
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
    pub(super) fn judge<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) -> Judged {
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
            self.know(c);
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
                    if extra > TUNNEL_KEPT && !c.transaction.awaits_headers() {
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

    /// What rules may ask of the connection.
    fn know(&mut self, c: &Connection) {
        let limits = &mut self.limits[c.service];
        limits.src_port = c.template.client_port();
        limits.segment = c.segment.as_deref().copied();
        limits.sent.0 = u64::from(c.stream.next().wrapping_sub(c.first_byte()));
    }

    /// Nothing more comes: what waited for the end.
    pub(super) fn judge_end<H: Host>(&mut self, c: &mut Connection, host: &mut H) -> Judged {
        self.matches.clear();
        self.know(c);
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

    pub(super) fn request_done<H: Host>(&mut self, c: &mut Connection, end: u32, host: &mut H) {
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
}

/// What the client echoes of the server's clock. With its first bytes that is the time of the server's SYN+ACK, later that
/// of the last packet, which may be long ago: the youngest is nearest to the truth.
pub(super) fn note_echo(c: &mut Connection, now: u64, seq: u32) {
    let Some((_, echoed)) = c.template.timestamps else { return };
    let first = seq == c.facts.client_isn.wrapping_add(1);
    let offset = echoed.wrapping_sub((if first { c.facts.created } else { now } / MS) as u32);
    if c.echo.is_none_or(|known| distance(offset, known) > 0) {
        c.echo = Some(offset);
    }
}
