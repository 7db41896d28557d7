// SPDX-License-Identifier: Apache-2.0
//! Captures made here, in all their forms, and what is said of them.

use super::*;
use sd_engine::packet::MAX_FRAME;
use std::net::Ipv6Addr;

const ATTACK: &[u8] = b"GET /cgi-bin/phf?x HTTP/1.1\r\nHost: shop\r\n\r\n";
const GOOD: &[u8] = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
const CLIENT: ([u8; 4], u16) = ([198, 51, 100, 11], 40000);
const SERVICE: ([u8; 4], u16) = ([192, 0, 2, 100], 80);

fn document(more: Value) -> Arc<RuleSet> {
    let hex: String = "/cgi-bin/phf".bytes().map(|b| format!("{b:02x}")).collect();
    let mut rule = json!({
        "gid": 1, "sid": 886, "rev": 1, "msg": "phf", "classtype": "web-application-attack", "category": "Attack",
        "priority": 1, "action": "divert", "file": "t.rules", "line": 1, "scope": "http",
        "options": [{"kind": "content", "buffer": "http_uri", "bytes": hex, "nocase": false}]});
    if more != Value::Null {
        rule["view"] = more;
    }
    let document = json!({"version": 1, "services": [], "rules": [rule]});
    let (rules, refused) = RuleSet::from_json(&serde_json::to_vec(&document).unwrap()).unwrap();
    assert_eq!(refused, []);
    Arc::new(rules)
}

fn rules() -> Rules {
    Rules { live: document(Value::Null), capture: document(json!({"unit": "request"})) }
}

fn options() -> Options {
    Options {
        ports: vec![80],
        http_ports: vec![],
        ignore_checksums: false,
        observe: false,
        hold_bytes: 8192,
        hold_ms: 150,
        depth: 1 << 20,
        score_sids: 5,
        score_seconds: 300,
    }
}

/// An Ethernet frame of the client.
fn frame(seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; MAX_FRAME];
    let n = Template::between(CLIENT, SERVICE).build_with(&mut out, [1; 6], seq, flags, &[], payload);
    out.truncate(n);
    out
}

struct Pcap {
    big: bool,
    nanoseconds: bool,
    link: u32,
    bytes: Vec<u8>,
}

impl Pcap {
    fn new(big: bool, nanoseconds: bool, link: u32) -> Pcap {
        let mut pcap = Pcap { big, nanoseconds, link, bytes: Vec::new() };
        pcap.word(if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 });
        for word in [0x0002_0004, 0, 0, 65_535, link] {
            pcap.word(word);
        }
        pcap
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend(if self.big { word.to_be_bytes() } else { word.to_le_bytes() });
    }

    fn add(&mut self, micros: u32, frame: &[u8]) {
        let mut record = Vec::new();
        match self.link {
            1 => record.extend_from_slice(frame),
            113 => {
                record.extend_from_slice(&[0; 14]);
                record.extend_from_slice(&frame[12..]);
            }
            276 => {
                record.extend_from_slice(&frame[12..14]);
                record.extend_from_slice(&[0; 18]);
                record.extend_from_slice(&frame[14..]);
            }
            0 => {
                record.extend_from_slice(&[2, 0, 0, 0]);
                record.extend_from_slice(&frame[14..]);
            }
            _ => record.extend_from_slice(&frame[14..]),
        }
        self.word(1_700_000_000);
        self.word(if self.nanoseconds { micros * 1000 } else { micros });
        self.word(record.len() as u32);
        self.word(record.len() as u32);
        self.bytes.extend(record);
    }

    fn judged(&self, options: &Options) -> (Vec<Value>, Summary) {
        let mut events = Vec::new();
        let summary = replay(&self.bytes[..], rules(), options, HashSet::new(), &mut |event| {
            events.push(event.clone());
            true
        });
        (events, summary.unwrap())
    }
}

