// SPDX-License-Identifier: Apache-2.0
//! Each option and modifier, matching and not matching.

mod common;

use common::{chunked, compile, content, document, get, judge, pcre, post, rule};
use sd_rules::{Action, Buffer, Limits, LoadError, PacketFacts, RuleSet, Scratch, Transaction};
use serde_json::{json, Value};

/// Options of one rule, requests' bodies that match, and that do not.
fn check_bodies(name: &str, options: Vec<Value>, hits: &[&str], misses: &[&str]) {
    let set = compile(vec![rule(1, options)]);
    for (bodies, expected) in [(hits, true), (misses, false)] {
        for body in bodies {
            let whole = judge(&set, &post(body.as_bytes())).contains(&(1, 1));
            assert_eq!(whole, expected, "{name}: {body:?}");
            let (first, second) = body.as_bytes().split_at(body.len() / 2);
            let pieces = if first.is_empty() { chunked(&[second]) } else { chunked(&[first, second]) };
            let dechunked = judge(&set, &pieces).contains(&(1, 1));
            assert_eq!(dechunked, expected, "{name}, chunked: {body:?}");
        }
    }
}

const B: &str = "http_client_body";

fn c(bytes: &str, more: Value) -> Value {
    content(B, bytes.as_bytes(), more)
}

#[test]
fn content_modifiers() {
    let one =
        |name, bytes, more, hits: &[&str], misses: &[&str]| check_bodies(name, vec![c(bytes, more)], hits, misses);
    one("plain", "abc", json!({}), &["abc", "xxabcxx"], &["ab", "aBc", "a b c"]);
    one("nocase", "aBc", json!({"nocase": true}), &["abc", "xABCx"], &["ab_"]);
    one("offset", "abc", json!({"offset": 2}), &["xxabc", "abcabc"], &["abcx", "xabc"]);
    one("depth", "abc", json!({"depth": 4}), &["abc", "xabc"], &["xxabc"]);
    one("offset and depth", "abc", json!({"offset": 1, "depth": 4}), &["xabc", "xxabc"], &["abcx", "xxxabc"]);
    one("startswith", "abc", json!({"startswith": true}), &["abcd"], &["xabc"]);
    one("endswith", "abc", json!({"endswith": true}), &["xabc", "abcabc", "abc"], &["abcx"]);
    one("both ends", "abc", json!({"startswith": true, "endswith": true}), &["abc"], &["xabc", "abcx", "abcabc"]);
    one("one byte", "%", json!({}), &["a%b"], &["ab"]);
    one("two bytes", "%%", json!({}), &["a%%b"], &["a%b%"]);
    one("two bytes, nocase", "xY", json!({"nocase": true}), &["aXyb"], &["ax.y"]);
    one("three bytes", "../", json!({}), &["..../"], &["./.."]);
}

#[test]
fn negated_contents() {
    let with = |more: Value| vec![c("key", json!({})), c("abc", more)];
    check_bodies("negated", with(json!({"negated": true})), &["key", "key ab"], &["key abc", "abc key"]);
    check_bodies("negated, nocase", with(json!({"negated": true, "nocase": true})), &["key"], &["key ABC"]);
    check_bodies("negated, offset", with(json!({"negated": true, "offset": 4})), &["abc key", "key"], &["key abc"]);
    check_bodies("negated, depth", with(json!({"negated": true, "depth": 3})), &["key abc"], &["abc key"]);
    check_bodies("negated, startswith", with(json!({"negated": true, "startswith": true})), &["key abc"], &["abckey"]);
    check_bodies("negated, endswith", with(json!({"negated": true, "endswith": true})), &["abc key"], &["keyabc"]);
    check_bodies("negated, distance", with(json!({"negated": true, "distance": 0})), &["abc key"], &["key abc"]);
    check_bodies("negated, within", with(json!({"negated": true, "within": 5})), &["key...abc", "key"], &["key..abc"]);
    check_bodies("negated, past the end", with(json!({"negated": true, "offset": 500})), &["key abc"], &["abc"]);
    let only = vec![c("abc", json!({"negated": true}))];
    check_bodies("only negated", only, &["ab"], &["abc"]);
}

