// SPDX-License-Identifier: Apache-2.0
//! The HTTP parser seen through rules: what each buffer holds, and which built-in rules fire.

mod common;

use common::{compile, content, get, judge, judge_stream, post, rule};
use sd_rules::{Limits, RuleSet, Scratch, Step, Transaction};
use serde_json::json;

/// A rule that matches when the buffer is exactly `bytes`.
fn exactly(buffer: &str, bytes: &[u8]) -> RuleSet {
    compile(vec![rule(1, vec![content(buffer, bytes, json!({"startswith": true, "endswith": true}))])])
}

#[test]
fn buffers() {
    let request = b"GET /a%20b/../c?d=%41 HTTP/1.1\r\nHost: Example.TEST:8080\r\nUser-Agent:  curl/8 \r\n\
        Accept: a\r\nX-A: 1\r\nCookie: k=v\r\naccept: b\r\nCookie: l=w\r\nX-A: 2\r\n  3\r\n\r\n";
    for (buffer, bytes) in [
        ("http_method", b"GET".as_slice()),
        ("http_uri", b"/c?d=A"),
        ("http_uri", b"/a b/../c?d=A"),
        ("http_raw_uri", b"/a%20b/../c?d=%41"),
        ("http_protocol", b"HTTP/1.1"),
        ("http_request_line", b"GET /a%20b/../c?d=%41 HTTP/1.1"),
        ("http_host", b"example.test"),
        ("http_raw_host", b"Example.TEST:8080"),
        ("http_user_agent", b"curl/8"),
        ("http_accept", b"a, b"),
        ("http_cookie", b"k=v, l=w"),
        ("http_header", b"Host: Example.TEST:8080\r\nUser-Agent: curl/8\r\nAccept: a, b\r\nX-A: 1, 2 3\r\n"),
        ("http_header_names", b"\r\nHost\r\nUser-Agent\r\nAccept\r\nX-A\r\nCookie\r\n\r\n"),
        (
            "http_raw_header",
            b"Host: Example.TEST:8080\r\nUser-Agent:  curl/8 \r\nAccept: a\r\nX-A: 1\r\nCookie: k=v\r\n\
              accept: b\r\nCookie: l=w\r\nX-A: 2\r\n  3\r\n\r\n",
        ),
        (
            "http_start",
            b"GET /a%20b/../c?d=%41 HTTP/1.1\r\nHost: Example.TEST:8080\r\nUser-Agent: curl/8\r\nAccept: a, b\r\n\
              X-A: 1, 2 3\r\nCookie: k=v, l=w\r\n\r\n",
        ),
        ("raw", request.as_slice()),
    ] {
        assert!(judge(&exactly(buffer, bytes), request).contains(&(1, 1)), "{buffer}: {}", bytes.escape_ascii());
        let other = [bytes, b"!"].concat();
        assert!(!judge(&exactly(buffer, &other), request).contains(&(1, 1)), "{buffer}");
    }
    let posted = b"POST / HTTP/1.1\r\nContent-Type: a/b\r\nContent-Length: 3\r\nReferer: r\r\nConnection: close\r\n\
        Accept-Encoding: e\r\nAccept-Language: l\r\n\r\nabc";
    for (buffer, bytes) in [
        ("http_content_type", b"a/b".as_slice()),
        ("http_content_len", b"3"),
        ("http_referer", b"r"),
        ("http_connection", b"close"),
        ("http_accept_enc", b"e"),
        ("http_accept_lang", b"l"),
        ("http_client_body", b"abc"),
    ] {
        assert!(judge(&exactly(buffer, bytes), posted).contains(&(1, 1)), "{buffer}");
        assert!(!judge(&exactly(buffer, b"zz"), posted).contains(&(1, 1)), "{buffer}");
    }
}

#[test]
fn a_buffer_that_is_not_there_matches_nothing() {
    for buffer in ["http_cookie", "http_client_body", "http_user_agent", "http_referer"] {
        let set = compile(vec![rule(1, vec![content(buffer, b"x", json!({"negated": true}))])]);
        assert!(!judge(&set, &get("/")).contains(&(1, 1)), "{buffer}");
    }
}

