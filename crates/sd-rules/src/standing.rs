// SPDX-License-Identifier: Apache-2.0
//! Where a match stands: some rules divert only when what they look for stands as it does in an attack.
//!
//! A rule's words alone cannot tell a request for `/root.exe` from one for `/root.exe-removal-guide`, nor
//! `-1 UNION SELECT` from somebody's question about it. So the document may name one content of a rule and say how one of
//! its places in the request has to be; when none is so, the match scores instead. It is asked after the rule has matched,
//! in linear time, and any place will do: nothing that is added elsewhere in the request hides one.

use crate::document::{self, Dialect};
use crate::http::uri;
use crate::Buffer;

/// Longer ones, and more places in one, are no ordinary addresses: nothing is forgiven there.
const LONGEST: usize = 8 << 10;
const PLACES: usize = 16;
/// Nor are values with so much before a match.
const BEFORE: usize = 1 << 10;
/// So often what goes before a match is decoded.
const DECODED: usize = 3;

#[derive(Debug)]
pub(crate) struct Standing {
    bytes: Box<[u8]>,
    nocase: bool,
    pub buffer: Buffer,
    path: bool,
    whole: bool,
    line: bool,
    name: bool,
    opening: Opening,
}

/// What goes before the words of a statement in a part of a path or in a parameter's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// Nothing, words, or the beginning of a statement: a search, a title, a database's console.
    #[default]
    Plain,
    /// Marks that are not those of prose.
    Marked,
    /// Only numbers and marks: the value that was wanted, and what ends it.
    Broken,
}

/// What the request is known to have, for [`Standing::holds`].
pub(crate) struct Asked<'a> {
    /// The address as it was sent.
    pub sent: &'a [u8],
    /// The form of the buffer that is looked at.
    pub form: &'a [u8],
}

impl Standing {
    pub fn new(standing: document::Standing, dialect: Dialect) -> Result<Standing, String> {
        if standing.bytes.is_empty() {
            return Err("standing: empty".into());
        }
        Ok(Standing {
            bytes: standing.bytes.into_boxed_slice(),
            nocase: standing.nocase,
            buffer: dialect.buffer(standing.buffer),
            path: standing.path,
            whole: standing.whole,
            line: standing.line,
            name: standing.name,
            opening: standing.opening,
        })
    }

    /// Some place of the content is as it has to be. `may`: takes what passing over so many bytes costs; when there is no
    /// more of it, nothing is forgiven.
    pub fn holds(&self, asked: &Asked<'_>, mut may: impl FnMut(usize) -> bool) -> bool {
        if !may(asked.form.len()) {
            return true;
        }
        let form = if self.line { line(asked.form) } else { asked.form };
        if form.len() > LONGEST {
            return !self.line || self.find(form, 0).is_some();
        }
        // What may have been a question mark could end the path: then all of it is one.
        let plain = !path_of(asked.sent).iter().any(|byte| *byte == b'%' || *byte >= 0x80);
        let path = if plain { path_of(form).len() } else { form.len() };
        let mut from = 0;
        for _ in 0..PLACES {
            let Some(at) = self.find(form, from) else { return false };
            let fits = (!self.path || at < path)
                && (!self.whole || self.is_whole(form, at))
                && (self.opening == Opening::Plain
                    || self.name && self.is_asked(form, at)
                    || self.opened(form, at, &mut may));
            if fits {
                return true;
            }
            from = at + 1;
        }
        true
    }

    /// The name is a part of the path and of no title there; a whole file's is asked for with arguments.
    fn is_asked(&self, form: &[u8], at: usize) -> bool {
        let path = path_of(form);
        let end = at + self.bytes.len();
        if end > path.len() || self.whole && (end < path.len() || path.len() == form.len()) {
            return false;
        }
        let begin = path[..at].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let after = path[end..].iter().position(|byte| *byte == b'/').map_or(path.len(), |slash| end + slash);
        !path[begin..after].iter().any(is_blank)
    }

    fn opened(&self, form: &[u8], at: usize, may: &mut impl FnMut(usize) -> bool) -> bool {
        let value = value_before(form, at);
        if value.len() > BEFORE || !may(DECODED * value.len()) {
            return true;
        }
        let mut value = value.to_vec();
        for _ in 0..DECODED {
            let mut decoded = Vec::new();
            uri::decode(&value, None, &mut decoded, &mut |_| {});
            value = decoded;
            // An address within the address has values of its own.
            if memchr::memmem::find(&value, b"://").is_some() {
                let inner = value.iter().rposition(|byte| *byte == b'=').map_or(0, |equals| equals + 1);
                value.drain(..inner);
            }
        }
        opening_of(&value) >= self.opening
    }

