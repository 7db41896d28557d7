// SPDX-License-Identifier: Apache-2.0
//! Suricata's transformations: what a buffer becomes before a rule's options look at it. Each takes time linear in the
//! buffer; bytes that it adds are bounded.

use crate::bytes::base64;
use crate::document::{Content, TransformStep};
use crate::http::hex_value;
use crate::pcre::Capture;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Transformations of one buffer, applied one after the other.
pub struct Transforms(Box<[Step]>);

enum Step {
    Plain(fn(&[u8]) -> Vec<u8>),
    Xor(Box<[u8]>),
    /// What the first group of the expression captures; nothing when it does not match.
    Capture(Box<Capture>),
    Base64 {
        offset: usize,
        bytes: usize,
    },
}

impl Transforms {
    pub fn new(steps: Vec<TransformStep>) -> Result<Transforms, String> {
        let made: Result<Vec<Step>, String> = steps.into_iter().map(Step::new).collect();
        Ok(Transforms(made?.into_boxed_slice()))
    }

    /// What the buffer becomes. `pay` is told what each step costs, in units of some nanoseconds; None: it was too much.
    pub fn apply(&self, bytes: &[u8], mut pay: impl FnMut(usize) -> bool) -> Option<Vec<u8>> {
        let mut now = bytes.to_vec();
        for step in &self.0 {
            if !pay(step.cost(now.len())) {
                return None;
            }
            now = step.apply(&now);
        }
        Some(now)
    }
}

impl Step {
    fn new(step: TransformStep) -> Result<Step, String> {
        Ok(match step {
            TransformStep::UrlDecode => Step::Plain(url_decode),
            TransformStep::ToLowercase => Step::Plain(<[u8]>::to_ascii_lowercase),
            TransformStep::ToUppercase => Step::Plain(<[u8]>::to_ascii_uppercase),
            TransformStep::StripWhitespace => Step::Plain(strip_whitespace),
            TransformStep::CompressWhitespace => Step::Plain(compress_whitespace),
            TransformStep::Dotprefix => {
                Step::Plain(|bytes| if bytes.is_empty() { Vec::new() } else { [b".", bytes].concat() })
            }
            TransformStep::HeaderLowercase => Step::Plain(header_lowercase),
            TransformStep::StripPseudoHeaders => Step::Plain(strip_pseudo_headers),
            TransformStep::ToMd5 => Step::Plain(|bytes| Md5::digest(bytes).to_vec()),
            TransformStep::ToSha1 => Step::Plain(|bytes| Sha1::digest(bytes).to_vec()),
            TransformStep::ToSha256 => Step::Plain(|bytes| Sha256::digest(bytes).to_vec()),
            TransformStep::Xor { key } if key.is_empty() => return Err("xor without a key".into()),
            TransformStep::Xor { key } => Step::Xor(key.into_boxed_slice()),
            TransformStep::Pcrexform { pattern } => {
                Step::Capture(Box::new(Capture::new(&pattern).map_err(|error| format!("pcrexform: {error}"))?))
            }
            TransformStep::FromBase64 { offset, bytes } => {
                Step::Base64 { offset: offset as usize, bytes: bytes.map_or(usize::MAX, |bytes| bytes as usize) }
            }
        })
    }

    fn cost(&self, length: usize) -> usize {
        match self {
            Step::Capture(expression) => expression.cost(length),
            _ => 16 + length / 4,
        }
    }

    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Step::Plain(plain) => plain(bytes),
            Step::Xor(key) => bytes.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect(),
            Step::Capture(expression) => expression.first(bytes).to_vec(),
            Step::Base64 { offset, bytes: most } => {
                let text = bytes.get(*offset..).unwrap_or_default();
                let mut out = Vec::new();
                base64(&text[..text.len().min(*most)], &mut out);
                out
            }
        }
    }
}

/// A content that stands in the buffer itself wherever `content` stands in what `steps` make of it; None: there is none.
pub fn untransformed(steps: &[TransformStep], content: &Content) -> Option<Content> {
    let mut bytes = content.bytes.as_slice();
    for step in steps.iter().rev() {
        match step {
            TransformStep::ToLowercase | TransformStep::ToUppercase | TransformStep::HeaderLowercase => {}
            TransformStep::Dotprefix => bytes = bytes.strip_prefix(b".").unwrap_or(bytes),
            _ => return None,
        }
    }
    let positive = !content.negated && !bytes.is_empty();
    positive.then(|| Content {
        buffer: content.buffer,
        bytes: bytes.to_vec(),
        nocase: true,
        negated: false,
        offset: None,
        depth: None,
        distance: None,
        within: None,
        startswith: false,
        endswith: false,
        fast_pattern: content.fast_pattern,
    })
}