#[test]
fn header_lines_behind_a_line_without_version() {
    // HTTP/0.9 has none, but some servers read them: both readings count.
    let request = b"GET /a\r\nHost: h\r\nUser-Agent: x\r\n\r\nrest";
    let names = exactly("http_header_names", b"\r\nHost\r\nUser-Agent\r\n\r\n");
    let both = compile(vec![rule(
        1,
        vec![content("http_uri", b"/a", json!({})), content("http_user_agent", b"x", json!({}))],
    )]);
    let body = compile(vec![rule(1, vec![content("http_client_body", b"User-Agent", json!({}))])]);
    let behind = exactly("http_client_body", b"rest");
    for set in [&names, &exactly("http_user_agent", b"x"), &exactly("http_host", b"h"), &both, &body, &behind] {
        assert!(judge(set, request).contains(&(1, 1)));
        for cut in 1..request.len() {
            let outcome = judge_stream(set, &Limits::default(), request, &[cut], |_| true);
            assert!(outcome.requests.iter().flatten().any(|id| *id == (1, 1)), "cut at {cut}");
        }
    }
    // The blank line may be missing.
    assert!(judge(&exactly("http_user_agent", b"x"), b"GET /a\r\nUser-Agent: x\r\n").contains(&(1, 1)));
}

