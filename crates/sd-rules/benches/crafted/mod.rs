// SPDX-License-Identifier: Apache-2.0
//! Requests made to be as expensive as a rule set allows: what its rules look for, repeated, without the end that would
//! let them match.

use std::collections::BTreeMap;

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::Value;

/// Parts of a request that rules' texts are put into.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Uri,
    Cookie,
    UserAgent,
    Header,
    Body,
}

type Text = (Place, Vec<u8>);

fn place(buffer: &str) -> Place {
    match buffer {
        "http_uri" | "http_raw_uri" | "http_request_line" => Place::Uri,
        "raw" | "http_client_body" | "http_raw_body" => Place::Body,
        "http_cookie" => Place::Cookie,
        "http_user_agent" => Place::UserAgent,
        _ => Place::Header,
    }
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap_or_default();
    (0..text.len() / 2).filter_map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

/// Something that the expression matches; repetitions `more` times more often than they have to be.
fn sample(hir: &Hir, more: u32, out: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(Class::Bytes(class)) => {
            let mut bytes = class.iter().flat_map(|range| range.start()..=range.end());
            let first = class.iter().next().map(|range| range.start());
            out.extend(bytes.find(u8::is_ascii_alphanumeric).or(first));
        }
        HirKind::Repetition(repetition) => {
            let times = (repetition.min + more).min(repetition.max.unwrap_or(u32::MAX)).min(2_000);
            (0..times).for_each(|_| sample(&repetition.sub, more, out));
        }
        HirKind::Capture(capture) => sample(&capture.sub, more, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| sample(part, more, out)),
        HirKind::Alternation(parts) => sample(&parts[0], more, out),
        _ => {}
    }
}

/// The pattern without groups that look around, and without signs that only PCRE knows.
fn without_look_around(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|open| rest.starts_with(open)) {
            let mut depth = 0;
            let mut escaped = false;
            let end = rest.find(|sign| {
                match sign {
                    _ if escaped => {}
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                escaped = sign == '\\' && !escaped;
                depth == 0
            });
            rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
            continue;
        }
        let length = match rest.as_bytes() {
            [b'\\', b'1'..=b'9', ..] => {
                rest = &rest[2..];
                continue;
            }
            [b'\\', second, ..] if second.is_ascii() => 2,
            [b'+' | b'*' | b'?' | b'}', b'+', ..] => {
                out.push(next);
                rest = &rest[2..];
                continue;
            }
            _ => next.len_utf8(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// What a rule's contents and expressions look for, in its order.
fn texts(rule: &Value) -> (Vec<Text>, Vec<Text>) {
    let (mut contents, mut samples) = (Vec::new(), Vec::new());
    for option in rule["options"].as_array().into_iter().flatten() {
        let place = place(option["buffer"].as_str().unwrap_or("raw"));
        match option["kind"].as_str() {
            Some("content") if option["negated"] != true && option["buffer"] != "http_method" => {
                if let Some(distance @ 1..=100) = option["distance"].as_i64() {
                    contents.push((place, vec![b'x'; distance as usize]));
                }
                contents.push((place, unhex(&option["bytes"])));
            }
            Some("pcre") => {
                let pattern = String::from_utf8_lossy(&unhex(&option["pattern"])).replace("\\/", "/");
                let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
                // Without look-around and back-references, which this parser does not know.
                let plain = without_look_around(&pattern);
                let Ok(hir) = parser.parse(&plain) else { continue };
                for more in [0, 2] {
                    let mut text = Vec::new();
                    sample(&hir, more, &mut text);
                    samples.push((place, text));
                }
            }
            _ => {}
        }
    }
    (contents, samples)
}

/// `once`, then `piece` repeated over `size` bytes of its place.
fn request(once: &[Text], piece: &Text, size: usize) -> Vec<u8> {
    let mut parts: BTreeMap<Place, Vec<u8>> = BTreeMap::new();
    once.iter().for_each(|(place, text)| parts.entry(*place).or_default().extend_from_slice(text));
    parts.entry(piece.0).or_default().extend(piece.1.iter().copied().cycle().take(size));
    let mut line = |place| {
        let text = parts.remove(&place)?;
        Some(text.into_iter().map(|byte| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { byte }).collect())
    };
    let uri: Vec<u8> = line(Place::Uri).unwrap_or_default();
    let uri: Vec<u8> = uri.into_iter().map(|byte| if byte == b' ' { b'+' } else { byte }).collect();
    let mut head = b"POST /".to_vec();
    head.extend(uri.strip_prefix(b"/").unwrap_or(&uri));
    head.extend_from_slice(b" HTTP/1.1\r\nHost: a\r\n");
    for (place, name) in [(Place::Cookie, "Cookie"), (Place::UserAgent, "User-Agent"), (Place::Header, "X-A")] {
        let value: Option<Vec<u8>> = line(place);
        if let Some(value) = value {
            head.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
        }
    }
    let body = parts.remove(&Place::Body).unwrap_or_default();
    head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    [head, body].concat()
}

/// Calls `judge` with a name and a request: for each rule several of about `size` bytes, then such that are about all
/// rules at once.
pub fn each(document: &[u8], size: usize, mut judge: impl FnMut(&str, &[u8])) {
    let document: Value = serde_json::from_slice(document).expect("a rule document");
    let mut every: BTreeMap<Place, Vec<u8>> = BTreeMap::new();
    for rule in document["rules"].as_array().into_iter().flatten() {
        let (contents, samples) = texts(rule);
        contents.iter().for_each(|(place, text)| every.entry(*place).or_default().extend_from_slice(text));
        let sid = &rule["sid"];
        let mut pieces: Vec<(&str, &[Text], Text)> = Vec::new();
        for text in &contents {
            pieces.push(("a content", &contents, text.clone()));
        }
        for cut in [contents.len(), contents.len().saturating_sub(1)] {
            let mut sequences: BTreeMap<Place, Vec<u8>> = BTreeMap::new();
            contents[..cut].iter().for_each(|(at, text)| sequences.entry(*at).or_default().extend_from_slice(text));
            pieces.extend(sequences.into_iter().map(|text| ("contents in order", &contents[..cut], text)));
        }
        for (place, text) in samples {
            let short = text[..text.len().saturating_sub(1)].to_vec();
            let half = text[..text.len().div_ceil(2)].to_vec();
            let before = contents.iter().filter(|(at, _)| *at == place).flat_map(|(_, text)| text.iter().copied());
            pieces.push((
                "contents and an expression's text",
                &contents,
                (place, before.chain(short.clone()).collect()),
            ));
            pieces.push(("an expression's text", &contents, (place, text)));
            pieces.push(("an expression's text, cut", &contents, (place, short)));
            pieces.push(("an expression's text, half of it", &contents, (place, half)));
        }
        for (kind, once, piece) in pieces {
            if !piece.1.is_empty() {
                judge(&format!("{sid}: {kind}"), &request(once, &piece, size));
            }
        }
    }
    for (place, text) in &every {
        judge("all rules", &request(&[], &(*place, text.clone()), 2 * size));
    }
    let all: Vec<u8> = every.into_values().flatten().collect();
    for place in [Place::Uri, Place::Header] {
        judge("all rules, all places", &request(&[], &(place, all.clone()), 2 * size));
    }
    judge("all rules, in a body of 1 MB", &request(&[], &(Place::Body, all), 1 << 20));
}