#[test]
fn relative_contents() {
    let with = |more: Value| vec![c("key", json!({})), c("abc", more)];
    check_bodies("distance 0", with(json!({"distance": 0})), &["keyabc", "key  abc"], &["abckey", "keabcy"]);
    check_bodies("distance 2", with(json!({"distance": 2})), &["key--abc", "key---abc"], &["key-abc", "keyabc"]);
    check_bodies("negative distance", with(json!({"distance": -6})), &["abckey", "keyabc"], &["abc-key"]);
    check_bodies("far negative distance", with(json!({"distance": -60})), &["abc key"], &["key"]);
    check_bodies("within", with(json!({"within": 5})), &["keyabc", "key--abc"], &["key---abc", "abckey"]);
    check_bodies(
        "distance and within",
        with(json!({"distance": 1, "within": 4})),
        &["key-abc", "key--abc"],
        &["keyabc", "key---abc"],
    );
    check_bodies("absolute after", with(json!({"offset": 0})), &["abckey", "keyabc"], &["key"]);
    check_bodies("first is relative", vec![c("abc", json!({"within": 5}))], &["abc", "--abc"], &["---abc"]);
    check_bodies("first has distance", vec![c("abc", json!({"distance": 2}))], &["--abc"], &["-abc"]);
    check_bodies(
        "relative to the last match, across a negated one",
        vec![c("key", json!({})), c("zzz", json!({"negated": true})), c("abc", json!({"distance": 0, "within": 3}))],
        &["keyabc"],
        &["key-abc", "keyabczzz"],
    );
}

#[test]
fn earlier_contents_are_retried() {
    let chain = |more: Value| vec![c("a", json!({})), c("b", json!({"distance": 0, "within": 1})), c("c", more)];
    check_bodies(
        "second occurrence of the first",
        chain(json!({"distance": 0, "within": 1})),
        &["abc", "ab.abc", "aabc", "ababababc"],
        &["ab.c", "a.bc", "ab.ab.ac"],
    );
    check_bodies(
        "then a negated one",
        vec![
            c("a", json!({})),
            c("b", json!({"distance": 0, "within": 3})),
            c("!", json!({"negated": true, "within": 1})),
        ],
        &["ab!ab.", "a..b!ab", "ab!b"],
        &["ab!", "ab!ab!"],
    );
    check_bodies(
        "retry inside a window",
        vec![c("k", json!({})), c("a", json!({"within": 10})), c("b", json!({"distance": 0, "within": 1}))],
        &["k a a ab"],
        &["k a a a b", "k a a a a a ab"],
    );
    check_bodies(
        "isdataat behind",
        vec![
            c("a", json!({})),
            json!({"kind": "isdataat", "buffer": B, "value": 3, "relative": true, "negated": true}),
        ],
        &["axxxaxx", "a"],
        &["axxx", "xxx"],
    );
}

#[test]
fn retries_are_bounded_and_the_bound_is_reported() {
    let mut options = vec![c("a", json!({}))];
    for _ in 0..6 {
        options.push(c("a", json!({"distance": 0, "within": 60})));
    }
    options.push(c("b", json!({"distance": 0, "within": 1})));
    let set = compile(vec![rule(1, options)]);
    let found = judge(&set, &post(&b"a".repeat(400)));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(1_000_000, 43)]);
}

