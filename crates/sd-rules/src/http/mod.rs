// SPDX-License-Identifier: Apache-2.0
//! The HTTP/1.x request parser and normaliser: incremental, lenient, linear in the bytes.
//!
//! Reads requests the way servers do, and where servers differ it raises a built-in rule ([`decoder`]) instead of
//! guessing. Nothing is rejected: what is no HTTP at all is left to the rules on raw bytes.

mod body;
mod buffers;
mod coding;
mod content;
pub mod decoder;
mod fields;
mod head;
mod multipart;
mod params;
mod profile;
pub(crate) mod uri;

pub(crate) use body::{begins_as_request, Body, BodyState};
pub(crate) use buffers::Buffers;
pub(crate) use content::Content;
pub use profile::Profile;

pub(crate) use head::{Head, HeadState, Name};

/// A range of bytes; requests are far below 4 GiB as their inspected part is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end.max(start) as u32 }
    }

    pub fn of<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        data.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

pub(crate) fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Blanks that some server treats as separators or trims: more than RFC 9112 allows.
pub(crate) fn is_wide_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r' | b'\n')
}

pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_wide_blank(*byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_wide_blank(*byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// RFC 9110 token characters.
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};
