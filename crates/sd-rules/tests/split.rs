// SPDX-License-Identifier: Apache-2.0
//! Properties: the verdict does not depend on how a request is cut, comes in time, and is what the
//! options say when they are evaluated in the plainest way.

#[path = "common/coding.rs"]
mod coding;
mod common;

use common::{compile, content, ids, judge_stream, pcre, rule};
use proptest::prelude::*;
use sd_rules::{Limits, RuleSet, Scratch, Step, Transaction};
use serde_json::{json, Value};

/// A content or isdataat over a tiny alphabet, so that everything happens often.
#[derive(Clone, Debug)]
enum Opt {
    Content { bytes: Vec<u8>, negated: bool, relative: bool, from: Option<i32>, span: Option<i32>, ends: bool },
    DataAt { value: u32, relative: bool, negated: bool },
}

impl Opt {
    fn json(&self, buffer: &str) -> Value {
        match self {
            Opt::Content { bytes, negated, relative, from, span, ends } => {
                let (from_key, span_key) = if *relative { ("distance", "within") } else { ("offset", "depth") };
                let from = if *relative && span.is_none() { Some(from.unwrap_or(0)) } else { *from };
                let mut more = json!({"negated": negated, "endswith": ends});
                more[from_key] = json!(from);
                more[span_key] = json!(span);
                content(buffer, bytes, more)
            }
            Opt::DataAt { value, relative, negated } => {
                json!({"kind": "isdataat", "buffer": buffer, "value": value, "relative": relative, "negated": negated})
            }
        }
    }
}

/// The plain meaning of a list of options: every choice is tried.
fn naive(options: &[Opt], bytes: &[u8], cursor: i64) -> bool {
    let Some((option, rest)) = options.split_first() else { return true };
    match option {
        Opt::Content { bytes: wanted, negated, relative, from, span, ends } => {
            let start = if *relative { cursor } else { 0 } + i64::from(from.unwrap_or(0));
            // Suricata: a window that ends before the beginning has no end.
            let end = span.map(|span| start + i64::from(span)).filter(|end| *end >= 0).unwrap_or(i64::MAX);
            let mut places = (0..bytes.len() as i64).filter(|at| {
                let after = at + wanted.len() as i64;
                *at >= start
                    && after <= end
                    && bytes[*at as usize..].starts_with(wanted)
                    && (!ends || after == bytes.len() as i64)
            });
            if *negated {
                places.next().is_none() && naive(rest, bytes, cursor)
            } else {
                places.any(|at| naive(rest, bytes, at + wanted.len() as i64))
            }
        }
        Opt::DataAt { value, relative, negated } => {
            let there = if *relative {
                cursor + i64::from(*value) <= bytes.len() as i64
            } else {
                i64::from(*value) < bytes.len() as i64
            };
            there != *negated && naive(rest, bytes, cursor)
        }
    }
}

fn option() -> impl Strategy<Value = Opt> {
    let bytes = prop::collection::vec(prop::sample::select(b"ab".to_vec()), 1..4);
    let relative_from = prop::option::of(-3..4i32);
    prop_oneof![
        8 => (bytes, prop::bool::weighted(0.25), any::<bool>(), relative_from, prop::option::of(0..5i32), prop::bool::weighted(0.1))
            .prop_map(|(bytes, negated, relative, from, span, ends)| {
                let from = from.map(|from| if relative { from } else { from.abs() });
                let span = span.map(|span| span + bytes.len() as i32);
                Opt::Content { bytes, negated, relative, from, span, ends }
            }),
        1 => (0..6u32, any::<bool>(), any::<bool>())
            .prop_map(|(value, relative, negated)| Opt::DataAt { value, relative, negated }),
    ]
}

fn text(alphabet: &'static [u8], length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(alphabet.to_vec()), 0..length)
}

