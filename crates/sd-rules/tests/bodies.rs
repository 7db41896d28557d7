// SPDX-License-Identifier: Apache-2.0
//! What rules see of compressed bodies, multipart bodies and trailers, however they are cut; and the bounds.

#[path = "common/coding.rs"]
mod coding;
mod common;

use coding::{deflate, gzip, zlib};
use common::{chunked, compile, content, judge, judge_stream, rule};
use sd_rules::{show, Buffer, Limits, Profile, RuleSet};
use serde_json::json;

fn with(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /up HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn encoded(coding: &str, body: &[u8]) -> Vec<u8> {
    with(&format!("Content-Encoding: {coding}\r\n"), body)
}

/// The values of a buffer.
fn values(buffer: Buffer, request: &[u8]) -> Vec<Vec<u8>> {
    let shown = show(Profile::Generic, &Limits::default(), request);
    shown.buffers.into_iter().find(|(one, _)| *one == buffer).map(|(_, values)| values).unwrap_or_default()
}

fn texts(buffer: Buffer, request: &[u8]) -> Vec<String> {
    values(buffer, request).iter().map(|value| value.escape_ascii().to_string()).collect()
}

/// Built-in rules that fire, the same for every cut.
fn sids(set: &RuleSet, limits: &Limits, request: &[u8]) -> Vec<(u32, u32)> {
    let whole = judge_stream(set, limits, request, &[], |_| false);
    let every: Vec<usize> = (1..request.len()).collect();
    for now in [false, true] {
        assert_eq!(judge_stream(set, limits, request, &every, |_| now), whole, "{}", request.escape_ascii());
        for cut in (0..request.len()).step_by(request.len() / 100 + 1) {
            let cuts = [cut, cut + 3, cut + 70];
            assert_eq!(judge_stream(set, limits, request, &cuts, |_| now), whole, "{cut}: {}", request.escape_ascii());
        }
    }
    whole.requests.into_iter().flatten().collect()
}

fn oddities(request: &[u8]) -> Vec<u32> {
    let set = compile(vec![rule(1, vec![content("http_client_body", b"needle", json!({}))])]);
    sids(&set, &Limits::default(), request)
        .into_iter()
        .map(|(gid, sid)| if gid == 1 { 1000 + sid } else { sid })
        .collect()
}

const TEXT: &[u8] = b"some text, some more text, and a needle in it";

#[test]
fn codings_are_undone() {
    let name = |flags: u8, fields: &[u8]| {
        let plain = gzip(TEXT);
        [&plain[..3], &[flags], &plain[4..10], fields, &plain[10..]].concat()
    };
    let cases: &[(&str, Vec<u8>, &[u32])] = &[
        ("gzip", gzip(TEXT), &[1001]),
        ("x-gzip", gzip(TEXT), &[1001]),
        ("GZIP", gzip(TEXT), &[1001]),
        ("identity, gzip", gzip(TEXT), &[1001]),
        ("deflate", zlib(TEXT), &[1001]),
        ("deflate", deflate(TEXT), &[1001]),
        ("gzip, gzip", gzip(&gzip(TEXT)), &[1001]),
        ("deflate, gzip", gzip(&zlib(TEXT)), &[1001]),
        ("gzip, deflate", deflate(&gzip(TEXT)), &[1001]),
        ("gzip", name(8, b"file\0"), &[1001]),
        ("gzip", name(4, b"\x03\x00abc"), &[1001, 70]),
        ("gzip", name(4 | 8 | 16 | 2, b"\x01\x00anm\0cm\0\x01\x02"), &[1001, 70]),
        ("gzip", name(0x20, b""), &[1001, 70]),
        ("gzip", [gzip(b"nothing"), gzip(TEXT)].concat(), &[1001, 70]),
        ("gzip", [gzip(b"nothing"), TEXT.to_vec()].concat(), &[1001, 70]),
        // A server that takes no notice of the coding reads these.
        ("gzip", name(8, b"a needle\0"), &[1001]),
        ("gzip", TEXT.to_vec(), &[1001, 69]),
        ("deflate", TEXT.to_vec(), &[1001, 69]),
        ("deflate", b"x".to_vec(), &[69]),
        ("gzip", gzip(TEXT)[..gzip(TEXT).len() - 12].to_vec(), &[1001, 69]),
        ("gzip", gzip(b"nothing")[..12].to_vec(), &[69]),
        ("gzip, deflate", gzip(TEXT), &[69]),
        ("br", TEXT.to_vec(), &[1001, 42]),
        ("gzip, br", TEXT.to_vec(), &[1001, 42]),
        ("gzip, gzip, gzip", TEXT.to_vec(), &[1001, 71]),
        ("identity", TEXT.to_vec(), &[1001]),
    ];
    for (coding, body, expected) in cases {
        assert_eq!(oddities(&encoded(coding, body)), *expected, "{coding} {}", body.escape_ascii());
    }
    assert_eq!(values(Buffer::HttpClientBody, &encoded("gzip", &gzip(TEXT))), [TEXT]);
    let shown = values(Buffer::HttpClientBody, &encoded("gzip", TEXT));
    assert_eq!(shown, [TEXT], "what cannot be decompressed is shown as sent");
}

#[test]
fn a_chunked_compressed_body() {
    let body = gzip(TEXT);
    let pieces: Vec<&[u8]> = body.chunks(7).collect();
    let plain = String::from_utf8(chunked(&[])).unwrap();
    let (head, _) = plain.split_once("\r\n\r\n").unwrap();
    let request =
        [format!("{head}\r\nContent-Encoding: gzip\r\n\r\n").as_bytes(), &chunked(&pieces)[head.len() + 4..]].concat();
    assert_eq!(oddities(&request), [1001]);
}

#[test]
fn bombs_are_cut_short() {
    let body = gzip(&vec![b'a'; 10 << 20]);
    assert!(body.len() < 12_000);
    assert_eq!(oddities(&encoded("gzip", &body)), [14]);
    let shown = values(Buffer::HttpClientBody, &encoded("gzip", &body));
    assert!(shown[0].len() < (64 << 10) + 32 * body.len(), "{}", shown[0].len());
    // Twice packed, so that the inner one is small as well.
    let twice = gzip(&gzip(&vec![b'a'; 50 << 20]));
    assert!(twice.len() < 1000);
    assert_eq!(oddities(&encoded("gzip, gzip", &twice)), [14]);
    // Ordinary text packs well, too.
    let lines: Vec<u8> = (0..4000).flat_map(|line| format!("{line}: GET /index.html 200\n").into_bytes()).collect();
    assert_eq!(oddities(&encoded("gzip", &gzip(&lines))), [0; 0]);
}

#[test]
fn endless_empty_blocks_are_a_bomb() {
    // Empty stored blocks: five bytes each, no content.
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    body.extend(b"\x00\x00\x00\xff\xff".repeat(5000));
    assert_eq!(oddities(&encoded("gzip", &body)), [14]);
}

#[test]
fn what_unfolds_is_judged_to_the_depth() {
    let set = compile(vec![rule(1, vec![content("http_client_body", b"needle", json!({}))])]);
    let limits = Limits { depth: 1000, ..Limits::default() };
    let near = [&[b'.'; 900], TEXT].concat();
    let far = [&[b'.'; 1000], TEXT].concat();
    assert_eq!(sids(&set, &limits, &encoded("gzip", &gzip(&near))), [(1, 1)]);
    assert_eq!(sids(&set, &limits, &encoded("gzip", &gzip(&far))), [(1_000_000, 41)]);
}

fn multipart(boundary: &str, body: &str) -> Vec<u8> {
    with(&format!("Content-Type: multipart/form-data; boundary={boundary}\r\n"), body.replace('\n', "\r\n").as_bytes())
}

#[test]
fn parts_and_their_names() {
    let request = multipart(
        "xY",
        "preamble\n--xY\nContent-Disposition: form-data; name=\"a\"\n\none\ntwo\n--xY\nContent-Type: text/plain\n\
         content-disposition: form-data; name=b; filename=\"c:\\\\d.php\"\n\n<?php\n--xYz\n--xY\n\
         Content-Disposition: form-data; name='q'; filename*=UTF-8''e%2Ephp\n\n\n--xY--\nepilogue --xY\n\n",
    );
    assert_eq!(texts(Buffer::HttpPartName, &request), ["a", "b", "\\'q\\'", "q"]);
    assert_eq!(
        texts(Buffer::HttpFileName, &request),
        ["c:\\\\\\\\d.php", "c:\\\\d.php", "UTF-8\\'\\'e%2Ephp", "e.php"]
    );
    assert_eq!(texts(Buffer::HttpFileData, &request), ["<?php\\r\\n--xYz", ""], "the first part is no file");
    assert_eq!(oddities(&request), [0; 0]);
    // Bare line feeds, quotes around the boundary.
    let request = with(
        "Content-Type: Multipart/Mixed; boundary=\"x y\"\r\n",
        b"--x y\nContent-Disposition: form-data; name=a; filename=f\n\nvalue\n--x y--\n",
    );
    assert_eq!(texts(Buffer::HttpFileData, &request), ["value"]);
    // Other bodies are a file by themselves, called as the address says.
    let request = with("Content-Type: text/plain; boundary=x\r\n", b"--x\n\na\n--x");
    assert_eq!(texts(Buffer::HttpFileData, &request), ["--x\\n\\na\\n--x"]);
    assert_eq!(texts(Buffer::HttpFileName, &request), ["/up"]);
    assert_eq!(texts(Buffer::HttpPartName, &request), [""; 0]);
}

#[test]
fn rules_on_parts() {
    let exactly = |buffer: &str, bytes: &[u8]| content(buffer, bytes, json!({"startswith": true, "endswith": true}));
    let set = compile(vec![
        rule(1, vec![content("http_file_name", b".php", json!({"endswith": true}))]),
        rule(2, vec![exactly("http_file_data", b"<?php")]),
        rule(3, vec![exactly("http_part_name", b"b"), content("http_file_data", b"two", json!({}))]),
        rule(4, vec![content("http_file_data", b"one", json!({})), content("http_file_data", b"two", json!({}))]),
        rule(5, vec![content("http_file_name", b"x", json!({"negated": true}))]),
        rule(6, vec![json!({"kind": "bsize", "buffer": "http_file_data", "op": "=", "value": 3})]),
    ]);
    let request = multipart(
        "xY",
        "--xY\nContent-Disposition: form-data; name=a; filename=xx\n\none\n--xY\nContent-Disposition: form-data; name=b; \
         filename=s.php\n\n<?php\n--xY\nContent-Disposition: form-data; name=c; filename=xx\n\ntwo\n--xY--\n",
    );
    let ids = |request: &[u8]| sids(&set, &Limits::default(), request).into_iter().map(|one| one.1).collect::<Vec<_>>();
    assert_eq!(ids(&request), [1, 2, 3, 5, 6]);
    assert_eq!(ids(&with("", b"--xY\r\nfilename=s.php")), [5], "no multipart, one file");
    // A part that never ends is judged as far as it goes; what is no file is none.
    let open = multipart("xY", "--xY\nContent-Disposition: form-data; name=b; filename=xx\n\none two");
    assert_eq!(ids(&open), [3, 4]);
    assert_eq!(ids(&multipart("xY", "--xY\nContent-Disposition: form-data; name=b\n\none two")), [0; 0]);
}

#[test]
fn oddities_of_multipart_bodies() {
    let part = "Content-Disposition: form-data; name=a\n\nv\n";
    for (request, expected) in [
        (multipart("b", &format!("--b\n{part}--b--")), vec![]),
        (multipart("b", &format!("--b  \n{part}--b--")), vec![]),
        (multipart("b", &format!("--b\n{part}")), vec![75]),
        (multipart("b", "nothing"), vec![75]),
        (multipart("", "nothing"), vec![72]),
        (multipart("b; boundary=c", &format!("--b\n{part}--b--")), vec![72]),
        (multipart("b{}", &format!("--b{{}}\n{part}--b{{}}--")), vec![72]),
        (multipart("b", "--b\n\nv\n--b--"), vec![73]),
        (multipart("b", "--b\nno header\n\nv\n--b--"), vec![73]),
        (multipart("b", "--b\nContent-Disposition: form-data; name=a\n--b--"), vec![73]),
        (multipart("b", "--b\nContent-Disposition: form-data"), vec![73, 75]),
        (multipart("b", &format!("--b\nX: {}\n\nv\n--b--", "x".repeat(9000))), vec![73]),
        (multipart("b", "--b\nContent-Disposition: form-data; name=a; name=b\n\nv\n--b--"), vec![74]),
        (multipart("b", "--b\nContent-Disposition: form-data; filename=a; filename*=b\n\nv\n--b--"), vec![74]),
        (multipart("b", &format!("--b\nContent-Disposition: x\n{part}--b--")), vec![74]),
        (multipart("b", &(format!("--b\n{part}").repeat(1100) + "--b--")), vec![76]),
    ] {
        let text = json!({"version": 1, "builtin": {"75": "alert"}, "rules": []}).to_string();
        let found = sids(&RuleSet::from_json(text.as_bytes()).unwrap().0, &Limits::default(), &request);
        let found: Vec<u32> = found.into_iter().map(|id| id.1).collect();
        assert_eq!(found, expected, "{}", request.escape_ascii());
    }
}

#[test]
fn trailers() {
    let set = compile(vec![
        rule(1, vec![content("http_trailer", b"X-Late: evil\r\n", json!({"startswith": true}))]),
        rule(2, vec![content("http_header", b"X-Late", json!({}))]),
    ]);
    let request = |trailer: &str| {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n";
        format!("{head}{trailer}\r\n").into_bytes()
    };
    let of = |trailer: &str| -> Vec<u32> {
        let set_all =
            RuleSet::from_json(json!({"version": 1, "builtin": {"67": "alert"}, "rules": []}).to_string().as_bytes());
        let quiet = sids(&set_all.unwrap().0, &Limits::default(), &request(trailer));
        let found = sids(&set, &Limits::default(), &request(trailer));
        quiet.into_iter().chain(found.into_iter().filter(|id| id.0 == 1)).map(|id| id.1).collect()
    };
    assert_eq!(of(""), [0; 0]);
    assert_eq!(of("X-Late: evil\r\n"), [67, 1]);
    assert_eq!(of("X: y\r\nX-Late: evil\r\n"), [67]);
    assert_eq!(of("Content-Length: 5\r\n"), [67, 68]);
    assert_eq!(of("x: y\r\nHost: b\r\n"), [67, 68]);
    assert_eq!(values(Buffer::HttpTrailer, &request("X: y\r\n")), [b"X: y\r\n"]);
    assert!(!judge(&set, &chunked(&[b"X-Late: evil\r\n"])).contains(&(1, 1)));
}

/// The most expensive bodies cost a bounded multiple of plain ones: that is, time grows with their length only.
#[test]
fn hostile_bodies_take_linear_time() {
    let set = compile(vec![
        rule(1, vec![content("http_client_body", b"needle", json!({}))]),
        rule(2, vec![content("http_file_name", b"needle", json!({})), content("http_file_data", b"x", json!({}))]),
    ]);
    type Make = fn(usize) -> Vec<u8>;
    let make: [(&str, Make); 6] = [
        ("boundaries", |n| multipart("b", &"--b\n".repeat(n / 5))),
        ("no boundaries", |n| multipart("b", &"--b-".repeat(n / 4))),
        ("one long head", |n| multipart("b", &format!("--b\n{}", "X: y\n".repeat(n / 6)))),
        ("line feeds", |n| with("Content-Type: multipart/form-data; boundary=b\r\n", &b"\n--".repeat(n / 3))),
        ("chunks of one byte", |n| chunked(&vec![b"a".as_slice(); n / 6])),
        ("members", |n| encoded("gzip", &gzip(b"a").repeat(n / 21))),
    ];
    for (name, make) in make {
        common::assert_linear(&set, name, 20_000, 97, make);
    }
}
