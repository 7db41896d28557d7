// SPDX-License-Identifier: Apache-2.0
//! What the fuzz target `reassembly` checks; `tests/properties.rs` replays its inputs and makes random ones.

use super::{attacks_in, config, finish, rules, Site};
use sd_engine::packet::{ACK, ETH, FIN, IP, PSH, URG};
use sd_rules::{Limits, RuleSet};
use std::sync::{Arc, OnceLock};

const FLOWS: u8 = 4;
const MEMORY: usize = 96 << 10;
/// What one connection may take when the memory is used up, and the segment that used it up.
const PER_CONNECTION: usize = 2048 + 1500;

/// What clients send, piece by piece.
const PIECES: [&[u8]; 16] = [
    b"GET /index.html HTTP/1.1\r\nHost: shop\r\n\r\n",
    b"GET /cgi-bin/phf?x HTTP/1.1\r\nHost: shop\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"5\r\nhello\r\n",
    b"8\r\nEVILBODY\r\n",
    b"0\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: s\r\nContent-Length: 40\r\n\r\n",
    b"0123456789012345678901234567890123456789",
    b"a=drop%20 table b; drop the table; 0123456789",
    b"POST /long HTTP/1.1\r\nHost: s\r\nContent-Length: 60000\r\n\r\n",
    b"GET /robots.txt HTTP/1.1\r\nX-Odd: 1\r\nHost: s\r\nExpect: 100-continue\r\n\r\n",
    b"GET /%63gi-bin/../cgi-bin//phf HTTP/1.0\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\n\r\n",
    b"EVILBOD",
    b"Y\0\x80 HTTP/1.1\nX:\r\n y\r\n\r\n",
];

static RULES: OnceLock<Arc<RuleSet>> = OnceLock::new();

/// Bytes choose limits, what four connections send, and in which packets: nothing that is an attack reaches the server,
/// nothing twice with different bytes, nothing with a gap, and memory stays bounded.
pub fn reassembly(input: &[u8]) {
    let Some(([limits, pieces], rest)) = input.split_first_chunk::<2>() else { return };
    let mut config = config();
    config.memory = MEMORY;
    config.hold_bytes = if limits & 1 == 0 { 8192 } else { 64 + usize::from(*limits) };
    config.depth = if limits & 2 == 0 { 1 << 20 } else { 50 };
    config.services[0].observe = false;
    let depth = config.depth;
    let (script, ops) = rest.split_at(rest.len().min(usize::from(*pieces % 48)));
    let mut streams: Vec<Vec<u8>> = vec![Vec::new(); usize::from(FLOWS)];
    for choice in script {
        streams[usize::from((choice >> 4) % FLOWS)].extend_from_slice(PIECES[usize::from(choice & 15)]);
    }
    streams[3].extend_from_slice(&[b'x'; 20_000]);
    let rules = RULES.get_or_init(rules).clone();
    let mut site = Site::new(config, rules.clone());
    for flow in 0..u32::from(FLOWS) {
        site.connect(flow);
    }
    let mut cursors = vec![0usize; streams.len()];
    let mut restarted = false;
    for op in ops.chunks_exact(4) {
        let [kind, flow, a, b] = [op[0], op[1] % FLOWS, op[2], op[3]];
        let (index, flow) = (usize::from(flow), u32::from(flow));
        let stream = &streams[index];
        let near = cursors[index].saturating_add_signed(isize::from(a as i8)).min(stream.len());
        let length = (usize::from(b) * if kind & 16 == 0 { 1 } else { 6 }).min(1400);
        let end = (near + length).min(stream.len());
        let piece = stream[near..end].to_vec();
        let flags = ACK | PSH;
        match kind & 15 {
            0..=5 => {
                // As it is, from where the last one ended or near it.
                let (from, to) = if kind & 15 < 3 {
                    (cursors[index], (cursors[index] + length).min(stream.len()))
                } else {
                    (near, end)
                };
                let frame = site.frame(flow, from as u32, &stream[from..to], flags);
                site.deliver(flow, &frame);
                cursors[index] = cursors[index].max(to);
            }
            6 => {
                let mut other = piece;
                if let Some(byte) = other.get_mut(usize::from(b / 2)) {
                    *byte ^= 0x20;
                }
                let frame = site.frame(flow, near as u32, &other, flags);
                site.deliver(flow, &frame);
            }
            7 => site.pass_time(u64::from(a) * if kind & 16 == 0 { 1 } else { 20 }),
            8 => site.acknowledge(flow, u32::from(a) * 100),
            9 => {
                let frame = site.frame(flow, near as u32, &piece, flags | FIN);
                site.deliver(flow, &frame);
            }
            10 => {
                restarted = true;
                site.restart();
            }
            11 => site.reload(),
            12 => {
                let mut frame = site.frame(flow, near as u32, &piece, flags | URG);
                frame[ETH + IP + 18..ETH + IP + 20].copy_from_slice(&[0, a]);
                finish(&mut frame);
                site.deliver(flow, &frame);
            }
            13 => {
                // A byte of the packet is another one; half of the time its checksums say that it is right.
                let mut frame = site.frame(flow, near as u32, &piece, flags);
                let at = (ETH + usize::from(a)).min(frame.len() - 1);
                frame[at] = b;
                let header = usize::from(frame[ETH] & 15) * 4;
                if kind & 16 == 0 && header >= 20 && frame.len() >= ETH + header + 20 {
                    finish(&mut frame);
                }
                if frame[ETH + 12..ETH + IP + 4] == site.frame(flow, 0, b"", flags)[ETH + 12..ETH + IP + 4] {
                    site.deliver(flow, &frame);
                }
            }
            14 => {
                site.connect(flow);
                cursors[index] = 0;
            }
            _ => {
                let far = near as u32 + (u32::from(a) << 16);
                let frame = site.frame(flow, far, &piece, flags);
                site.deliver(flow, &frame);
            }
        }
        assert!(site.engine.connections() <= usize::from(FLOWS));
        let bound = MEMORY + usize::from(FLOWS) * PER_CONNECTION;
        assert!(site.engine.memory() <= bound, "{} bytes are held", site.engine.memory());
    }
    site.pass_time(5_000);
    let limits = Limits { depth, ..Limits::default() };
    for (flow, received) in &site.world.server {
        let (stream, gap) = (received.stream(), received.has_gap());
        assert!(!received.contradicted, "flow {flow}: two readings of one sequence number");
        assert!(!received.after_reset, "flow {flow}: bytes after the server's socket was closed");
        assert!(!gap, "flow {flow}: a gap in what was forwarded: {}", received.all().escape_ascii());
        // A new inspector begins at a boundary, or resets: what it took for one has to be judged from there.
        if !restarted {
            let attacks = attacks_in(&rules, &limits, &stream).unwrap_or_default();
            assert_eq!(attacks, [0u32; 0], "flow {flow}: the server got {}", stream.escape_ascii());
        }
    }
}
