// SPDX-License-Identifier: Apache-2.0
//! Nanoseconds a packet on the director's paths, by BPF_PROG_TEST_RUN on an instance of its own: nothing is attached or
//! pinned, and a running director is not touched.
//!
//! The kernel runs the program again and again on the same buffer, so a path can be repeated only when it leaves the packet
//! as it was. Answering ARP and giving to the inspector do not: these are run in short series, or one by one with the
//! cost of a run that does nothing taken off.

use crate::abi;
use crate::clearing::Automaton;
use crate::director::{Director, Options};
use crate::error::{Error, Result};
use crate::map::Elements;
use crate::shared::{Backend, Settings};
use crate::xsk;

const VIP: [u8; 4] = [192, 0, 2, 100];
const CLIENT: [u8; 4] = [198, 51, 100, 11];
const ATTACKER: [u8; 4] = [198, 51, 100, 66];
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const HOUR_NS: u64 = 3_600_000_000_000;

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// Options of a usual SYN: MSS 1460, SACK, timestamps, window scale 7.
const SYN_OPTIONS: [u8; 20] = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
/// Timestamps, as on every later segment.
const LATER_OPTIONS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 2, 0, 0, 0, 1];
const REQUEST: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n\r\n";

fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

struct Segment<'a> {
    source: [u8; 4],
    destination: [u8; 4],
    port: u16,
    flags: u8,
    seq: u32,
    options: &'a [u8],
    payload: &'a [u8],
}

