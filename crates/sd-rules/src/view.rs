// SPDX-License-Identifier: Apache-2.0
//! What a rule's header says of a packet in a capture, where both directions and the real addresses are there.
//!
//! A live inspector needs none of it: the rules it is given are those that can concern its service.

use std::net::IpAddr;

use crate::document::{self, UnitKind};

/// What is judged, and where it stands in the capture.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub unit: Unit,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    /// Of the IP header.
    pub protocol: u8,
    /// The end that was connected to, if it belongs to a connection.
    pub server: Option<IpAddr>,
    /// It comes from the client; none: it belongs to no connection.
    pub client: Option<bool>,
    pub established: bool,
    /// The connection carries HTTP.
    pub http: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Request,
    Packet {
        /// The first of its direction.
        first: bool,
        /// Its payload is part of the reassembled stream.
        added: bool,
    },
    Stream,
}

pub(crate) struct ViewTest {
    unit: UnitKind,
    packets: bool,
    http: bool,
    protocol: Option<u8>,
    /// Source and destination.
    ends: [End; 2],
    both: bool,
    client: Option<bool>,
    established: Option<bool>,
    pub drop: bool,
    pub silent: bool,
}

/// What a header says of one end; none: any.
struct End {
    networks: Option<Networks>,
    ports: Option<Vec<(u16, u16)>>,
}

impl End {
    fn new(networks: Option<document::Networks>, ports: Option<Vec<(u16, u16)>>) -> Result<End, String> {
        Ok(End { networks: networks.map(Networks::new).transpose()?, ports })
    }

    fn holds(&self, (address, port): (IpAddr, u16), server: Option<IpAddr>) -> bool {
        self.networks.as_ref().is_none_or(|networks| networks.hold(address, server))
            && self.ports.as_ref().is_none_or(|list| list.iter().any(|(low, high)| (*low..=*high).contains(&port)))
    }
}

impl ViewTest {
    pub fn new(test: document::ViewTest) -> Result<ViewTest, String> {
        Ok(ViewTest {
            unit: test.unit,
            packets: test.packets,
            http: test.http,
            protocol: test.protocol,
            ends: [End::new(test.from, test.from_ports)?, End::new(test.to, test.to_ports)?],
            both: test.both,
            client: test.client,
            established: test.established,
            drop: test.drop,
            silent: test.silent,
        })
    }

    /// A match says something of the whole connection.
    pub fn of_connection(&self) -> bool {
        matches!(self.unit, UnitKind::Request | UnitKind::Once)
    }

    pub fn admits(&self, view: &View) -> bool {
        let unit = match (self.unit, view.unit) {
            (UnitKind::Request, Unit::Request) | (UnitKind::Packet, Unit::Packet { .. }) => true,
            (UnitKind::Once, Unit::Packet { first, .. }) => first,
            (UnitKind::Stream | UnitKind::Reassembled, Unit::Stream) => true,
            (UnitKind::Stream, Unit::Packet { added, .. }) => !added || self.packets,
            _ => false,
        };
        let there = (view.source, view.src_port);
        let back = (view.destination, view.dst_port);
        unit && (!self.http || view.http)
            && self.protocol.is_none_or(|protocol| protocol == view.protocol)
            && self.client.is_none_or(|client| view.client == Some(client))
            && self.established.is_none_or(|wanted| view.client.is_some() && view.established == wanted)
            && (self.fits(there, back, view.server) || self.both && self.fits(back, there, view.server))
    }

    fn fits(&self, from: (IpAddr, u16), to: (IpAddr, u16), server: Option<IpAddr>) -> bool {
        self.ends[0].holds(from, server) && self.ends[1].holds(to, server)
    }
}

/// Ranges of addresses as numbers, IPv4 ones mapped into IPv6.
pub(crate) struct Networks {
    /// None: everywhere.
    within: Option<Vec<(u128, u128)>>,
    without: Vec<(u128, u128)>,
    /// The server is within, or without.
    server: (bool, bool),
}

/// In a document, the end that was connected to.
pub(crate) const SERVER: &str = "server";

impl Networks {
    pub fn new(networks: document::Networks) -> Result<Networks, String> {
        let ranges = |list: &[String]| {
            list.iter().filter(|text| *text != SERVER).map(|text| range(text)).collect::<Result<Vec<_>, _>>()
        };
        let server = |list: &[String]| list.iter().any(|text| text == SERVER);
        let (within, without) = (&networks.within, &networks.without);
        Ok(Networks {
            within: if within.is_empty() { None } else { Some(ranges(within)?) },
            without: ranges(without)?,
            server: (server(within), server(without)),
        })
    }

    pub fn hold(&self, address: IpAddr, server: Option<IpAddr>) -> bool {
        let number = number(address);
        let is_server = server == Some(address);
        let inside = |list: &[(u128, u128)]| list.iter().any(|(low, high)| (*low..=*high).contains(&number));
        let within = self.within.as_ref().is_none_or(|list| inside(list)) || self.server.0 && is_server;
        within && !inside(&self.without) && !(self.server.1 && is_server)
    }
}

/// An address as a number, the same for an IPv4 address and its mapped form.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// "address", "address/length" or "first-last".
pub(crate) fn range(text: &str) -> Result<(u128, u128), String> {
    let wrong = || format!("{text:?} is no network");
    let parse = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| wrong());
    if let Some((low, high)) = text.split_once('-') {
        return Ok((number(parse(low)?), number(parse(high)?)));
    }
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address = parse(address)?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length: u32 = length.map_or(Ok(bits), |length| length.parse().map_err(|_| wrong()))?;
    if length > bits {
        return Err(wrong());
    }
    let rest = if length == bits { 0 } else { u128::MAX >> (128 - (bits - length)) };
    let low = number(address) & !rest;
    Ok((low, low | rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let of = |within: &[&str], without: &[&str]| {
            let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            Networks::new(document::Networks { within: list(within), without: list(without) }).unwrap()
        };
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let home = of(&["10.0.0.0/8", "server"], &[]);
        assert!(home.hold(address("192.0.2.1"), Some(address("192.0.2.1"))) && !home.hold(address("192.0.2.1"), None));
        let away = of(&[], &["10.0.0.0/8", "server"]);
        assert!(away.hold(address("192.0.2.1"), None) && !away.hold(address("192.0.2.1"), Some(address("192.0.2.1"))));
        let mixed = of(&["10.0.0.0/8", "2001:db8::/32"], &["10.1.0.0/16"]);
        assert!(mixed.hold(address("10.2.3.4"), None) && mixed.hold(address("2001:db8::1"), None));
        assert!(!mixed.hold(address("10.1.3.4"), None) && !mixed.hold(address("192.0.2.1"), None));
        assert!(
            of(&[], &["192.0.2.1"]).hold(address("::1"), None)
                && !of(&[], &["192.0.2.1"]).hold(address("192.0.2.1"), None)
        );
        assert!(of(&["192.0.2.5-192.0.2.9"], &[]).hold(address("192.0.2.9"), None));
        assert!(
            of(&["0.0.0.0/0"], &[]).hold(address("255.0.0.1"), None)
                && !of(&["0.0.0.0/0"], &[]).hold(address("::1"), None)
        );
        assert!(range("192.0.2.1/33").is_err() && range("x").is_err());
    }
}
