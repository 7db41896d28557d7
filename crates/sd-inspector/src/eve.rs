// SPDX-License-Identifier: Apache-2.0
//! Events as lines of JSON in Suricata's EVE form, written by a thread of their own.
//!
//! The packet threads never wait for it: what does not fit into the queue is counted as lost.

use sd_engine::counter::Counter;
use sd_engine::event::{Event, FlowId, Http, Place, Reason};
use sd_io::shared::{SharedBackends, SharedCounters};
use sd_rules::{Protocol, RuleSet};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{json, Map, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::mpsc::Receiver;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// An event and when it happened.
pub type Stamped = (SystemTime, Event);

/// What the site's machines and services are called, for a reader of events.
pub struct Names {
    /// Of servers and honeypots, by index.
    pub machines: HashMap<u16, String>,
    /// By port.
    pub services: HashMap<u16, Service>,
    /// Where their addresses stand; None: nobody knows (a capture).
    pub backends: Option<Arc<SharedBackends>>,
}

pub struct Service {
    pub name: String,
    pub protocol: Protocol,
}

impl Service {
    pub fn of(rules: &RuleSet) -> Service {
        let service = rules.service();
        Service { name: service.name.clone(), protocol: service.protocol }
    }
}

/// Write events until all senders are gone. A reader that has gone away (supervisor killed) costs the events only.
pub fn write_events(receiver: &Receiver<Stamped>, mut to: File, names: &Names, counters: &Arc<SharedCounters>) {
    let mut line = Vec::new();
    while let Ok((when, event)) = receiver.recv() {
        line.clear();
        write_line(&mut line, &render(when, &event, names));
        line.push(b'\n');
        if to.write_all(&line).is_err() {
            counters.add(Counter::EventsLost as usize, 1);
        }
    }
}

/// Appends an event as text. What requests hold is in it and is read on terminals, so all but printable ASCII is escaped:
/// a terminal takes some other characters, too, for commands, or shows what stands behind them elsewhere.
pub fn write_line(line: &mut Vec<u8>, event: &Value) {
    struct Ascii;
    impl Formatter for Ascii {
        fn write_string_fragment<W: ?Sized + Write>(&mut self, to: &mut W, fragment: &str) -> std::io::Result<()> {
            for letter in fragment.chars() {
                if (' '..='~').contains(&letter) {
                    to.write_all(&[letter as u8])?;
                } else {
                    letter.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(to, "\\u{unit:04x}"))?;
                }
            }
            Ok(())
        }
    }
    event.serialize(&mut Serializer::with_formatter(line, Ascii)).expect("a value of JSON, in memory");
}

/// One event as an EVE object.
pub fn render(when: SystemTime, event: &Event, names: &Names) -> Value {
    match event {
        Event::Alert { flow, signature: rule, place, diverted, would_divert, scored, http, request } => {
            let mut o = head(when, flow, if rule.anomaly.is_some() { "anomaly" } else { "alert" }, names);
            o.insert("tx_id".into(), json!(request));
            if names.services.get(&flow.destination.port).is_none_or(|service| service.protocol == Protocol::Http) {
                o.insert("app_proto".into(), json!("http"));
            }
            o.insert("direction".into(), json!("to_server"));
            match rule.anomaly {
                Some(decoder) => o.insert(
                    "anomaly".into(),
                    json!({
                        "type": "applayer", "event": decoder.event(), "layer": decoder.layer(),
                        "gid": rule.gid, "signature_id": rule.sid, "signature": rule.message,
                    }),
                ),
                None => o.insert(
                    "alert".into(),
                    json!({
                        "action": if *diverted { "blocked" } else { "allowed" },
                        "gid": rule.gid, "signature_id": rule.sid, "rev": rule.rev, "signature": rule.message,
                        "category": rule.category, "severity": rule.priority,
                    }),
                ),
            };
            if !http.method.is_empty() {
                o.insert("http".into(), describe(http));
            }
            o.insert("match".into(), locate(place));
            if *would_divert {
                o.insert("would_divert".into(), json!(true));
            }
            if *scored {
                o.insert("scored".into(), json!(true));
            }
            Value::Object(o)
        }
        Event::Diversion {
            flow,
            reason,
            place,
            server,
            honeypot,
            adopted,
            method,
            held_us,
            handoff_us,
            request_bytes,
            request,
        } => {
            let mut o = head(when, flow, "securedirect", names);
            let mut own = Map::new();
            own.insert("event".into(), json!("diversion"));
            explain(&mut own, reason, place.as_ref());
            own.insert("server".into(), machine(*server, names));
            own.insert("honeypot".into(), honeypot.map_or(Value::Null, |index| machine(index, names)));
            own.insert("adopted".into(), json!(adopted));
            own.insert("method".into(), json!(method));
            own.insert("held_us".into(), json!(held_us));
            own.insert("handoff_us".into(), json!(handoff_us));
            own.insert("request".into(), json!(request));
            own.insert("request_bytes".into(), json!(request_bytes));
            o.insert("securedirect".into(), Value::Object(own));
            Value::Object(o)
        }
        Event::WouldDivert { flow, reason, place, server, request_bytes, request } => {
            let mut o = head(when, flow, "securedirect", names);
            let mut own = Map::new();
            own.insert("event".into(), json!("observed"));
            own.insert("would_divert".into(), json!(true));
            explain(&mut own, reason, place.as_ref());
            own.insert("server".into(), machine(*server, names));
            own.insert("request".into(), json!(request));
            own.insert("request_bytes".into(), json!(request_bytes));
            o.insert("securedirect".into(), Value::Object(own));
            Value::Object(o)
        }
        Event::Reset { flow } => {
            let mut o = head(when, flow, "securedirect", names);
            o.insert(
                "securedirect".into(),
                json!({"event": "connection_reset", "reason": "inspector restarted in the middle of a request"}),
            );
            Value::Object(o)
        }
    }
}

