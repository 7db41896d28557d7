// SPDX-License-Identifier: Apache-2.0
//! Takes packets apart: link layer, IP with its tunnels and fragments, TCP.

use sd_engine::host;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Layers of IP in IP.
const TUNNELS_MAX: usize = 4;
/// Datagrams whose fragments are kept, and the fragments of one.
const DATAGRAMS_MAX: usize = 1024;
const FRAGMENTS_MAX: usize = 512;

/// One IP packet: what a tunnel carries is one of its own.
pub struct Packet<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// Of the transport layer; of fragments that of the whole.
    pub protocol: u8,
    /// The IP header with its options.
    pub header: &'a [u8],
    /// What follows the IP header, cut to the packet's length.
    pub body: &'a [u8],
    /// A part of a datagram that is not whole.
    pub fragment: bool,
    pub checksum_is_wrong: bool,
}

/// A TCP segment.
pub struct Tcp<'a> {
    pub source: (IpAddr, u16),
    pub destination: (IpAddr, u16),
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub timestamps: Option<(u32, u32)>,
    /// Window scale, SACK permitted and so on: host::OPT_*.
    pub offered: u8,
    /// TCP Fast Open: data on a SYN is meant for the application.
    pub fast_open: bool,
    /// With its options.
    pub header: &'a [u8],
    pub payload: &'a [u8],
}

