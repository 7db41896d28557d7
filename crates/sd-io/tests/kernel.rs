// SPDX-License-Identifier: Apache-2.0
//! Against the real kernel, on veth pairs between network namespaces. Needs root: `cargo test -- --ignored`.

mod common;

use std::hash::Hasher;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::BorrowedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{
    configure, counter, enter, ip, segment, segment_from, segment_with, Site, ACK, CLIENT, CLIENT_MAC, DIRECTOR_MAC,
    HONEYPOT_MAC, PSH, SERVER_MAC, SYN, VIP,
};
use sd_io::abi;
use sd_io::adopter::Adopter;
use sd_io::clearing::Automaton;
use sd_io::director::{Director, Listed, Options};
use sd_io::xdp::{Mode, Wanted};
use sd_io::xsk::{Frame, Xsk};
use sd_io::{net, pass};

#[test]
#[ignore = "needs root"]
fn a_connection_goes_to_its_server_and_an_attacker_to_the_honeypot() {
    let site = Site::new();
    let wire = site.wire();
    let director = Director::load("wire", site.options()).unwrap();
    configure(&director, &[]);
    assert_eq!(director.attach(Wanted::Auto).unwrap(), Mode::Native);

    let mut who_has = Vec::new();
    who_has.extend([0xff; 6]);
    who_has.extend(CLIENT_MAC);
    who_has.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    who_has.extend(CLIENT_MAC);
    who_has.extend(CLIENT);
    who_has.extend([0; 6]);
    who_has.extend(VIP);
    wire.send(&who_has);
    let answer = wire.receive(|frame| frame[12..14] == [8, 6] && frame[21] == 2).expect("an ARP answer");
    assert_eq!(answer[..6], CLIENT_MAC);
    assert_eq!(answer[22..28], DIRECTOR_MAC);
    assert_eq!(answer[28..32], VIP);

    let to = |mac: [u8; 6]| move |frame: &[u8]| frame[..6] == mac && frame[12..14] == [8, 0];
    wire.send(&segment(40000, SYN, 1000, 0, b""));
    let first = wire.receive(to(SERVER_MAC)).expect("the SYN");
    assert_eq!(first[6..12], DIRECTOR_MAC);
    wire.send(&segment(40000, ACK, 1001, 77, b""));
    wire.receive(to(SERVER_MAC)).expect("the ACK");
    let flows = director.flow_entries(10);
    assert_eq!(flows.len(), 1);
    let facts = flows[0].facts;
    assert_eq!((facts.sport, facts.dport, facts.server, facts.client_isn, facts.mss), (40000, 80, 0, 1000, 536));
    assert_eq!(facts.saddr, abi::mapped(CLIENT));
    assert_eq!(flows[0].owner & abi::FLAG_MASK, abi::FLAG_ESTABLISHED);
    assert_eq!(director.flow_table().last_ack(flows[0].index), Some(77));

    // Nobody inspects: payload goes nowhere.
    let before = counter(&director, "drop_no_inspector");
    wire.send(&segment(40000, ACK | PSH, 1001, 77, b"GET / HTTP/1.1\r\n\r\n"));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(counter(&director, "drop_no_inspector"), before + 1);

    director.attacker_add("192.0.2.1", 3_600_000_000_000, 42).unwrap();
    wire.send(&segment(40001, SYN, 5000, 0, b""));
    wire.receive(to(HONEYPOT_MAC)).expect("the attacker's SYN");
    let marks = director.attackers().unwrap();
    assert_eq!((marks.len(), marks[0].sid, marks[0].connections), (1, 42, 1));
    assert!(marks[0].expires_ns > 3_500_000_000_000);
    assert!(director.attacker_remove("192.0.2.1").unwrap());
    assert!(!director.attacker_remove("192.0.2.1").unwrap());

    // An allowed source is never diverted.
    director.attacker_add("192.0.2.1", 3_600_000_000_000, 42).unwrap();
    configure(&director, &["192.0.2.0/28"]);
    wire.send(&segment(40002, SYN, 5000, 0, b""));
    wire.receive(to(SERVER_MAC)).expect("the allowed source's SYN");
    director.detach().unwrap();
    director.detach().unwrap();
    assert!(!site.pins.exists());
}

fn listed(network: &str, services: u64, divert: u64, sid: u32) -> Listed {
    Listed { network: network.to_owned(), services, divert, sid }
}

