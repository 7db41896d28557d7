// SPDX-License-Identifier: Apache-2.0
//! The inspector: opens its sockets and shared maps, gives up every privilege, and judges until it is ended.
//!
//! All hostile bytes are handled behind the sandbox. When this process stops, for whatever reason, the kernel has nobody
//! to give payload to and drops it: it fails closed.
#![forbid(unsafe_code)]

pub mod clearing;
pub mod eve;
mod queue;
mod reload;
pub mod replay;
pub mod travelled;

use sd_engine::counter::Counter;
use sd_engine::{Config as EngineConfig, Method, Service as EngineService};
use sd_io::clearing::{SharedClearing, Travelled};
use sd_io::shared::{Attackers, SharedBackends, SharedConfig, SharedCounters, SharedFlows};
use sd_io::xsk::Xsk;
use sd_rules::RuleSet;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier};

/// Events that may wait for the writer.
const EVENT_QUEUE: usize = 8192;
/// Frames of each queue's memory, for receiving and sending.
const FRAMES: u32 = 8192;
const MAX_QUEUES: u32 = 64;

/// What the supervisor passes; python/securedirect/daemon/inspector.py.
#[derive(Debug, Deserialize)]
pub struct Config {
    pub interface: String,
    /// In the order of the kernel's table and of the rule documents.
    pub services: Vec<Service>,
    /// Hexadecimal.
    pub director_mac: String,
    pub hold_bytes: usize,
    pub hold_ms: u64,
    pub depth: usize,
    /// Of no use when all services are "classic".
    pub adopt_key: String,
    /// Seconds.
    pub attacker_expiry: f64,
    /// So many different rules of action "score" divert their source, within so many seconds; 0: never.
    pub score_sids: usize,
    pub score_window: f64,
    /// "connection" or "source".
    pub without_timestamps: String,
    /// Numeric identity to become.
    pub uid: u32,
    pub gid: u32,
    /// What the machines are called, by index (a number as text).
    #[serde(default)]
    pub names: HashMap<u16, String>,
    /// Bytes that held requests and histories may take, all connections of a queue together.
    #[serde(default = "default_memory")]
    pub memory: usize,
}

/// A port of the virtual address.
#[derive(Debug, Deserialize)]
pub struct Service {
    pub name: String,
    pub port: u16,
    /// "adopt" or "classic".
    pub method: String,
    /// Report attacks, divert nothing.
    #[serde(default)]
    pub observe: bool,
}

fn default_memory() -> usize {
    256 << 20
}

impl Service {
    fn of_engine(&self) -> EngineService {
        let method = if self.method == "classic" { Method::Classic } else { Method::Adopt };
        EngineService { port: self.port, method, observe: self.observe }
    }
}

/// Why the inspector could not start; the text is for the administrator.
pub type Failure = String;

fn bytes<const N: usize>(hex: &str, what: &str) -> Result<[u8; N], Failure> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let mut out = [0u8; N];
    if digits.len() != 2 * N {
        return Err(format!("{what} is not {N} bytes in hexadecimal"));
    }
    for (i, pair) in digits.chunks(2).enumerate() {
        let text = std::str::from_utf8(pair).map_err(|e| e.to_string())?;
        out[i] = u8::from_str_radix(text, 16).map_err(|e| e.to_string())?;
    }
    Ok(out)
}