pub fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// The network layer's bytes of a record.
pub fn network(link: u32, record: &[u8]) -> Option<&[u8]> {
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
            0x8864 => {
                // PPPoE: six bytes, then the protocol of PPP.
                let protocol = be16(rest.get(6..8)?, 0);
                return matches!(protocol, 0x0021 | 0x0057).then(|| rest.get(8..)).flatten();
            }
            0x8847 => {
                while rest.get(2)? & 1 == 0 {
                    rest = rest.get(4..)?;
                }
                return rest.get(4..);
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

/// The IP packet that begins `ip`, or why there is none.
pub fn packet(ip: &[u8]) -> Result<Packet<'_>, &'static str> {
    match ip.first().map_or(0, |b| b >> 4) {
        4 => ipv4(ip),
        6 => ipv6(ip),
        _ => Err("not_ip"),
    }
}

fn ipv4(ip: &[u8]) -> Result<Packet<'_>, &'static str> {
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
    if total > ip.len() {
        return Err("truncated");
    }
    let address = |at: usize| IpAddr::V4(Ipv4Addr::from(be32(ip, at)));
    Ok(Packet {
        source: address(12),
        destination: address(16),
        protocol: ip[9],
        header: &ip[..header],
        body: &ip[header..total],
        fragment: be16(ip, 6) & 0x3fff != 0,
        checksum_is_wrong: checksum(&[&ip[..header]]) != 0xffff,
    })
}

fn ipv6(ip: &[u8]) -> Result<Packet<'_>, &'static str> {
    if ip.len() < 40 {
        return Err("truncated");
    }
    let total = 40 + usize::from(be16(ip, 4));
    if total > ip.len() {
        return Err("truncated");
    }
    let address = |at: usize| {
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&ip[at..at + 16]);
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    let (mut next, mut at, mut fragment) = (ip[6], 40, false);
    for _ in 0..8 {
        let length = match next {
            0 | 43 | 60 if at + 8 <= total => 8 + usize::from(ip[at + 1]) * 8,
            44 if at + 8 <= total => {
                if be16(ip, at + 2) & 0xfff9 != 0 {
                    fragment = true;
                    break;
                }
                8 // the only fragment
            }
            _ => break,
        };
        (next, at) = (ip[at], at + length);
        if at > total {
            return Err("malformed");
        }
    }
    Ok(Packet {
        source: address(8),
        destination: address(24),
        protocol: next,
        header: &ip[..40],
        body: &ip[at..total],
        fragment,
        checksum_is_wrong: false,
    })
}

/// The packet that a tunnel carries.
pub fn inner<'a>(packet: &Packet<'a>, depth: usize) -> Option<&'a [u8]> {
    if packet.fragment || depth >= TUNNELS_MAX {
        return None;
    }
    match packet.protocol {
        4 | 41 => Some(packet.body),
        47 => {
            let b = packet.body;
            let flags = be16(b.get(..4)?, 0);
            if flags & 0x0007 != 0 {
                return None;
            }
            let length = 4 + [0x8000, 0x2000, 0x1000].iter().filter(|flag| flags & **flag != 0).count() * 4;
            let rest = b.get(length..)?;
            match be16(b, 2) {
                0x0800 | 0x86dd => Some(rest),
                0x6558 => network(1, rest),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The TCP segment of a packet, and whether its checksum is wrong.
pub fn tcp<'a>(packet: &Packet<'a>) -> Result<(Tcp<'a>, bool), &'static str> {
    let segment = packet.body;
    if packet.protocol != 6 {
        return Err("not_tcp");
    }
    if packet.fragment {
        return Err("fragment");
    }
    if segment.len() < 20 {
        return Err("truncated");
    }
    let header = usize::from(segment[12] >> 4) * 4;
    if header < 20 || header > segment.len() {
        return Err("malformed");
    }
    let ip = packet.header;
    let addresses = if ip[0] >> 4 == 4 { &ip[12..20] } else { &ip[8..40] };
    let length = (segment.len() as u32).to_be_bytes();
    let wrong = packet.checksum_is_wrong || checksum(&[addresses, &length, &[0, 6], segment]) != 0xffff;
    let mut parsed = Tcp {
        source: (packet.source, be16(segment, 0)),
        destination: (packet.destination, be16(segment, 2)),
        seq: be32(segment, 4),
        ack: be32(segment, 8),
        flags: segment[13],
        window: be16(segment, 14),
        timestamps: None,
        offered: 0,
        fast_open: false,
        header: &segment[..header],
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
                    (34, 3..) => parsed.fast_open = true,
                    // The number of experiments, with Fast Open's mark.
                    (254, 5..) if options[2..4] == [0xf9, 0x89] => parsed.fast_open = true,
                    _ => {}
                }
                options = &options[size..];
            }
        }
    }
    Ok((parsed, wrong))
}

/// Puts fragments together: of overlapping ones the first is kept.
#[derive(Default)]
pub struct Fragments {
    datagrams: HashMap<(IpAddr, IpAddr, u32, u8), Datagram>,
}

#[derive(Default)]
struct Datagram {
    parts: BTreeMap<usize, Vec<u8>>,
    end: Option<usize>,
    header: Vec<u8>,
}

impl Fragments {
    /// Takes a fragment in; the whole datagram, with a header that says so, once it is complete.
    pub fn add(&mut self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        let ip = packet.header;
        let (id, offset, more, data, protocol) = if ip[0] >> 4 == 4 {
            let word = be16(ip, 6);
            (u32::from(be16(ip, 4)), usize::from(word & 0x1fff) * 8, word & 0x2000 != 0, packet.body, packet.protocol)
        } else {
            let head = packet.body.get(..8)?;
            let word = be16(head, 2);
            (be32(head, 4), usize::from(word & 0xfff8), word & 1 != 0, &packet.body[8..], head[0])
        };
        let key = (packet.source, packet.destination, id, protocol);
        if self.datagrams.len() >= DATAGRAMS_MAX && !self.datagrams.contains_key(&key) {
            self.datagrams.clear();
        }
        if offset + data.len() > 65_535 {
            return None;
        }
        let datagram = self.datagrams.entry(key).or_default();
        if offset == 0 {
            datagram.header = ip.to_vec();
        }
        if !more {
            datagram.end.get_or_insert(offset + data.len());
        }
        if datagram.parts.len() < FRAGMENTS_MAX {
            datagram.parts.entry(offset).or_insert_with(|| data.to_vec());
        }
        let end = datagram.end?;
        let mut whole = Vec::new();
        for (at, part) in &datagram.parts {
            if *at > whole.len() {
                return None;
            }
            whole.extend_from_slice(part.get(whole.len() - at..).unwrap_or_default());
        }
        if whole.len() < end || datagram.header.is_empty() {
            return None;
        }
        whole.truncate(end);
        let mut out = std::mem::take(&mut datagram.header);
        self.datagrams.remove(&key);
        if out[0] >> 4 == 4 {
            let total = (out.len() + whole.len()).min(65_535) as u16;
            out[2..4].copy_from_slice(&total.to_be_bytes());
            out[6..8].copy_from_slice(&[0, 0]);
            out[10..12].copy_from_slice(&[0, 0]);
            let sum = !checksum(&[&out]);
            out[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            out[4..6].copy_from_slice(&(whole.len().min(65_535) as u16).to_be_bytes());
            out[6] = protocol;
        }
        out.extend(whole);
        Some(out)
    }
}
