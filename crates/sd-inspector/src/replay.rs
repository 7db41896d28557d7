// SPDX-License-Identifier: Apache-2.0
//! The engine over a capture: what it would have said of the traffic in a pcap file, with time as the capture has it.
//!
//! Every connection is judged as if the director had met it, with a honeypot that takes everything over. Memory is bounded:
//! records, flows and ports are, and the capture is read once from its beginning to its end.

use crate::eve::{self, Names};
use sd_engine::counter::{Counter, NAMES};
use sd_engine::event::Event;
use sd_engine::host::{self, flag, Backend, Diversion, Facts, Host, Meta};
use sd_engine::packet::{Template, ACK, FIN, RST, SYN};
use sd_engine::{Config, Engine, Method, Service};
use sd_rules::RuleSet;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const MS: u64 = 1_000_000;
const RECORD_MAX: usize = 256 * 1024;
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
    /// Ports of the service; none: every connection, whose client is who sent the SYN, or else an HTTP request.
    pub ports: Vec<u16>,
    /// Judge segments with wrong checksums, too: captures made on the sender have them unfinished.
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

/// Judge a capture.
pub fn replay(
    mut capture: impl Read,
    rules: Arc<RuleSet>,
    options: &Options,
    emit: &mut Emit<'_>,
) -> Result<Summary, String> {
    let format = Format::read(&mut capture)?;
    let mut replay = Replay::new(rules, options);
    let mut record = Vec::new();
    let mut going = true;
    while going {
        match format.next(&mut capture, &mut record)? {
            Next::Record(at) => replay.packet(at, format.link, &record),
            Next::End => break,
            Next::Cut => {
                replay.summary.cut_short = true;
                break;
            }
        }
        going = replay.tell(emit);
    }
    if going {
        replay.end();
        replay.tell(emit);
    }
    Ok(replay.summarise())
}

/// The head of the file.
struct Format {
    big: bool,
    /// Nanoseconds of one unit of the stamps' fraction.
    fraction: u64,
    link: u32,
}

enum Next {
    /// When, in ns since the epoch.
    Record(u64),
    End,
    Cut,
}

impl Format {
    fn read(capture: &mut impl Read) -> Result<Format, String> {
        let mut head = [0u8; 24];
        if fill(capture, &mut head)? < head.len() {
            return Err("this is no pcap file: it is too short".into());
        }
        let (big, fraction) = match head[..4] {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1000),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                return Err("this is a pcapng file; turn it into pcap: tcpdump -r FILE -w FILE.pcap".into())
            }
            _ => return Err("this is no pcap file".into()),
        };
        let format = Format { big, fraction, link: 0 };
        // The upper bits tell of a frame check sequence.
        let link = format.word(&head, 20) & 0xffff;
        match link {
            0 | 1 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276 => Ok(Format { link, ..format }),
            _ => Err(format!("link type {link} is not known (Ethernet, raw IP, Linux cooked and loopback are)")),
        }
    }

    fn word(&self, bytes: &[u8], at: usize) -> u32 {
        let word = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        }
    }

    fn next(&self, capture: &mut impl Read, record: &mut Vec<u8>) -> Result<Next, String> {
        let mut head = [0u8; 16];
        match fill(capture, &mut head)? {
            0 => return Ok(Next::End),
            16 => {}
            _ => return Ok(Next::Cut),
        }
        let length = self.word(&head, 8) as usize;
        if length > RECORD_MAX {
            return Err(format!("a record of {length} bytes: the file is damaged"));
        }
        record.resize(length, 0);
        if fill(capture, record)? < length {
            return Ok(Next::Cut);
        }
        let fraction = u64::from(self.word(&head, 4)) * self.fraction;
        Ok(Next::Record(u64::from(self.word(&head, 0)) * 1_000_000_000 + fraction))
    }
}

/// Like read_exact, but says how much there was.
fn fill(capture: &mut impl Read, buffer: &mut [u8]) -> Result<usize, String> {
    let mut done = 0;
    while done < buffer.len() {
        match capture.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("cannot read the capture: {e}")),
        }
    }
    Ok(done)
}

/// A TCP segment of a record.
struct Tcp<'a> {
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    seq: u32,
    ack: u32,
    flags: u8,
    timestamps: Option<(u32, u32)>,
    /// Window scale, SACK permitted and so on: host::OPT_*.
    offered: u8,
    payload: &'a [u8],
}

fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// The network layer's bytes of a record.
fn network(link: u32, record: &[u8]) -> Option<&[u8]> {
    let mut at = match link {
        1 => 12,
        113 => 14,
        276 => 0,
        0 | 108 => return record.get(4..),
        _ => return Some(record),
    };
    let header = match link {
        113 => 16,
        276 => 20,
        _ => 14,
    };
    let mut rest = record.get(header..)?;
    for _ in 0..4 {
        match be16(record.get(at..at + 2)?, 0) {
            0x0800 | 0x86dd => return Some(rest),
            0x8100 | 0x88a8 | 0x9100 => {
                at = record.len() - rest.len() + 2;
                rest = rest.get(4..)?;
            }
            _ => return None,
        }
    }
    None
}

fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The TCP segment in a network layer's bytes, or why there is none.
fn tcp(ip: &[u8], ignore_checksums: bool) -> Result<Tcp<'_>, &'static str> {
    let (source, destination, segment, addresses) = match ip.first().map_or(0, |b| b >> 4) {
        4 => ipv4(ip, ignore_checksums)?,
        6 => ipv6(ip)?,
        _ => return Err("not_ip"),
    };
    if segment.len() < 20 {
        return Err("truncated");
    }
    let header = usize::from(segment[12] >> 4) * 4;
    if header < 20 || header > segment.len() {
        return Err("malformed");
    }
    if !ignore_checksums {
        let length = (segment.len() as u32).to_be_bytes();
        if checksum(&[addresses, &length, &[0, 6], segment]) != 0xffff {
            return Err("bad_checksum");
        }
    }
    let mut parsed = Tcp {
        source: (source, be16(segment, 0)),
        destination: (destination, be16(segment, 2)),
        seq: be32(segment, 4),
        ack: be32(segment, 8),
        flags: segment[13],
        timestamps: None,
        offered: 0,
        payload: &segment[header..],
    };
    let mut options = &segment[20..header];
    while let [kind, after @ ..] = options {
        match kind {
            0 => break,
            1 => options = after,
            _ => {
                let size = usize::from(*after.first().unwrap_or(&0));
                if size < 2 || size > options.len() {
                    break;
                }
                match (kind, size) {
                    (8, 10) => {
                        parsed.timestamps = Some((be32(options, 2), be32(options, 6)));
                        parsed.offered |= host::OPT_TIMESTAMPS;
                    }
                    (3, 3) => parsed.offered |= host::OPT_WSCALE,
                    (4, 2) => parsed.offered |= host::OPT_SACK,
                    _ => {}
                }
                options = &options[size..];
            }
        }
    }
    Ok(parsed)
}

type Layer<'a> = (IpAddr, IpAddr, &'a [u8], &'a [u8]);

fn ipv4(ip: &[u8], ignore_checksums: bool) -> Result<Layer<'_>, &'static str> {
    if ip.len() < 20 {
        return Err("truncated");
    }
    let header = usize::from(ip[0] & 15) * 4;
    // 0: a segment that the sender's card was to cut.
    let total = match usize::from(be16(ip, 2)) {
        0 => ip.len(),
        total => total,
    };
    if header < 20 || total < header {
        return Err("malformed");
    }
    if ip[9] != 6 {
        return Err("not_tcp");
    }
    if be16(ip, 6) & 0x3fff != 0 {
        return Err("fragment");
    }
    if total > ip.len() {
        return Err("truncated");
    }
    if !ignore_checksums && checksum(&[&ip[..header]]) != 0xffff {
        return Err("bad_checksum");
    }
    let address = |at: usize| IpAddr::V4(Ipv4Addr::from(be32(ip, at)));
    Ok((address(12), address(16), &ip[header..total], &ip[12..20]))
}

fn ipv6(ip: &[u8]) -> Result<Layer<'_>, &'static str> {
    if ip.len() < 40 {
        return Err("truncated");
    }
    let total = 40 + usize::from(be16(ip, 4));
    if total > ip.len() {
        return Err("truncated");
    }
    let (mut next, mut at) = (ip[6], 40);
    for _ in 0..8 {
        match next {
            6 => {
                let address = |at: usize| {
                    let mut bytes = [0u8; 16];
                    bytes.copy_from_slice(&ip[at..at + 16]);
                    IpAddr::V6(Ipv6Addr::from(bytes))
                };
                return Ok((address(8), address(24), &ip[at..total], &ip[8..40]));
            }
            0 | 43 | 60 if at + 8 <= total => {
                next = ip[at];
                at += 8 + usize::from(ip[at + 1]) * 8;
                if at > total {
                    return Err("malformed");
                }
            }
            44 => return Err("fragment"),
            _ => return Err("not_tcp"),
        }
    }
    Err("malformed")
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
    rules: Arc<RuleSet>,
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
    fn new(rules: Arc<RuleSet>, options: &Options) -> Replay<'_> {
        let names = HashMap::from([(SERVER, "server".to_owned()), (HONEYPOT, "honeypot".to_owned())]);
        let services = options.ports.iter().map(|port| (*port, eve::Service::of(&rules))).collect();
        Replay {
            options,
            rules,
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
        let parsed = network(link, record).ok_or("not_ip").and_then(|ip| tcp(ip, self.options.ignore_checksums));
        match parsed {
            Ok(tcp) => self.segment(&tcp),
            Err(why) => self.skip(why),
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
            self.engines.insert(port, Engine::new(config(self.options, port), vec![self.rules.clone()]));
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
        for (at, event) in std::mem::take(&mut self.site.events) {
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

    /// Give events the addresses that the capture has.
    fn name_addresses(&self, event: &mut Value) {
        for key in ["src_ip", "dest_ip"] {
            let Some(short) = event[key].as_str().and_then(|text| text.parse::<Ipv4Addr>().ok()) else { continue };
            if u32::from(short) >= SYNTHETIC {
                if let Some(address) = self.addresses.get((u32::from(short) & !SYNTHETIC) as usize) {
                    event[key] = json!(address.to_string());
                }
            }
        }
    }

    fn summarise(mut self) -> Summary {
        for (name, count) in NAMES.iter().zip(self.site.counters.take()) {
            if count > 0 {
                self.summary.counters.insert(name, count);
            }
        }
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
#[path = "replay_tests.rs"]
mod tests;
