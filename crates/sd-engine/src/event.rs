// SPDX-License-Identifier: Apache-2.0
//! What the engine reports; the inspector writes it as EVE JSON.

use sd_rules::{Action, Buffer, Decoder, RequestSummary, RuleMeta};
use std::sync::Arc;

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

impl Http {
    /// What an event says of a request; the longest URIs are cut.
    pub fn of(request: &RequestSummary<'_>) -> Http {
        fn text(bytes: &[u8]) -> String {
            String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).into_owned()
        }
        Http {
            method: text(request.method),
            uri: text(request.uri),
            host: text(request.host),
            protocol: text(request.protocol),
            user_agent: text(request.user_agent),
        }
    }
}

/// What an event says of a rule. Events and verdicts outlive the rule set that they come from, so they own it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub gid: u32,
    pub sid: u32,
    pub rev: u32,
    pub message: String,
    pub category: String,
    pub priority: u8,
    /// What a built-in rule tells of that is only odd: no alert, Suricata's word for it is anomaly. One that diverts or
    /// scores is a rule like others.
    pub anomaly: Option<Decoder>,
}

impl Signature {
    pub fn of(rule: &RuleMeta) -> Signature {
        Signature {
            gid: rule.gid,
            sid: rule.sid,
            rev: rule.rev,
            message: rule.msg.clone(),
            category: rule.category.clone(),
            priority: rule.priority,
            anomaly: rule.decoder.filter(|_| rule.action == Action::Alert),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub buffer: Buffer,
    pub offset: u32,
    pub length: u32,
}

/// Why a connection was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    Rule(Arc<Signature>),
    /// Different bytes for the same sequence numbers.
    Conflict,
    /// Its source was found to be an attacker on another connection.
    MarkedSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Alert {
        flow: FlowId,
        signature: Arc<Signature>,
        place: Place,
        diverted: bool,
        /// It is only observed: otherwise this would have diverted.
        would_divert: bool,
        /// Its rule's action is to score.
        scored: bool,
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
    /// What would have been a diversion if this were not only observed.
    WouldDivert { flow: FlowId, reason: Reason, place: Option<Place>, server: u16, request_bytes: usize, request: u32 },
    /// A flow caught in the middle of a request when the inspector was restarted.
    Reset { flow: FlowId },
}
