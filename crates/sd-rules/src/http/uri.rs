// SPDX-License-Identifier: Apache-2.0
//! The normalised forms of a URI.
//!
//! Up to three views go to the rules on `http_uri`; a rule matches when it matches one of them:
//! decoded (percent-decoded once, nothing else), collapsed (also `\` to `/`, dot segments and repeated slashes of the path
//! removed), and, where the decoded form still holds an encoding that some server would read, that
//! read as well (double encoding, `%uXXXX`, overlong UTF-8).

use super::decoder::Decoder;
use super::hex_value;

/// True when every view of `uri` is `uri` itself.
pub fn is_plain(uri: &[u8]) -> bool {
    if uri.first() != Some(&b'/') {
        return uri == b"*";
    }
    let path = &uri[..memchr::memchr(b'?', uri).unwrap_or(uri.len())];
    // Bytes above 0x7f may be UTF-8 that some server reads as something else.
    if memchr::memchr2(b'%', 0, uri).is_some() || !uri.is_ascii() {
        return false;
    }
    let mut last = 0;
    for &byte in path {
        if byte == b'\\' || last == b'/' && matches!(byte, b'/' | b'.') {
            return false;
        }
        last = byte;
    }
    true
}

/// True when Snort 2 or 3 reads a plain URI in another way.
pub fn snort_differs(uri: &[u8]) -> bool {
    memchr::memchr2(b'+', b'\\', uri).is_some() || memchr::memmem::find(uri, b"//").is_some()
}

/// Appends `uri` with each run of slashes and backslashes as one slash, in the query too, as Snort 2 has it.
pub fn fold_slashes(uri: &[u8], out: &mut Vec<u8>) {
    let mut slash = false;
    for &byte in uri {
        let next = matches!(byte, b'/' | b'\\');
        if !(next && slash) {
            out.push(if next { b'/' } else { byte });
        }
        slash = next;
    }
}