#[test]
fn many_repeated_headers_are_joined() {
    let mut request = b"GET / HTTP/1.1\r\n".to_vec();
    for index in 0..60 {
        request.extend_from_slice(format!("X-{}: {index}\r\n", index % 50).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    for expected in [b"X-0: 0, 50\r\nX-1: 1, 51\r\n".as_slice(), b"X-9: 9, 59\r\nX-10: 10\r\n"] {
        let set = compile(vec![rule(1, vec![content("http_header", expected, json!({}))])]);
        assert!(judge(&set, &request).contains(&(1, 1)), "{}", expected.escape_ascii());
    }
}

/// What is seen and by itself not reported.
#[test]
fn quiet_oddities() {
    use sd_rules::Decoder;
    for (request, oddity, there) in [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".as_slice(), Decoder::HeaderRepeated, true),
        (b"GET / HTTP/1.1\r\nUser-Agent: a\r\nuser-agent: b\r\n\r\n", Decoder::HeaderRepeated, true),
        (b"GET / HTTP/1.1\r\nAccept: a\r\nAccept: b\r\nX: 1\r\nX: 2\r\n\r\n", Decoder::HeaderRepeated, false),
        (b"GET / HTTP/1.1\r\n\r\n", Decoder::MissingHost, true),
        (b"GET / HTTP/1.0\r\n\r\n", Decoder::MissingHost, false),
        (b"GET / HTTP/1.1\r\nExpect: 100-continue\r\nHost: a\r\n\r\n", Decoder::ExpectWithoutBody, true),
        (b"GET / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab", Decoder::ExpectWithoutBody, false),
        (b"GET /%zz HTTP/1.1\r\n\r\n", Decoder::InvalidPercent, true),
        (b"GET /a b HTTP/1.1\r\n\r\n", Decoder::UnescapedSpace, true),
    ] {
        let shown = sd_rules::show(sd_rules::Profile::Generic, &Limits::default(), request);
        assert_eq!(shown.oddities.contains(&oddity), there, "{}", request.escape_ascii());
    }
}

#[test]
fn equal_names_of_headers() {
    // Alike in length and in the letters that are looked at first.
    let mut request = b"GET / HTTP/1.1\r\n".to_vec();
    for index in 0..30 {
        request.extend_from_slice(format!("X-{}a: {index}\r\n", (b'a' + index % 10) as char).as_bytes());
    }
    request.extend_from_slice(b"x-AA: 30\r\n\r\n");
    let expected = b"X-aa: 0, 10, 20, 30\r\nX-ba: 1, 11, 21\r\nX-ca: 2, 12, 22\r\n";
    let set = compile(vec![rule(1, vec![content("http_header", expected, json!({"startswith": true}))])]);
    assert!(judge(&set, &request).contains(&(1, 1)));
}

#[test]
fn hostile_heads_take_linear_time() {
    let set = compile(vec![
        rule(1, vec![content("http_header", b"needle", json!({}))]),
        rule(2, vec![content("http_cookie", b"needle", json!({}))]),
        rule(3, vec![content("http_header_names", b"needle", json!({}))]),
    ]);
    type Make = fn(usize) -> String;
    let make: [(&str, Make); 6] = [
        ("folds", |n| format!("X: a\r\n{}", " b\r\n".repeat(n / 4))),
        ("one name", |n| "X: a\r\n".repeat(n / 6)),
        ("many names", |n| (0..n / 12).map(|i| format!("X-{i:05}: a\r\n")).collect()),
        ("long names alike", |n| (0..40).map(|i| format!("X{}{i:02}: a\r\n", "y".repeat(n / 40))).collect()),
        ("cookies", |n| "Cookie: a=b\r\n".repeat(n / 13)),
        ("no colons", |n| "content-length\r\n".repeat(n / 16)),
    ];
    for (name, make) in make {
        common::assert_linear(&set, name, 5_000, 13, |size| {
            format!("GET / HTTP/1.1\r\n{}\r\n", make(size)).into_bytes()
        });
    }
    common::assert_linear(&set, "URI", 5_000, 13, |size| common::get(&"/..;/\\%2541%c0%af./".repeat(size / 18)));
}

#[test]
fn uri_forms() {
    for (pattern, uri, hit) in [
        (b"/cgi-bin/phf".as_slice(), "/cgi-bin/phf", true),
        (b"/cgi-bin/phf", "/cgi%2dbin/%70hf", true),
        (b"/cgi-bin/phf", "/cgi-bin/./x/../phf", true),
        (b"/cgi-bin/phf", "/cgi-bin//phf", true),
        (b"/cgi-bin/phf", "/cgi-bin\\phf", true),
        (b"/cgi-bin/phf", "http://example.test/cgi-bin/phf", true),
        (b"/cgi-bin/phf", "/%63gi-bin/%2570hf", true),
        (b"/cgi-bin/phf", "/cgi-bin%c0%afphf", true),
        (b"/cgi-bin/phf", "/cgi-bin/%u0070hf", true),
        (b"/cgi-bin/phf", "/CGI-BIN/phf", false),
        (b"/cgi-bin/phf", "/?/cgi-bin/./phf", false),
        (b"../..", "/a/../../b", true),
        (b"//", "/a//b", true),
        (b"a b", "/a+b", false),
        (b"a+b", "/a+b", true),
        (b"a b", "/a b", true),
        (b"example", "http://example.test/x", false),
    ] {
        let set = compile(vec![rule(1, vec![content("http_uri", pattern, json!({}))])]);
        assert_eq!(judge(&set, &get(uri)).contains(&(1, 1)), hit, "{} in {uri}", pattern.escape_ascii());
    }
}

#[test]
fn builtin_rules() {
    let set = compile(vec![]);
    let cases: &[(&[u8], &[u32])] = &[
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[]),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[]),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", &[1]),
        (b"POST / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\nab", &[1]),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", &[36]),
        (b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na", &[36]),
        (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na", &[2]),
        (b"POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\na", &[2]),
        (b"POST / HTTP/1.1\r\nContent-Length: 1 1\r\n\r\na", &[2]),
        (b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\na", &[2]),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\na", &[2]),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[3]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", &[]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[4]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[4]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", &[4]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", &[4]),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[5]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", &[10, 34]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n", &[10, 34, 35]),
        (b"POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[10, 34]),
        (b"POST / HTTP/1.1\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n", &[32]),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\n 0\r\n\r\na", &[2, 10, 32]),
        (b"POST / HTTP/1.1\r\nContent-Length 5\r\n\r\n", &[10, 33]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", &[6]),
        (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", &[7]),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[11]),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", &[10, 34]),
        (b"GET / HTTP/1.1\nHost: a\n\n", &[21]),
        (b"GET\t/ HTTP/1.1\r\n\r\n", &[22]),
        (b" GET / HTTP/1.1\r\n\r\n", &[22]),
        (b"GET  / HTTP/1.1\r\n\r\n", &[22]),
        (b"GET /\r\n", &[23]),
        (b"GET / HTTP/1.2\r\n\r\n", &[24]),
        (b"GET / http/1.1\r\n\r\n", &[24]),
        (b"GET /%00 HTTP/1.1\r\n\r\n", &[25]),
        (b"GET /%2541 HTTP/1.1\r\n\r\n", &[26]),
        (b"GET /?%2541 HTTP/1.1\r\n\r\n", &[]),
        (b"GET /%u0041 HTTP/1.1\r\n\r\n", &[28]),
        (b"GET /%c0%af HTTP/1.1\r\n\r\n", &[29]),
        (b"GET /../x HTTP/1.1\r\n\r\n", &[30]),
        (b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", &[32]),
        (b"GET / HTTP/1.1\r\nnothing\r\n\r\n", &[33]),
        (b"GET / HTTP/1.1\r\nX(): a\r\n\r\n", &[34]),
        (b"GET / HTTP/1.1\r\nX: \0\r\n\r\n", &[35]),
        (b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", &[38]),
        (b"GET http://a/ HTTP/1.1\r\nHost: A\r\n\r\n", &[]),
        (b"GET http://u@a:80/ HTTP/1.1\r\nHost: A\r\n\r\n", &[]),
        (b"GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", &[38]),
        (b"PRI * HTTP/2.0\r\n\r\n", &[40]),
        (b"GET / HTTP/1.1\r\nHost: a\r\n \r\nX: y\r\n\r\n", &[10, 13, 32]),
        (b"GET / HTTP/1.1\r\nX: a\r\n\t\r\nX: y\r\n\r\n", &[13, 32]),
        (b"GET / HTTP/1.1\r\n \r\nX: y\r\n\r\n", &[13, 33]),
        (b"POST / HTTP/1.1\r\nContent-Type: a/b\r\nContent-Type: a/c\r\n\r\n", &[60]),
        (b"POST / HTTP/1.1\r\nContent-Type: a/b; charset=UTF-8\r\n\r\n", &[]),
        (b"POST / HTTP/1.1\r\nContent-Type: a/b; charset=\"iso-8859-1\"\r\n\r\n", &[]),
        (b"POST / HTTP/1.1\r\nContent-Type: a/b; charset=utf-7\r\n\r\n", &[61]),
        (b"POST / HTTP/1.1\r\nContent-Type: a/b; Charset=utf-8; charset=utf-8\r\n\r\n", &[61]),
        (b"POST / HTTP/1.1\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\na", &[62]),
        (b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", &[]),
        (b"GET / HTTP/1.1\r\nUpgrade: websocket, H2C\r\n\r\n", &[64]),
        (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", &[]),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", &[65]),
        (b"\x16\x03\x01\x02\x00", &[20]),
        (b"hello\r\n", &[20]),
        (b"SSH-2.0-OpenSSH_9.2\r\n", &[20]),
    ];
    for (request, expected) in cases {
        let sids: Vec<u32> = judge(&set, request).into_iter().map(|(_, sid)| sid).collect();
        assert_eq!(sids, *expected, "{}", request.escape_ascii());
    }
}

#[test]
fn limits() {
    let set = compile(vec![]);
    let limits = Limits { max_head: 1000, max_headers: 5, depth: 100, ..Limits::default() };
    let sids = |stream: &[u8]| -> Vec<u32> {
        let outcome = judge_stream(&set, &limits, stream, &[], |_| false);
        outcome.requests.into_iter().flatten().map(|(_, sid)| sid).collect()
    };
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(2000));
    assert_eq!(sids(long.as_bytes()), [8]);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(6));
    assert_eq!(sids(many.as_bytes()), [9]);
    // A header that was left out may frame the body: what follows is nobody's request.
    let hidden = format!("POST / HTTP/1.1\r\n{}Content-Length: 5\r\n\r\n", "X: y\r\n".repeat(5));
    let outcome = judge_stream(&set, &limits, hidden.as_bytes(), &[], |_| false);
    assert_eq!(outcome.last, Step::Tunnel);
    let folded = format!("GET / HTTP/1.1\r\nX: a\r\n{}\r\n", " b\r\n".repeat(64));
    assert_eq!(sids(folded.as_bytes()), [32]);
    let folded = format!("GET / HTTP/1.1\r\nX: a\r\n{}\r\n", " b\r\n".repeat(65));
    assert_eq!(sids(folded.as_bytes()), [32, 58]);
    let wide = Limits::default();
    let line = |header: String| judge_stream(&set, &wide, header.as_bytes(), &[], |_| false).requests;
    assert!(line(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(17_900)))[0].is_empty());
    assert!(line(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(18_000)))[0].contains(&(1_000_000, 39)));
    let fold = format!("GET / HTTP/1.1\r\nX: {}\r\n {0}\r\n\r\n", "a".repeat(10_000));
    assert!(line(fold)[0].contains(&(1_000_000, 39)));
    assert_eq!(sids(&post(&[b'a'; 100])), [0; 0]);
    assert_eq!(sids(&post(&[b'a'; 101])), [41]);
}

#[test]
fn pipelined_requests_are_judged_one_by_one() {
    let set = compile(vec![
        rule(1, vec![content("http_uri", b"/one", json!({}))]),
        rule(2, vec![content("http_client_body", b"two", json!({}))]),
        rule(3, vec![content("raw", b"/three", json!({}))]),
    ]);
    let stream = [get("/one"), post(b"two"), get("/"), get("/three"), b"\r\n".to_vec(), get("/one")].concat();
    let outcome = judge_stream(&set, &Limits::default(), &stream, &[], |_| false);
    let sids: Vec<Vec<u32>> =
        outcome.requests.iter().map(|found| found.iter().map(|(_, sid)| *sid).collect()).collect();
    assert_eq!(sids, [vec![1], vec![2], vec![], vec![3], vec![1]]);
    assert_eq!(outcome.consumed, stream.len());
}

#[test]
fn a_request_in_a_body_is_body() {
    let set = compile(vec![rule(1, vec![content("http_uri", b"/attack", json!({}))])]);
    assert!(!judge(&set, &post(&get("/attack"))).contains(&(1, 1)));
}

#[test]
fn what_follows_an_upgrade_is_still_read_as_http() {
    let set = compile(vec![rule(1, vec![content("http_uri", b"/attack", json!({}))])]);
    let upgrade = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let connect = b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n";
    for first in [upgrade.as_slice(), connect] {
        assert!(judge(&set, &[first, &get("/attack")].concat()).contains(&(1, 1)));
        let outcome = judge_stream(&set, &Limits::default(), &[first, b"\x81\x85\x01\x02"].concat(), &[], |_| false);
        assert_eq!(outcome.last, Step::Tunnel);
    }
}

#[test]
fn expectations() {
    let set = compile(vec![]);
    let mut tx = Transaction::default();
    let head = b"POST /up HTTP/1.1\r\nHost: h\r\nUser-Agent: u\r\nExpect: 100-Continue\r\nContent-Length: 10\r\n\r\n";
    let step = tx.advance(&set, &Limits::default(), &mut Scratch::default(), head, false, &mut Vec::new());
    assert_eq!(step, Step::NeedMore);
    assert!(tx.head_complete() && tx.expects_more_than(9) && !tx.expects_more_than(10));
    let summary = tx.summary(head);
    assert_eq!(
        (summary.method, summary.uri, summary.host, summary.protocol, summary.user_agent),
        (b"POST".as_slice(), b"/up".as_slice(), b"h".as_slice(), b"HTTP/1.1".as_slice(), b"u".as_slice())
    );
    assert!(summary.expects_continue && !summary.upgrade);
    tx.reset();
    assert!(!tx.expects_more_than(0) && tx.summary(head).method.is_empty());
}

#[test]
fn deep_bodies_are_followed_to_their_end() {
    let set = compile(vec![rule(1, vec![content("http_client_body", b"late", json!({}))])]);
    let limits = Limits { depth: 50, ..Limits::default() };
    let chunk = |size: usize| [format!("{size:x}\r\n").into_bytes(), vec![b'x'; size], b"\r\n".to_vec()].concat();
    let deep = [
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        chunk(40),
        chunk(300),
        b"4\r\nlate\r\n0\r\n\r\n".to_vec(),
    ]
    .concat();
    let stream = [deep.clone(), get("/next")].concat();
    for cut in 0..stream.len() {
        let outcome = judge_stream(&set, &limits, &stream, &[cut], |_| false);
        assert_eq!(outcome.requests.len(), 2, "cut at {cut}");
        assert_eq!(outcome.requests[0].iter().map(|id| id.1).collect::<Vec<_>>(), [41], "cut at {cut}");
        assert_eq!(outcome.consumed, stream.len());
    }
    let broken = [&deep[..deep.len() - 12], b"zz\r\n".as_slice()].concat();
    for cut in 0..broken.len() {
        let outcome = judge_stream(&set, &limits, &broken, &[cut], |_| false);
        assert_eq!(outcome.last, Step::Tunnel, "cut at {cut}");
        let found: Vec<u32> = outcome.requests.iter().flatten().map(|id| id.1).collect();
        assert_eq!(found, [6, 41], "cut at {cut}");
    }
}

#[test]
fn tunnels_are_judged_for_ever() {
    let set = compile(vec![rule(1, vec![content("raw", b"needle", json!({}))])]);
    let (mut tx, mut scratch, mut out) = (Transaction::default(), Scratch::default(), Vec::new());
    let limits = Limits { depth: 1000, ..Limits::default() };
    let mut data = b"\x01\x02".to_vec();
    for _ in 0..100 {
        data.extend_from_slice(&[b'.'; 100]);
        let step = tx.advance(&set, &limits, &mut scratch, &data, true, &mut out);
        assert_eq!(step, Step::Tunnel);
        if data.len() > 300 {
            tx.forget(200);
            data.drain(..200);
        }
    }
    assert_eq!(common::ids(&set, &out), [(1_000_000, 20)]);
    out.clear();
    for part in [b"nee".as_slice(), b"dle", b"needle"] {
        data.extend_from_slice(part);
        tx.advance(&set, &limits, &mut scratch, &data, true, &mut out);
        tx.forget(10);
        data.drain(..10);
    }
    assert_eq!(common::ids(&set, &out), [(1, 1)]);
}

#[test]
fn a_reload_judges_anew() {
    let old = compile(vec![rule(1, vec![content("http_uri", b"/old", json!({}))])]);
    let new = compile(vec![
        rule(5, vec![content("raw", b"nothing", json!({}))]),
        rule(6, vec![content("http_uri", b"/old", json!({})), content("http_client_body", b"body", json!({}))]),
    ]);
    let (mut tx, mut scratch, mut out) = (Transaction::default(), Scratch::default(), Vec::new());
    let request = [b"POST /old HTTP/1.1\r\nContent-Length: 4\r\n\r\n".as_slice(), b"body"].concat();
    let limits = Limits::default();
    tx.advance(&old, &limits, &mut scratch, &request[..request.len() - 2], true, &mut out);
    assert_eq!(common::ids(&old, &out), [(1, 1)]);
    out.clear();
    tx.advance(&new, &limits, &mut scratch, &request, true, &mut out);
    assert_eq!(common::ids(&new, &out), [(1, 6)]);
}

#[test]
fn a_request_in_the_body_of_a_get() {
    let set = compile(vec![]);
    let inner = "GET /cgi-bin/phf HTTP/1.1\r\nHost: a\r\n\r\n";
    for (method, framing, body, told) in [
        ("GET", format!("Content-Length: {}", inner.len()), inner, true),
        ("HEAD", format!("Content-Length: {}", inner.len() + 2), &*format!("\r\n{inner}"), true),
        ("POST", format!("Content-Length: {}", inner.len()), inner, false),
        ("GET", "Content-Length: 14".to_owned(), "{\"query\": \"x\"}", false),
    ] {
        let stream = format!("{method} /x HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}").into_bytes();
        for cut in 0..stream.len() {
            let outcome = judge_stream(&set, &Limits::default(), &stream, &[cut], |_| true);
            let found = outcome.requests.iter().flatten().any(|id| *id == (1_000_000, 17));
            assert_eq!(found, told, "{method} cut at {cut}");
        }
    }
}