fn kinds(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .map(|e| match e["event_type"].as_str() {
            Some("alert") => format!("alert {}", e["alert"]["signature_id"]),
            _ => e["securedirect"]["event"].as_str().unwrap_or_default().to_owned(),
        })
        .collect()
}

#[test]
fn every_form_of_file_says_the_same() {
    for link in [1, 101, 12, 113, 276, 0, 228] {
        for (big, nanoseconds) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut pcap = Pcap::new(big, nanoseconds, link);
            pcap.add(1, &frame(99, SYN, b""));
            pcap.add(2, &frame(100, ACK, ATTACK));
            let (events, summary) = pcap.judged(&options());
            assert_eq!(kinds(&events), ["alert 886", "diversion"], "{link} {big} {nanoseconds}");
            assert_eq!(events[0]["timestamp"], "2023-11-14T22:13:20.000002+0000");
            assert_eq!(events[0]["src_ip"], "198.51.100.11");
            assert_eq!(events[1]["securedirect"]["sid"], 886);
            assert_eq!((summary.packets, summary.flows, summary.midstream), (2, 1, 0));
        }
    }
}

#[test]
fn connections_without_a_beginning_and_requests_out_of_order() {
    let mut pcap = Pcap::new(false, false, 1);
    pcap.add(1, &frame(1000, ACK, GOOD));
    let at = 1000 + GOOD.len() as u32;
    pcap.add(2, &frame(at + 10, ACK, &ATTACK[10..]));
    pcap.add(3, &frame(at, ACK, &ATTACK[..10]));
    let (events, summary) = pcap.judged(&options());
    assert_eq!(kinds(&events), ["alert 886", "diversion"]);
    assert_eq!(events[0]["tx_id"], 1);
    assert_eq!(summary.midstream, 1);
}

#[test]
fn wrong_checksums_are_counted_or_ignored() {
    let mut pcap = Pcap::new(false, false, 1);
    let mut bad = frame(100, ACK, ATTACK);
    bad[50] ^= 0xff;
    pcap.add(1, &frame(99, SYN, b""));
    pcap.add(2, &bad);
    let (events, summary) = pcap.judged(&options());
    assert!(events.is_empty());
    assert_eq!(summary.skipped["bad_checksum"], 1);
    let (events, _) = pcap.judged(&Options { ignore_checksums: true, ..options() });
    assert_eq!(events.len(), 2);
}

#[test]
fn observing_goes_on_after_an_attack() {
    let mut pcap = Pcap::new(false, false, 1);
    pcap.add(1, &frame(100, ACK, ATTACK));
    pcap.add(2, &frame(100 + ATTACK.len() as u32, ACK, ATTACK));
    // Rules are judged to the capture's end, diversions as the director would have made them.
    let (events, summary) = pcap.judged(&options());
    assert_eq!(kinds(&events), ["alert 886", "alert 886", "diversion"]);
    assert_eq!(summary.skipped["diverted"], 1);
    let (events, summary) = pcap.judged(&Options { observe: true, ..options() });
    assert_eq!(kinds(&events), ["alert 886", "observed", "alert 886", "observed"]);
    assert_eq!(events[0]["would_divert"], true);
    assert_eq!(summary.counters["would_divert"], 2);
}

#[test]
fn what_waits_for_the_end_is_judged_at_the_end() {
    let mut pcap = Pcap::new(false, false, 1);
    pcap.add(1, &frame(100, ACK, &ATTACK[..ATTACK.len() - 4]));
    let (events, _) = pcap.judged(&options());
    assert_eq!(kinds(&events), ["alert 886", "diversion"]);
}

#[test]
fn vlan_tags_and_other_ports() {
    let mut pcap = Pcap::new(false, false, 1);
    let mut tagged = frame(100, ACK, ATTACK);
    tagged.splice(12..12, [0x88, 0xa8, 0, 1, 0x81, 0, 0, 2]);
    pcap.add(1, &tagged);
    assert_eq!(pcap.judged(&options()).0.len(), 2);
    let (events, summary) = pcap.judged(&Options { ports: vec![8080], ..options() });
    assert!(events.is_empty());
    assert_eq!(summary.skipped["not_service"], 1);
    assert_eq!(pcap.judged(&Options { ports: vec![], ..options() }).0.len(), 2);
}

