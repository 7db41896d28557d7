// SPDX-License-Identifier: Apache-2.0
//! What the engine reports; the inspector writes it as EVE JSON.

use sd_rules::{Buffer, RuleId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: [u8; 4],
    pub port: u16,
}

/// The connection an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowId {
    pub id: u64,
    pub source: Endpoint,
    pub destination: Endpoint,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    pub method: String,
    pub uri: String,
    pub host: String,
    pub protocol: String,
    pub user_agent: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub rule: RuleId,
    pub buffer: Buffer,
    pub offset: u32,
    pub length: u32,
}

/// Why a connection was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Rule(RuleId),
    /// Different bytes for the same sequence numbers.
    Conflict,
    /// Its source was found to be an attacker on another connection.
    MarkedSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Alert {
        flow: FlowId,
        place: Place,
        diverted: bool,
        http: Http,
        request: u32,
    },
    Diversion {
        flow: FlowId,
        reason: Reason,
        place: Option<Place>,
        server: u16,
        honeypot: Option<u16>,
        /// The honeypot answered on the same connection. False: classic handoff, or no sign of it.
        adopted: bool,
        method: &'static str,
        /// From the request's first byte to the handoff, and the part of it after the verdict, in microseconds.
        held_us: u64,
        handoff_us: u64,
        request_bytes: usize,
        request: u32,
    },
    /// A flow caught in the middle of a request when the inspector was restarted.
    Reset {
        flow: FlowId,
    },
}
