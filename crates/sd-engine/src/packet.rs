// SPDX-License-Identifier: Apache-2.0
//! Ethernet, IPv4 and TCP on the wire: parse what came, build what goes.
//!
//! The kernel program has checked lengths already; everything is checked here again, since this code must be safe for
//! any bytes. Only canonical segments are built: no IP options, no urgent pointer, of TCP options only timestamps and SACK.

pub const ETH: usize = 14;
pub const IP: usize = 20;
pub const TCP: usize = 20;
/// The longest frame that is built: Ethernet and 1,500 bytes.
pub const MAX_FRAME: usize = ETH + 1500;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const URG: u8 = 0x20;

/// One TCP segment of a frame; offsets into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    /// Where the payload begins in the frame, and its length.
    pub payload: usize,
    pub length: usize,
    /// TSval and TSecr of RFC 7323, when present.
    pub timestamps: Option<(u32, u32)>,
    /// The frame can be sent as it came: usual options only, nothing urgent.
    pub canonical: bool,
    /// A TCP MD5 or AO option: our servers would ignore such a segment.
    pub refused_option: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    Header,
    Checksum,
}

fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// One's complement sum (RFC 1071) of `data`, not folded, added to `sum`. Works in 32-bit steps, little or big endian alike.
fn sum(data: &[u8], mut sum: u64) -> u64 {
    let mut words = data.chunks_exact(4);
    for w in &mut words {
        sum += u64::from(u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let mut last = [0u8; 4];
        last[..rest.len()].copy_from_slice(rest);
        sum += u64::from(u32::from_ne_bytes(last));
    }
    sum
}

fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Sum of the TCP pseudo header of an IPv4 header at `ip`.
fn pseudo(ip: &[u8], tcp_length: usize) -> u64 {
    let mut tail = [0u8; 4];
    tail[1] = 6;
    tail[2..].copy_from_slice(&(tcp_length as u16).to_be_bytes());
    sum(&tail, sum(&ip[12..20], 0))
}

/// Parse and verify a frame; returns the segment and the frame's true length (padding cut off).
pub fn parse(frame: &[u8]) -> Result<(Segment, usize), Malformed> {
    if frame.len() < ETH + IP + TCP || be16(frame, 12) != 0x0800 || frame[ETH] != 0x45 {
        return Err(Malformed::Header);
    }
    let ip = &frame[ETH..];
    let total = usize::from(be16(ip, 2));
    if total > ip.len() || total < IP + TCP || ip[9] != 6 || be16(ip, 6) & 0x3fff != 0 {
        return Err(Malformed::Header);
    }
    let ip = &ip[..total];
    let tcp = &ip[IP..];
    let header = usize::from(tcp[12] >> 4) * 4;
    if header < TCP || header > tcp.len() {
        return Err(Malformed::Header);
    }
    if fold(sum(&ip[..IP], 0)) != 0xffff || fold(sum(tcp, pseudo(ip, tcp.len()))) != 0xffff {
        return Err(Malformed::Checksum);
    }
    let flags = tcp[13];
    let mut segment = Segment {
        seq: be32(tcp, 4),
        ack: be32(tcp, 8),
        flags,
        payload: ETH + IP + header,
        length: tcp.len() - header,
        timestamps: None,
        canonical: flags & !(FIN | PSH | ACK | 0xc0) == 0 && tcp[12] & 0x0f == 0 && be16(tcp, 18) == 0,
        refused_option: false,
    };
    // Almost every segment has no options or exactly two NOPs and timestamps.
    if header == 32 && tcp[20..24] == [1, 1, 8, 10] {
        segment.timestamps = Some((be32(tcp, 24), be32(tcp, 28)));
    } else if header > TCP {
        options(&tcp[TCP..header], &mut segment);
    }
    Ok((segment, ETH + total))
}

fn options(mut o: &[u8], segment: &mut Segment) {
    while let Some(&kind) = o.first() {
        match kind {
            0 => break,
            1 => {
                o = &o[1..];
                continue;
            }
            _ => {}
        }
        let size = usize::from(*o.get(1).unwrap_or(&0));
        if size < 2 || size > o.len() {
            segment.canonical = false;
            break;
        }
        match (kind, size) {
            (8, 10) => segment.timestamps = Some((be32(o, 2), be32(o, 6))),
            (5, _) => {}
            (19 | 29, _) => {
                segment.refused_option = true;
                segment.canonical = false;
            }
            _ => segment.canonical = false,
        }
        o = &o[size..];
    }
}

pub fn set_destination(frame: &mut [u8], mac: [u8; 6]) {
    frame[..6].copy_from_slice(&mac);
}

/// What all segments of a connection have in common: taken from its newest packet.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Ethernet header: destination is set at each send.
    source_mac: [u8; 6],
    tos: u8,
    ttl: u8,
    addresses: [u8; 8],
    ports: [u8; 4],
    pub ack: u32,
    window: [u8; 2],
    pub timestamps: Option<(u32, u32)>,
}

