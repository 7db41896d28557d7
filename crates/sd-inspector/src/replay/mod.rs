// SPDX-License-Identifier: Apache-2.0
//! What would be said of the traffic in a capture file, with time as the capture has it.
//!
//! Two look at it. The engine meets every connection as if the director had, with a honeypot that takes everything over:
//! it says what would have been diverted. [`judge`] says which rules match, in both directions and to the end, also what
//! came after a diversion. Memory is bounded: records, flows and ports are, and the capture is read once from its beginning
//! to its end.

mod decode;
mod flow;
mod judge;
mod pcap;
mod stream;

use crate::eve::{self, Names};
use decode::{Fragments, Packet, Tcp};
use judge::{Alert, Judge};
use pcap::{Format, Next};
use sd_engine::counter::{Counter, NAMES};
use sd_engine::event::{Endpoint, Event, FlowId, Place, Signature};
use sd_engine::host::{self, flag, Backend, Diversion, Facts, Host, Meta};
use sd_engine::packet::{Template, ACK, FIN, RST, SYN};
use sd_engine::{Config, Engine, Method, Service};
use sd_rules::{Action, RuleSet};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const MS: u64 = 1_000_000;
const FLOWS_MAX: usize = 65_536;
const PORTS_MAX: usize = 1024;
/// A connection without a packet for so long is over.
const IDLE: u64 = 240_000 * MS;
/// How often engines look for connections to forget when nothing else is due.
const SWEEP_EVERY: u64 = 1_000 * MS;
/// What goes on after the last packet: a handoff is confirmed or given up within it.
const AFTER: u64 = 10_000 * MS;
/// With this, synthetic addresses begin (240.0.0.0/4 is reserved): the engine's events have IPv4 addresses only.
const SYNTHETIC: u32 = 0xf000_0000;
const METHODS: &[&[u8]] =
    &[b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"DELETE ", b"CONNECT ", b"TRACE ", b"PATCH ", b"PROPFIND "];
const SERVER: u16 = 0;
const HONEYPOT: u16 = 1;

#[derive(Clone, Debug, Deserialize)]
pub struct Options {
    /// Only connections to these ports; none: every connection, whose client is who sent the SYN, or else an HTTP request.
    pub ports: Vec<u16>,
    /// Ports where requests are expected, whatever their first bytes look like.
    #[serde(default)]
    pub http_ports: Vec<u16>,
    /// Judge segments with wrong checksums, whoever sent them.
    pub ignore_checksums: bool,
    /// Divert nothing, so that everything is judged.
    pub observe: bool,
    pub hold_bytes: usize,
    pub hold_ms: u64,
    pub depth: usize,
    /// So many different rules that score divert a source, within so many seconds; 0: never.
    pub score_sids: usize,
    pub score_seconds: u64,
}

/// What the capture had. `skipped`: packets that were not judged, by reason.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    pub packets: u64,
    pub flows: u64,
    /// Connections whose beginning is not in the capture.
    pub midstream: u64,
    pub skipped: BTreeMap<&'static str, u64>,
    /// The engine's counters that are not zero.
    pub counters: BTreeMap<&'static str, u64>,
    /// The file ends in the middle of a record.
    pub cut_short: bool,
}

/// Gets each event; false: enough.
pub type Emit<'a> = dyn FnMut(&Value) -> bool + 'a;

/// Who sends TCP segments of which most (of those with payload, if there are any) have wrong checksums: captures made on
/// the sending host have them unfinished, while an attacker's chaff is the smaller part of what he sends.
pub fn unfinished_checksums(mut capture: impl Read) -> Result<HashSet<IpAddr>, String> {
    let mut format = Format::read(&mut capture)?;
    let mut record = Vec::new();
    let mut sources: HashMap<IpAddr, [(u64, u64); 2]> = HashMap::new();
    while let Next::Record(_, link) = format.next(&mut capture, &mut record)? {
        let Some(Ok(packet)) = decode::network(link, &record).map(decode::packet) else { continue };
        let Ok((tcp, wrong)) = decode::tcp(&packet) else { continue };
        if sources.len() >= FLOWS_MAX && !sources.contains_key(&packet.source) {
            continue;
        }
        let count = &mut sources.entry(packet.source).or_default()[usize::from(tcp.payload.is_empty())];
        count.0 += u64::from(wrong);
        count.1 += 1;
    }
    let most = |[data, empty]: &[(u64, u64); 2]| {
        let (wrong, all) = if data.1 > 0 { data } else { empty };
        wrong * 2 > *all
    };
    Ok(sources.into_iter().filter(|(_, counts)| most(counts)).map(|(source, _)| source).collect())
}

