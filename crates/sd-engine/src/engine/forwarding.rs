// SPDX-License-Identifier: Apache-2.0
//! What was judged goes to the server, and a connection with nothing held goes back to XDP.

use super::Core;
use crate::connection::{Connection, Phase};
use crate::counter::Counter;
use crate::host::{flag, generation, Host};
use crate::packet::{Template, ACK, FIN, MAX_FRAME, PSH};
use crate::stream::{distance, Stream};

impl Core {
    /// Say in the flow table what is about to be sent. False: the table's place belongs to another flow by now.
    pub(super) fn advance_word<H: Host>(&mut self, c: &mut Connection, to: u32, host: &mut H) -> bool {
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

    pub(super) fn after_forwarding<H: Host>(&mut self, c: &mut Connection, now: u64, to: u32, host: &mut H) {
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
    pub(super) fn forward<H: Host>(&mut self, c: &mut Connection, now: u64, to: u32, host: &mut H) {
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

    pub(super) fn send_again<H: Host>(&mut self, c: &Connection, from: u32, to: u32, host: &mut H) {
        if c.stream.range(from, to).is_empty() {
            // A keep-alive whose byte is no longer kept: without it, the server answers all the same.
            let (template, server) = (c.template, c.server_mac);
            host.send(|out| template.build(out, server, from, ACK, &[]));
        } else {
            send_range(&c.template, c.server_mac, &c.stream, from, to, false, host);
        }
    }
}

/// Nothing of the connection is here any more, and the server's stream is between two requests: XDP may go on alone. If
/// it has counted further packets, they come here and it does not. Where a rule has set a bit of the connection, others
/// may wait for no more than that, now or after a reload: it stays here.
pub(super) fn give_back<H: Host>(c: &mut Connection, host: &H) {
    let free = matches!(c.phase, Phase::Judging)
        && c.stream.idle()
        && !(c.streaming || c.tunnel || c.stays || c.suspended || c.deep.is_some() || c.transaction.has_bits());
    if let Some(ack) = c.completed.filter(|_| free && !c.given_back) {
        c.given_back = true;
        host.give_back(c.flow, c.seen, ack);
    }
}

pub(super) fn send_range<H: Host>(
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