impl Template {
    /// `frame` has been parsed to `segment`.
    pub fn of(frame: &[u8], segment: &Segment) -> Template {
        let mut t = Template {
            source_mac: [0; 6],
            tos: frame[ETH + 1],
            ttl: frame[ETH + 8],
            addresses: [0; 8],
            ports: [0; 4],
            ack: segment.ack,
            window: [frame[ETH + IP + 14], frame[ETH + IP + 15]],
            timestamps: segment.timestamps,
        };
        t.source_mac.copy_from_slice(&frame[6..12]);
        t.addresses.copy_from_slice(&frame[ETH + 12..ETH + 20]);
        t.ports.copy_from_slice(&frame[ETH + IP..ETH + IP + 4]);
        t
    }

    /// Segments from a client (address, port) to a service, without a packet to take the rest from.
    pub fn between(client: ([u8; 4], u16), service: ([u8; 4], u16)) -> Template {
        let mut t = Template {
            source_mac: [0; 6],
            tos: 0,
            ttl: 64,
            addresses: [0; 8],
            ports: [0; 4],
            ack: 0,
            window: [0xff, 0xff],
            timestamps: None,
        };
        t.addresses[..4].copy_from_slice(&client.0);
        t.addresses[4..].copy_from_slice(&service.0);
        t.ports[..2].copy_from_slice(&client.1.to_be_bytes());
        t.ports[2..].copy_from_slice(&service.1.to_be_bytes());
        t
    }

    /// Payload bytes that fit into one segment.
    pub fn room(&self) -> usize {
        MAX_FRAME - ETH - IP - TCP - if self.timestamps.is_some() { 12 } else { 0 }
    }

    /// Write one segment into `out` (at least [`MAX_FRAME`] bytes); returns its length.
    pub fn build(&self, out: &mut [u8], to: [u8; 6], seq: u32, flags: u8, payload: &[u8]) -> usize {
        let mut options = [0u8; 12];
        let n = match self.timestamps {
            Some((val, ecr)) => {
                options[..4].copy_from_slice(&[1, 1, 8, 10]);
                options[4..8].copy_from_slice(&val.to_be_bytes());
                options[8..].copy_from_slice(&ecr.to_be_bytes());
                12
            }
            None => 0,
        };
        self.build_with(out, to, seq, flags, &options[..n], payload)
    }