/// The two rule sets of a replay: the director's, and the one for captures.
#[derive(Clone)]
pub struct Rules {
    pub live: Arc<RuleSet>,
    pub capture: Arc<RuleSet>,
}

/// Judge a capture. `forgiven`: of [`unfinished_checksums`].
pub fn replay(
    mut capture: impl Read,
    rules: Rules,
    options: &Options,
    forgiven: HashSet<IpAddr>,
    emit: &mut Emit<'_>,
) -> Result<Summary, String> {
    let mut format = Format::read(&mut capture)?;
    let mut replay = Replay::new(rules, options, forgiven);
    let mut record = Vec::new();
    let mut going = true;
    while going {
        match format.next(&mut capture, &mut record)? {
            Next::Record(at, link) => replay.packet(at, link, &record),
            Next::End => break,
            Next::Cut => {
                replay.summary.cut_short = true;
                break;
            }
        }
        going = replay.tell(emit);
    }
    if going {
        replay.judge.finish();
        going = replay.tell(emit);
    }
    if going {
        replay.end();
        replay.tell(emit);
    }
    Ok(replay.summarise())
}

/// Client and service.
type Key = ((IpAddr, u16), (IpAddr, u16));

struct Flow {
    key: Key,
    template: Template,
    facts: Option<Facts>,
    offered: u8,
    /// Before the first byte.
    isn: u32,
    /// Behind the client's furthest byte.
    end: u32,
    owner: Cell<u64>,
    stream: Cell<u64>,
    ack: (u32, u64),
    seen: u64,
}

/// The world as the engine sees it: the flow table, two machines, and ears for events.
struct Site {
    flows: HashMap<u32, Flow>,
    events: Vec<(u64, Event)>,
    counters: RefCell<Vec<u64>>,
    now: u64,
}

struct Replay<'a> {
    options: &'a Options,
    rules: Rules,
    forgiven: HashSet<IpAddr>,
    fragments: Fragments,
    judge: Judge,
    alerts: u64,
    anomalies: u64,
    engines: BTreeMap<u16, Engine>,
    keys: HashMap<Key, u32>,
    synthetic: HashMap<IpAddr, u32>,
    addresses: Vec<IpAddr>,
    site: Site,
    number: u32,
    swept: u64,
    names: Names,
    frame: Vec<u8>,
    summary: Summary,
}

