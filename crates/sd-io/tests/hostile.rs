// SPDX-License-Identifier: Apache-2.0
//! What nobody may do to the director with packets alone. Needs root: `cargo test -- --ignored`.

mod common;

use std::time::Duration;

use common::{configure, counter, segment, segment_with, Site, Wire, ACK, HONEYPOT_MAC, SERVER_MAC, SYN};
use sd_io::abi;
use sd_io::director::{Director, FlowEntry};
use sd_io::xdp::Wanted;

const RST: u8 = 4;
const URG: u8 = 32;
const FIRST: u32 = 1001;

fn to(mac: [u8; 6]) -> impl Fn(&[u8]) -> bool {
    move |frame: &[u8]| frame[..6] == mac && frame[12..14] == [8, 0]
}

fn site() -> (Site, Wire, Director) {
    let site = Site::new();
    let wire = site.wire();
    let director = Director::load("wire", site.options()).unwrap();
    configure(&director, &[]);
    director.attach(Wanted::Auto).unwrap();
    (site, wire, director)
}

fn establish(wire: &Wire, port: u16) {
    wire.send(&segment(port, SYN, FIRST - 1, 0, b""));
    wire.receive(to(SERVER_MAC)).expect("the SYN");
    wire.send(&segment(port, ACK, FIRST, 77, b""));
    wire.receive(to(SERVER_MAC)).expect("the ACK");
}

fn flow(director: &Director, port: u16) -> FlowEntry {
    director.flow_entries(100).into_iter().find(|flow| flow.facts.sport == port).expect("a flow")
}

#[test]
#[ignore = "needs root"]
fn an_urgent_pointer_without_payload_reaches_no_server() {
    let (_site, wire, director) = site();
    establish(&wire, 40000);
    let mut frame = segment(40000, ACK | URG, FIRST, 77, b"");
    frame[52..54].copy_from_slice(&7u16.to_be_bytes());
    wire.send(&frame);
    wire.send(&segment(40000, ACK, FIRST, 78, b""));
    let next = wire.receive(to(SERVER_MAC)).expect("the ACK behind it");
    assert_eq!(next[47], ACK, "the urgent one has passed");
    assert_eq!(counter(&director, "drop_bad_flags"), 1);
    director.detach().unwrap();
}

/// A server that has closed, unseen by the director, would begin a new connection, while the inspector goes on with the
/// old one: in the middle of a body, for instance, of which it looks at nothing any more.
#[test]
#[ignore = "needs root"]
fn another_syn_begins_a_connection_anew() {
    let (_site, wire, director) = site();
    establish(&wire, 40000);
    let before = flow(&director, 40000);

    // While packets come, nobody else's SYN ends it.
    wire.send(&segment(40000, SYN, 7000, 0, b""));
    wire.send(&segment(40000, SYN, FIRST - 1, 0, b""));
    let passed = wire.receive(to(SERVER_MAC)).expect("its own SYN once more");
    assert_eq!(passed[38..42], (FIRST - 1).to_be_bytes());
    assert_eq!(counter(&director, "drop_syn_in_use"), 1);
    assert_eq!(flow(&director, 40000).owner, before.owner);

    // A client repeats it after a second.
    std::thread::sleep(Duration::from_millis(1000));
    wire.send(&segment(40000, SYN, 7000, 0, b""));
    wire.receive(to(SERVER_MAC)).expect("the SYN");
    let after = flow(&director, 40000);
    assert_eq!((after.facts.client_isn, after.next_seq), (7000, 7001));
    assert_ne!(
        after.owner >> 16 & 0xffff,
        before.owner >> 16 & 0xffff,
        "another generation: the inspector begins anew"
    );
    assert_eq!(director.flow_entries(10).len(), 1);
    director.detach().unwrap();
}

