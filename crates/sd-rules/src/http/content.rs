// SPDX-License-Identifier: Apache-2.0
//! A request's body as rules see it: dechunked, decompressed, and its parts and trailer.

use super::body::{Body, BodyState, Piece};
use super::coding::Coding;
use super::decoder::Decoder;
use super::head::{Head, Name};
use super::multipart::Multipart;
use super::{trim, Span};
use crate::Buffer;

/// Grows with the body; kept until the request ends.
#[derive(Debug, Default)]
pub struct Content {
    chunked: bool,
    dechunked: Vec<u8>,
    coding: Option<Box<Coding>>,
    multipart: Option<Box<Multipart>>,
    /// The body is a file.
    upload: bool,
    trailer: Vec<u8>,
}

/// The values that a buffer of parts has so far.
pub struct Values<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    /// All of the bytes are one value, too.
    whole: bool,
    /// The last one grows.
    open: bool,
    /// There may be more.
    pub goes_on: bool,
}

impl<'a> Values<'a> {
    /// A value, and whether it is complete.
    pub fn get(&self, index: usize) -> Option<(&'a [u8], bool)> {
        if self.whole {
            return (index == 0).then_some((self.bytes, !self.open));
        }
        let span = self.spans.get(index)?;
        Some((span.of(self.bytes), !self.open || index + 1 < self.spans.len()))
    }
}

impl Content {
    /// Ready for another request, with its memory.
    pub fn reset(&mut self) {
        self.chunked = false;
        self.dechunked.clear();
        self.dechunked.shrink_to(8 << 10);
        self.coding = None;
        self.multipart = None;
        self.upload = false;
        self.trailer.clear();
        self.trailer.shrink_to(1024);
    }

    /// The head is complete, and `body` how it frames what follows.
    pub fn start(&mut self, head: &Head, data: &[u8], body: BodyState, events: &mut impl FnMut(Decoder)) {
        self.chunked = matches!(body, BodyState::Chunked(_));
        if body == BodyState::Done {
            return;
        }
        let values =
            |name| head.headers.iter().filter(move |header| header.known == name).map(|header| header.value.of(data));
        if values(Name::ContentEncoding).next().is_some() {
            self.coding = Coding::new(values(Name::ContentEncoding), events);
        }
        self.multipart = values(Name::ContentType).find_map(|value| Multipart::new(value, events));
        self.upload = self.multipart.is_none() && matches!(head.method.of(data), b"POST" | b"PUT");
    }

    /// Follows `body` through `input` as far as it goes; returns how many bytes those were.
    pub fn follow(&mut self, body: &mut Body, input: &[u8], events: &mut impl FnMut(Decoder)) -> usize {
        let (chunked, dechunked, trailer) = (self.chunked, &mut self.dechunked, &mut self.trailer);
        body.follow(
            input,
            |piece, range| match piece {
                Piece::Content if chunked => dechunked.extend_from_slice(&input[range]),
                Piece::Content => {}
                Piece::Trailer => trailer.extend_from_slice(&input[range]),
            },
            events,
        )
    }

    /// Goes on with the body; `sent` is all of it so far when it is not chunked, `end`: nothing more comes. At most `depth`
    /// bytes are made of it.
    pub fn advance(&mut self, sent: &[u8], depth: usize, end: bool, events: &mut impl FnMut(Decoder)) {
        if self.coding.is_none() && self.multipart.is_none() && self.trailer.is_empty() {
            return;
        }
        let sent = if self.chunked { &self.dechunked } else { sent };
        if let Some(coding) = &mut self.coding {
            coding.advance(sent, depth, end, events);
        }
        let body = self.coding.as_ref().map_or(sent, |coding| coding.bytes());
        if let Some(multipart) = &mut self.multipart {
            multipart.advance(body, end, events);
        }
        if end {
            check_trailer(self.trailer(), events);
        }
    }

    /// The body for rules; `sent` as in [`Content::advance`].
    pub fn body<'a>(&'a self, sent: &'a [u8]) -> &'a [u8] {
        match &self.coding {
            Some(coding) => coding.bytes(),
            None if self.chunked => &self.dechunked,
            None => sent,
        }
    }

    /// The lines behind the last chunk.
    pub fn trailer(&self) -> &[u8] {
        let lines = &self.trailer;
        lines.strip_suffix(b"\r\n").or(lines.strip_suffix(b"\n")).unwrap_or(lines)
    }

    /// The values of a buffer of which each part of the body has its own; `body` is the body for rules, `path` that of
    /// the address: what a body is called that is a file by itself.
    pub fn values<'a>(&'a self, buffer: Buffer, body: &'a [u8], path: impl Fn() -> &'a [u8]) -> Values<'a> {
        let Some(multipart) = &self.multipart else {
            let (whole, named) = (self.upload && buffer != Buffer::HttpPartName, buffer == Buffer::HttpFileName);
            let bytes = if whole && named { path() } else { body };
            return Values { bytes, spans: &[], whole, open: !named, goes_on: false };
        };
        let (bytes, spans, open) = match buffer {
            Buffer::HttpPartName => (multipart.text.as_slice(), &multipart.names, false),
            Buffer::HttpFileName => (multipart.text.as_slice(), &multipart.files, false),
            _ => (body, &multipart.contents, multipart.is_open()),
        };
        Values { bytes, spans, whole: false, open, goes_on: multipart.goes_on() }
    }

    pub fn has_parts(&self) -> bool {
        self.multipart.is_some() || self.upload
    }

    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        let parts = self.multipart.as_ref().map_or(0, |multipart| multipart.memory());
        self.dechunked.capacity() + self.trailer.capacity() + parts + self.coding.as_ref().map_or(0, |c| c.memory())
    }
}

/// Fields that frame the message, route it or say what the body is have no place behind it.
fn check_trailer(lines: &[u8], events: &mut impl FnMut(Decoder)) {
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !trim(line).is_empty()) {
        events(Decoder::Trailer);
        let name = trim(&line[..memchr::memchr(b':', line).unwrap_or(0)]);
        if Name::of(name) != Name::Other || name.eq_ignore_ascii_case(b"authorization") {
            events(Decoder::TrailerForbidden);
        }
    }
}