/// As C's isspace has it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn url_decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let pair = || Some(hex_value(*after.first()?)? << 4 | hex_value(*after.get(1)?)?);
        match (byte, pair()) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = &after[2..];
            }
            _ => {
                out.push(if byte == b'+' { b' ' } else { byte });
                rest = after;
            }
        }
    }
    out
}

fn strip_whitespace(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !is_space(*byte)).collect()
}

/// Of a run of white space its first byte stays.
fn compress_whitespace(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if !is_space(*byte) || at == 0 || !is_space(bytes[at - 1]) {
            out.push(*byte);
        }
    }
    out
}

/// The names of `Name: value` lines in small letters.
fn header_lowercase(bytes: &[u8]) -> Vec<u8> {
    let mut in_name = true;
    let lowered = bytes.iter().map(|byte| {
        match byte {
            b'\n' => in_name = true,
            b':' => in_name = false,
            _ => {}
        }
        if in_name {
            byte.to_ascii_lowercase()
        } else {
            *byte
        }
    });
    lowered.collect()
}

/// Lines that begin with a colon, which HTTP/2 has, are left out.
fn strip_pseudo_headers(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| line.first() != Some(&b':')).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(steps: Vec<TransformStep>, bytes: &[u8]) -> Vec<u8> {
        Transforms::new(steps).unwrap().apply(bytes, |_| true).unwrap()
    }

    #[test]
    fn each_does_what_suricatas_does() {
        use TransformStep as T;
        let xor = || T::Xor { key: b"\x0d\x0a".to_vec() };
        let capture = |pattern: &str| T::Pcrexform { pattern: pattern.to_owned() };
        for (step, bytes, expected) in [
            (T::UrlDecode, b"a%2Fb+c%zz%".as_slice(), b"a/b c%zz%".as_slice()),
            (T::ToLowercase, b"AbC1", b"abc1"),
            (T::ToUppercase, b"AbC1", b"ABC1"),
            (T::StripWhitespace, b" a \t b\r\n\x0bc", b"abc"),
            (T::CompressWhitespace, b"a \t b\r\n c ", b"a b\rc "),
            (T::Dotprefix, b"example.org", b".example.org"),
            (T::Dotprefix, b"", b""),
            (T::HeaderLowercase, b"Host: A\r\nX-Y: Z:W\r\n", b"host: A\r\nx-y: Z:W\r\n"),
            (T::StripPseudoHeaders, b":path: /\r\nHost: a\r\n", b"Host: a\r\n"),
            (xor(), b"\x6c\x6b\x6f", b"aab"),
            (capture("b(.*)d"), b"abccd", b"cc"),
            (capture("x(.*)d"), b"abccd", b""),
            (T::FromBase64 { offset: 2, bytes: Some(4) }, b"..YWJjZGVm", b"abc"),
            (T::ToMd5, b"abc", b"\x90\x01\x50\x98\x3c\xd2\x4f\xb0\xd6\x96\x3f\x7d\x28\xe1\x7f\x72"),
        ] {
            assert_eq!(of(vec![step], bytes), expected, "{}", bytes.escape_ascii());
        }
        assert_eq!(of(vec![T::ToSha1], b"abc")[..4], *b"\xa9\x99\x3e\x36");
        assert_eq!(of(vec![T::ToSha256], b"abc")[..4], *b"\xba\x78\x16\xbf");
        assert_eq!(of(vec![xor(), xor(), T::Dotprefix, T::ToUppercase], b"a.b"), b".A.B", "one after the other");
        assert!(Transforms::new(vec![T::Xor { key: Vec::new() }]).is_err());
        assert!(Transforms::new(vec![capture("abc")]).is_err() && Transforms::new(vec![capture("(")]).is_err());
    }

    #[test]
    fn what_costs_too_much_is_not_done() {
        let evil = || TransformStep::Pcrexform { pattern: "^((a+)+)+[bc]".to_owned() };
        let transforms = Transforms::new(vec![evil()]).unwrap();
        let mut paid = 0;
        let found = transforms.apply(&[b'a'; 1 << 10], |units| {
            paid += units;
            units < 1_000
        });
        assert_eq!(found, None);
        assert!(paid >= 1 << 10);
        assert_eq!(of(vec![evil()], &[b'a'; 1 << 10]), b"", "linear all the same");
    }
}