#[test]
#[ignore = "needs root"]
fn sources_on_rules_lists_are_told_and_may_be_diverted() {
    let site = Site::new();
    let wire = site.wire();
    let director = attached(&site);
    let to = |mac: [u8; 6]| move |frame: &[u8]| frame[..6] == mac && frame[12..14] == [8, 0];
    let owner_of = |director: &Director, port: u16| {
        let flows = director.flow_entries(100);
        let flow = flows.iter().find(|flow| flow.facts.sport == port).unwrap();
        (flow.owner & (abi::FLAG_LISTED | abi::FLAG_DIVERTED), flow.attack_sid)
    };

    director.set_listed(&[listed("192.0.2.0/24", 1, 0, 77), listed("198.51.100.0/24", 1, 1, 78)]).unwrap();
    wire.send(&segment(41000, SYN, 1000, 0, b""));
    wire.receive(to(SERVER_MAC)).expect("a listed source's SYN");
    assert_eq!(owner_of(&director, 41000), (abi::FLAG_LISTED, 77));
    assert_eq!(counter(&director, "new_flows_listed"), 1);

    // Another service's list; then an exception from a larger network.
    for (port, lists) in [
        (41001, vec![listed("192.0.2.0/24", 2, 2, 77)]),
        (41002, vec![listed("192.0.2.0/24", 1, 1, 77), listed("192.0.2.1", 0, 0, 77)]),
    ] {
        director.set_listed(&lists).unwrap();
        wire.send(&segment(port, SYN, 1000, 0, b""));
        wire.receive(to(SERVER_MAC)).expect("a SYN that no list is for");
        assert_eq!(owner_of(&director, port), (0, 0));
    }

    director.set_listed(&[listed("192.0.2.0/24", 1, 1, 79)]).unwrap();
    wire.send(&segment(41003, SYN, 1000, 0, b""));
    wire.receive(to(HONEYPOT_MAC)).expect("a SYN that a list diverts");
    assert_eq!(owner_of(&director, 41003), (abi::FLAG_LISTED | abi::FLAG_DIVERTED, 79));
    assert_eq!(counter(&director, "new_flows_honeypot"), 1);

    // The lists outlive the process, and what is allowed is never diverted.
    drop(director);
    let director = attached(&site);
    wire.send(&segment(41004, SYN, 1000, 0, b""));
    wire.receive(to(HONEYPOT_MAC)).expect("a SYN after a restart");
    configure(&director, &["192.0.2.0/28"]);
    wire.send(&segment(41005, SYN, 1000, 0, b""));
    wire.receive(to(SERVER_MAC)).expect("the allowed source's SYN");
    assert!(director.set_listed(&[listed("192.0.2.1/24", 1, 1, 79)]).is_err());
    director.set_listed(&[]).unwrap();
    director.detach().unwrap();
}

/// Two classes: line ends and all else.
const LINE_ENDS: [u8; 256] = {
    let mut classes = [0; 256];
    classes[b'\n' as usize] = 1;
    classes
};

/// Clears whatever has two lines and more, unless a guard holds: rows for the first line, the rest of lines, and their
/// beginning. The first byte of a request counts as its Host.
fn any_lines(guards: Vec<abi::Guard>) -> Automaton<'static> {
    const HOST: u32 = 1 << 22;
    Automaton { classes: &LINE_ENDS, entries: &[0, 0, 4 | HOST, 0, 4, 6, 4, 0], start: 2, line: 6, guards }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A question whose answer decides: whether a field has this value.
fn guard(field: u16, value: u32) -> abi::Guard {
    abi::Guard { low: value, span: 0, field, hit: u16::MAX, miss: 1, pad: 0 }
}