    fn find(&self, hay: &[u8], from: usize) -> Option<usize> {
        let (length, first) = (self.bytes.len(), self.bytes[0]);
        let last = (hay.len() + 1).checked_sub(length)?;
        let mut at = from;
        while at < last {
            at += memchr::memchr2(first.to_ascii_lowercase(), first.to_ascii_uppercase(), &hay[at..last])?;
            let found = &hay[at..at + length];
            if if self.nocase { found.eq_ignore_ascii_case(&self.bytes) } else { *found == *self.bytes } {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    /// The content, which names a file, is the whole name.
    fn is_whole(&self, form: &[u8], at: usize) -> bool {
        let before = &form[..at];
        let begins =
            !goes_on(self.bytes[0]) || !before.last().is_some_and(|byte| goes_on(*byte)) || ends_with_escape(before);
        begins && !form.get(at + self.bytes.len()).is_some_and(|byte| goes_on(*byte))
    }
}

/// A name goes on with this byte.
fn goes_on(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn ends_with_escape(before: &[u8]) -> bool {
    let ends = |length: usize, mark: &[u8]| before.len() >= length && before[before.len() - length..].starts_with(mark);
    ends(3, b"%") || ends(6, b"%u") || ends(6, b"%U")
}

/// The first line, which is the request line.
fn line(raw: &[u8]) -> &[u8] {
    &raw[..memchr::memchr(b'\n', raw).unwrap_or(raw.len())]
}

fn path_of(uri: &[u8]) -> &[u8] {
    &uri[..memchr::memchr(b'?', uri).unwrap_or(uri.len())]
}

/// With these, statements begin that are typed into a console. What is put into a statement cannot begin so.
const VERBS: [&[u8]; 26] = [
    b"select",
    b"insert",
    b"update",
    b"delete",
    b"create",
    b"drop",
    b"alter",
    b"show",
    b"explain",
    b"with",
    b"declare",
    b"begin",
    b"exec",
    b"execute",
    b"call",
    b"grant",
    b"revoke",
    b"use",
    b"set",
    b"describe",
    b"desc",
    b"truncate",
    b"replace",
    b"merge",
    b"analyze",
    b"prefix",
];
/// Behind these, a condition or a value goes on.
const LINKS: [&[u8]; 12] =
    [b"and", b"or", b"xor", b"not", b"having", b"where", b"when", b"then", b"else", b"limit", b"like", b"null"];

/// What goes before `at` in its part of the path or in its parameter's value.
fn value_before(form: &[u8], at: usize) -> &[u8] {
    let path = path_of(form).len();
    let before = &form[..at];
    if at < path {
        return &before[before.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1)..];
    }
    let part = &before[before.iter().rposition(|byte| matches!(byte, b'?' | b'&')).map_or(0, |mark| mark + 1)..];
    &part[memchr::memchr(b'=', part).map_or(0, |equals| equals + 1)..]
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'+' | b'\t')
}

fn opening_of(value: &[u8]) -> Opening {
    let word = |byte: &u8| byte.is_ascii_alphabetic() || *byte >= 0x80;
    let quoted = matches!(value, b"\"" | b"'" | b"(" | b"(\"" | b"('" | b"\"(");
    if value.is_empty() || quoted {
        return Opening::Plain;
    }
    if !value.iter().any(word) {
        return Opening::Broken;
    }
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(0);
    let first = value[start..].split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
    if VERBS.iter().any(|verb| first.eq_ignore_ascii_case(verb)) {
        return Opening::Plain;
    }
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1);
    let last = value[..end].rsplit(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
    if LINKS.iter().any(|link| last.eq_ignore_ascii_case(link)) {
        return Opening::Marked;
    }
    let quotes = memchr::memchr_iter(b'"', value).count();
    let prose = |(at, byte): (usize, &u8)| match byte {
        b'\'' => {
            let apostrophe = at > 0 && word(&value[at - 1]) && value.get(at + 1).is_some_and(word);
            apostrophe || at + 1 == value.len()
        }
        b'"' => at + 1 == value.len() || quotes % 2 == 0,
        b'(' => at + 1 == value.len() && (at == 0 || is_blank(&value[at - 1])),
        b'_' | b'.' | b',' | b'!' | b'?' | b'-' | b':' | b'&' => true,
        byte => is_blank(byte) || byte.is_ascii_alphanumeric() || *byte >= 0x80,
    };
    if value.iter().enumerate().all(prose) {
        Opening::Plain
    } else {
        Opening::Marked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(content: &str) -> Standing {
        Standing {
            bytes: content.as_bytes().into(),
            nocase: true,
            buffer: Buffer::HttpUri,
            path: false,
            whole: false,
            line: false,
            name: false,
            opening: Opening::Plain,
        }
    }

    fn holds(standing: &Standing, uri: &str) -> bool {
        standing.holds(&Asked { sent: uri.as_bytes(), form: uri.as_bytes() }, |_| true)
    }

    #[test]
    fn a_name_is_whole() {
        let root = Standing { whole: true, ..standing("/root.exe") };
        for uri in ["/root.exe", "/scripts/ROOT.EXE?/c+dir", "/root.exe/x", "/root.exe-x/root.exe", "/root.exe%20"] {
            assert!(holds(&root, uri), "{uri}");
        }
        for uri in ["/root.exe-removal-guide", "/root.exe_x", "/root.exe2", "/root"] {
            assert!(!holds(&root, uri), "{uri}");
        }
        let cmd = Standing { whole: true, ..standing("cmd.exe") };
        for uri in ["/a\\cmd.exe", "/cmd.exe", "/a%5ccmd.exe?", "/a%u005ccmd.exe", "/x?y=cmd.exe&z"] {
            assert!(holds(&cmd, uri), "{uri}");
        }
        for uri in ["/open-cmd.exe", "/xcmd.exe", "/how-to-open-cmd.exe-as-admin", "/a%20my-cmd.exe", "/a%5c-cmd.exe"] {
            assert!(!holds(&cmd, uri), "{uri}");
        }
    }

    #[test]
    fn a_path_is_asked_for() {
        let samples = Standing { path: true, ..standing("/iissamples/") };
        assert!(holds(&samples, "/iissamples/x?y"));
        assert!(holds(&samples, "/a/iissamples/"));
        assert!(!holds(&samples, "/search?q=/iissamples/x"));
        // Some server may take what is encoded there for more of the path.
        assert!(holds(&samples, "/a%3fb/iissamples/?q"));
        let uri =
            |sent: &str, form: &str| samples.holds(&Asked { sent: sent.as_bytes(), form: form.as_bytes() }, |_| true);
        assert!(uri("/a%3fb/iissamples/", "/a?b/iissamples/"));
        assert!(!uri("/a?b=%2fiissamples/", "/a?b=/iissamples/"));
    }

    #[test]
    fn only_the_request_line_counts() {
        let script = Standing { line: true, ..standing("<script>") };
        assert!(holds(&script, "GET /?q=<SCRIPT> HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!holds(&script, "POST / HTTP/1.1\r\nHost: a\r\n\r\n<script>"));
    }

    #[test]
    fn openings() {
        for (before, expected) in [
            ("", Opening::Plain),
            ("european ", Opening::Plain),
            ("o'reilly ", Opening::Plain),
            ("\"", Opening::Plain),
            ("select a, (b) from c ", Opening::Plain),
            ("how to use '", Opening::Plain),
            ("John \"Jack\" Smith: ", Opening::Plain),
            ("x\" ", Opening::Marked),
            ("1 ", Opening::Broken),
            (" ", Opening::Broken),
            ("-1' ", Opening::Broken),
            ("(6105-", Opening::Broken),
            ("x' ", Opening::Marked),
            ("if(", Opening::Marked),
            ("'if(", Opening::Marked),
            ("id and ", Opening::Marked),
            ("/*x*/", Opening::Marked),
            ("x\n", Opening::Marked),
        ] {
            assert_eq!(opening_of(before.as_bytes()), expected, "{before:?}");
        }
        let at = |uri: &str, opening| holds(&Standing { opening, ..standing("union") }, uri);
        assert!(at("/a/1 union", Opening::Broken) && at("/a?b=1&c=1'union", Opening::Broken));
        assert!(!at("/a?u=https://h/a?q=the union", Opening::Marked));
        assert!(at("/a?u=https://h/a?q=1 union", Opening::Broken));
        assert!(!at("/a?u=https%3A%2F%2Fh%2Fa%3Fq%3Dthe%2520union", Opening::Marked));
        let words = Standing { opening: Opening::Marked, ..standing("union") };
        assert!(!holds(&words, "/a?u=https://h/a?q=the%20union") && holds(&words, "/a?u=x%27%20union"));
    }

    #[test]
    fn a_program_is_asked_for_with_arguments() {
        let cmd = Standing { whole: true, name: true, opening: Opening::Marked, ..standing("cmd.exe") };
        for uri in ["/scripts/cmd.exe?/c+dir", "/x?a=..\\winnt\\cmd.exe&b"] {
            assert!(holds(&cmd, uri), "{uri}");
        }
        for uri in ["/wiki/Cmd.exe", "/wiki/cmd.exe /c?x", "/search?q=cmd.exe+/c", "/search?q=what+is+cmd.exe"] {
            assert!(!holds(&cmd, uri), "{uri}");
        }
        let line = Standing { line: true, ..cmd };
        assert!(holds(&line, "GET /a/..%5c../cmd.exe?/c+dir HTTP/1.0\r\n"));
        assert!(!holds(&line, "GET /a?q=what%20is%20cmd.exe HTTP/1.1\r\n"));
        assert!(!holds(&line, "GET / HTTP/1.1\r\nReferer: /cmd.exe?\r\n"));
    }

    #[test]
    fn extraordinary_addresses_are_not_forgiven() {
        let root = Standing { whole: true, ..standing("/root.exe") };
        assert!(holds(&root, &format!("/{}/root.exe-x", "a".repeat(LONGEST))));
        assert!(holds(&root, &"/root.exe-x".repeat(PLACES)) && !holds(&root, &"/root.exe-x".repeat(PLACES - 1)));
        let words = Standing { opening: Opening::Broken, ..standing("union") };
        assert!(holds(&words, &format!("/a?b={}union", "the ".repeat(300))));
        let line = Standing { line: true, ..standing("/root.exe") };
        assert!(!holds(&line, &format!("GET /{} HTTP/1.1\r\nX: /root.exe", "a".repeat(LONGEST))));
    }
}