#[test]
fn ipv6_keeps_its_addresses() {
    let v4 = frame(100, ACK, ATTACK);
    let mut ip = vec![0x60, 0, 0, 0, 0, (v4.len() - 34) as u8, 6, 64];
    ip.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets());
    ip.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2).octets());
    ip.extend_from_slice(&v4[34..]);
    let mut pcap = Pcap::new(false, false, 229);
    pcap.add(1, &[&[0; 14], &ip[..]].concat());
    let (events, _) = pcap.judged(&Options { ignore_checksums: true, ..options() });
    assert_eq!(events[0]["src_ip"], "2001:db8::1");
    assert_eq!(events[1]["dest_ip"], "2001:db8::2");
}

#[test]
fn damaged_files_are_told() {
    let said =
        |bytes: &[u8]| replay(bytes, rules(), &options(), HashSet::new(), &mut |_| true).err().unwrap_or_default();
    assert!(said(b"").contains("too short"));
    assert!(said(&[0x0a, 0x0d, 0x0d, 0x0a].repeat(8)).contains("damaged"));
    let mut pcap = Pcap::new(false, false, 1);
    pcap.add(1, &frame(100, ACK, ATTACK));
    let whole = pcap.bytes.clone();
    for cut in 24..whole.len() {
        pcap.bytes = whole[..cut].to_vec();
        let (events, summary) = pcap.judged(&options());
        assert_eq!((events.len(), summary.cut_short), (0, cut > 24));
    }
    let mut huge = whole;
    huge[24 + 8..24 + 12].fill(0xff);
    assert!(said(&huge).contains("damaged"));
    let odd = Pcap::new(false, false, 147).bytes;
    assert!(said(&odd).contains("link type 147"));
}

/// Whatever stands in a file, it is judged or refused.
#[test]
fn damaged_packets_end_nothing() {
    let mut files = Vec::new();
    for link in [1, 113, 276, 0, 101] {
        let mut pcap = Pcap::new(link == 113, false, link);
        pcap.add(1, &frame(99, 0x02, b""));
        pcap.add(2, &frame(100, ACK, b""));
        let attack = frame(100, ACK, ATTACK);
        // Two fragments, then the second again.
        for (offset, more, part) in [(0, 0x20, &attack[34..66]), (4, 0, &attack[66..]), (4, 0, &attack[66..])] {
            let mut fragment = [&attack[..34], part].concat();
            fragment[16..18].copy_from_slice(&((20 + part.len()) as u16).to_be_bytes());
            (fragment[20], fragment[21]) = (more, offset);
            pcap.add(3, &fragment);
        }
        pcap.add(4, &frame(100 + ATTACK.len() as u32, ACK, GOOD));
        let mut inside = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 4, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2];
        inside.extend_from_slice(&attack[14..]);
        let total = (inside.len() as u16).to_be_bytes();
        inside[2..4].copy_from_slice(&total);
        pcap.add(5, &[&attack[..14], &inside[..]].concat());
        files.push(pcap.bytes);
    }
    let (rules, options) = (rules(), Options { ignore_checksums: true, ..options() });
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let (mut judged, mut matched) = (0, 0);
    for round in 0..1_500 {
        let mut bytes = files[round % files.len()].clone();
        for _ in 0..random(6) {
            let at = random(bytes.len());
            bytes[at] = [0, 1, 0xff, 0x80, bytes[at] ^ 1 << random(8)][random(5)];
        }
        let rules = Rules { live: rules.live.clone(), capture: rules.capture.clone() };
        let mut count = |_: &Value| {
            matched += 1;
            true
        };
        judged += usize::from(replay(&bytes[..], rules, &options, HashSet::new(), &mut count).is_ok());
    }
    assert!(judged > 700 && matched > 700, "{judged} {matched}");
}
