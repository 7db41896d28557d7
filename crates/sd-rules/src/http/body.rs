// SPDX-License-Identifier: Apache-2.0
//! Where a request's body ends: Content-Length and chunked framing, byte for byte as it arrives.

use super::decoder::Decoder;
use super::{hex_value, is_wide_blank};

/// Longest chunk-size line and longest trailer section.
const MAX_SIZE_LINE: u32 = 4 << 10;
const MAX_TRAILER: u32 = 64 << 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyState {
    /// The head says that there is none, or all of it has been seen.
    #[default]
    Done,
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunks),
    /// No end that this parser could tell: all that follows belongs to no request.
    Unframed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    place: Place,
    /// Size of the chunk being read, then what is left of it.
    size: u64,
    digits: u32,
    /// Bytes of the line being read; of all trailers in the trailer.
    line: u32,
    /// Bytes of this trailer line without its end.
    trailer_line: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    AfterSize,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataEndLf,
    Trailer,
    TrailerEnd,
}

/// What a part of the bytes behind a head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Content,
    /// Of the lines behind the last chunk.
    Trailer,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Body {
    pub state: BodyState,
}

impl Body {
    /// Follows the framing through `input`; returns the bytes that belong to the body, all of them
    /// unless it ends or breaks.
    /// `content` gets the pieces of content and trailer as ranges of `input`, `events` what is odd.
    pub fn follow(
        &mut self,
        input: &[u8],
        mut content: impl FnMut(Piece, std::ops::Range<usize>),
        events: &mut impl FnMut(Decoder),
    ) -> usize {
        match &mut self.state {
            BodyState::Done | BodyState::Unframed => 0,
            BodyState::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.state = BodyState::Done;
                }
                content(Piece::Content, 0..taken);
                taken
            }
            BodyState::Chunked(chunks) => {
                let mut at = 0;
                while at < input.len() {
                    match chunks.step(input, at, &mut content, events) {
                        Progress::To(next) => at = next,
                        Progress::Finished(next) => {
                            self.state = BodyState::Done;
                            return next;
                        }
                        Progress::Broken => {
                            events(Decoder::ChunkFraming);
                            self.state = BodyState::Unframed;
                            return at;
                        }
                    }
                }
                at
            }
        }
    }

    /// True when at least `count` + 1 more bytes are certain to follow.
    pub fn expects_more_than(&self, count: usize) -> bool {
        match self.state {
            BodyState::Length(left) => left > count as u64,
            // The chunk's data, its line end, and at least `0 CRLF CRLF`.
            BodyState::Chunked(chunks) if chunks.place == Place::Data => chunks.size + 7 > count as u64,
            BodyState::Chunked(_) | BodyState::Done => false,
            BodyState::Unframed => true,
        }
    }
}

