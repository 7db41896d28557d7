// SPDX-License-Identifier: Apache-2.0
//! A client and a director on the two ends of a cable, and segments made by hand.
#![allow(dead_code)] // each test file uses its part

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sd_io::abi;
use sd_io::director::{Director, Options};
use sd_io::shared::{Backend, Settings};
use sd_io::{net, pass};

pub const NEEDS_ROOT: &str = "needs root";
pub const VIP: [u8; 4] = [192, 0, 2, 100];
pub const CLIENT: [u8; 4] = [192, 0, 2, 1];
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const DIRECTOR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 3];
pub const HONEYPOT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 4];

pub fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split_whitespace()).output().expect("ip");
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

pub fn enter(namespace: &str) {
    let file = File::open(format!("/run/netns/{namespace}")).expect(NEEDS_ROOT);
    // SAFETY: plain system call on an open descriptor; only this thread changes its namespace.
    assert_eq!(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }, 0, "{NEEDS_ROOT}");
}

/// Two namespaces joined by a veth pair named "wire"; the calling thread is in the director's.
pub struct Site {
    client: String,
    pub director: String,
    pub pins: PathBuf,
}

impl Site {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let id = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let site = Self {
            client: format!("sdio-c{id}"),
            director: format!("sdio-d{id}"),
            pins: PathBuf::from(format!("/sys/fs/bpf/sdio-{id}")),
        };
        ip(&format!("netns add {}", site.client));
        ip(&format!("netns add {}", site.director));
        ip(&format!("link add wire netns {} type veth peer name wire netns {}", site.client, site.director));
        for (space, mac) in [(&site.client, CLIENT_MAC), (&site.director, DIRECTOR_MAC)] {
            let text = mac.map(|byte| format!("{byte:02x}")).join(":");
            ip(&format!("-n {space} link set wire address {text} up"));
        }
        enter(&site.director);
        site
    }

    pub fn options(&self) -> Options {
        Options { pin_dir: Some(self.pins.clone()), max_flows: 1000, max_attackers: 100 }
    }

    /// A packet socket of the client: sends raw frames, receives what comes back.
    pub fn wire(&self) -> Wire {
        enter(&self.client);
        let index = net::interface_index("wire").unwrap();
        pass::attach_pass("wire").unwrap();
        let wire = Wire::open(index);
        enter(&self.director);
        wire
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for space in [&self.client, &self.director] {
            let _ = Command::new("ip").args(["netns", "del", space]).status();
        }
        let _ = std::fs::remove_dir_all(&self.pins);
    }
}

pub struct Wire(i32);

impl Wire {
    pub fn open(index: u32) -> Self {
        let all = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: plain system calls; the address is a complete sockaddr_ll.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(all));
            assert!(fd >= 0, "{NEEDS_ROOT}");
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = all;
            address.sll_ifindex = index as i32;
            let size = std::mem::size_of_val(&address) as u32;
            assert_eq!(libc::bind(fd, (&raw const address).cast(), size), 0);
            Self(fd)
        }
    }

    pub fn send(&self, frame: &[u8]) {
        // SAFETY: the buffer is readable for its length.
        let sent = unsafe { libc::send(self.0, frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize);
    }

    /// The next frame from the other side that `accept` likes, within two seconds.
    pub fn receive(&self, accept: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let end = Instant::now() + Duration::from_secs(2);
        let mut buffer = vec![0u8; 4096];
        while Instant::now() < end {
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            let mut size = std::mem::size_of_val(&from) as u32;
            // SAFETY: buffer and address are writable for the lengths given.
            let got = unsafe {
                libc::recvfrom(
                    self.0,
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    libc::MSG_DONTWAIT,
                    (&raw mut from).cast(),
                    &mut size,
                )
            };
            if got <= 0 {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let frame = &buffer[..got as usize];
            if from.sll_pkttype != libc::PACKET_OUTGOING && accept(frame) {
                return Some(frame.to_vec());
            }
        }
        None
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // SAFETY: our own descriptor.
        unsafe { libc::close(self.0) };
    }
}

pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for pair in parts.concat().chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

pub fn segment(port: u16, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    segment_with(port, flags, seq, ack, &[], payload)
}

pub fn segment_with(port: u16, flags: u8, seq: u32, ack: u32, options: &[u8], payload: &[u8]) -> Vec<u8> {
    segment_from(CLIENT, port, flags, seq, ack, options, payload)
}

pub fn segment_from(
    source: [u8; 4],
    port: u16,
    flags: u8,
    seq: u32,
    ack: u32,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(port.to_be_bytes());
    tcp.extend(80u16.to_be_bytes());
    tcp.extend(seq.to_be_bytes());
    tcp.extend(ack.to_be_bytes());
    tcp.extend([(5 + options.len() as u8 / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend(options);
    tcp.extend(payload);
    let length = (tcp.len() as u16).to_be_bytes();
    let sum = checksum(&[&source, &VIP, &[0, 6], &length, &tcp]);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x45, 0];
    packet.extend((20 + tcp.len() as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 6, 0, 0]);
    packet.extend(source);
    packet.extend(VIP);
    let sum = checksum(&[&packet]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = Vec::new();
    frame.extend(DIRECTOR_MAC);
    frame.extend(CLIENT_MAC);
    frame.extend([8, 0]);
    frame.extend(packet);
    frame.extend(tcp);
    frame
}

pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const PSH: u8 = 8;

pub fn configure(director: &Director, allow: &[&str]) {
    let settings = Settings {
        vip: VIP,
        ports: vec![80],
        mac: DIRECTOR_MAC,
        flow_timeout_ns: 240_000_000_000,
        closed_timeout_ns: 10_000_000_000,
        attacker_expiry_ns: 3_600_000_000_000,
        inspect: true,
    };
    let allow: Vec<String> = allow.iter().map(|network| (*network).to_owned()).collect();
    director.configure(&settings, &allow).unwrap();
    let usual = abi::BACKEND_UP | abi::BACKEND_RESOLVED;
    for (index, mac, flags) in [(0, SERVER_MAC, usual), (1, HONEYPOT_MAC, usual | abi::BACKEND_HONEYPOT)] {
        let backend = Backend { mac, flags, address: [192, 0, 2, 11], mss: 1460, wscale: Some(7) };
        director.set_backend(index, &backend).unwrap();
        let seen = director.backend(index).unwrap();
        assert_eq!(seen, Backend { flags: flags | abi::BACKEND_WSCALE, ..backend });
    }
    director.set_schedule(0, &[0], &[1]).unwrap();
}

pub fn counter(director: &Director, name: &str) -> u64 {
    director.counters().unwrap().into_iter().find(|(have, _)| *have == name).unwrap().1
}