/// Why a connection is handed over, or would be.
fn explain(own: &mut Map<String, Value>, reason: &Reason, place: Option<&Place>) {
    let word = match reason {
        Reason::Rule(_) => "rule",
        Reason::Conflict => "conflicting_retransmission",
        Reason::MarkedSource => "marked_source",
    };
    own.insert("reason".into(), json!(word));
    if let Reason::Rule(rule) = reason {
        own.insert("gid".into(), json!(rule.gid));
        own.insert("sid".into(), json!(rule.sid));
        own.insert("signature".into(), json!(rule.message));
    }
    if let Some(place) = place {
        own.insert("match".into(), locate(place));
    }
}

fn head(when: SystemTime, flow: &FlowId, kind: &str, names: &Names) -> Map<String, Value> {
    let address = |a: [u8; 4]| std::net::Ipv4Addr::from(a).to_string();
    let mut o = Map::new();
    o.insert("timestamp".into(), json!(timestamp(when)));
    o.insert("flow_id".into(), json!(flow.id));
    o.insert("event_type".into(), json!(kind));
    o.insert("src_ip".into(), json!(address(flow.source.address)));
    o.insert("src_port".into(), json!(flow.source.port));
    o.insert("dest_ip".into(), json!(address(flow.destination.address)));
    o.insert("dest_port".into(), json!(flow.destination.port));
    o.insert("proto".into(), json!("TCP"));
    if let Some(service) = names.services.get(&flow.destination.port) {
        o.insert("service".into(), json!(service.name));
    }
    o
}

fn describe(http: &Http) -> Value {
    let mut o = Map::new();
    for (key, value) in [
        ("hostname", &http.host),
        ("url", &http.uri),
        ("http_user_agent", &http.user_agent),
        ("http_method", &http.method),
        ("protocol", &http.protocol),
    ] {
        if !value.is_empty() {
            o.insert(key.into(), json!(value));
        }
    }
    Value::Object(o)
}

fn locate(place: &Place) -> Value {
    json!({"buffer": place.buffer.as_str(), "offset": place.offset, "length": place.length})
}

fn machine(index: u16, names: &Names) -> Value {
    let backend = names.backends.as_ref().and_then(|backends| backends.get(index));
    let address = backend.map(|b| std::net::Ipv4Addr::from(b.address).to_string());
    json!({"name": names.machines.get(&index), "address": address})
}

/// As Suricata writes it: 2026-01-31T12:00:00.000000+0000. The calendar: Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms", civil_from_days.
pub fn timestamp(when: SystemTime) -> String {
    let since = when.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}+0000",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_is_printable_ascii() {
        let event = json!({"url": "/\u{1b}[2J\u{9b}31m\u{202e}\u{7f}\u{e9}\u{1f600}\n\"\\", "n": [1, true, null]});
        let mut line = Vec::new();
        write_line(&mut line, &event);
        assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)), "{}", line.escape_ascii());
        assert_eq!(serde_json::from_slice::<Value>(&line).unwrap(), event);
    }

    #[test]
    fn time_stamps() {
        let at = |s| timestamp(UNIX_EPOCH + Duration::from_secs(s) + Duration::from_micros(42));
        assert_eq!(at(0), "1970-01-01T00:00:00.000042+0000");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.000042+0000");
        assert_eq!(at(951_868_799), "2000-02-29T23:59:59.000042+0000");
        assert_eq!(at(1_795_362_071), "2026-11-22T15:41:11.000042+0000");
    }
}