/// Be the inspector. Returns only with a failure to start, or when all queues have ended.
///
/// `maps`: descriptors of the director's maps by name. `events`: where lines of JSON go. `control`: a stream socket over
/// which new rules come (reload.rs).
pub fn run(
    config: &[u8],
    rules: &[u8],
    maps: &HashMap<String, OwnedFd>,
    events: OwnedFd,
    control: Option<OwnedFd>,
) -> Result<(), Failure> {
    let began = std::time::Instant::now();
    let config: Config = serde_json::from_slice(config).map_err(|e| format!("configuration of the inspector: {e}"))?;
    let (rules, _left_out) = RuleSet::collection(rules, &[]).map_err(|e| format!("rules: {e}"))?;
    let ports: Vec<u16> = config.services.iter().map(|service| service.port).collect();
    reload::fits(&rules, &ports).map_err(|e| format!("rules: {e}"))?;
    let count: usize = rules.iter().map(|rules| rules.len()).sum();
    let slot = Arc::new(reload::Slot::new(rules));
    let map = |name: &str| maps.get(name).map(AsFd::as_fd).ok_or_else(|| format!("the map {name:?} was not passed"));
    let text = |e: sd_io::Error| e.to_string();

    // Two maps that are missing where the kernel cannot clear.
    let tables = match (maps.get("clearing"), maps.get("automata")) {
        (Some(control), Some(automata)) => {
            Some(Arc::new(SharedClearing::open(control.as_fd(), automata.as_fd()).map_err(text)?))
        }
        _ => None,
    };
    let cleared = tables.as_ref().map(|tables| {
        let built = clearing::build(&slot.current().1, &slot.known());
        clearing::install(tables, &slot, built)
    });
    let shared = queue::Shared {
        flows: Arc::new(SharedFlows::open(map("flows")?).map_err(text)?),
        backends: Arc::new(SharedBackends::open(map("backends")?).map_err(text)?),
        config: Arc::new(SharedConfig::open(map("config")?).map_err(text)?),
        counters: Arc::new(SharedCounters::open(map("inspected")?).map_err(text)?),
        attackers: Arc::new(Attackers::open(map("attackers")?).map_err(text)?),
        expiry_ns: (config.attacker_expiry * 1e9) as u64,
        tables: tables.clone(),
        travelled: match maps.get("clearing") {
            Some(control) if tables.is_some() => Some(Arc::new(Travelled::open(control.as_fd()).map_err(text)?)),
            _ => None,
        },
        state: Arc::new(sd_rules::RuleState::new(sd_engine::RULE_STATE)),
    };
    let engine = EngineConfig {
        hold_bytes: config.hold_bytes,
        hold_ns: config.hold_ms * 1_000_000,
        depth: config.depth,
        services: config.services.iter().map(Service::of_engine).collect(),
        own_mac: bytes(&config.director_mac, "director_mac")?,
        key: bytes(&config.adopt_key, "adopt_key")?,
        mark_without_timestamps: config.without_timestamps == "source",
        score_sids: config.score_sids,
        score_ms: (config.score_window * 1e3) as u64,
        memory: config.memory,
    };

    let ifindex = sd_io::net::interface_index(&config.interface).map_err(text)?;
    let mut sockets = Vec::new();
    for number in 0..MAX_QUEUES {
        match Xsk::open(ifindex, number, FRAMES) {
            Ok(socket) => {
                socket.register(map("xsks")?, number).map_err(text)?;
                sockets.push(socket);
            }
            // One behind the last queue.
            Err(e) if number > 0 && e.errno() == Some(22) => break,
            Err(e) => return Err(text(e)),
        }
    }

    let mut out: File = events.into();
    let mut started = serde_json::json!({"timestamp": eve::timestamp(std::time::SystemTime::now()),
        "event_type": "securedirect", "securedirect": {"event": "inspector_started", "pid": std::process::id(),
        "queues": sockets.len(), "rules": count, "clearing": cleared, "ms": began.elapsed().as_millis() as u64}});

    let (sender, receiver) = sync_channel(EVENT_QUEUE);
    // The sandbox takes in all threads that there are, and lets none be made: none looks at a packet before.
    let sandboxed = Arc::new(Barrier::new(sockets.len() + 2));
    let mut threads = Vec::new();
    for socket in sockets {
        let (shared, engine, slot, sender) = (shared.clone(), engine.clone(), slot.clone(), sender.clone());
        let sandboxed = sandboxed.clone();
        threads.push(std::thread::spawn(move || {
            sandboxed.wait();
            all_or_nothing(|| queue::run(socket, &shared, engine, &slot, sender));
        }));
    }
    drop(sender);
    // Requests are judged meanwhile; one that needs an expression that is not built yet builds it.
    let (first, barrier) = (slot.clone(), sandboxed.clone());
    std::thread::spawn(move || {
        barrier.wait();
        all_or_nothing(|| {
            first.current().1.iter().for_each(|rules| rules.warm());
            if let Some(control) = control {
                reload::serve(control.into(), &first, tables.as_deref());
            }
        });
    });
    let left_out = sd_io::sandbox::enter(config.uid, config.gid).map_err(text)?;
    sandboxed.wait();
    started["securedirect"]["sandbox_left_out"] = left_out.into();
    // Nobody may be listening (supervisor killed); judging matters more.
    if writeln!(out, "{started}").is_err() {
        shared.counters.add(Counter::EventsLost as usize, 1);
    }
    let (_, rules) = slot.current();
    let services = config.services.iter().zip(&rules);
    let names = eve::Names {
        machines: config.names,
        services: services.map(|(service, rules)| (service.port, eve::Service::of(rules))).collect(),
        backends: Some(shared.backends.clone()),
    };
    eve::write_events(&receiver, out, &names, &shared.counters);
    for thread in threads {
        let _ = thread.join();
    }
    Err("all packet threads have ended".into())
}

/// A thread's work. Should it panic, the whole process ends, and is started anew: without one thread, what comes on its queue
/// would be dropped for as long as the others live.
fn all_or_nothing(work: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    fn a_thread_does_not_panic_alone() {
        const INSIDE: &str = "SECUREDIRECT_TEST_INSIDE";
        if std::env::var_os(INSIDE).is_some() {
            let _ = std::thread::spawn(|| super::all_or_nothing(|| panic!("as the test wants it"))).join();
            std::process::exit(0);
        }
        let mut again = Command::new(std::env::current_exe().unwrap());
        let done = again.args(["--exact", "tests::a_thread_does_not_panic_alone"]).env(INSIDE, "1").output().unwrap();
        assert_eq!(done.status.code(), None, "it ended by itself");
    }
}