#[test]
fn data_at_and_lengths() {
    let data_at = |value: u32, relative: bool, negated: bool| json!({"kind": "isdataat", "buffer": B, "value": value, "relative": relative, "negated": negated});
    check_bodies("isdataat", vec![data_at(3, false, false)], &["abcd"], &["abc"]);
    check_bodies("isdataat negated", vec![data_at(3, false, true)], &["abc"], &["abcd"]);
    let after = |option| vec![c("key", json!({})), option];
    check_bodies("isdataat relative", after(data_at(2, true, false)), &["keyab"], &["keya", "abkey"]);
    check_bodies("isdataat relative negated", after(data_at(1, true, true)), &["abkey"], &["keya"]);
    let size = |op: &str, value: u32, high: Option<u32>| {
        vec![json!({"kind": "bsize", "buffer": B, "op": op, "value": value, "high": high})]
    };
    check_bodies("bsize =", size("=", 3, None), &["abc"], &["ab", "abcd"]);
    check_bodies("bsize <", size("<", 3, None), &["ab"], &["abc"]);
    check_bodies("bsize >", size(">", 3, None), &["abcd"], &["abc"]);
    check_bodies("bsize <=", size("<=", 3, None), &["abc"], &["abcd"]);
    check_bodies("bsize >=", size(">=", 3, None), &["abc"], &["ab"]);
    check_bodies("bsize <>", size("<>", 2, Some(5)), &["abc", "abcd"], &["ab", "abcde"]);
}

#[test]
fn expressions() {
    let p = |pattern: &str, more: Value| pcre(B, pattern.as_bytes(), more);
    check_bodies("pcre", vec![p("a[bc]+d", json!({}))], &["xabcbd"], &["ad"]);
    check_bodies("pcre nocase", vec![p("abc", json!({"nocase": true}))], &["xABC"], &["xAB"]);
    check_bodies("pcre negated", vec![c("key", json!({})), p("a.c", json!({"negated": true}))], &["key"], &["key abc"]);
    let relative = |pattern, more: Value| {
        let mut more = more;
        more["relative"] = json!(true);
        vec![c("key", json!({})), p(pattern, more)]
    };
    check_bodies("pcre relative", relative("ab", json!({})), &["key..ab"], &["ab key"]);
    check_bodies("pcre relative, at the cursor", relative("^ab", json!({})), &["keyab", "key keyab"], &["key ab"]);
    check_bodies(
        "pcre relative, negated",
        relative("^ab", json!({"negated": true})),
        &["key", "keyab key"],
        &["keyab"],
    );
    check_bodies(
        "content after pcre",
        vec![p("k[0-9]", json!({})), c("abc", json!({"distance": 0, "within": 3}))],
        &["k1abc", "k1 k2abc"],
        &["k1 abc", "abck1"],
    );
    check_bodies("look-ahead", vec![p("^a(?!b)", json!({}))], &["ac", "a"], &["ab"]);
    check_bodies("back-reference", vec![p("(['\"])x\\1", json!({}))], &["'x'", "\"x\""], &["'x\""]);
    check_bodies("end", vec![p("abc$", json!({}))], &["abc", "abc\n"], &["abcd"]);
    check_bodies("relative with look-ahead", relative("^(?=a)", json!({})), &["keya"], &["keyb"]);
}

#[test]
fn backtracking_bound_is_reported() {
    let set = compile(vec![rule(1, vec![c("aaaa", json!({})), pcre(B, b"^((a+)+)(?=c)a?", json!({}))])]);
    let body = [b"a".repeat(100), b"!".to_vec()].concat();
    assert_eq!(judge(&set, &post(&body)).into_iter().collect::<Vec<_>>(), [(1_000_000, 44)]);
}

#[test]
fn expressions_are_tried_behind_each_content() {
    let relative = || json!({"relative": true});
    for (expression, hit, miss) in [
        // What it asks of its surroundings is answered from where it begins.
        (b"\\bz".as_slice(), b"kkz".as_slice(), b"kyz kyz".as_slice()),
        (b"^x", b"ky kx", b"kyx ky"),
        (b"x$", b"ky kx", b"kx ky"),
        (b"(?<!k)x", b"kyx", b"ky"),
        (b"\\bx\\b", b"kx1 k x1 kx", b"kx1 kx2 k_x k"),
    ] {
        let set = compile(vec![rule(1, vec![c("k", json!({})), pcre(B, expression, relative())])]);
        assert!(judge(&set, &post(hit)).contains(&(1, 1)), "{}", expression.escape_ascii());
        assert!(judge(&set, &post(miss)).is_empty(), "{}", expression.escape_ascii());
    }
}

