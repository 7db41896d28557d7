// SPDX-License-Identifier: Apache-2.0
//! The steps that make the readings of a URI: decoding once and deeper, collapsing the path.
//!
//! Which of them a request needs is found by one look at its bytes ([`Look`]); nearly all need none. The path ends at the
//! first `?` that was *sent*: each step is told where, since a decoded `%3f` is a letter of the path.

use super::decoder::Decoder;
use super::hex_value;

const ENCODED: u8 = 1;
const PLUS: u8 = 2;
const SLASH: u8 = 4;
const DOT: u8 = 8;
const BACKSLASH: u8 = 16;
const HASH: u8 = 32;
const CONTROL: u8 = 64;
const BLANK: u8 = 128;

static CLASS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            // Bytes above 0x7f may be UTF-8 that some server reads as something else.
            b'%' | 0x80..=0xff => ENCODED,
            0 => ENCODED | CONTROL,
            b'\t' => CONTROL | BLANK,
            b' ' => BLANK,
            1..=8 | 10..=0x1f | 0x7f => CONTROL,
            b'+' => PLUS,
            b'/' => SLASH,
            b'.' => DOT,
            b'\\' => BACKSLASH,
            b'#' => HASH,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// What a URI holds that somebody may read as something else.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Length of the path.
    pub path: usize,
    /// Classes of bytes in path and query.
    path_has: u8,
    query_has: u8,
    /// Classes of what follows a slash.
    path_pairs: u8,
    query_pairs: u8,
    rooted: bool,
}

impl Look {
    pub fn at(uri: &[u8]) -> Look {
        let path = memchr::memchr(b'?', uri).unwrap_or(uri.len());
        let (path_has, path_pairs) = classes(&uri[..path]);
        let (query_has, query_pairs) = classes(&uri[path..]);
        Look { path, path_has, query_has, path_pairs, query_pairs, rooted: uri.first() == Some(&b'/') || uri == b"*" }
    }

    /// Every reading of the URI is the URI itself, but for Snort's.
    pub fn is_plain(&self) -> bool {
        (self.path_has | self.query_has) & (ENCODED | HASH | CONTROL | BLANK) == 0
            && self.path_has & BACKSLASH == 0
            && self.path_pairs == 0
            && self.rooted
    }

    /// Snort 2 or 3 reads it differently.
    pub fn is_plain_for_snort(&self) -> bool {
        (self.path_has | self.query_has) & (PLUS | BACKSLASH) == 0 && (self.path_pairs | self.query_pairs) & SLASH == 0
    }

    /// No reading of the path is collapsed.
    pub fn path_is_plain(&self) -> bool {
        self.path_has & (ENCODED | BACKSLASH) == 0 && self.path_pairs == 0 && self.rooted
    }

    pub fn has_fragment(&self) -> bool {
        (self.path_has | self.query_has) & HASH != 0
    }

    pub fn has_blank(&self) -> bool {
        (self.path_has | self.query_has) & BLANK != 0
    }

    pub fn has_control(&self) -> bool {
        (self.path_has | self.query_has) & CONTROL != 0
    }
}