    /// Like [`Template::build`] with these TCP options (a multiple of 4 bytes, at most 40).
    pub fn build_with(
        &self,
        out: &mut [u8],
        to: [u8; 6],
        seq: u32,
        flags: u8,
        options: &[u8],
        payload: &[u8],
    ) -> usize {
        let header = TCP + options.len();
        let total = IP + header + payload.len();
        out[..6].copy_from_slice(&to);
        out[6..12].copy_from_slice(&self.source_mac);
        out[12..14].copy_from_slice(&[0x08, 0x00]);
        let ip = &mut out[ETH..ETH + total];
        ip[..IP].copy_from_slice(&[0x45, self.tos, 0, 0, 0, 0, 0x40, 0, self.ttl, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        ip[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        ip[12..20].copy_from_slice(&self.addresses);
        let check = !fold(sum(&ip[..IP], 0));
        ip[10..12].copy_from_slice(&check.to_ne_bytes());
        ip[IP..IP + 4].copy_from_slice(&self.ports);
        ip[IP + 4..IP + 8].copy_from_slice(&seq.to_be_bytes());
        ip[IP + 8..IP + 12].copy_from_slice(&self.ack.to_be_bytes());
        ip[IP + 12] = ((header / 4) as u8) << 4;
        ip[IP + 13] = flags;
        ip[IP + 14..IP + 16].copy_from_slice(&self.window);
        ip[IP + 16..IP + 20].fill(0);
        ip[IP + TCP..IP + header].copy_from_slice(options);
        ip[IP + header..].copy_from_slice(payload);
        let check = !fold(sum(&ip[IP..], pseudo(ip, total - IP)));
        ip[IP + 16..IP + 18].copy_from_slice(&check.to_ne_bytes());
        ETH + total
    }

    /// The same with the two ends exchanged, for a reset towards the client.
    pub fn reversed(&self, own_mac: [u8; 6]) -> Template {
        let mut t = *self;
        t.source_mac = own_mac;
        t.addresses[..4].copy_from_slice(&self.addresses[4..]);
        t.addresses[4..].copy_from_slice(&self.addresses[..4]);
        t.ports[..2].copy_from_slice(&self.ports[2..]);
        t.ports[2..].copy_from_slice(&self.ports[..2]);
        t.timestamps = None;
        t
    }

    /// The frame, which has been parsed, has these addresses and ports.
    pub fn is_of(&self, frame: &[u8]) -> bool {
        self.addresses == frame[ETH + 12..ETH + 20] && self.ports == frame[ETH + IP..ETH + IP + 4]
    }

    pub fn client_port(&self) -> u16 {
        u16::from_be_bytes([self.ports[0], self.ports[1]])
    }

    pub fn set_source_mac(&mut self, mac: [u8; 6]) {
        self.source_mac = mac;
    }

    pub fn client(&self) -> [u8; 4] {
        [self.addresses[0], self.addresses[1], self.addresses[2], self.addresses[3]]
    }

    pub fn vip(&self) -> [u8; 4] {
        [self.addresses[4], self.addresses[5], self.addresses[6], self.addresses[7]]
    }

    /// Client's and service's port.
    pub fn ports(&self) -> (u16, u16) {
        (be16(&self.ports, 0), be16(&self.ports, 2))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn template() -> Template {
        Template {
            source_mac: [2, 0, 0, 0, 0, 9],
            tos: 0,
            ttl: 63,
            addresses: [198, 51, 100, 11, 192, 0, 2, 100],
            ports: [0xc0, 0x01, 0, 80],
            ack: 77,
            window: [1, 0],
            timestamps: Some((5, 6)),
        }
    }

    #[test]
    fn what_is_built_parses_back() {
        let mut out = [0u8; MAX_FRAME];
        for n in [0usize, 1, 2, 3, 1448] {
            let payload: Vec<u8> = (0..n).map(|i| i as u8).collect();
            let len = template().build(&mut out, [1; 6], 0xffff_fff0, ACK | PSH, &payload);
            let (s, true_len) = parse(&out[..len]).unwrap();
            assert_eq!(true_len, len);
            assert_eq!((s.seq, s.ack, s.flags, s.length), (0xffff_fff0, 77, ACK | PSH, n));
            assert_eq!(s.timestamps, Some((5, 6)));
            assert!(s.canonical);
            assert_eq!(&out[s.payload..s.payload + n], &payload[..]);
        }
    }

    #[test]
    fn padding_is_cut_and_every_flipped_bit_is_noticed() {
        let mut out = [0u8; MAX_FRAME];
        let len = template().build(&mut out, [1; 6], 1, ACK, b"GET / HTTP/1.0\r\n\r\n");
        assert_eq!(parse(&out[..len + 6]).unwrap().1, len);
        for at in ETH..len {
            out[at] ^= 0x10;
            assert!(parse(&out[..len]).is_err(), "byte {at}");
            out[at] ^= 0x10;
        }
    }

    #[test]
    fn urgent_and_odd_options_are_not_canonical() {
        let mut out = [0u8; MAX_FRAME];
        let t = template();
        let len = t.build(&mut out, [1; 6], 1, ACK | URG, b"x");
        assert!(!parse(&out[..len]).unwrap().0.canonical);
        let len = t.build_with(&mut out, [1; 6], 1, ACK, &[19, 4, 0, 0], b"x");
        assert!(parse(&out[..len]).unwrap().0.refused_option);
        let len = t.build_with(&mut out, [1; 6], 1, ACK, &[77, 200, 0, 0], b"x");
        assert!(!parse(&out[..len]).unwrap().0.canonical);
    }
}