/// Appends `uri`, percent-decoded once, to `out`.
pub fn decode(uri: &[u8], out: &mut Vec<u8>, event: &mut impl FnMut(Decoder)) {
    let mut rest = uri;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1..at + 3).and_then(|pair| Some(hex_value(pair[0])? << 4 | hex_value(pair[1])?)) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[at + 3..];
            }
            None => {
                let unicode = matches!(rest.get(at + 1), Some(b'u' | b'U'))
                    && rest.get(at + 2..at + 6).is_some_and(|four| four.iter().all(u8::is_ascii_hexdigit));
                event(if unicode { Decoder::UnicodePercent } else { Decoder::InvalidPercent });
                out.push(b'%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest);
}

/// Appends what a server that decodes more than once would read, if that differs from `decoded`; returns whether.
pub fn decode_deep(decoded: &[u8], out: &mut Vec<u8>, event: &mut impl FnMut(Decoder)) -> bool {
    if memchr::memchr(b'%', decoded).is_none() && !decoded.iter().any(|byte| *byte >= 0xc0) {
        return false;
    }
    let path_end = memchr::memchr(b'?', decoded).unwrap_or(decoded.len());
    let start = out.len();
    let mut at = 0;
    while at < decoded.len() {
        let rest = &decoded[at..];
        let (byte, length) = match rest[0] {
            b'%' => match (rest.get(1), rest.get(1..3), rest.get(2..6)) {
                (Some(b'u' | b'U'), _, Some(four)) if four.iter().all(u8::is_ascii_hexdigit) => {
                    let value =
                        four.iter().fold(0u32, |sum, digit| sum << 4 | u32::from(hex_value(*digit).unwrap_or(0)));
                    (best_fit(value), 6)
                }
                (_, Some(pair), _) if pair.iter().all(u8::is_ascii_hexdigit) => {
                    if at < path_end {
                        event(Decoder::DoubleEncoding);
                    }
                    (hex_value(pair[0]).unwrap_or(0) << 4 | hex_value(pair[1]).unwrap_or(0), 3)
                }
                _ => (b'%', 1),
            },
            lead @ 0xc0..=0xdf if rest.get(1).is_some_and(|next| next & 0xc0 == 0x80) => {
                let value = u32::from(lead & 0x1f) << 6 | u32::from(rest[1] & 0x3f);
                if value < 0x80 {
                    event(Decoder::OverlongUtf8);
                    (value as u8, 2)
                } else {
                    (lead, 1)
                }
            }
            0xe0 if rest.len() > 2 && rest[1] & 0xc0 == 0x80 && rest[2] & 0xc0 == 0x80 && rest[1] < 0xa0 => {
                let value = u32::from(rest[1] & 0x3f) << 6 | u32::from(rest[2] & 0x3f);
                event(Decoder::OverlongUtf8);
                (best_fit(value), 3)
            }
            // Full-width forms of ASCII.
            0xef if rest.len() > 2 && (rest[1] == 0xbc || rest[1] == 0xbd) && rest[2] & 0xc0 == 0x80 => {
                let value = 0xf000 | u32::from(rest[1] & 0x3f) << 6 | u32::from(rest[2] & 0x3f);
                match best_fit(value) {
                    b'?' => (0xef, 1),
                    byte => (byte, 3),
                }
            }
            byte => (byte, 1),
        };
        out.push(byte);
        at += length;
    }
    if out[start..] == *decoded {
        out.truncate(start);
        return false;
    }
    true
}

fn best_fit(value: u32) -> u8 {
    match value {
        0..=0xff => value as u8,
        0xff01..=0xff5e => (value - 0xff01 + 0x21) as u8,
        // Division, fraction and set-minus signs that file systems take for separators.
        0x2044 | 0x2215 => b'/',
        0x2216 => b'\\',
        0x2024 => b'.',
        _ => b'?',
    }
}

/// Appends the collapsed form of `decoded`: the path's backslashes are slashes, its empty, `.` and `..` segments gone.
pub fn collapse(decoded: &[u8], out: &mut Vec<u8>, event: &mut impl FnMut(Decoder)) {
    let path_end = memchr::memchr(b'?', decoded).unwrap_or(decoded.len());
    let (path, query) = decoded.split_at(path_end);
    if !matches!(path.first(), Some(b'/' | b'\\')) {
        out.extend_from_slice(decoded);
        return;
    }
    let root = out.len();
    out.push(b'/');
    let mut segments = path[1..].split(|byte| matches!(byte, b'/' | b'\\')).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"" | b"." => {}
            b".." => {
                if out.len() == root + 1 {
                    event(Decoder::AboveRoot);
                } else {
                    let parent = out[root..out.len() - 1].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                    out.truncate(root + parent + 1);
                }
            }
            _ => {
                out.extend_from_slice(segment);
                if !last {
                    out.push(b'/');
                }
            }
        }
    }
    out.extend_from_slice(query);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(uri: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<Decoder>) {
        let (mut decoded, mut collapsed, mut events) = (Vec::new(), Vec::new(), Vec::new());
        decode(uri, &mut decoded, &mut |event| events.push(event));
        collapse(&decoded, &mut collapsed, &mut |event| events.push(event));
        (decoded, collapsed, events)
    }

    #[test]
    fn table() {
        for (uri, decoded, collapsed, events) in [
            (b"/a/b?c".as_slice(), b"/a/b?c".as_slice(), b"/a/b?c".as_slice(), vec![]),
            (b"/%61%2fb", b"/a/b", b"/a/b", vec![]),
            (b"/a%", b"/a%", b"/a%", vec![Decoder::InvalidPercent]),
            (b"/a%4", b"/a%4", b"/a%4", vec![Decoder::InvalidPercent]),
            (b"/%zz%41", b"/%zzA", b"/%zzA", vec![Decoder::InvalidPercent]),
            (b"/%u0041", b"/%u0041", b"/%u0041", vec![Decoder::UnicodePercent]),
            (b"/a//b/./c/../d", b"/a//b/./c/../d", b"/a/b/d", vec![]),
            (b"/a/..", b"/a/..", b"/", vec![]),
            (b"/a/.", b"/a/.", b"/a/", vec![]),
            (b"/../a", b"/../a", b"/a", vec![Decoder::AboveRoot]),
            (b"/a\\b?x\\y", b"/a\\b?x\\y", b"/a/b?x\\y", vec![]),
            (b"/a?b=//x/../y", b"/a?b=//x/../y", b"/a?b=//x/../y", vec![]),
            (b"/a+b?c+d", b"/a+b?c+d", b"/a+b?c+d", vec![]),
            (b"/scripts/..%5c../x", b"/scripts/..\\../x", b"/x", vec![Decoder::AboveRoot]),
            (b"/AbC", b"/AbC", b"/AbC", vec![]),
            (b"*", b"*", b"*", vec![]),
            (b"", b"", b"", vec![]),
            (b"/a%00b", b"/a\0b", b"/a\0b", vec![]),
            (b"/...", b"/...", b"/...", vec![]),
        ] {
            let seen = forms(uri);
            assert_eq!(seen.0, decoded, "decoded {}", uri.escape_ascii());
            assert_eq!(seen.1, collapsed, "collapsed {}", uri.escape_ascii());
            assert_eq!(seen.2, events, "events {}", uri.escape_ascii());
        }
    }

    #[test]
    fn plain_uris_are_their_own_views() {
        for uri in [b"/".as_slice(), b"/a/b.c?d=e", b"/a?x=//../", b"*", b"/a..b", b"/a/b../c", b"/a.b/"] {
            assert!(is_plain(uri), "{}", uri.escape_ascii());
            let (decoded, collapsed, _) = forms(uri);
            assert_eq!((decoded.as_slice(), collapsed.as_slice()), (uri, uri));
        }
        for uri in [b"/%41".as_slice(), b"//", b"/./", b"/a/../b", b"/a\\b", b"x", b"/\xc0\xaf", b"/?\xc0\xaf", b"/\0"]
        {
            assert!(!is_plain(uri), "{}", uri.escape_ascii());
        }
    }

    #[test]
    fn deep_forms() {
        for (decoded, deep) in [
            (b"/%2e%2e/".as_slice(), Some(b"/../".as_slice())),
            (b"/\xc0\xae\xc0\xaf", Some(b"/./")),
            (b"/%u002e%uff0f", Some(b"/./")),
            (b"/\xe0\x80\xaf", Some(b"//")),
            (b"/\xef\xbc\x8f", Some(b"//")),
            (b"/\xc3\xa4", None),
            (b"/100%", None),
            (b"/a", None),
        ] {
            let mut out = Vec::new();
            let differs = decode_deep(decoded, &mut out, &mut |_| {});
            assert_eq!(differs.then_some(out.as_slice()), deep, "{}", decoded.escape_ascii());
        }
    }
}
