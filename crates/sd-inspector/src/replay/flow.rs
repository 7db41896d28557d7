// SPDX-License-Identifier: Apache-2.0
//! What is remembered of one connection in a capture while its rules are asked, and where HTTP begins and ends on it.

use super::decode::Tcp;
use super::stream::Half;
use sd_engine::event::Http;
use sd_rules::{FlowFacts, RuleId, Transaction};
use std::collections::HashSet;
use std::net::IpAddr;

/// Methods that begin a request, whatever the port.
const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"OPTIONS",
    b"DELETE",
    b"CONNECT",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"VERSION-CONTROL",
    b"CHECKOUT",
    b"UNCHECKOUT",
    b"CHECKIN",
    b"UPDATE",
    b"LABEL",
    b"REPORT",
    b"MKWORKSPACE",
    b"MKACTIVITY",
    b"MERGE",
    b"INVALID",
    b"SEARCH",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
];
const METHOD_MAX: usize = 16;

pub type End = (IpAddr, u16);

#[derive(Default)]
pub struct Flow {
    pub id: u64,
    pub client: Option<End>,
    pub server: Option<End>,
    pub begun: u64,
    pub seen: u64,
    pub had: FlowFacts,
    /// A packet of the client, of the server, was there.
    pub met: [bool; 2],
    pub tcp: Session,
    pub requests: Requests,
    /// Nothing more is judged.
    pub over: bool,
}

#[derive(Default)]
pub struct Session {
    pub halves: [Half; 2],
    /// Who has sent SYN/ACK: the connection stands with what comes next, or now when both have.
    pub answered: [bool; 2],
    /// The client's SYN may carry data: the answer to it makes the connection.
    pub fast_open: bool,
    pub established: bool,
    pub chunks: [Chunk; 2],
    pub sent: [u64; 2],
    /// What Suricata's stream_size counts: up to the furthest number, with SYN and FIN.
    pub sizes: [u64; 2],
    /// What the other side has acknowledged last.
    pub acked: [u32; 2],
    /// The time that each side has stamped last on what is next, when its SYN had one.
    pub stamps: [Option<u32>; 2],
    /// The client sends no more, or a side has broken off: what is acknowledged is judged with the next packet.
    pub ends: bool,
}

/// The part of a stream that is not judged yet.
#[derive(Default)]
pub struct Chunk {
    pub tail: Vec<u8>,
    pub bytes: Vec<u8>,
    pub matched: HashSet<RuleId>,
}

#[derive(Default)]
pub struct Requests {
    pub http: Option<bool>,
    pub transaction: Transaction,
    pub data: Vec<u8>,
    pub number: u32,
    /// The body is behind the inspection depth.
    pub deep: bool,
    pub tunnel: bool,
    pub summary: Http,
    /// Completed with the packet at hand.
    pub done: u32,
}

impl Session {
    /// Both sides stamp the time, and this is an older one than the last: its receiver leaves it out (RFC 7323).
    pub fn is_old(&mut self, side: usize, tcp: &Tcp<'_>) -> bool {
        let (Some((stamp, _)), [Some(_), Some(_)]) = (tcp.timestamps, self.stamps) else { return false };
        let old = self.stamps[side].is_some_and(|last| (stamp.wrapping_sub(last) as i32) < 0);
        if !old && self.halves[side].expects(tcp.seq) {
            self.stamps[side] = Some(stamp);
        }
        old
    }
}

impl Requests {
    pub fn next(&mut self) {
        self.transaction.reset();
        self.number += 1;
        self.done += 1;
        self.deep = false;
    }
}

impl Flow {
    pub fn count(&mut self, client: bool, length: usize) {
        self.had.packets[usize::from(!client)] += 1;
        self.had.bytes[usize::from(!client)] += length as u64;
    }

    pub fn memory(&self) -> usize {
        let halves: usize = self.tcp.halves.iter().map(Half::memory).sum();
        let chunks: usize = self.tcp.chunks.iter().map(|chunk| chunk.bytes.len() + chunk.tail.len()).sum();
        halves + chunks + self.requests.data.len() + 1024
    }
}

/// Whether bytes begin an HTTP request; None as long as that is open.
pub fn begins_request(data: &[u8]) -> Option<bool> {
    let start = data.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(data.len());
    let rest = &data[start..];
    let end = rest.iter().take(METHOD_MAX + 1).position(|byte| matches!(byte, b' ' | b'\t'));
    match end {
        Some(end) => Some(METHODS.contains(&&rest[..end])),
        None if rest.len() > METHOD_MAX => Some(false),
        None if METHODS.iter().any(|method| method.starts_with(rest)) => None,
        None => Some(false),
    }
}

/// Whether an answer ends HTTP on the connection: CONNECT was granted, or an upgrade.
pub fn changes_protocol(requests: &Requests, answer: &[u8]) -> bool {
    match answer.get(..10) {
        Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'2']) => requests.summary.method == "CONNECT",
        Some(_) => answer.starts_with(b"HTTP/1.1 101"),
        None => false,
    }
}