impl Segment<'_> {
    fn frame(&self) -> Vec<u8> {
        let mut tcp = Vec::with_capacity(64);
        tcp.extend(self.port.to_be_bytes());
        tcp.extend(80u16.to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(77u32.to_be_bytes());
        tcp.extend([(5 + self.options.len() as u8 / 4) << 4, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(self.options);
        tcp.extend(self.payload);
        let length = (tcp.len() as u16).to_be_bytes();
        let sum = checksum(&[&self.source, &self.destination, &[0, 6], &length, &tcp]);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        let mut packet = vec![0x45, 0];
        packet.extend((20 + tcp.len() as u16).to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        packet.extend(self.source);
        packet.extend(self.destination);
        let sum = checksum(&[&packet]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        let mut frame = ethernet([8, 0]);
        frame.extend(packet);
        frame.extend(tcp);
        frame
    }
}

fn ethernet(kind: [u8; 2]) -> Vec<u8> {
    let mut frame = MAC.to_vec();
    frame.extend([2, 0, 0, 0, 0, 1]);
    frame.extend(kind);
    frame
}

fn syn(source: [u8; 4], port: u16) -> Segment<'static> {
    Segment { source, destination: VIP, port, flags: SYN, seq: 1000, options: &SYN_OPTIONS, payload: b"" }
}

fn later(port: u16, flags: u8, payload: &[u8]) -> Segment<'_> {
    Segment { source: CLIENT, destination: VIP, port, flags, seq: 1001, options: &LATER_OPTIONS, payload }
}

/// Nanoseconds of one run, the mean of `repeat`; an error when the program decides otherwise than the path means.
fn run(director: &Director, frame: &[u8], repeat: u32, verdict: u32) -> Result<f64> {
    match director.test_run(frame, repeat)? {
        (decided, duration) if decided == verdict => Ok(duration.as_nanos() as f64),
        (decided, _) => Err(Error::host(format!("the director's verdict on a packet was {decided}, not {verdict}"))),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The least of five rounds: what disturbs only adds.
fn repeated(director: &Director, frame: &[u8], repeat: u32, verdict: u32) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..5 {
        least = least.min(run(director, frame, (repeat / 5).max(1), verdict)?);
    }
    Ok(least)
}

fn prepare() -> Result<Director> {
    let director = Director::load_for("lo", Options { pin_dir: None, max_flows: 262_144, max_attackers: 1024 })?;
    let settings = Settings {
        vip: VIP,
        ports: vec![80],
        mac: MAC,
        flow_timeout_ns: HOUR_NS,
        closed_timeout_ns: HOUR_NS,
        attacker_expiry_ns: HOUR_NS,
        inspect: true,
    };
    director.configure(&settings, &["203.0.113.0/24".to_owned()])?;
    let usual = abi::BACKEND_UP | abi::BACKEND_RESOLVED;
    for (index, flags) in [(0u16, usual), (1, usual), (2, usual | abi::BACKEND_HONEYPOT)] {
        let mac = [2, 0, 0, 0, 1, index as u8];
        director.set_backend(index, &Backend { mac, flags, address: [192, 0, 2, 11], mss: 1460, wscale: Some(7) })?;
    }
    director.set_schedule(0, &[0, 1], &[2])?;
    director.attacker_add("198.51.100.66", HOUR_NS, 1)?;
    Ok(director)
}

/// Open the connection from this port; its index in the table.
fn establish(director: &Director, port: u16) -> Result<u32> {
    run(director, &syn(CLIENT, port).frame(), 1, XDP_TX)?;
    run(director, &later(port, ACK, b"").frame(), 1, XDP_TX)?;
    director
        .flow_entries(usize::MAX)
        .into_iter()
        .find(|flow| flow.facts.sport == port)
        .map(|flow| flow.index)
        .ok_or_else(|| Error::host("the connection is not in the flow table"))
}

/// (path, nanoseconds a packet):
///
/// - `flow_hit`: an ACK of a connection to its real server; `flow_hit_timestamps` the same with TCP timestamps;
/// - `flow_hit_diverted`: payload of a connection that was moved to a honeypot;
/// - `new_flow`: a SYN that makes a connection in its own old place; `new_flow_cold`: one after the other from many
///   ports, each a system call of its own, so with cold caches;
/// - `attacker_syn`: a marked source's SYN, to a honeypot;
/// - `fin`: a FIN, whose checksums are verified;
/// - `to_inspector`: payload to the inspector, without the copy into its memory;
/// - `arp`: the answer for the virtual address (one by one);
/// - `other_port`: dropped; `other_host`: passed to the kernel.
pub fn measure_xdp(repeat: u32) -> Result<Vec<(&'static str, f64)>> {
    let director = prepare()?;
    let mut paths = Vec::new();

    let flow = establish(&director, 40_000)?;
    let bare = Segment { options: &[], ..later(40_000, ACK, b"") };
    paths.push(("flow_hit", repeated(&director, &bare.frame(), repeat, XDP_TX)?));
    paths.push(("flow_hit_timestamps", repeated(&director, &later(40_000, ACK, b"").frame(), repeat, XDP_TX)?));
    paths.push(("fin", repeated(&director, &later(40_000, FIN | ACK, b"").frame(), repeat, XDP_TX)?));
    director.flow_table().and_owner(flow, !abi::FLAG_CLOSED);

    let diverted = establish(&director, 40_001)?;
    director.flow_table().set_honeypot(diverted, 2);
    director.flow_table().or_owner(diverted, abi::FLAG_DIVERTED);
    let payload = later(40_001, ACK | PSH, REQUEST).frame();
    paths.push(("flow_hit_diverted", repeated(&director, &payload, repeat, XDP_TX)?));

    // With no idle time allowed each SYN finds its own connection out of date and makes it anew.
    director.config().write_flow_timeout(0);
    paths.push(("new_flow", repeated(&director, &syn(CLIENT, 40_002).frame(), repeat, XDP_TX)?));
    paths.push(("attacker_syn", repeated(&director, &syn(ATTACKER, 40_002).frame(), repeat, XDP_TX)?));
    director.config().write_flow_timeout(HOUR_NS);

    let elsewhere = Segment { destination: [192, 0, 2, 1], ..later(1, ACK, b"") }.frame();
    let nothing = (0..2000).map(|_| run(&director, &elsewhere, 1, XDP_PASS)).collect::<Result<Vec<_>>>().map(median)?;
    let cold = (0..2000u16)
        .map(|n| run(&director, &syn(CLIENT, 50_000 + n).frame(), 1, XDP_TX))
        .collect::<Result<Vec<_>>>()
        .map(median)?;
    paths.push(("new_flow_cold", (cold - nothing).max(0.0)));

    let mut who_has = ethernet([8, 6]);
    who_has.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1]);
    who_has.extend(CLIENT);
    who_has.extend([0; 6]);
    who_has.extend(VIP);
    let arp = (0..2000).map(|_| run(&director, &who_has, 1, XDP_TX)).collect::<Result<Vec<_>>>().map(median)?;
    paths.push(("arp", (arp - nothing).max(0.0)));

    // An AF_XDP socket that is bound to nothing is enough for the decision to redirect.
    let socket = xsk::raw_socket()?;
    let xsks = director.fd("xsks")?.try_clone_to_owned().map_err(|_| Error::last_os("duplicate a descriptor"))?;
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&socket);
    Elements::new(xsks, "xsks")?.update(&0u32.to_ne_bytes(), &descriptor.to_ne_bytes(), false)?;
    establish(&director, 40_003)?;
    let payload = later(40_003, ACK | PSH, REQUEST).frame();
    // Each run moves the metadata on by 16 bytes, and there is room for some 200. The first runs of a call are slow, for the
    // kernel has just changed its code: what counts is how much more a longer series takes.
    let mut series = [f64::INFINITY; 2];
    for _ in 0..40 {
        for (least, n) in series.iter_mut().zip([4u32, 12]) {
            *least = least.min(f64::from(n) * run(&director, &payload, n, XDP_REDIRECT)?);
        }
    }
    paths.push(("to_inspector", ((series[1] - series[0]) / 8.0).max(0.0)));

    let mut other_port = bare.frame();
    other_port[36..38].copy_from_slice(&22u16.to_be_bytes());
    paths.push(("other_port", repeated(&director, &other_port, repeat, XDP_DROP)?));
    paths.push(("other_host", repeated(&director, &elsewhere, repeat, XDP_PASS)?));
    Ok(paths)
}