fn classes(bytes: &[u8]) -> (u8, u8) {
    let (mut has, mut pairs, mut last) = (0, 0, 0);
    for &byte in bytes {
        let class = CLASS[byte as usize];
        has |= class;
        let slash = last & SLASH;
        pairs |= (slash | slash << 1) & class;
        last = class;
    }
    (has, pairs)
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

fn hex_pair(rest: &[u8]) -> Option<u8> {
    Some(hex_value(*rest.get(1)?)? << 4 | hex_value(*rest.get(2)?)?)
}

/// The four digits of `%uXXXX` at the beginning of `rest`.
fn unicode(rest: &[u8]) -> Option<u32> {
    if !matches!(rest.get(1), Some(b'u' | b'U')) {
        return None;
    }
    rest.get(2..6)?.iter().try_fold(0u32, |sum, digit| Some(sum << 4 | u32::from(hex_value(*digit)?)))
}

/// Appends `part` of a URI, percent-decoded once, to `out`; `keep`: this byte stays encoded.
pub fn decode(part: &[u8], keep: Option<u8>, out: &mut Vec<u8>, event: &mut impl FnMut(Decoder)) {
    let mut rest = part;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match hex_pair(rest) {
            Some(byte) if Some(byte) == keep => {
                out.extend_from_slice(&rest[..3]);
                rest = &rest[3..];
            }
            Some(byte) => {
                if byte.is_ascii_alphanumeric() {
                    event(Decoder::EncodedPlain);
                }
                out.push(byte);
                rest = &rest[3..];
            }
            None => {
                let known = unicode(rest).is_some();
                event(if known { Decoder::UnicodePercent } else { Decoder::InvalidPercent });
                out.push(b'%');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
}

/// Each `%` of `part` begins an escape.
pub fn is_well_formed(part: &[u8], knows_unicode: bool) -> bool {
    memchr::memchr_iter(b'%', part).all(|at| {
        let rest = &part[at..];
        hex_pair(rest).is_some() || knows_unicode && unicode(rest).is_some()
    })
}

pub fn has_encoded_slash(path: &[u8]) -> bool {
    memchr::memchr_iter(b'%', path).any(|at| hex_pair(&path[at..]) == Some(b'/'))
}

/// The path leads above the root, as servers count that take no backslash for a separator.
pub fn is_above_root(path: &[u8]) -> bool {
    let mut depth = 0usize;
    path.split(|byte| *byte == b'/').any(|segment| match segment {
        b"" | b"." => false,
        b".." => match depth.checked_sub(1) {
            Some(less) => {
                depth = less;
                false
            }
            None => true,
        },
        _ => {
            depth += 1;
            false
        }
    })
}

/// Appends what a server that goes on decoding would read in `decoded`, whose path is `path` long, if that differs; returns
/// the length of the path then. `loose`: any byte may follow the two that begin nothing but overlong forms.
pub fn decode_deep(
    decoded: &[u8],
    path: usize,
    loose: bool,
    out: &mut Vec<u8>,
    event: &mut impl FnMut(Decoder),
) -> Option<usize> {
    if !decoded.iter().any(|byte| *byte == b'%' || *byte >= 0xc0) {
        return None;
    }
    let start = out.len();
    let mut new_path = None;
    let mut ways = WaysUp::default();
    let mut at = 0;
    while at < decoded.len() {
        if at >= path && new_path.is_none() {
            new_path = Some(out.len() - start);
        }
        let rest = &decoded[at..];
        // Most bytes mean themselves, and what means a way up is none of them.
        let same = if at < path { &rest[..path - at] } else { rest };
        let same = same.iter().take_while(|byte| !matches!(byte, b'%' | b'.' | b'/' | b'\\' | 0xc0..)).count();
        if same > 1 && !ways.taken {
            ways = WaysUp::default();
            out.extend_from_slice(&rest[..same]);
            at += same;
            continue;
        }
        let (byte, length) = match rest[0] {
            b'%' => match (unicode(rest), hex_pair(rest)) {
                (Some(value), _) => (best_fit(value), 6),
                (None, Some(byte)) => {
                    if at < path {
                        event(Decoder::DoubleEncoding);
                    }
                    (byte, 3)
                }
                (None, None) => (b'%', 1),
            },
            lead @ 0xc0.. => wide(lead, rest, loose, event),
            byte => (byte, 1),
        };
        if ways.disguised(byte, rest, length, at < path) {
            event(Decoder::DisguisedWayUp);
        }
        out.push(byte);
        at += length;
    }
    if out[start..] == *decoded {
        out.truncate(start);
        return None;
    }
    Some(new_path.unwrap_or(out.len() - start))
}

/// Looks for `../` of which a byte is not what was sent.
#[derive(Default)]
struct WaysUp {
    /// Dots in a row, and how odd they are written.
    dots: u8,
    odd: u8,
    /// Ways up in a row, and how odd they are.
    row: u8,
    odd_row: u8,
    /// The next byte belongs to a form that has been taken.
    taken: bool,
}

impl WaysUp {
    /// True when `byte`, which comes next and is made of what `rest` begins with, ends a way up in disguise. In a path
    /// one byte of it is enough. In a query an address may stand within an address, whose slashes are rightly encoded
    /// twice, and two bytes may be a letter of some other character set: it takes two in a row, or two such bytes that
    /// nobody needs to write so.
    fn disguised(&mut self, byte: u8, rest: &[u8], length: usize, in_path: bool) -> bool {
        if std::mem::take(&mut self.taken) {
            return false;
        }
        let mut byte = byte;
        if let (1, &[0xc0 | 0xc1, next, ..]) = (length, rest) {
            // The loose form of a byte, whether or not it is decoded now.
            let loose = (rest[0] & 1) << 6 | next & 0x3f;
            if matches!(loose, b'.' | b'/' | b'\\') {
                (byte, self.taken) = (loose, true);
            }
        }
        let odd = match (length, byte) {
            (1, _) if !self.taken => 0,
            (3, b'/' | b'\\') if rest[0] == b'%' => 1,
            _ => 2,
        };
        match byte {
            b'.' => {
                self.dots = self.dots.saturating_add(1);
                self.odd += odd * u8::from(self.dots < 3);
                return false;
            }
            b'/' | b'\\' if self.dots == 2 => {
                self.row = self.row.saturating_add(1);
                self.odd_row = self.odd_row.saturating_add(self.odd + odd);
            }
            // Slashes may be doubled.
            b'/' | b'\\' if self.dots == 0 => {}
            _ => (self.row, self.odd_row) = (0, 0),
        }
        let found = self.dots == 2 && self.odd_row > 0 && (in_path || self.row > 1 || self.odd_row > 3);
        (self.dots, self.odd) = (0, 0);
        found
    }
}

/// The one byte that some servers make of the UTF-8 sequence that `lead` begins, and how many it replaces.
fn wide(lead: u8, rest: &[u8], loose: bool, event: &mut impl FnMut(Decoder)) -> (u8, usize) {
    if let (0xc0 | 0xc1, Some(&next)) = (lead, rest.get(1)) {
        let byte = (lead & 1) << 6 | next & 0x3f;
        let strict = next & 0xc0 == 0x80;
        // Latin-1 has such pairs, too.
        if strict || matches!(byte, b'/' | b'\\' | b'.') {
            event(Decoder::OverlongUtf8);
        }
        if strict || loose {
            return (byte, 2);
        }
    }
    let (length, bits, least) = match lead {
        0xc0..=0xdf => (2, 0x1f, 0x80),
        0xe0..=0xef => (3, 0x0f, 0x800),
        0xf0..=0xf7 => (4, 0x07, 0x1_0000),
        0xf8..=0xfb => (5, 0x03, 0x20_0000),
        0xfc..=0xfd => (6, 0x01, 0x400_0000),
        _ => return (lead, 1),
    };
    let Some(more) = rest.get(1..length).filter(|more| more.iter().all(|byte| byte & 0xc0 == 0x80)) else {
        return (lead, 1);
    };
    let value = more.iter().fold(u32::from(lead & bits), |sum, byte| sum << 6 | u32::from(byte & 0x3f));
    if value < least {
        event(Decoder::OverlongUtf8);
        return (best_fit(value), length);
    }
    // An accent that stays one is no other reading.
    match best_fit(value) {
        b'?' | 0x80.. => (lead, 1),
        byte => (byte, length),
    }
}

/// Somewhere a loose reading differs.
pub fn has_loose_pair(decoded: &[u8]) -> bool {
    decoded.windows(2).any(|pair| matches!(pair[0], 0xc0 | 0xc1) && pair[1] & 0xc0 != 0x80)
}

/// U+0100 to U+017F as the letters that they resemble.
const LATIN: &[u8; 128] = b"AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi??JjKk?LlLlLlLlLlNnNnNn???OoOoOoOoRrRrRr\
    SsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZz?";

/// The byte that Windows makes of a character where its code page has none.
fn best_fit(value: u32) -> u8 {
    match value {
        0..=0xff => value as u8,
        0x100..=0x17f => LATIN[value as usize - 0x100],
        0xff01..=0xff5e => (value - 0xff01 + 0x21) as u8,
        // Division, fraction and set-minus signs that file systems take for separators.
        0x2044 | 0x2215 => b'/',
        0x2216 => b'\\',
        0x2024 => b'.',
        0x2010 | 0x2011 | 0x2212 => b'-',
        0x2032 | 0x02b9 | 0x02bc | 0x02c8 => b'\'',
        0x02ba | 0x2033 => b'"',
        0x2039 | 0x2329 | 0x3008 => b'<',
        0x203a | 0x232a | 0x3009 => b'>',
        0x2000..=0x2006 | 0x3000 => b' ',
        0x2217 => b'*',
        0x2223 => b'|',
        0x2236 => b':',
        _ => b'?',
    }
}

/// How a path is collapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collapse {
    /// Segments end at slashes.
    Slashes,
    /// Also at backslashes, which become slashes.
    Backslashes,
    /// As `Slashes`; what follows a semicolon in a segment is dropped.
    Parameters,
}

/// Appends the collapsed form of `decoded`, whose path is `path` long: empty, `.` and `..` segments gone. Returns the length
/// of the path then.
pub fn collapse(
    decoded: &[u8],
    path: usize,
    how: Collapse,
    out: &mut Vec<u8>,
    event: &mut impl FnMut(Decoder),
) -> usize {
    let (path, query) = decoded.split_at(path.min(decoded.len()));
    let separates = |byte: &u8| *byte == b'/' || how == Collapse::Backslashes && *byte == b'\\';
    if !path.first().is_some_and(separates) {
        out.extend_from_slice(decoded);
        return path.len();
    }
    let root = out.len();
    out.push(b'/');
    let mut climbs = 0;
    let backslash = how == Collapse::Backslashes && memchr::memmem::find(path, b"..\\").is_some();
    let mut segments = path[1..].split(separates).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let name = match memchr::memchr(b';', segment) {
            Some(at) if how == Collapse::Parameters => &segment[..at],
            _ => segment,
        };
        match name {
            b"" => {
                if !last {
                    event(Decoder::RepeatedSlash);
                }
            }
            b"." => event(Decoder::DotSegment),
            b".." => {
                event(Decoder::DotSegment);
                if out.len() == root + 1 {
                    event(Decoder::AboveRoot);
                    climbs += 1;
                    // One or two come of a link that some robot resolved badly.
                    if climbs == 3 || backslash {
                        event(Decoder::FarAboveRoot);
                    }
                } else {
                    let parent = out[root..out.len() - 1].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                    out.truncate(root + parent + 1);
                }
            }
            _ => {
                out.extend_from_slice(name);
                if !last {
                    out.push(b'/');
                }
            }
        }
    }
    let length = out.len() - root;
    out.extend_from_slice(query);
    length
}

/// A dot segment with a parameter: only servers that know parameters take it for one.
pub fn has_dot_parameter(path: &[u8]) -> bool {
    memchr::memmem::find_iter(path, b".;").any(|at| {
        let before = &path[..at];
        before.ends_with(b"/") || before.ends_with(b"/.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(uri: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<Decoder>) {
        let (mut decoded, mut collapsed, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let path = Look::at(uri).path;
        let mut event = |event| {
            if !matches!(event, Decoder::DotSegment | Decoder::RepeatedSlash | Decoder::EncodedPlain) {
                events.push(event);
            }
        };
        decode(&uri[..path], None, &mut decoded, &mut event);
        let path_length = decoded.len();
        decode(&uri[path..], None, &mut decoded, &mut event);
        collapse(&decoded, path_length, Collapse::Backslashes, &mut collapsed, &mut event);
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
            (b"/scripts/..%5c../x", b"/scripts/..\\../x", b"/x", vec![Decoder::AboveRoot, Decoder::FarAboveRoot]),
            (b"/AbC", b"/AbC", b"/AbC", vec![]),
            (b"*", b"*", b"*", vec![]),
            (b"", b"", b"", vec![]),
            (b"/a%00b", b"/a\0b", b"/a\0b", vec![]),
            (b"/...", b"/...", b"/...", vec![]),
            (b"/a%3fb/../c", b"/a?b/../c", b"/c", vec![]),
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
            assert!(Look::at(uri).is_plain(), "{}", uri.escape_ascii());
            let (decoded, collapsed, _) = forms(uri);
            assert_eq!((decoded.as_slice(), collapsed.as_slice()), (uri, uri));
        }
        for uri in [
            b"/%41".as_slice(),
            b"//",
            b"/./",
            b"/a/../b",
            b"/a\\b",
            b"x",
            b"/\xc0\xaf",
            b"/?\xc0\xaf",
            b"/\0",
            b"/a#b",
        ] {
            assert!(!Look::at(uri).is_plain(), "{}", uri.escape_ascii());
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
            (b"/\xc1\x1c\xc0\x2f", Some(b"/\\/")),
            (b"/\xf0\x80\x80\xaf\xf8\x80\x80\x80\xae", Some(b"//.")),
            (b"/\xc5\x9b\xc4\xb1", Some(b"/si")),
            (b"/\xe2\x88\x95", Some(b"//")),
            (b"/\xe4\xb8\xad\xf0\x9f\x98\x80\xff", None),
            (b"/\xc0", None),
            (b"/\xc0\xae\xc0/", Some(b"/./")),
        ] {
            let mut out = Vec::new();
            let path = decode_deep(decoded, decoded.len(), true, &mut out, &mut |_| {});
            assert_eq!(path.map(|_| out.as_slice()), deep, "{}", decoded.escape_ascii());
        }
    }

    #[test]
    fn strict_and_loose_forms() {
        let mut out = Vec::new();
        let decoded = b"/\xc0\xae\xc0/\xc1%9c";
        assert!(has_loose_pair(decoded) && !has_loose_pair(b"/\xc0\xae\xc3/"));
        assert_eq!(decode_deep(decoded, decoded.len(), false, &mut out, &mut |_| {}), Some(6));
        assert_eq!(out, b"/.\xc0/\xc1\x9c");
    }

    #[test]
    fn the_path_ends_where_it_was_sent_to_end() {
        let mut out = Vec::new();
        assert_eq!(decode_deep(b"/%3f%3f?%41", 7, false, &mut out, &mut |_| {}), Some(3));
        assert_eq!(out, b"/???A");
        let mut out = Vec::new();
        assert_eq!(collapse(b"/a/../?/b/../c?/../d", 14, Collapse::Slashes, &mut out, &mut |_| {}), 4);
        assert_eq!(out, b"/?/c?/../d");
    }

    #[test]
    fn parameters_of_segments() {
        for (path, odd, collapsed) in [
            (b"/a/..;/b".as_slice(), true, b"/b".as_slice()),
            (b"/a;x=y/b;z", false, b"/a/b"),
            (b"/a/.;x/b", true, b"/a/b"),
            (b"/a..;/b", false, b"/a../b"),
            (b"..;", false, b"..;"),
        ] {
            assert_eq!(has_dot_parameter(path), odd, "{}", path.escape_ascii());
            let mut out = Vec::new();
            collapse(path, path.len(), Collapse::Parameters, &mut out, &mut |_| {});
            assert_eq!(out, collapsed, "{}", path.escape_ascii());
        }
    }

    #[test]
    fn ways_up_in_disguise() {
        let disguised = |uri: &[u8]| {
            let path = Look::at(uri).path;
            let mut reading = Vec::new();
            decode(&uri[..path], None, &mut reading, &mut |_| {});
            let mut path_length = reading.len();
            decode(&uri[path..], None, &mut reading, &mut |_| {});
            let mut found = false;
            for _ in 0..3 {
                let mut deeper = Vec::new();
                let mut event = |event| found |= event == Decoder::DisguisedWayUp;
                match decode_deep(&reading, path_length, false, &mut deeper, &mut event) {
                    Some(length) => (reading, path_length) = (deeper, length),
                    None => break,
                }
            }
            found
        };
        for uri in [
            b"/a/..%255c../x".as_slice(),
            b"/a/..%c0%af../x",
            b"/a/..%c0%2f../x",
            b"/a/.%u002e/x",
            b"/a/%252e%252e/x",
            b"/a?b=..%252f..%252fx",
            b"/a?b=%c0%ae%c0%ae/x",
            b"/a?b=%25c0%25ae%25c0%25ae%25c0%25afx",
            b"/a?b=%252e%252e/x",
            b"/a?b=..%25c0%252f..%25c0%252fx",
        ] {
            assert!(disguised(uri), "{}", uri.escape_ascii());
        }
        for uri in [
            b"/a/../../x".as_slice(),
            b"/a/%2e%2e/x",
            b"/a%2520b..c/x",
            b"/a?b=../../x",
            b"/a?b=%2fpage%3ffile%3d..%252fimg",
            b"/a?b=wait..%c0%afx",
            b"/a?b=...%c0%af...%c0%afx",
            b"/%c0%af%c0%ae%c0%bb/%c0%af",
        ] {
            assert!(!disguised(uri), "{}", uri.escape_ascii());
        }
    }

    #[test]
    fn far_above_the_root() {
        let far = |path: &[u8]| forms(path).2.contains(&Decoder::FarAboveRoot);
        assert!(far(b"/../../../x") && far(b"/a/../../../../x") && far(b"/a/..%5c../x"));
        assert!(!far(b"/../../x") && !far(b"/a/../../b/../../x") && !far(b"/a/b/c/../../../../x"));
    }
}