/// A server that still has the old connection keeps to its numbers. Given what was judged by other ones, it would leave out
/// the beginning: the head of a request in whose body another one stands.
#[test]
#[ignore = "needs root"]
fn no_connection_begins_before_the_end_of_the_last_one() {
    let (_site, wire, director) = site();
    let nothing_passes = |syns: &[u32], port: u16| {
        for isn in syns {
            wire.send(&segment(port, SYN, *isn, 0, b""));
        }
        wire.send(&segment(50000, SYN, 1, 0, b""));
        let next = wire.receive(to(SERVER_MAC)).expect("another client's SYN");
        assert_eq!(next[34..36], 50000u16.to_be_bytes(), "a SYN that begins too early has passed");
    };
    // Half-open: the server may have taken the first SYN.
    wire.send(&segment(40000, SYN, 7000, 0, b""));
    wire.receive(to(SERVER_MAC)).expect("the SYN");
    nothing_passes(&[6999, 6940, 7000u32.wrapping_sub(1 << 30)], 40000);
    wire.send(&segment(40000, SYN, 7001, 0, b""));
    wire.receive(to(SERVER_MAC)).expect("one behind it");

    // Established, and quiet for a second.
    establish(&wire, 40001);
    std::thread::sleep(Duration::from_millis(1000));
    nothing_passes(&[FIRST - 2, FIRST - 60], 40001);

    // Closed, or so the client says.
    establish(&wire, 40002);
    wire.send(&segment(40002, RST, FIRST, 0, b""));
    wire.receive(to(SERVER_MAC)).expect("the reset");
    nothing_passes(&[FIRST - 2, FIRST - 60], 40002);
    wire.send(&segment(40002, SYN, FIRST.wrapping_sub(1 << 29), 0, b""));
    wire.receive(to(SERVER_MAC)).expect("another client behind the same address");
    director.detach().unwrap();
}

/// ACK with a timestamp that echoes this.
fn echo(port: u16, tsecr: u32) -> Vec<u8> {
    let mut options = vec![1, 1, 8, 10, 0, 0, 0, 1];
    options.extend(tsecr.to_be_bytes());
    segment_with(port, ACK, FIRST, 77, &options, b"")
}

#[test]
#[ignore = "needs root"]
fn an_echo_is_not_guessed() {
    const BASE: u32 = 0x5000_0000;
    let (_site, wire, director) = site();
    let divert = |port: u16, ago_ms: u64| {
        establish(&wire, port);
        let (table, at) = (director.flow_table(), flow(&director, port).index);
        table.set_honeypot(at, 1);
        table.set_proof_base(at, BASE);
        table.set_diverted_at(at, sd_io::net::now_ns() - ago_ms * 1_000_000);
        table.or_owner(at, abi::FLAG_PROVE | abi::FLAG_DIVERTED);
    };
    let tell = |port: u16, tsecr: u32| {
        wire.send(&echo(port, tsecr));
        wire.receive(to(HONEYPOT_MAC)).expect("the ACK");
        counter(&director, "sources_proved")
    };

    // A window that grew with the connection's age would be hit by a handful of guesses.
    divert(40000, 3_600_000);
    assert_eq!(tell(40000, BASE + 1_800_000), 0);
    assert_eq!(tell(40000, BASE - 1), 0);
    assert_eq!(tell(40000, BASE + 3_600_000 + 60_000), 0);
    assert_eq!(tell(40000, BASE + 3_600_000), 1, "what the honeypot says just now");
    assert!(director.attacker_remove("192.0.2.1").unwrap());

    // What was on its way proves nothing and does no harm; many guesses end it.
    divert(40001, 0);
    for n in 0..20 {
        assert_eq!(tell(40001, 1000 + n), 1);
    }
    assert_eq!(tell(40001, BASE), 2);
    assert!(director.attacker_remove("192.0.2.1").unwrap());
    divert(40002, 0);
    for n in 0..40 {
        tell(40002, BASE.wrapping_add(0x100_0000 * n + 0x10_0000));
    }
    assert_eq!(tell(40002, BASE), 2, "too late");
    assert_eq!(flow(&director, 40002).owner & abi::FLAG_PROVE, 0);
    assert!(director.attackers().unwrap().is_empty());
    director.detach().unwrap();
}