impl Replay<'_> {
    fn new(rules: Rules, options: &Options, forgiven: HashSet<IpAddr>) -> Replay<'_> {
        let names = HashMap::from([(SERVER, "server".to_owned()), (HONEYPOT, "honeypot".to_owned())]);
        let services = options.ports.iter().map(|port| (*port, eve::Service::of(&rules.live))).collect();
        Replay {
            options,
            judge: Judge::new(rules.capture.clone(), options),
            rules,
            forgiven,
            fragments: Fragments::default(),
            alerts: 0,
            anomalies: 0,
            engines: BTreeMap::new(),
            keys: HashMap::new(),
            synthetic: HashMap::new(),
            addresses: Vec::new(),
            site: Site {
                flows: HashMap::new(),
                events: Vec::new(),
                counters: RefCell::new(vec![0; NAMES.len()]),
                now: 0,
            },
            number: 0,
            swept: 0,
            names: Names { machines: names, services, backends: None },
            frame: vec![0; 14 + 65_535],
            summary: Summary::default(),
        }
    }

    fn skip(&mut self, why: &'static str) {
        *self.summary.skipped.entry(why).or_default() += 1;
    }

    fn packet(&mut self, at: u64, link: u32, record: &[u8]) {
        self.summary.packets += 1;
        self.pass_time(at);
        self.judge.at(self.summary.packets, at, record.len());
        match decode::network(link, record) {
            Some(ip) => self.ip(ip, 0),
            None => self.skip("not_ip"),
        }
    }

    fn ip(&mut self, ip: &[u8], depth: usize) {
        let packet = match decode::packet(ip) {
            Ok(packet) => packet,
            Err(why) => return self.skip(why),
        };
        match decode::tcp(&packet) {
            Ok((_, true)) if !self.options.ignore_checksums && !self.forgiven.contains(&packet.source) => {
                self.skip("bad_checksum");
            }
            Ok((tcp, _)) => {
                let wanted = |port: u16| self.options.ports.is_empty() || self.is_service(port);
                if wanted(tcp.source.1) || wanted(tcp.destination.1) {
                    self.judge.segment(&packet, &tcp);
                }
                self.segment(&tcp);
            }
            Err(why) => self.other(&packet, depth, why),
        }
    }

    /// What is no TCP segment by itself.
    fn other(&mut self, packet: &Packet<'_>, depth: usize, why: &'static str) {
        if self.options.ports.is_empty() {
            self.judge.packet(packet);
        }
        if packet.fragment {
            match self.fragments.add(packet) {
                Some(whole) if depth < 8 => self.ip(&whole, depth + 1),
                _ => {}
            }
        } else if let Some(inner) = decode::inner(packet, depth) {
            self.ip(inner, depth + 1);
        } else {
            self.skip(why);
        }
    }

    /// Let everything happen that is due before `to`. Stamps that go back stand still.
    fn pass_time(&mut self, to: u64) {
        while let Some((at, port)) =
            self.engines.iter().filter_map(|(port, e)| e.next_deadline().map(|at| (at, *port))).min()
        {
            if at > to {
                break;
            }
            self.site.now = self.site.now.max(at);
            if let Some(engine) = self.engines.get_mut(&port) {
                engine.on_tick(self.site.now, &mut self.site);
                engine.on_flushed(&mut self.site);
            }
        }
        self.site.now = self.site.now.max(to);
        if self.site.now >= self.swept + SWEEP_EVERY {
            self.swept = self.site.now;
            for engine in self.engines.values_mut() {
                engine.on_tick(self.site.now, &mut self.site);
            }
        }
    }

    fn is_service(&self, port: u16) -> bool {
        self.options.ports.contains(&port)
    }

    fn segment(&mut self, tcp: &Tcp<'_>) {
        let forth = (tcp.source, tcp.destination);
        let back = (tcp.destination, tcp.source);
        let begins = tcp.flags & (SYN | ACK | RST) == SYN;
        if self.keys.contains_key(&back) && !begins {
            return self.skip("from_server");
        }
        let known = self.keys.get(&forth).copied();
        let flow = match known {
            Some(flow) if !begins || self.site.flows[&flow].isn == tcp.seq => flow,
            Some(flow) => {
                self.finish(flow);
                self.open(forth, tcp)
            }
            None => {
                let client = if self.options.ports.is_empty() {
                    begins || METHODS.iter().any(|method| tcp.payload.starts_with(method))
                } else {
                    self.is_service(tcp.destination.1) && (!self.is_service(tcp.source.1) || begins)
                };
                if !client {
                    let answer = !self.options.ports.is_empty() && self.is_service(tcp.source.1);
                    return self.skip(if answer { "from_server" } else { "not_service" });
                }
                if tcp.flags & RST != 0 || (!begins && tcp.payload.is_empty()) {
                    return self.skip("unknown_connection");
                }
                self.open(forth, tcp)
            }
        };
        self.give(flow, tcp);
    }

    fn open(&mut self, key: Key, tcp: &Tcp<'_>) -> u32 {
        if self.site.flows.len() >= FLOWS_MAX {
            self.make_room();
        }
        let begins = tcp.flags & SYN != 0;
        let data = tcp.seq.wrapping_add(u32::from(begins));
        self.number += 1;
        self.summary.flows += 1;
        self.summary.midstream += u64::from(!begins);
        let template = Template::between((self.short(key.0 .0), key.0 .1), (self.short(key.1 .0), key.1 .1));
        let flow = Flow {
            key,
            template,
            facts: None,
            offered: if begins { tcp.offered } else { 0 },
            isn: data.wrapping_sub(1),
            end: data,
            owner: Cell::new(1 << 16),
            stream: Cell::new(u64::from(data) << 32 | u64::from(data)),
            ack: (tcp.ack, self.site.now),
            seen: self.site.now,
        };
        self.site.flows.insert(self.number, flow);
        self.keys.insert(key, self.number);
        self.number
    }

    /// An IPv4 address that stands for this one.
    fn short(&mut self, address: IpAddr) -> [u8; 4] {
        if let IpAddr::V4(v4) = address {
            if u32::from(v4) < SYNTHETIC {
                return v4.octets();
            }
        }
        let next = self.addresses.len() as u32;
        let number = *self.synthetic.entry(address).or_insert(next);
        if number == next {
            self.addresses.push(address);
        }
        (SYNTHETIC | (number & !SYNTHETIC)).to_be_bytes()
    }

    /// End the connections that are idle, and at least an eighth.
    fn make_room(&mut self) {
        let mut ages: Vec<(u64, u32)> = self.site.flows.iter().map(|(number, f)| (f.seen, *number)).collect();
        ages.sort_unstable();
        let now = self.site.now;
        for (i, (seen, flow)) in ages.iter().enumerate() {
            if i >= FLOWS_MAX / 8 && now.saturating_sub(*seen) < IDLE {
                break;
            }
            self.finish(*flow);
        }
    }

    fn give(&mut self, flow: u32, tcp: &Tcp<'_>) {
        let now = self.site.now;
        let Some(f) = self.site.flows.get_mut(&flow) else { return };
        f.seen = now;
        if tcp.flags & ACK != 0 && tcp.ack.wrapping_sub(f.ack.0) as i32 > 0 {
            f.ack = (tcp.ack, now);
        }
        if tcp.flags & RST != 0 {
            return self.finish(flow);
        }
        let owner = f.owner.get();
        if owner & (flag::DIVERTED | flag::SILENT) != 0 {
            return self.skip(if owner & flag::DIVERTED != 0 { "diverted" } else { "silenced" });
        }
        if tcp.payload.is_empty() && tcp.flags & FIN == 0 {
            return;
        }
        // Data on a SYN (TCP Fast Open) would be dropped and come again; here it does not.
        let seq = tcp.seq.wrapping_add(u32::from(tcp.flags & SYN != 0));
        f.template.ack = tcp.ack;
        f.template.timestamps = tcp.timestamps;
        let end = seq.wrapping_add(tcp.payload.len() as u32);
        if end.wrapping_sub(f.end) as i32 > 0 {
            f.end = end;
        }
        self.judge(flow, seq, tcp.flags & !SYN | ACK, tcp.payload);
    }

    /// Hand a segment to the port's engine.
    fn judge(&mut self, flow: u32, seq: u32, flags: u8, payload: &[u8]) {
        let Some(f) = self.site.flows.get_mut(&flow) else { return };
        let port = f.key.1 .1;
        if !self.engines.contains_key(&port) {
            if self.engines.len() >= PORTS_MAX {
                return self.skip("too_many_ports");
            }
            self.engines.insert(port, Engine::new(config(self.options, port), vec![self.rules.live.clone()]));
        }
        let timestamps = f.template.timestamps.map_or(0, |_| host::OPT_TIMESTAMPS);
        f.facts.get_or_insert(Facts {
            server: SERVER,
            created: f.ack.1,
            client_isn: f.isn,
            rtt_us: 1000,
            mss: 1460,
            wscale: 7,
            options: f.offered & !host::OPT_TIMESTAMPS | timestamps,
        });
        f.owner.set(f.owner.get().wrapping_add(1 << 32));
        let owner = f.owner.get();
        let option;
        let options: &[u8] = match f.template.timestamps {
            Some((value, echo)) => {
                let mut bytes = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
                bytes[4..8].copy_from_slice(&value.to_be_bytes());
                bytes[8..].copy_from_slice(&echo.to_be_bytes());
                option = bytes;
                &option
            }
            None => &[],
        };
        if 40 + options.len() + payload.len() > 65_535 {
            return self.skip("malformed");
        }
        let length = f.template.build_with(&mut self.frame, [2, 0, 0, 0, 0, 1], seq, flags, options, payload);
        let meta = Meta { flow, count: host::count(owner), generation: host::generation(owner), marked: false };
        if let Some(engine) = self.engines.get_mut(&port) {
            engine.on_packet(self.site.now, meta, &self.frame[..length], &mut self.site);
            engine.on_flushed(&mut self.site);
        }
    }

    /// The connection is over: what waited for its end is judged.
    fn finish(&mut self, flow: u32) {
        let Some(f) = self.site.flows.get(&flow) else { return };
        let (key, end, owner) = (f.key, f.end, f.owner.get());
        if owner & (flag::DIVERTED | flag::SILENT | flag::CLOSED) == 0 && f.facts.is_some() {
            self.judge(flow, end, ACK | FIN, &[]);
        }
        if self.keys.get(&key) == Some(&flow) {
            self.keys.remove(&key);
        }
        // The flow itself stays until its handoff has been told; see `tell`.
        if let Some(f) = self.site.flows.get(&flow) {
            f.owner.set(f.owner.get() | flag::CLOSED);
        }
    }

    fn end(&mut self) {
        let mut open: Vec<u32> = self.keys.values().copied().collect();
        open.sort_unstable();
        for flow in open {
            self.finish(flow);
        }
        self.pass_time(self.site.now + AFTER);
    }

    /// Pass on what has been said; false when nobody listens any more.
    fn tell(&mut self, emit: &mut Emit<'_>) -> bool {
        for alert in std::mem::take(&mut self.judge.alerts) {
            let odd = Signature::of(self.rules.capture.rule(alert.rule)).anomaly.is_some();
            *(if odd { &mut self.anomalies } else { &mut self.alerts }) += 1;
            if !emit(&self.alert(alert)) {
                return false;
            }
        }
        for (at, event) in std::mem::take(&mut self.site.events) {
            if matches!(event, Event::Alert { .. }) {
                continue; // the judge tells them
            }
            let mut value = eve::render(UNIX_EPOCH + Duration::from_nanos(at), &event, &self.names);
            self.name_addresses(&mut value);
            if !emit(&value) {
                return false;
            }
        }
        if self.site.flows.len() > self.keys.len() + FLOWS_MAX {
            let now = self.site.now;
            self.site.flows.retain(|_, f| f.owner.get() & flag::CLOSED == 0 || now.saturating_sub(f.seen) < AFTER);
        }
        true
    }

    fn alert(&self, alert: Alert) -> Value {
        let rule = self.rules.capture.rule(alert.rule);
        let attack = alert.found.action == Action::Divert;
        let end = |port| Endpoint { address: [0; 4], port };
        let event = Event::Alert {
            flow: FlowId { id: alert.flow, source: end(alert.source.1), destination: end(alert.destination.1) },
            signature: Arc::new(Signature::of(rule)),
            place: Place { buffer: alert.found.buffer, offset: alert.found.offset, length: alert.found.len },
            diverted: attack && !self.options.observe,
            would_divert: attack && self.options.observe,
            scored: alert.found.action == Action::Score,
            http: alert.http.clone().unwrap_or_default(),
            request: alert.request,
        };
        let mut value = eve::render(UNIX_EPOCH + Duration::from_nanos(self.site.now), &event, &self.names);
        value["src_ip"] = json!(alert.source.0.to_string());
        value["dest_ip"] = json!(alert.destination.0.to_string());
        if alert.protocol != 6 {
            value["proto"] = match alert.protocol {
                1 => json!("ICMP"),
                17 => json!("UDP"),
                58 => json!("IPv6-ICMP"),
                number => json!(number.to_string()),
            };
        }
        if let Some(object) = value.as_object_mut() {
            match alert.client {
                Some(client) => {
                    object.insert("direction".into(), json!(if client { "to_server" } else { "to_client" }))
                }
                None => object.remove("direction"),
            };
            if alert.packet > 0 {
                object.insert("pcap_cnt".into(), json!(alert.packet));
            }
            if alert.http.is_none() {
                object.remove("app_proto");
                object.remove("tx_id");
            }
        }
        value
    }

    /// Give events the addresses that the capture has, and the number of the connection.
    fn name_addresses(&self, event: &mut Value) {
        for key in ["src_ip", "dest_ip"] {
            let Some(short) = event[key].as_str().and_then(|text| text.parse::<Ipv4Addr>().ok()) else { continue };
            if u32::from(short) >= SYNTHETIC {
                if let Some(address) = self.addresses.get((u32::from(short) & !SYNTHETIC) as usize) {
                    event[key] = json!(address.to_string());
                }
            }
        }
        let end = |address: &str, port: &str| {
            let address = event[address].as_str()?.parse::<IpAddr>().ok()?;
            Some((address, u16::try_from(event[port].as_u64()?).ok()?))
        };
        let ends = end("src_ip", "src_port").zip(end("dest_ip", "dest_port"));
        if let Some(id) = ends.and_then(|(source, destination)| self.judge.flow_of(6, source, destination)) {
            event["flow_id"] = json!(id);
        }
    }

    fn summarise(mut self) -> Summary {
        for (name, count) in NAMES.iter().zip(self.site.counters.take()) {
            if count > 0 {
                self.summary.counters.insert(name, count);
            }
        }
        self.summary.counters.insert(NAMES[Counter::AlertsRaised as usize], self.alerts);
        self.summary.counters.insert(NAMES[Counter::AnomaliesFound as usize], self.anomalies);
        self.summary
    }
}

