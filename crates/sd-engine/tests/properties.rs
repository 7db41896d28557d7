// SPDX-License-Identifier: Apache-2.0
//! Properties of the whole engine: the verdict does not depend on how a client cuts, orders and repeats its bytes, and no
//! sequence of packets makes it forward what was not judged.

mod common;

use common::{config, rules, Site, MS};
use proptest::prelude::*;
use sd_engine::event::Reason;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What one connection led to.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Where the verdict is to divert, which of the request's rules was met first depends on what came first.
    alerts: Option<BTreeSet<u32>>,
    diverted: bool,
    server: Vec<u8>,
    honeypot: Vec<u8>,
}

/// Deliver pieces of a stream, each as (place, bytes), then wait until everything is over. A client repeats what it has no
/// acknowledgement for; here it repeats all.
fn outcome(pieces: impl IntoIterator<Item = (usize, Vec<u8>)>, stream: &[u8]) -> Outcome {
    let mut site = Site::new(config(), rules());
    site.connect(0);
    for (at, bytes) in pieces {
        site.segment(0, at as u32, &bytes);
    }
    // Earlier requests are answered.
    site.acknowledge(0, 500);
    site.pass_time(4_000);
    site.segment(0, 0, stream);
    let honeypot = site.world.honeypot.get(&0).map(|received| received.all()).unwrap_or_default();
    let diverted = site.diverted().is_some();
    assert!(!site.world.server.get(&0).is_some_and(|received| received.contradicted));
    Outcome { alerts: (!diverted).then(|| site.alerts()), diverted, server: site.to_server(0), honeypot }
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let uri = prop::sample::select(vec![
        "/index.html",
        "/robots.txt",
        "/a/../b?c=%41",
        "/cgi-bin/phf?x",
        "/%63gi-bin/phf",
        "/cgi-bin//phf",
    ]);
    let header = prop::sample::select(vec!["", "X-Odd: 1\r\n", "Cookie: a=b\r\n", "X:\r\n folded\r\n"]);
    let word = prop::sample::select(vec!["hello", "EVILBODY", "drop", " table", "&a=b", "x", "DROP TABLE"]);
    let body = prop::collection::vec(word, 0..6).prop_map(|words| words.concat().into_bytes());
    (uri, header, body, 0..3u8, 1..12usize).prop_map(|(uri, header, body, kind, size)| {
        let head = |rest: String| format!("POST {uri} HTTP/1.1\r\nHost: shop\r\n{header}{rest}\r\n").into_bytes();
        match kind {
            0 => format!("GET {uri} HTTP/1.1\r\nHost: shop\r\n{header}\r\n").into_bytes(),
            1 => [head(format!("Content-Length: {}\r\n", body.len())), body].concat(),
            _ => {
                let mut stream = head("Transfer-Encoding: chunked\r\n".into());
                for piece in body.chunks(size) {
                    stream.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                    stream.extend_from_slice(piece);
                    stream.extend_from_slice(b"\r\n");
                }
                stream.extend_from_slice(b"0\r\n\r\n");
                stream
            }
        }
    })
}

/// Cut at `cuts`; every piece that `repeat` names comes twice; all in an order made from `order`.
fn pieces(stream: &[u8], cuts: &[usize], order: u64, repeat: u64) -> Vec<(usize, Vec<u8>)> {
    let mut edges: BTreeSet<usize> = cuts.iter().map(|cut| cut % stream.len()).collect();
    edges.extend([0, stream.len()]);
    let edges: Vec<usize> = edges.into_iter().collect();
    let mut pieces: Vec<_> = edges.windows(2).map(|edge| (edge[0], stream[edge[0]..edge[1]].to_vec())).collect();
    let again: Vec<_> = pieces
        .iter()
        .enumerate()
        .filter(|(i, _)| repeat >> (i % 64) & 1 == 1)
        .map(|(_, piece)| piece.clone())
        .collect();
    pieces.extend(again);
    let mut seed = order;
    for i in (1..pieces.len()).rev() {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        pieces.swap(i, (seed >> 33) as usize % (i + 1));
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(300), failure_persistence: None, ..ProptestConfig::default() })]

    /// However a pipeline is cut, ordered and repeated: the same alerts, the same verdict, the same bytes to each machine.
    #[test]
    fn the_verdict_depends_on_no_segmentation(
        requests in prop::collection::vec(request(), 1..4),
        cuts in prop::collection::vec(0..2000usize, 0..7),
        order in any::<u64>(),
        repeat in any::<u64>(),
    ) {
        let stream = requests.concat();
        prop_assume!(stream.len() < 1400);
        let whole = outcome([(0, stream.clone())], &stream);
        let cut = outcome(pieces(&stream, &cuts, order, repeat), &stream);
        prop_assert_eq!(cut.alerts, whole.alerts);
        prop_assert_eq!(cut.diverted, whole.diverted);
        prop_assert_eq!(&cut.server, &whole.server, "{}", stream.escape_ascii());
        // The client sends all of it again, of which the honeypot has no use before its own first byte.
        let from = whole.server.len().min(whole.honeypot.len());
        prop_assert_eq!(&cut.honeypot[from.min(cut.honeypot.len())..], &whole.honeypot[from..]);
    }

    /// Two different bytes for one sequence number, in whatever order: an attack.
    #[test]
    fn contradicting_bytes_are_an_attack(
        requests in prop::collection::vec(request(), 1..3),
        cuts in prop::collection::vec(0..2000usize, 1..7),
        order in any::<u64>(),
        which in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
    ) {
        let stream = requests.concat();
        let mut sent = pieces(&stream, &cuts, order, 0);
        let (at, mut other) = sent[which.index(sent.len())].clone();
        let changed = byte.index(other.len());
        // One byte right before what comes next is a keep-alive's, which is garbage by right (RFC 9293, section 3.8.4).
        prop_assume!(other.len() > 1);
        other[changed] ^= 0x20;
        let place = which.index(sent.len() + 1);
        sent.insert(place, (at, other));
        let found = outcome(sent, b"");
        prop_assert!(found.diverted, "{found:?}");
        // Whichever came first is what the server may have had, up to the contradiction.
        prop_assert!(!found.server.windows(8).any(|part| part == b"EVILBODY"));
    }

    #[test]
    fn no_packets_break_the_invariants(input in prop::collection::vec(any::<u8>(), 0..600)) {
        common::fuzz::reassembly(&input);
    }
}

/// Inputs of the fuzz target: the seeds, and what was once found.
#[test]
fn fuzzed_inputs() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut files: Vec<PathBuf> = Vec::new();
    for kind in ["corpus", "regressions"] {
        let Ok(entries) = std::fs::read_dir(fuzz.join(kind).join("reassembly")) else { continue };
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.sort();
    for file in &files {
        println!("{}", file.display());
        common::fuzz::reassembly(&std::fs::read(file).unwrap());
    }
    assert!(!files.is_empty(), "the seeds are part of the checkout");
}

#[test]
fn a_request_in_single_bytes_takes_as_long_as_it_may() {
    let mut site = Site::new(config(), rules());
    site.connect(0);
    let attack = b"GET /cgi-bin/phf HTTP/1.1\r\nHost: shop\r\n\r\n";
    for (at, byte) in attack.iter().enumerate() {
        site.segment(0, at as u32, &[*byte]);
        site.now += 5 * MS;
    }
    site.pass_time(3_000);
    assert!(matches!(site.diverted(), Some(Reason::Rule(rule)) if rule.sid == 1));
    assert!(!site.to_server(0).windows(12).any(|part| part == b"/cgi-bin/phf"));
}