/// Nanoseconds for each request that XDP clears by `automaton`, in the director as it is: from Ethernet header to
/// transmission. None where the kernel cannot clear. It is an error when the automaton does not clear one.
///
/// The first run of a request moves the connection on; the repeated ones are repetitions of it, which are judged and
/// compared like it.
pub fn measure_judge(repeat: u32, automaton: Automaton<'_>, requests: &[&[u8]]) -> Result<Option<Vec<f64>>> {
    let director = prepare()?;
    let Some(tables) = director.clearing()? else { return Ok(None) };
    tables.install(&[Some(automaton)]);
    let mut times = Vec::new();
    for (port, request) in (41_000..).zip(requests) {
        let flow = establish(&director, port)?;
        let frame = later(port, ACK | PSH, request).frame();
        run(&director, &frame, 1, XDP_TX)?;
        let ours = tables.seal(request);
        if director.flow_table().seal(flow).map(|(seal, _)| seal) != Some(ours) {
            return Err(Error::host("the kernel and the inspector make different hashes of a request"));
        }
        times.push(repeated(&director, &frame, repeat, XDP_TX)?);
    }
    Ok(Some(times))
}

/// The same for requests of which each is run once, after all others: the median, with cold caches of every kind, as each
/// run is a system call of its own.
pub fn measure_judge_once(automaton: Automaton<'_>, requests: &[&[u8]]) -> Result<Option<f64>> {
    let director = prepare()?;
    let Some(tables) = director.clearing()? else { return Ok(None) };
    tables.install(&[Some(automaton)]);
    let elsewhere = Segment { destination: [192, 0, 2, 1], ..later(1, ACK, b"") }.frame();
    let mut times = Vec::new();
    let mut nothing = Vec::new();
    for (port, request) in (10_000..).zip(requests) {
        run(&director, &syn(CLIENT, port).frame(), 1, XDP_TX)?;
        run(&director, &later(port, ACK, b"").frame(), 1, XDP_TX)?;
        nothing.push(run(&director, &elsewhere, 1, XDP_PASS)?);
        times.push(run(&director, &later(port, ACK | PSH, request).frame(), 1, XDP_TX)?);
    }
    Ok(Some((median(times) - median(nothing)).max(0.0)))
}