/// Every field, as bpf/clear.h numbers them, on both sides of its value.
#[test]
#[ignore = "needs root"]
fn a_guard_keeps_its_segments_from_being_cleared() {
    let site = Site::new();
    let wire = site.wire();
    let director = attached(&site);
    let tables = director.clearing().unwrap().expect("this kernel can clear");
    let mut port = 40_000;
    let mut cleared = |guards: &dyn Fn(u32) -> Vec<abi::Guard>| {
        port += 1;
        for (flags, ack, payload) in [(SYN, 0, &b""[..]), (ACK, 77, b"")] {
            wire.send(&segment_from(CLIENT, port, flags, if flags == SYN { 1000 } else { 1001 }, ack, &[], payload));
        }
        tables.install(&[Some(any_lines(guards(u32::from(port))))]);
        is_cleared(&director, "travel_header", || {
            wire.send(&segment_from(CLIENT, port, ACK | PSH, 1001, 77, &[], REQUEST))
        })
    };
    let source = u32::from_be_bytes(CLIENT);
    let values = [source, 0, REQUEST.len() as u32, u32::from(ACK | PSH), 64, 0, 0, 0xffff, 77, 1001, 0];
    for (field, value) in (0..).zip(values) {
        let value = |port: u32| if field == 1 { port } else { value };
        assert!(!cleared(&|port| vec![guard(field, value(port))]), "{field}");
        assert!(cleared(&|port| vec![guard(field, value(port) + 1)]), "{field}");
    }
    // Both of two, in a list of which another question comes first.
    let both = |port: u32, ttl: u32| {
        vec![
            guard(0, 1),
            abi::Guard { hit: 2, miss: 3, ..guard(1, port) },
            abi::Guard { hit: u16::MAX, miss: 3, ..guard(4, ttl) },
        ]
    };
    assert!(!cleared(&|port| both(port, 64)));
    assert!(cleared(&|port| both(port, 65)) && cleared(&|port| both(port + 1, 64)));
    // Taken away again.
    assert!(cleared(&|_| Vec::new()));
    director.detach().unwrap();
}

#[test]
#[ignore = "needs root"]
fn only_a_source_whose_proof_is_outstanding_is_not_cleared() {
    // Places are found by a hash: one of them may have the client's.
    const OTHERS: [[u8; 4]; 2] = [[192, 0, 2, 2], [192, 0, 2, 3]];
    let site = Site::new();
    let wire = site.wire();
    let director = attached(&site);
    let tables = director.clearing().unwrap().expect("this kernel can clear");
    tables.install(&[Some(any_lines(Vec::new()))]);
    let mut port = 40_000;
    let mut cleared = |source: [u8; 4]| {
        port += 1;
        is_cleared(&director, "travel_flow", || {
            for (flags, seq, ack, payload) in
                [(SYN, 1000, 0, &b""[..]), (ACK, 1001, 77, b""), (ACK | PSH, 1001, 77, REQUEST)]
            {
                wire.send(&segment_from(source, port, flags, seq, ack, &[], payload));
            }
        })
    };
    assert!(cleared(CLIENT) && OTHERS.into_iter().all(&mut cleared));
    tables.hold(CLIENT, u64::MAX);
    assert!(!cleared(CLIENT) && OTHERS.into_iter().any(&mut cleared) && !cleared(CLIENT));
    director.detach().unwrap();
}

/// Whether the request that `send` sends is cleared, or travels for this reason.
fn is_cleared(director: &Director, reason: &str, send: impl FnOnce()) -> bool {
    let count = || (counter(director, "cleared"), counter(director, reason));
    let before = count();
    send();
    let began = Instant::now();
    while count() == before && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let after = count();
    assert_eq!(after.0 + after.1, before.0 + before.1 + 1);
    after.0 > before.0
}

/// The director of a site, at work.
fn attached(site: &Site) -> Director {
    let director = Director::load("wire", site.options()).unwrap();
    configure(&director, &[]);
    director.attach(Wanted::Auto).unwrap();
    director
}

/// Of some request: only the key is secret in it.
fn seal(director: &Director) -> u64 {
    director.clearing().unwrap().expect("this kernel can clear").seal(b"GET / HTTP/1.1")
}

#[test]
#[ignore = "needs root"]
fn a_restarted_supervisor_finds_everything() {
    let site = Site::new();
    let wire = site.wire();
    let key;
    {
        let director = attached(&site);
        wire.send(&segment(40000, SYN, 1000, 0, b""));
        wire.receive(|frame| frame[..6] == SERVER_MAC).expect("the SYN");
        director.attacker_add("203.0.113.9", 1_000_000_000_000, 7).unwrap();
        key = seal(&director);
        assert_ne!(key & !0xffff, 0);
    }
    // Nobody there: connections go on.
    wire.send(&segment(40000, ACK, 1001, 77, b""));
    wire.receive(|frame| frame[..6] == SERVER_MAC).expect("the ACK");
    {
        let director = Director::load("wire", site.options()).unwrap();
        assert_eq!(seal(&director), key);
        assert_eq!(director.flow_entries(10).len(), 1);
        assert_eq!(director.attackers().unwrap().len(), 1);
        assert_eq!(director.attach(Wanted::Auto).unwrap(), Mode::Native);
        wire.send(&segment(40000, ACK, 1001, 78, b""));
        wire.receive(|frame| frame[..6] == SERVER_MAC).expect("the ACK");
    }
    // Another size: a new flow table, but the marks stay, in a table of another size too.
    let options = Options { max_flows: 10_000, max_attackers: 200, ..site.options() };
    let director = Director::load("wire", options).unwrap();
    assert_eq!(director.flow_entries(10).len(), 0);
    assert_eq!(director.attackers().unwrap().len(), 1);
    // Another mode: the old program goes first.
    assert_eq!(director.attach(Wanted::Only(Mode::Generic)).unwrap(), Mode::Generic);
    assert_eq!(director.attach(Wanted::Only(Mode::Native)).unwrap(), Mode::Native);
    director.detach().unwrap();
}