/// Whether a body begins as a request does, line ends before it aside; None: more bytes will tell.
pub fn begins_as_request(body: &[u8]) -> Option<bool> {
    const LONGEST_METHOD: usize = 20;
    let start = body.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let method = body[start..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let rest = &body[start + method..];
    let blanks = rest.iter().take_while(|byte| is_wide_blank(**byte)).count();
    match rest.get(blanks) {
        _ if method > LONGEST_METHOD => Some(false),
        None => None,
        Some(target) => Some(method > 2 && blanks > 0 && matches!(target, b'/' | b'h' | b'H')),
    }
}

enum Progress {
    To(usize),
    Finished(usize),
    Broken,
}

impl Chunks {
    fn step(
        &mut self,
        input: &[u8],
        at: usize,
        content: &mut impl FnMut(Piece, std::ops::Range<usize>),
        events: &mut impl FnMut(Decoder),
    ) -> Progress {
        let byte = input[at];
        if matches!(self.place, Place::Trailer | Place::TrailerEnd) {
            content(Piece::Trailer, at..at + 1);
        } else if self.place != Place::Data {
            self.line += 1;
            if self.line > MAX_SIZE_LINE {
                return Progress::Broken;
            }
        }
        match self.place {
            Place::Size => match hex_value(byte) {
                Some(digit) => {
                    self.digits += 1;
                    self.size = self.size << 4 | u64::from(digit);
                    if self.size > u64::from(u32::MAX) {
                        return Progress::Broken;
                    }
                    if self.digits == 9 || self.size == 0 && self.digits == 6 {
                        events(Decoder::ChunkExtension);
                    }
                }
                None if self.digits == 0 => return Progress::Broken,
                None => {
                    self.place = Place::AfterSize;
                    return self.after_size(byte, at, events);
                }
            },
            Place::AfterSize => return self.after_size(byte, at, events),
            Place::Extension => match byte {
                b'\r' => self.place = Place::SizeEnd,
                b'\n' => return self.line_feed(at, events),
                _ => {}
            },
            Place::SizeEnd => match byte {
                b'\n' => self.size_done(),
                _ => return Progress::Broken,
            },
            Place::Data => {
                let taken = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len() - at);
                content(Piece::Content, at..at + taken);
                self.size -= taken as u64;
                if self.size == 0 {
                    self.place = Place::DataEnd;
                    self.line = 0;
                }
                return Progress::To(at + taken);
            }
            Place::DataEnd => match byte {
                b'\r' => self.place = Place::DataEndLf,
                b'\n' => {
                    events(Decoder::ChunkFraming);
                    *self = Chunks::default();
                }
                _ => return Progress::Broken,
            },
            Place::DataEndLf => match byte {
                b'\n' => *self = Chunks::default(),
                _ => return Progress::Broken,
            },
            Place::Trailer => {
                self.line += 1;
                if self.line > MAX_TRAILER {
                    return Progress::Broken;
                }
                match byte {
                    b'\r' => self.place = Place::TrailerEnd,
                    b'\n' => {
                        events(Decoder::ChunkFraming);
                        return self.trailer_line_done(at + 1);
                    }
                    _ => self.trailer_line += 1,
                }
            }
            Place::TrailerEnd => match byte {
                b'\n' => return self.trailer_line_done(at + 1),
                _ => return Progress::Broken,
            },
        }
        Progress::To(at + 1)
    }

    fn after_size(&mut self, byte: u8, at: usize, events: &mut impl FnMut(Decoder)) -> Progress {
        match byte {
            b'\r' => self.place = Place::SizeEnd,
            b'\n' => return self.line_feed(at, events),
            b';' => {
                events(Decoder::ChunkExtension);
                self.place = Place::Extension;
            }
            b' ' | b'\t' => events(Decoder::ChunkFraming),
            _ => return Progress::Broken,
        }
        Progress::To(at + 1)
    }

    fn line_feed(&mut self, at: usize, events: &mut impl FnMut(Decoder)) -> Progress {
        events(Decoder::ChunkFraming);
        self.size_done();
        Progress::To(at + 1)
    }

    fn size_done(&mut self) {
        self.place = if self.size == 0 { Place::Trailer } else { Place::Data };
        self.line = 0;
    }

    fn trailer_line_done(&mut self, next: usize) -> Progress {
        if self.trailer_line == 0 {
            return Progress::Finished(next);
        }
        self.trailer_line = 0;
        self.place = Place::Trailer;
        Progress::To(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decoded body, bytes taken, end state, events; fed in pieces of `step` bytes.
    fn run(input: &[u8], step: usize) -> (Vec<u8>, usize, BodyState, Vec<Decoder>) {
        let mut body = Body { state: BodyState::Chunked(Chunks::default()) };
        let (mut out, mut taken, mut events) = (Vec::new(), 0, Vec::new());
        for piece in input.chunks(step) {
            let count = body.follow(
                piece,
                |kind, range| {
                    if kind == Piece::Content {
                        out.extend_from_slice(&piece[range])
                    }
                },
                &mut |event| {
                    if !events.contains(&event) {
                        events.push(event);
                    }
                },
            );
            taken += count;
            if count < piece.len() || body.state == BodyState::Done {
                break;
            }
        }
        (out, taken, body.state, events)
    }

    #[test]
    fn chunked_bodies() {
        for (input, decoded, rest, events) in [
            (b"5\r\nhello\r\n0\r\n\r\n".as_slice(), b"hello".as_slice(), 0, vec![]),
            (b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nGET /", b"hello", 5, vec![]),
            (b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", b"hello", 0, vec![Decoder::ChunkExtension]),
            (b"000005\r\nhello\r\n0\r\n\r\n", b"hello", 0, vec![]),
            (b"000000000005\r\nhello\r\n0\r\n\r\n", b"hello", 0, vec![Decoder::ChunkExtension]),
            (b"5\nhello\r\n0\r\n\r\n", b"hello", 0, vec![Decoder::ChunkFraming]),
            (b"5 \r\nhello\r\n0\r\n\r\n", b"hello", 0, vec![Decoder::ChunkFraming]),
            (b"5\r\nhello\n0\r\n\r\n", b"hello", 0, vec![Decoder::ChunkFraming]),
            (b"5\r\nhello\r\n0\r\n\n", b"hello", 0, vec![Decoder::ChunkFraming]),
        ] {
            for step in 1..=input.len() {
                let (out, taken, state, seen) = run(input, step);
                assert_eq!(out, decoded, "{} by {step}", input.escape_ascii());
                assert_eq!(state, BodyState::Done, "{} by {step}", input.escape_ascii());
                assert_eq!(taken, input.len() - rest, "{} by {step}", input.escape_ascii());
                assert_eq!(seen, events, "{} by {step}", input.escape_ascii());
            }
        }
    }

    #[test]
    fn broken_framing_has_no_end() {
        for input in [
            b"x\r\nhello".as_slice(),
            b"-5\r\nhello",
            b"0x5\r\nhello",
            b"100000000\r\nhello",
            b"5\r\nhelloX\r\n",
            b"5\rhello",
            b"5\r\nhello\rX",
            b"\r\n",
        ] {
            for step in 1..=input.len() {
                let (_, taken, state, events) = run(input, step);
                assert_eq!(state, BodyState::Unframed, "{}", input.escape_ascii());
                assert!(taken < input.len());
                assert_eq!(events, [Decoder::ChunkFraming], "{}", input.escape_ascii());
            }
        }
    }

    #[test]
    fn bodies_that_begin_as_requests() {
        for (body, begins) in [
            (b"GET /x HTTP/1.1\r\n".as_slice(), true),
            (b"\r\n\nDELETE \t http://a/ HTTP/1.1", true),
            (b"GET /x\r\n", true),
            (b"{\"query\": \"GET /x\"}", false),
            (b"name=GET /x", false),
            (b"a /b", false),
            (b"<a href=/>", false),
            (b"abcdefghijklmnopqrstuvwxyz /x", false),
        ] {
            assert_eq!(begins_as_request(body), Some(begins), "{}", body.escape_ascii());
            for cut in 0..body.len() {
                let known = begins_as_request(&body[..cut]);
                assert!(known.is_none_or(|known| known == begins), "{}", body[..cut].escape_ascii());
            }
        }
    }

    #[test]
    fn lengths() {
        let mut body = Body { state: BodyState::Length(5) };
        assert!(body.expects_more_than(4) && !body.expects_more_than(5));
        assert_eq!(body.follow(b"abc", |_, _| {}, &mut |_| {}), 3);
        assert!(body.expects_more_than(1) && !body.expects_more_than(2));
        assert_eq!(body.follow(b"defg", |_, _| {}, &mut |_| {}), 2);
        assert_eq!(body.state, BodyState::Done);
    }
}