fn config(options: &Options, port: u16) -> Config {
    Config {
        hold_bytes: options.hold_bytes,
        hold_ns: options.hold_ms * MS,
        depth: options.depth,
        services: vec![Service { port, method: Method::Adopt, observe: options.observe }],
        own_mac: [2, 0, 0, 0, 0, 2],
        key: [0; 16],
        mark_without_timestamps: false,
        score_sids: options.score_sids,
        score_ms: options.score_seconds * 1000,
        memory: 256 << 20,
    }
}

impl Host for Site {
    fn facts(&self, flow: u32) -> Option<Facts> {
        self.flows.get(&flow)?.facts
    }
    fn owner(&self, flow: u32) -> u64 {
        self.flows.get(&flow).map_or(0, |f| f.owner.get())
    }
    fn compare_exchange_owner(&self, flow: u32, old: u64, new: u64) -> bool {
        self.flows.get(&flow).is_some_and(|f| f.owner.get() == old && f.owner.replace(new) == old)
    }
    fn or_owner(&self, flow: u32, flags: u64) {
        if let Some(f) = self.flows.get(&flow) {
            f.owner.set(f.owner.get() | flags);
        }
    }
    fn clear_owner(&self, flow: u32, flags: u64) {
        if let Some(f) = self.flows.get(&flow) {
            f.owner.set(f.owner.get() & !flags);
        }
    }
    fn stream(&self, flow: u32) -> u64 {
        self.flows.get(&flow).map_or(0, |f| f.stream.get())
    }
    fn compare_exchange_stream(&self, flow: u32, old: u64, new: u64) -> bool {
        self.flows.get(&flow).is_some_and(|f| f.stream.get() == old && f.stream.replace(new) == old)
    }
    fn acknowledged(&self, flow: u32) -> (u32, u64) {
        self.flows.get(&flow).map_or((0, 0), |f| f.ack)
    }
    fn first_ack(&self, _flow: u32) -> u32 {
        0
    }

    fn set_diversion(&self, _flow: u32, _diversion: Diversion) {}
    fn backend(&self, index: u16) -> Option<Backend> {
        let mac = [2, 0, 0, 0, 1, index as u8];
        Some(Backend { mac, address: [0; 4], adopt: true, options: 7, wscale: 7 })
    }
    fn honeypot_for(&self, _service: usize, _source: [u8; 4]) -> Option<u16> {
        Some(HONEYPOT)
    }
    fn send(&mut self, _build: impl FnOnce(&mut [u8]) -> usize) {}
    fn flush(&mut self) {}
    fn mark(&mut self, _source: [u8; 4], _sid: u32) {}
    fn marked(&self, _source: [u8; 4]) -> bool {
        false
    }
    fn event(&mut self, event: Event) {
        self.events.push((self.now, event));
    }
    fn count(&self, which: Counter, n: u64) {
        self.counters.borrow_mut()[which as usize] += n;
    }
    fn random(&mut self) -> u32 {
        7
    }
}

#[cfg(test)]
mod tests;