#[test]
#[ignore = "needs root"]
fn strangers_programs_stay() {
    let site = Site::new();
    pass::attach_pass("wire").unwrap();
    let director = Director::load("wire", site.options()).unwrap();
    let error = director.attach(Wanted::Auto).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EBUSY));
    assert!(error.to_string().contains("\"pass\""), "{error}");
    director.detach().unwrap();
    pass::detach_xdp("wire").unwrap();
    director.attach(Wanted::Auto).unwrap();
    director.detach().unwrap();
    let error = Director::load("no-such", site.options()).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENODEV));
    assert!(error.to_string().starts_with("find the interface \"no-such\": No such device"), "{error}");
    let elsewhere = std::env::temp_dir().join("sdio-no-bpf-file-system/pins");
    let error = Director::load("wire", Options { pin_dir: Some(elsewhere.clone()), ..site.options() }).unwrap_err();
    assert!(error.to_string().contains("mount -t bpf"), "{error}");
    assert!(!elsewhere.exists());
}

#[test]
#[ignore = "needs root"]
fn payload_travels_through_the_inspectors_socket_and_back() {
    let site = Site::new();
    let wire = site.wire();
    let director = attached(&site);
    let index = net::interface_index("wire").unwrap();
    assert_eq!(net::receive_queues("wire").unwrap(), 1);
    let frames = 256;
    let mut xsk = Xsk::open(index, 0, frames).unwrap();
    let (_, xsks) = director.inspector_fds().into_iter().find(|(name, _)| *name == "xsks").unwrap();
    // SAFETY: the descriptor belongs to the director, which outlives this borrow.
    xsk.register(unsafe { BorrowedFd::borrow_raw(xsks) }, 0).unwrap();

    wire.send(&segment(40000, SYN, 1000, 0, b""));
    wire.receive(|frame| frame[..6] == SERVER_MAC).expect("the SYN");
    let to_honeypot = |frame: &[u8]| frame[..6] == HONEYPOT_MAC;
    let mut batch: Vec<Frame> = Vec::new();
    let all = xsk.free_frames() + frames as usize / 2;
    assert_eq!(all, frames as usize);
    // More rounds than there are frames: none may be lost on the way.
    for round in 0..3 * frames {
        let request = format!("GET /{round} HTTP/1.1\r\n\r\n");
        wire.send(&segment(40000, ACK | PSH, 1001, 77, request.as_bytes()));
        let end = Instant::now() + Duration::from_secs(2);
        while xsk.receive(&mut batch) == 0 {
            assert!(Instant::now() < end, "round {round}");
            xsk.wait(100);
        }
        let mut frame = batch.pop().unwrap();
        assert!(batch.is_empty());
        assert_eq!(xsk.held_frames(), 1);
        let meta = abi::Meta::parse(xsk.meta(&frame)).expect("the director's metadata");
        assert_eq!(meta.count, round + 1);
        assert_eq!(director.flow_table().owner(meta.flow).unwrap() >> 32, u64::from(round) + 1);
        let bytes = xsk.bytes_mut(&frame);
        assert_eq!(bytes[..6], SERVER_MAC);
        assert_eq!(bytes[6..12], CLIENT_MAC);
        assert!(bytes.ends_with(request.as_bytes()));
        bytes[..6].copy_from_slice(&HONEYPOT_MAC);
        match round % 3 {
            0 => {
                assert!(frame.set_len(54));
                xsk.transmit(frame).unwrap();
                xsk.flush().unwrap();
                assert_eq!(wire.receive(to_honeypot).expect("what was sent on").len(), 54);
            }
            1 => {
                let bytes = xsk.bytes(&frame).to_vec();
                xsk.release(frame);
                let mut own = xsk.alloc().unwrap();
                assert_eq!(own.len(), xsk.frame_capacity());
                assert!(!own.set_len(own.capacity() + 1));
                assert!(own.set_len(bytes.len()));
                xsk.bytes_mut(&own).copy_from_slice(&bytes);
                xsk.transmit(own).unwrap();
                xsk.flush().unwrap();
                assert_eq!(wire.receive(to_honeypot).expect("a packet of our own"), bytes);
            }
            _ => xsk.release(frame),
        }
    }
    xsk.reap();
    assert_eq!(xsk.held_frames(), 0);
    assert_eq!(xsk.free_frames() + frames as usize / 2, frames as usize);

    // A burst larger than the rings is lost in order, counted, and stops nothing.
    for port in 0..2000u32 {
        wire.send(&segment(40000, ACK | PSH, 1001 + port, 77, b"x"));
    }
    let mut got = 0;
    loop {
        let n = xsk.receive(&mut batch);
        if n == 0 {
            break;
        }
        got += n;
        for frame in batch.drain(..) {
            xsk.release(frame);
        }
    }
    let lost = xsk.statistics().unwrap();
    assert_eq!(got as u64 + lost.dropped + lost.ring_full, 2000, "{lost:?}");
    assert!(got >= frames as usize / 2);
    assert_eq!(xsk.held_frames(), 0);

    // A thousand packets at once go out, in order.
    let mut sent = 0u32;
    while sent < 1000 {
        let Some(mut own) = xsk.alloc() else {
            xsk.flush().unwrap();
            continue;
        };
        assert!(own.set_len(60));
        let bytes = xsk.bytes_mut(&own);
        bytes[..6].copy_from_slice(&HONEYPOT_MAC);
        bytes[6..12].copy_from_slice(&DIRECTOR_MAC);
        bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
        bytes[14..18].copy_from_slice(&sent.to_be_bytes());
        match xsk.transmit(own) {
            Ok(()) => sent += 1,
            Err(own) => {
                xsk.release(own);
                xsk.flush().unwrap();
            }
        }
        if sent % 100 == 0 {
            xsk.flush().unwrap();
            // The packet socket's buffer is not endless.
            for expected in sent - 100..sent {
                let frame = wire.receive(|frame| frame[12..14] == [0x88, 0xb5]).expect("each of them");
                assert_eq!(frame[14..18], expected.to_be_bytes());
            }
        }
    }
    xsk.flush().unwrap();
    assert_eq!(xsk.held_frames(), 0);

    // A successor takes the queue while the predecessor is just going.
    let late = std::thread::spawn({
        let space = site.director.clone();
        move || {
            enter(&space);
            Xsk::open(index, 0, frames).map(|xsk| xsk.queue())
        }
    });
    std::thread::sleep(Duration::from_millis(100));
    drop(xsk);
    assert_eq!(late.join().unwrap().unwrap(), 0);
    let error = Xsk::open(index, 7, frames).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EINVAL));
    director.detach().unwrap();
}

