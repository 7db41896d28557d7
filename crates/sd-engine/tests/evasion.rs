// SPDX-License-Identifier: Apache-2.0
//! The published evasions of TCP/IP, each as packets into the engine: the attack is caught, or what the server has got
//! holds none. The programs lie beside the checkout (`../shared/corpora/evasion`); without them there is nothing to run.

mod common;

use common::{attacks_in, config, finish, rules, Site};
use sd_engine::packet::{ACK, ETH, FIN, IP, PSH, RST, SYN};
use sd_rules::Limits;
use serde_json::Value;
use std::path::Path;

const ATTACK: &[u8] = b"GET /cgi-bin/phf?Qalias=x HTTP/1.1\r\nHost: shop\r\n\r\n";
const FLAGS: u8 = ACK | PSH;

fn published(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora/evasion").join(name);
    let Ok(text) = std::fs::read(&path) else {
        println!("skipped: {} is not here", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

/// A packet of the client's that is not what it seems.
fn bent(site: &Site, offset: u32, bytes: &[u8], bend: impl FnOnce(&mut Vec<u8>), right: bool) -> Vec<u8> {
    let mut frame = site.frame(0, offset, bytes, FLAGS);
    bend(&mut frame);
    if right {
        finish(&mut frame);
    }
    frame
}

/// IP fragments of a packet with `size` payload bytes each.
fn fragments(frame: &[u8], size: usize) -> Vec<Vec<u8>> {
    let payload = &frame[ETH + IP..];
    let cut = |(number, part): (usize, &[u8])| {
        let mut made = [&frame[..ETH + IP], part].concat();
        let more = (number + 1) * size < payload.len();
        let word = (number * size / 8) as u16 | if more { 0x2000 } else { 0 };
        made[ETH + 2..ETH + 4].copy_from_slice(&((IP + part.len()) as u16).to_be_bytes());
        made[ETH + 6..ETH + 8].copy_from_slice(&word.to_be_bytes());
        made
    };
    payload.chunks(size).enumerate().map(cut).collect()
}

/// Deliver the attack as a strategy says, known by the words of its operations. False: it says nothing that is known.
fn run(site: &mut Site, words: &str) -> bool {
    let has = |some: &[&str]| some.iter().any(|one| words.contains(one));
    let mut known = has(&["forward", "print", "timestamps", "half-open", "time-outs"]);
    let size = if has(&["2-byte", "tcp_seg 2"]) { 2 } else { 1 };
    known |= has(&["1-byte", "2-byte", "tcp_seg", "segments"]);
    let fragmented = has(&["ip_frag", "fragment", "same offset"]);
    known |= fragmented;
    let fragment = if has(&["24"]) {
        24
    } else if has(&["16"]) {
        16
    } else {
        8
    };
    let mut packets: Vec<Vec<u8>> = Vec::new();
    let mut chaff: Vec<Vec<u8>> = Vec::new();
    for (at, part) in ATTACK.chunks(size).enumerate() {
        let offset = (at * size) as u32;
        if has(&["overwrit", "favour new", " new"]) && !fragmented {
            // One byte of what comes next, another one.
            packets.push(site.frame(0, offset, &[part, b"#"].concat(), FLAGS));
            known = true;
        } else if has(&["overlapping segments"]) {
            packets.push(site.frame(0, offset, b"##", FLAGS));
            packets.push(site.frame(0, offset, part, FLAGS));
            known = true;
        } else {
            packets.push(site.frame(0, offset, part, FLAGS));
        }
        let mut add = |some: &[&str], frame: Vec<u8>| {
            if has(some) {
                chaff.push(frame);
                known = true;
            }
        };
        let last = |frame: &mut Vec<u8>| frame[ETH + IP + 16] ^= 0x55;
        add(&["cksum", "bad TCP checksum", "or checksum"], bent(site, offset, b"#", last, false));
        add(&["tcp_chaff null", "without ACK", "null segments"], site.frame(0, offset, b"\0", 0));
        add(&["syn", "SYN", "3whs again", "4-tuple", "handshake"], site.frame(0, offset.wrapping_sub(1), b"#", SYN));
        add(
            &["chaff seq", "drastically different", "outside the window", "before the connection"],
            site.frame(0, offset + 0x4000_0000, b"\0", FLAGS),
        );
        add(&["RST"], site.frame(0, offset + 7, b"", RST | ACK));
        add(&["FIN"], site.frame(0, offset + 5, b"", FIN | ACK));
        add(&["IP version"], bent(site, offset, b"#", |frame| frame[ETH] = 0x55, true));
        add(&["header length"], bent(site, offset, b"#", |frame| frame[ETH] = 0x4f, false));
        add(&["total length"], bent(site, offset, b"#", |frame| frame[ETH + 3] ^= 0x40, false));
        add(&["bad IP checksum"], bent(site, offset, b"#", |frame| frame[ETH + 10] ^= 1, false));
        // The client's machine and the director may have another view of what is dropped on the way: the same bytes.
        add(&["TTL"], bent(site, offset, part, |frame| frame[ETH + 8] = 1, true));
        add(&["DF set"], bent(site, offset, part, |frame| frame[ETH + 6] = 0x40, true));
        add(&["source route", "option"], bent(site, offset, b"#", |frame| frame[ETH] = 0x46, false));
        add(&["MAC"], bent(site, offset, part, |frame| frame[5] ^= 1, true));
        add(&["data offset"], bent(site, offset, b"#", |frame| frame[ETH + IP + 12] = 0xf0, true));
        add(&["data in SYN"], site.frame(0, offset, b"#", SYN | ACK));
        add(&["sequence number wrap", "many half-open", "far apart"], site.frame(0, offset, part, FLAGS));
    }
    if has(&["shuffled", "random"]) {
        let mut seed = 7u64;
        for i in (1..packets.len()).rev() {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            packets.swap(i, (seed >> 33) as usize % (i + 1));
        }
    }
    if has(&["reverse", "sent first", "out of order"]) {
        packets.reverse();
        known = true;
    }
    if has(&["twice", "dup"]) {
        packets.extend(packets.last().cloned());
        known = true;
    }
    if fragmented {
        packets = packets.iter().flat_map(|frame| fragments(frame, fragment)).collect();
    }
    let mut chaff = chaff.into_iter();
    for packet in packets {
        if let Some(frame) = chaff.next() {
            site.deliver(0, &frame);
        }
        site.deliver(0, &packet);
    }
    chaff.for_each(|frame| site.deliver(0, &frame));
    site.acknowledge(0, 100);
    site.pass_time(2_000);
    known
}

#[test]
fn every_strategy_is_caught_or_brings_nothing() {
    let Some(strategies) = published("strategies.json") else { return };
    let strategies = strategies.as_array().unwrap().clone();
    let (rules, mut caught) = (rules(), 0);
    for strategy in &strategies {
        let words: Vec<&str> = strategy["ops"].as_array().unwrap().iter().map(|op| op.as_str().unwrap()).collect();
        let name = format!("{} {}", strategy["tool"].as_str().unwrap(), strategy["name"].as_str().unwrap());
        let mut site = Site::new(config(), rules.clone());
        site.connect(0);
        assert!(run(&mut site, &words.join(", ")), "{name}: nothing of {words:?} is known to this test");
        let stream = site.to_server(0);
        let attacks = attacks_in(&rules, &Limits::default(), &stream).unwrap_or_default();
        assert!(attacks.is_empty(), "{name}: the server got {}", stream.escape_ascii());
        assert!(!stream.windows(12).any(|part| part == b"/cgi-bin/phf"), "{name}: {}", stream.escape_ascii());
        assert!(!site.world.server.get(&0).is_some_and(|server| server.contradicted), "{name}: two readings");
        caught += usize::from(site.diverted().is_some());
    }
    println!("{} strategies, {caught} caught, the others never reached the server", strategies.len());
    assert!(caught * 2 > strategies.len());
}

#[test]
fn overlaps_never_give_two_readings() {
    let Some(tables) = published("overlap_tables.json") else { return };
    for table in ["main", "before", "same", "after"] {
        let mut site = Site::new(config(), rules());
        site.connect(0);
        for step in tables["tcp_overlap"][table]["steps"].as_array().unwrap() {
            let (place, bytes) = (step[0].as_u64().unwrap() as u32, step[1].as_str().unwrap());
            site.segment(0, place - 1, bytes.as_bytes());
        }
        site.acknowledge(0, 100);
        site.pass_time(2_000);
        assert!(site.diverted().is_some(), "{table}: contradicting data is an attack");
        assert!(!site.world.server.get(&0).is_some_and(|server| server.contradicted), "{table}: two readings");
    }
}

/// What Linux delivers although a monitor might think that it does not: all of it has to be inspected.
#[test]
fn what_the_host_accepts_is_inspected() {
    let Some(truth) = published("kernel_truth.json") else { return };
    let accepted = |name: &str| truth["chaff"][name]["app"].as_str().is_some_and(|app| app.contains("EVIL"));
    for name in ["ip_ttl_1", "no_timestamp_on_ts_connection", "unknown_tcp_option"] {
        assert!(accepted(name), "{name}");
        let mut site = Site::new(config(), rules());
        site.connect(0);
        let frame = bent(
            &site,
            0,
            ATTACK,
            |frame| match name {
                "ip_ttl_1" => frame[ETH + 8] = 1,
                "unknown_tcp_option" => frame[ETH + IP + 20] = 77,
                _ => frame[ETH + IP + 20..ETH + IP + 32].fill(1),
            },
            true,
        );
        site.deliver(0, &frame);
        site.pass_time(2_000);
        assert!(site.diverted().is_some(), "{name}");
        assert_eq!(site.to_server(0), b"", "{name}");
    }
}