/// Rules over all kinds of buffers for the streams below.
fn mixed_rules() -> RuleSet {
    let plain = json!({});
    compile(vec![
        rule(1, vec![content("raw", b"ab", plain.clone())]),
        rule(2, vec![content("raw", b"aXb", json!({"nocase": true})), content("raw", b"c", json!({"distance": 0}))]),
        rule(3, vec![content("http_uri", b"/ab", plain.clone()), content("http_client_body", b"abc", plain.clone())]),
        rule(4, vec![content("http_client_body", b"bca", json!({"endswith": true}))]),
        rule(
            5,
            vec![content("raw", b"bc", plain.clone()), content("raw", b"a", json!({"negated": true, "within": 4}))],
        ),
        rule(6, vec![content("raw", b"cab", plain.clone()), content("raw", b"zz", json!({"negated": true}))]),
        rule(7, vec![pcre("raw", b"a[bc]{3}", plain.clone())]),
        rule(8, vec![pcre("http_client_body", b"c.?c$", plain.clone())]),
        rule(9, vec![content("http_header", b"X: ab", plain.clone()), content("raw", b"cc", json!({"distance": 4}))]),
        rule(
            10,
            vec![content("http_uri", b"b", plain.clone()), content("http_uri", b"/../", json!({"negated": true}))],
        ),
        rule(11, vec![json!({"kind": "bsize", "buffer": "http_client_body", "op": ">", "value": 6})]),
        rule(
            12,
            vec![
                content("raw", b"bb", plain.clone()),
                json!({"kind": "isdataat", "buffer": "raw", "value": 9, "relative": true}),
            ],
        ),
        rule(
            13,
            vec![
                content("http_client_body", b"a", plain.clone()),
                pcre("http_client_body", b"^bc", json!({"relative": true})),
            ],
        ),
        rule(14, vec![content("http_method", b"POST", plain.clone()), content("raw", b"aac", plain.clone())]),
        rule(15, vec![content("http_file_name", b"a", plain.clone()), content("http_file_data", b"bc", plain.clone())]),
        rule(16, vec![content("http_file_data", b"c", json!({"endswith": true}))]),
        rule(
            17,
            vec![pcre("http_file_data", b"^a.*b$", plain.clone()), content("http_part_name", b"a", plain.clone())],
        ),
        rule(18, vec![content("http_trailer", b"ab", plain.clone())]),
        rule(19, vec![content("http_file_data", b"X", json!({"negated": true})), content("raw", b"ab", plain.clone())]),
        rule(20, vec![json!({"kind": "absent", "buffer": "http_client_body"}), content("raw", b"a", plain.clone())]),
        rule(
            21,
            vec![
                json!({"kind": "absent", "buffer": "http_content_type", "or_else": true}),
                content("http_content_type", b"b", plain.clone()),
                content("raw", b"ab", plain),
            ],
        ),
        rule(22, vec![json!({"kind": "oddity", "sids": [6, 67, 73, 75]})]),
    ])
}

