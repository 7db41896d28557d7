// SPDX-License-Identifier: Apache-2.0
//! What the inspector knows of one connection. Dropped when idle: all that must survive is in the flow table.

use crate::event::{Place, Reason};
use crate::host::{Facts, Host};
use crate::packet::Template;
use crate::stream::Stream;
use sd_rules::Transaction;

#[derive(Debug)]
pub enum Phase {
    /// Requests are judged and forwarded to the server.
    Judging,
    /// An attack was found; earlier answers may still be on their way to the client.
    Waiting(Verdict),
    /// The honeypot has been given the connection; the last packets that XDP sent here follow in order.
    Moving(Moving),
    /// Nothing more is forwarded.
    Over,
}

#[derive(Clone, Debug)]
pub struct Verdict {
    pub reason: Reason,
    pub place: Option<Place>,
    pub at: u64,
    /// The client's acknowledgement as it was last looked at, and since when it has been that.
    pub ack: u32,
    pub ack_since: u64,
}

#[derive(Debug)]
pub struct Moving {
    pub verdict: Verdict,
    /// False: the paper's way, nothing is replayed.
    pub adopt: bool,
    pub honeypot: u16,
    pub honeypot_mac: [u8; 6],
    /// First byte that the honeypot gets, and how far the replay is.
    pub from: u32,
    pub replayed: u32,
    pub fin_sent: bool,
    pub adopt_ack: u32,
    pub at: u64,
    pub repeats: u8,
    pub server_reset: bool,
    /// The timestamp that the client is asked to echo, where nobody adopts the connection.
    pub probe: Option<u32>,
    pub given_away: bool,
    pub confirmed: bool,
}

pub struct Connection {
    pub flow: u32,
    pub generation: u16,
    pub id: u64,
    /// Its index.
    pub service: usize,
    pub facts: Facts,
    pub template: Template,
    pub server_mac: [u8; 6],
    pub router_mac: [u8; 6],
    pub own_mac: [u8; 6],
    pub stream: Stream,
    pub transaction: Transaction,
    pub phase: Phase,
    /// The flow's stream word as it was last written.
    pub word: u64,
    /// A part of the current request has been forwarded: what follows passes as soon as it is judged.
    pub streaming: bool,
    /// Where the body stopped being inspected, if it did: framing is followed from here.
    pub deep: Option<u32>,
    pub tunnel: bool,
    /// What was forwarded last does not end where judging could begin anew.
    pub midway: bool,
    pub allowed: bool,
    /// Packets that XDP gave us, by its own count.
    pub seen: u32,
    /// 0 = none; else when held bytes must go, or a suspended request goes on.
    pub deadline: u64,
    pub suspended: bool,
    pub began: u64,
    pub last_seen: u64,
    pub requests: u32,
    /// The client's acknowledgement when the current request's first part was forwarded.
    pub answered_before: Option<u32>,
    /// The client's acknowledgement when a request was last forwarded, and when that was.
    pub forwarded: Option<(u32, u64)>,
    /// The client's acknowledgement when the last request was complete.
    pub completed: Option<u32>,
    /// Never given back to XDP: requests came before the answer to the one before, of which XDP remembers only one, or
    /// another protocol may follow.
    pub stays: bool,
    /// The request that ends where the stream begins was forwarded by XDP.
    pub sealed: Option<u64>,
    /// XDP may clear its requests.
    pub given_back: bool,
    pub memory: usize,
    /// The server's clock that the client echoes, against ours, in milliseconds: with the least delay seen.
    pub echo: Option<u32>,
    /// The number of the last request that has scored, from 1.
    pub scored: u32,
    /// Observing: what the current request did has been said.
    pub observed: bool,
    /// The last segment in order, where rules ask for it.
    pub segment: Option<Box<sd_rules::Segment>>,
}

impl Connection {
    /// Sequence number of the client's first byte.
    pub fn first_byte(&self) -> u32 {
        self.facts.client_isn.wrapping_add(1)
    }

    /// The last request was forwarded by XDP, if it was: its answer may still be on its way.
    pub fn remember_seal<H: Host>(&mut self, now: u64, host: &H) {
        let (seal, ack) = host.seal(self.flow);
        self.sealed = None;
        if seal == 0 {
            return;
        }
        self.sealed = Some(seal);
        self.forwarded = Some((ack, now));
        self.completed = Some(ack);
    }
}