#[test]
fn contents_are_found_in_any_case() {
    for (text, body) in [
        ("a", "bbbbbbbbbbbA".to_owned()),
        ("Union", "unio".repeat(40) + "UnioN"),
        ("select from", "select".repeat(40) + "@from SELECT fro sElEcT FrOm"),
        ("[@]", "{`}".repeat(40) + "[`][@]"),
        ("/a?name=", "/A?n/a_name_".repeat(40) + "/A?NAME="),
    ] {
        let set = compile(vec![rule(1, vec![c(text, json!({"nocase": true}))])]);
        assert!(judge(&set, &post(body.as_bytes())).contains(&(1, 1)), "{text}");
        assert!(judge(&set, &post(&body.as_bytes()[..body.len() - 1])).is_empty(), "{text}");
    }
}

#[test]
fn all_buffers_must_match() {
    let set = compile(vec![rule(
        1,
        vec![content("http_uri", b"/form", json!({})), c("abc", json!({})), content("http_method", b"POST", json!({}))],
    )]);
    assert!(judge(&set, &post(b"abc")).contains(&(1, 1)));
    assert!(judge(&set, &post(b"ab")).is_empty());
    assert!(judge(&set, &get("/form?abc")).is_empty());
}

#[test]
fn raw_sees_the_bytes_as_sent() {
    let of = |bytes: &[u8], more| compile(vec![rule(1, vec![content("raw", bytes, more)])]);
    assert!(judge(&of(b"%2e%2e", json!({})), &get("/%2e%2e/x")).contains(&(1, 1)));
    assert!(judge(&of(b"\r\n\r\nab", json!({})), &post(b"abc")).contains(&(1, 1)));
    let chunks = chunked(&[b"ab", b"cd"]);
    assert!(judge(&of(b"ab\r\n2\r\ncd", json!({})), &chunks).contains(&(1, 1)));
    assert!(!judge(&of(b"abcd", json!({})), &chunks).contains(&(1, 1)));
    let leading = [b"\r\n\r\n".to_vec(), get("/")].concat();
    assert!(judge(&of(b"GET ", json!({"depth": 4})), &leading).contains(&(1, 1)));
    assert!(judge(&of(b"\x90\x90\x90\x90", json!({})), b"\x01\x90\x90\x90\x90").contains(&(1, 1)));
}

#[test]
fn ports() {
    let mut rules = Vec::new();
    for (sid, ports, negated) in
        [(1, json!([[80, 80]]), false), (2, json!([[1, 79], [8080, 8090]]), false), (3, json!([[80, 80]]), true)]
    {
        let mut one = rule(sid, vec![content("http_uri", b"/attack", json!({}))]);
        one["dst_ports"] = ports;
        one["dst_ports_negated"] = json!(negated);
        rules.push(one);
    }
    let set = compile(rules);
    let request = get("/attack");
    for (port, expected) in [(80, vec![1]), (8085, vec![2, 3]), (9000, vec![3])] {
        let limits = Limits { dst_port: port, ..Limits::default() };
        let mut out = Vec::new();
        Transaction::default().advance(&set, &limits, &mut Scratch::default(), &request, false, &mut out);
        let mut sids: Vec<u32> = out.iter().map(|found| set.rule(found.rule).sid).collect();
        sids.sort_unstable();
        assert_eq!(sids, expected, "port {port}");
    }
}

#[test]
fn places() {
    let set = compile(vec![rule(1, vec![content("http_uri", b"/phf", json!({})), content("raw", b"Host", json!({}))])]);
    let mut out = Vec::new();
    Transaction::default().advance(
        &set,
        &Limits::default(),
        &mut Scratch::default(),
        &get("/cgi/phf"),
        false,
        &mut out,
    );
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].buffer, out[0].offset, out[0].len), (Buffer::HttpUri, 4, 4));
    assert_eq!(set.rule(out[0].rule).action, Action::Divert);
}