fn with_length(header: &str, body: &[u8]) -> Vec<u8> {
    [format!("{header}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// Something like one request.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "GET /ab HTTP/1.1\r\n",
        "POST /x/../ab HTTP/1.1\r\n",
        "POST /%61b?c HTTP/1.1\r\n",
        "\r\nPOST //ab HTTP/1.1\n",
        "POST /ab\r\n",
        "ab\r\n",
        "\u{1}ab",
        "POST /a b HTTP/1.0\r\n",
    ]);
    let header = prop::sample::select(vec![
        "X: ab\r\n",
        "X:\r\n ab\r\n",
        "Y: cab\n",
        "Transfer-Encoding : x\r\n",
        "abc\r\n",
        "Z: \r\r\n",
    ]);
    let headers = prop::collection::vec(header, 0..4);
    let body = (text(b"abcX", 40), 0..11u8, 1..9usize).prop_map(|(body, kind, size)| match kind {
        0 => b"\r\n".to_vec(),
        1 | 2 => [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat(),
        3 => {
            let mut stream = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
            for piece in body.chunks(size) {
                stream.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                stream.extend_from_slice(piece);
                stream.extend_from_slice(b"\r\n");
            }
            stream.extend_from_slice(b"0\r\n\r\n");
            stream
        }
        4 => [b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx", body.as_slice()].concat(),
        5 => with_length("Content-Encoding: gzip", &coding::gzip(&body)),
        6 => with_length("Content-Encoding: deflate, gzip", &coding::gzip(&coding::zlib(&body))),
        // Some byte of it is another one.
        7 => {
            let mut packed = coding::gzip(&body);
            let place = size * 7 % packed.len();
            packed[place] ^= 1 << (size % 8);
            with_length("Content-Encoding: gzip", &packed)
        }
        8 => [b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ", body.as_slice(), b"\r\n\r\n"].concat(),
        _ => {
            let mut parts = Vec::new();
            for (number, piece) in body.chunks(size).enumerate() {
                parts.extend_from_slice(b"--X\r\nContent-Disposition: form-data; name=a; filename=");
                parts.extend_from_slice(piece);
                parts.extend_from_slice(if number % 2 == 0 { b"\r\n\r\n" } else { b"\n\n--X-" });
                parts.extend_from_slice(piece);
                parts.extend_from_slice(b"\r\n");
            }
            with_length("Content-Type: multipart/form-data; boundary=X", &[parts, b"--X--".to_vec()].concat())
        }
    });
    (line, headers, body)
        .prop_map(|(line, headers, body)| [line.as_bytes(), headers.concat().as_bytes(), &body].concat())
}

fn small_limits() -> impl Strategy<Value = Limits> {
    prop_oneof![Just(1 << 20), 1..40usize].prop_map(|depth| Limits { depth, max_head: 400, ..Limits::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn options_mean_what_they_say(options in prop::collection::vec(option(), 1..6), body in text(b"ab", 24), cuts in prop::collection::vec(0..200usize, 0..4)) {
        prop_assume!(!body.is_empty());
        let set = compile(vec![rule(1, options.iter().map(|option| option.json("http_client_body")).collect())]);
        let stream = common::post(&body);
        let found = judge_stream(&set, &Limits::default(), &stream, &cuts, |_| true).requests[0].contains(&(1, 1));
        prop_assert_eq!(found, naive(&options, &body, 0));
    }

    #[test]
    fn cuts_do_not_matter(
        requests in prop::collection::vec(request(), 1..3),
        limits in small_limits(),
        cuts in prop::collection::vec(0..300usize, 0..12),
        now in prop::collection::vec(any::<bool>(), 13),
    ) {
        let set = mixed_rules();
        let stream = requests.concat();
        let whole = judge_stream(&set, &limits, &stream, &[], |_| false);
        let cut = judge_stream(&set, &limits, &stream, &cuts, |call| now[call]);
        prop_assert_eq!(&cut, &whole);
        let every: Vec<usize> = (1..stream.len()).collect();
        prop_assert_eq!(&judge_stream(&set, &limits, &stream, &every, |_| true), &whole);
    }

    #[test]
    fn what_is_forwarded_has_been_judged(request in request(), limits in small_limits(), cuts in prop::collection::vec(1..200usize, 0..8)) {
        let set = mixed_rules();
        let (mut tx, mut scratch, mut out) = (Transaction::default(), Scratch::default(), Vec::new());
        let mut ends: Vec<usize> = cuts.into_iter().filter(|cut| *cut < request.len()).collect();
        ends.sort_unstable();
        for end in ends {
            let step = tx.advance(&set, &limits, &mut scratch, &request[..end], true, &mut out);
            let (mut fresh, mut known) = (Transaction::default(), Vec::new());
            let expected = fresh.advance(&set, &limits, &mut Scratch::default(), &request[..end], true, &mut known);
            prop_assert_eq!(step, expected);
            let (mut seen, mut wanted) = (ids(&set, &out), ids(&set, &known));
            seen.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!(seen, wanted, "after {} bytes of {}", end, request.escape_ascii());
            if step != Step::NeedMore {
                break;
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(stream in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(0..300usize, 0..5)) {
        let set = mixed_rules();
        let limits = Limits { max_head: 200, depth: 50, ..Limits::default() };
        let whole = judge_stream(&set, &limits, &stream, &[], |_| true);
        prop_assert_eq!(judge_stream(&set, &limits, &stream, &cuts, |_| true), whole);
    }
}

#[test]
fn a_megabyte_in_segments_is_linear() {
    let set = mixed_rules();
    for text in [b"harmless text ".as_slice(), b"abcX", b"a", b"bc", b"cab "] {
        let name = text.escape_ascii().to_string();
        // Heads of one length: it decides where segments cut the text, which some rules' cost depends on.
        let make = |size: usize| {
            let body = text.repeat(size / text.len());
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {:07}\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        };
        common::assert_linear(&set, &name, 30_000, 1448, make);
    }
}
