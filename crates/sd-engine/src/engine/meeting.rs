// SPDX-License-Identifier: Apache-2.0
//! How a connection is taken up: a new one, one that a predecessor knew, one that XDP served meanwhile.

use super::Core;
use crate::connection::{Connection, Phase};
use crate::counter::Counter;
use crate::event::{Event, Http, Place, Signature};
use crate::host::{self, flag, Host, Meta};
use crate::packet::{Segment, Template, ACK, RST};
use crate::stream::{distance, Stream};
use sd_rules::{Buffer, Transaction};
use std::hash::Hasher;
use std::sync::Arc;

impl Core {
    /// A connection that this process has not seen: new, or known to a predecessor.
    pub(super) fn meet<H: Host>(
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
            segment: None,
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
    pub(super) fn report_listed<H: Host>(&self, c: &Connection, host: &mut H) {
        let Some(rule) = host.listed(c.flow).and_then(|sid| self.rules[c.service].listed(sid)) else { return };
        let place = Place { buffer: Buffer::Raw, offset: 0, length: 0 };
        self.alert(c, Arc::new(Signature::of(rule)), place, false, false, Http::default(), host);
    }

    /// XDP has forwarded requests since this connection was given back.
    pub(super) fn follow_kernel<H: Host>(&mut self, c: &mut Connection, now: u64, host: &mut H) {
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
    pub(super) fn unseal<H: Host>(&mut self, c: &mut Connection, seq: u32, payload: &[u8], host: &H) -> bool {
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
    pub(super) fn reset_both<H: Host>(&mut self, c: &mut Connection, next: u32, host: &mut H) {
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
}

pub(super) fn mac(frame: &[u8], at: usize) -> [u8; 6] {
    let mut mac = [0; 6];
    mac.copy_from_slice(&frame[at..at + 6]);
    mac
}

/// Names a connection in events; 53 bits, so that JSON readers keep it whole.
pub(super) fn flow_id(meta: Meta, facts: &host::Facts) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(facts.created, u64::from(facts.client_isn));
    hasher.write_u64(u64::from(meta.flow) << 16 | u64::from(meta.generation));
    hasher.finish() & ((1 << 53) - 1)
}