#[test]
fn segments() {
    let packet = |sid, options: Vec<Value>| {
        let mut one = rule(sid, options);
        one["scope"] = json!("packet");
        one
    };
    let set = compile(vec![
        packet(1, vec![json!({"kind": "dsize", "op": ">", "value": 10}), content("raw", b"abc", json!({}))]),
        packet(2, vec![json!({"kind": "flags", "set": "A", "mode": "+"}), json!({"kind": "ack", "value": 0})]),
        packet(3, vec![json!({"kind": "seq", "value": 7}), content("raw", b"abc", json!({"depth": 3}))]),
    ]);
    assert!(set.has_packet_rules());
    let judge = |payload: &[u8], flags, seq, ack| {
        let mut out = Vec::new();
        let facts = PacketFacts { payload, flags, seq, ack, dst_port: 80, ..PacketFacts::default() };
        Transaction::default().judge_packet(&set, &mut Scratch::default(), &facts, &mut out);
        let mut sids: Vec<u32> = out.iter().map(|found| set.rule(found.rule).sid).collect();
        sids.sort_unstable();
        sids
    };
    assert_eq!(judge(b"0123456789abc", 0x18, 1, 1), [1]);
    assert_eq!(judge(b"abc", 0x18, 1, 1), [0; 0]);
    assert_eq!(judge(b"x", 0x18, 1, 0), [2]);
    assert_eq!(judge(b"x", 0x02, 1, 0), [0; 0]);
    assert_eq!(judge(b"abc.", 0x18, 7, 1), [3]);
    assert_eq!(judge(b".abc", 0x18, 7, 1), [0; 0]);
}

#[test]
fn refused_rules_are_named_and_cost_no_others() {
    let bad = |options| rule(9, options);
    let mut unknown = rule(9, vec![]);
    unknown["options"] = json!([{"kind": "byte_test"}]);
    let mut packet = rule(9, vec![content("http_uri", b"x", json!({}))]);
    packet["scope"] = json!("packet");
    let rules = vec![
        bad(vec![content("raw", b"", json!({}))]),
        bad(vec![pcre("raw", b"(", json!({}))]),
        bad(vec![content("raw", b"abc", json!({"depth": 2}))]),
        bad(vec![content("raw", b"abc", json!({"offset": 1, "distance": 2}))]),
        bad(vec![content("nowhere", b"abc", json!({}))]),
        bad(vec![json!({"kind": "absent", "buffer": "raw"})]),
        bad(vec![json!({"kind": "oddity", "sids": [9999]})]),
        bad(vec![json!({"kind": "bsize", "buffer": "http_uri", "op": "<>", "value": 1})]),
        bad(vec![]),
        unknown,
        packet,
        rule(1, vec![content("raw", b"abc", json!({}))]),
    ];
    let count = rules.len() - 1;
    let (set, refused) = RuleSet::from_json(&document(rules)).unwrap();
    assert_eq!(set.len(), 1);
    assert_eq!(refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
    assert!(refused.iter().all(|(_, reason)| !reason.is_empty()));
    assert!(matches!(RuleSet::from_json(b"{"), Err(LoadError::Json(_))));
    assert!(matches!(RuleSet::from_json(b"{\"version\": 2, \"rules\": []}"), Err(LoadError::Version(2))));
}

/// A reload in the middle of a connection: bits are known by their names.
#[test]
fn bits_of_a_connection_outlive_a_reload() {
    let set = |first: &str| {
        let rule = |sid: u32, text: &str, command: &str, silent: bool| {
            let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
            format!(
                r#"{{"sid":{sid},"action":"divert","scope":"http","silent":{silent},"options":[
                {{"kind":"content","buffer":"raw","bytes":"{hex}"}},
                {{"kind":"flowbits","command":"{command}","bits":["seen"]}}]}}"#
            )
        };
        let rules = [first.to_owned(), rule(1, "first", "set", true), rule(2, "second", "isset", false)];
        let rules: Vec<String> = rules.into_iter().filter(|rule| !rule.is_empty()).collect();
        let document = format!(
            r#"{{"version":1,"service":{{"name":"x","port":9,"protocol":"tcp"}},"rules":[{}]}}"#,
            rules.join(",")
        );
        RuleSet::from_json(document.as_bytes()).unwrap().0
    };
    let other = r#"{"sid":9,"action":"alert","scope":"http","options":[
        {"kind":"content","buffer":"raw","bytes":"00"},{"kind":"flowbits","command":"set","bits":["another"]}]}"#;
    let (before, after) = (set(""), set(other));
    let (limits, mut scratch) = (Limits { dst_port: 9, ..Limits::default() }, Scratch::default());
    let (mut stream, mut matches) = (Transaction::default(), Vec::new());
    stream.advance(&before, &limits, &mut scratch, b"first\n", true, &mut matches);
    assert!(matches.is_empty());
    stream.forget(6);
    stream.advance(&after, &limits, &mut scratch, b"second\n", true, &mut matches);
    assert_eq!(matches.iter().map(|m| after.rule(m.rule).sid).collect::<Vec<_>>(), [2]);
}