#[test]
#[ignore = "needs root"]
fn the_adopter_comes_and_goes() {
    let site = Site::new();
    let qdiscs = || {
        let done = Command::new("tc").args(["qdisc", "show", "dev", "wire"]).output().unwrap();
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let _ = &site;
    let vip = Ipv4Addr::from(VIP);
    let mut adopter = Adopter::attach("wire", vip, &[80], [7; 16]).unwrap();
    assert!(qdiscs().contains("clsact"));
    assert_eq!(adopter.counters().unwrap().iter().map(|(_, n)| n).sum::<u64>(), 0);
    // A second agent takes over; the qdisc is not its own.
    let mut second = Adopter::attach("wire", vip, &[80], [8; 16]).unwrap();
    second.detach().unwrap();
    second.detach().unwrap();
    assert!(qdiscs().contains("clsact"));
    adopter.detach().unwrap();
    assert!(!qdiscs().contains("clsact"));
    assert!(Adopter::attach("no-such", vip, &[80], [7; 16]).is_err());
}

#[test]
#[ignore = "needs root"]
fn the_directors_paths_are_measured() {
    let paths = sd_io::measure::measure_xdp(1_000_000).unwrap();
    println!("{paths:#?}");
    let of = |wanted: &str| paths.iter().find(|(path, _)| *path == wanted).unwrap().1;
    assert!(paths.iter().all(|(_, ns)| ns.is_finite()));
    assert!(of("flow_hit") < of("new_flow"), "a known connection costs less than a new one");
}

/// The adopt segment's option, as the engine writes it: MSS 1400, window scales 7 (client) and 10 (ours), SACK.
fn adopt_option(key: [u8; 16], port: u16, seq: u32, ack: u32) -> Vec<u8> {
    let (mss, scales, flags) = (1400u16, 0x7au8, abi::OPT_SACK | abi::OPT_WSCALE);
    let mut option = vec![abi::ADOPT_KIND, abi::ADOPT_LEN as u8];
    option.extend(abi::ADOPT_EXID.to_be_bytes());
    option.extend([0; 8]);
    option.extend(mss.to_be_bytes());
    option.extend([scales, flags, 0, 0, 0, 0]);
    let words = [
        u64::from(u32::from_be_bytes(CLIENT)) << 32 | u64::from(u32::from_be_bytes(VIP)),
        u64::from(port) << 48 | 80 << 32 | u64::from(seq),
        u64::from(ack) << 32,
        u64::from(mss) << 16 | u64::from(scales) << 8 | u64::from(flags),
        u64::from(abi::ADOPT_KIND) << 8 | abi::ADOPT_LEN as u64,
    ];
    let mut hasher = siphasher::sip::SipHasher24::new_with_key(&key);
    for word in words {
        hasher.write(&word.to_le_bytes());
    }
    option.extend(hasher.finish().to_le_bytes());
    assert_eq!(option.len(), abi::ADOPT_LEN);
    option
}

#[test]
#[ignore = "needs root"]
fn a_honeypot_goes_on_with_a_connection_that_it_never_saw_begin() {
    let site = Site::new();
    let wire = site.wire();
    let mac = CLIENT_MAC.map(|byte| format!("{byte:02x}")).join(":");
    for command in [
        "link set lo up",
        "addr add 192.0.2.100/32 dev lo",
        "addr add 192.0.2.2/24 dev wire",
        &format!("neigh replace 192.0.2.1 lladdr {mac} dev wire"),
    ] {
        ip(&format!("-n {} {command}", site.director));
    }
    let listener = TcpListener::bind((Ipv4Addr::from(VIP), 80)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let key = [7; 16];
    let adopter = Adopter::attach("wire", Ipv4Addr::from(VIP), &[80], key).unwrap();
    let counted = |name: &str| adopter.counters().unwrap().into_iter().find(|(have, _)| *have == name).unwrap().1;
    let (port, seq, ack) = (40_000u16, 500_000u32, 900_000u32);

    // Somebody else's key: not even the kernel's own answer.
    let forged = adopt_option([8; 16], port, seq, ack);
    wire.send(&segment_with(port, ACK, seq, ack, &forged, b""));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(counted("refused_mac"), 1);
    // The right one, but moved to other numbers.
    let option = adopt_option(key, port, seq, ack);
    wire.send(&segment_with(port, ACK, seq + 1, ack, &option, b""));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!((counted("refused_mac"), counted("adopted")), (2, 0));
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);

    wire.send(&segment_with(port, ACK, seq, ack, &option, b""));
    let end = Instant::now() + Duration::from_secs(2);
    let (mut connection, client) = loop {
        match listener.accept() {
            Ok(found) => break found,
            Err(error) => assert!(Instant::now() < end, "{error}: {:?}", adopter.counters()),
        }
    };
    assert_eq!(client.port(), port);
    assert_eq!(counted("adopted"), 1);
    connection.set_nonblocking(false).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    wire.send(&segment(port, ACK | PSH, seq, ack, b"GET /attack HTTP/1.1\r\n\r\n"));
    let mut request = [0u8; 24];
    connection.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"GET /attack HTTP/1.1\r\n\r\n");
    connection.write_all(b"decoy").unwrap();
    let answer = wire.receive(|frame| frame.ends_with(b"decoy")).expect("the answer");
    assert_eq!(answer[38..42], ack.to_be_bytes(), "the client's stream goes on without a gap");
    assert_eq!(answer[42..46], (seq + 24).to_be_bytes());

    // Once is enough.
    wire.send(&segment_with(port, ACK, seq, ack, &option, b""));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(counted("refused_already_open"), 1);
    drop(listener);
    let late = adopt_option(key, 40_001, seq, ack);
    wire.send(&segment_with(40_001, ACK, seq, ack, &late, b""));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(counted("refused_no_listener"), 1);
}
