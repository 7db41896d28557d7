// SPDX-License-Identifier: Apache-2.0
//! What the engine needs from outside: the shared flow table, the machines, a way to send, a place for events.
//!
//! The engine does no I/O and reads no clock; the inspector implements this over AF_XDP and shared maps, tests over memory.

use crate::counter::Counter;
use crate::event::Event;

/// Flags of a flow's owner word; bpf/sd_consts.h.
pub mod flag {
    pub const CLOSED: u64 = 0x0002;
    pub const DIVERTED: u64 = 0x0004;
    pub const MOVING: u64 = 0x0008;
    pub const PROVE: u64 = 0x0010;
    pub const PROVED: u64 = 0x0020;
    pub const SILENT: u64 = 0x0040;
    pub const MIDSTREAM: u64 = 0x0080;
    pub const ALLOWED: u64 = 0x0100;
    pub const LISTED: u64 = 0x0200;
}

pub const OPT_SACK: u8 = 1;
pub const OPT_TIMESTAMPS: u8 = 2;
pub const OPT_WSCALE: u8 = 4;

/// The part of an owner word that names the connection in this place of the table.
pub fn generation(owner: u64) -> u16 {
    (owner >> 16) as u16
}

/// How many packets XDP has given to the inspector.
pub fn count(owner: u64) -> u32 {
    (owner >> 32) as u32
}

/// What the director wrote in front of a packet (struct sd_meta).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    pub flow: u32,
    pub count: u32,
    pub generation: u16,
    /// The source is marked as an attacker.
    pub marked: bool,
}

/// What does not change while a flow lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub server: u16,
    /// ns, CLOCK_MONOTONIC.
    pub created: u64,
    pub client_isn: u32,
    pub rtt_us: u32,
    pub mss: u16,
    /// 0xff: not offered.
    pub wscale: u8,
    /// OPT_*: what the client's SYN offered.
    pub options: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    pub mac: [u8; 6],
    pub address: [u8; 4],
    /// It has an adopter.
    pub adopt: bool,
    /// OPT_*: what it negotiates.
    pub options: u8,
    pub wscale: u8,
}

/// Written into the flow when it is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diversion {
    pub honeypot: u16,
    pub proof_base: u32,
    pub sid: u32,
    pub at: u64,
}

pub trait Host {
    fn facts(&self, flow: u32) -> Option<Facts>;
    fn owner(&self, flow: u32) -> u64;
    fn compare_exchange_owner(&self, flow: u32, old: u64, new: u64) -> bool;
    fn or_owner(&self, flow: u32, flags: u64);
    fn clear_owner(&self, flow: u32, flags: u64);
    /// [next:32][pending:32]
    fn stream(&self, flow: u32) -> u64;
    fn compare_exchange_stream(&self, flow: u32, old: u64, new: u64) -> bool;
    /// The client's newest acknowledgement and when it moved.
    fn acknowledged(&self, flow: u32) -> (u32, u64);
    /// Its acknowledgement in the handshake.
    fn first_ack(&self, flow: u32) -> u32;

    // Where XDP clears requests; nowhere else is anything to be done.

    /// What XDP itself forwarded last: [hash:48][length:16], and the client's acknowledgement with it; 0 when it was us.
    fn seal(&self, _flow: u32) -> (u64, u32) {
        (0, 0)
    }
    /// The hash of a request as XDP makes it, in its form.
    fn sealed(&self, _request: &[u8]) -> u64 {
        0
    }
    /// XDP may clear requests of this flow as long as it has not counted more packets than this.
    fn give_back(&self, _flow: u32, _count: u32, _ack: u32) {}
    /// XDP clears nothing of this source before this time.
    fn hold_clearing(&self, _source: [u8; 4], _until: u64) {}
    /// When the client's last packet came.
    fn last_seen(&self, _flow: u32) -> u64 {
        0
    }

    fn set_diversion(&self, flow: u32, diversion: Diversion);

    fn backend(&self, index: u16) -> Option<Backend>;
    /// The honeypot for this source among those of the service that are up.
    fn honeypot_for(&self, service: usize, source: [u8; 4]) -> Option<u16>;

    /// Send a frame that `build` writes into a buffer of at least [`crate::packet::MAX_FRAME`] bytes, returning its length.
    fn send(&mut self, build: impl FnOnce(&mut [u8]) -> usize);
    /// Returns when everything sent so far has left, so that what XDP sends from now on comes after it.
    fn flush(&mut self);
    /// Mark a source for its expiry time without proof (classic handoff, or configured so).
    fn mark(&mut self, source: [u8; 4], sid: u32);
    /// The source is marked now; a system call.
    fn marked(&self, source: [u8; 4]) -> bool;
    fn event(&mut self, event: Event);
    /// The sid of the list that the flow's source is on, where its flag says that it is on one.
    fn listed(&self, _flow: u32) -> Option<u32> {
        None
    }
    /// A request that began to arrive at `since` has been sent: for who wants to know how long they are held.
    fn held(&mut self, _since: u64) {}
    fn count(&self, which: Counter, n: u64);
    /// A number that nobody can guess who knows all earlier ones.
    fn random(&mut self) -> u32;
}