/// Numbers that a client chose may be as large as numbers get, and an overflow would end the inspector.
#[test]
fn numbers_of_the_client_overflow_nothing() {
    let extract = json!({"kind": "byte_extract", "buffer": "raw", "bytes": 8, "name": "n", "relative": true});
    let field = |kind: &str, more: serde_json::Value| {
        let mut option = json!({"kind": kind, "buffer": "raw", "bytes": 4});
        option.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        option
    };
    let math = |op: &str| {
        field("byte_extract", json!({"name": "m", "math": {"op": op, "value": "n"}, "multiplier": -3, "align": 4}))
    };
    let test = |more| {
        let mut option = field("byte_test", json!({"op": ">", "value": "n"}));
        option.as_object_mut().unwrap().extend(serde_json::Value::as_object(&more).unwrap().clone());
        option
    };
    let users = [
        content("raw", b"t", json!({"offset": "n"})),
        content("raw", b"t", json!({"distance": "n", "within": "n"})),
        content("raw", b"t", json!({"distance": "n", "negated": true})),
        content("raw", b"t", json!({"offset": 0, "depth": "n"})),
        json!({"kind": "isdataat", "buffer": "raw", "value": "n", "relative": true}),
        json!({"kind": "isdataat", "buffer": "raw", "value": "n"}),
        test(json!({"offset": "n", "relative": true})),
        test(json!({"bytes": "n", "offset": 1, "relative": true, "base": "dec"})),
        test(json!({"offset": "n"})),
        field("byte_jump", json!({"offset": "n", "relative": true, "multiplier": 3, "align": 4, "post_offset": "n"})),
        field("byte_jump", json!({"from": "end", "post_offset": "n"})),
        math("+"),
        math("-"),
        math("*"),
        math("/"),
        math("<<"),
        math(">>"),
    ];
    for user in &users {
        for dialect in ["snort2", "snort3", "suricata"] {
            let after =
                json!({"kind": "byte_test", "buffer": "raw", "bytes": 1, "op": "=", "value": 7, "relative": true});
            let mut rule = rule(1, vec![content("raw", b"=", json!({})), extract.clone(), user.clone(), after]);
            rule["dialect"] = json!(dialect);
            let set = compile(vec![rule]);
            for number in [0, 1, -1, i64::MAX, i64::MIN, i64::MAX - 5, i64::MIN + 5] {
                let body = [b"n=".as_slice(), &number.to_be_bytes(), b"\xff\xff\xff\xff rest"].concat();
                judge(&set, &post(&body));
            }
        }
    }
}
