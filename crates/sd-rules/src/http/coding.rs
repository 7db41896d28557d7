// SPDX-License-Identifier: Apache-2.0
//! Undoes the content codings of a request body (gzip, deflate) as its bytes arrive.
//!
//! The bounds hang on places in the compressed stream and never on how it was cut into calls: a body that unfolds to more
//! than [`BASE`] bytes and [`RATIO`] times its length, or that consists of tiny blocks (each costs new tables), is a bomb.
//! Whatever in a gzip container is not compressed is shown as well: a server that takes no notice of the coding reads it.

use miniz_oxide::inflate::core::{decompress, inflate_flags as flags, DecompressorOxide};
use miniz_oxide::inflate::TINFLStatus;

use super::decoder::Decoder;
use super::trim;

/// So many codings on top of each other are undone.
const LAYERS: usize = 2;
/// Bounds are checked each time so many compressed bytes have been taken.
const PIECE: usize = 64;
const BASE: usize = 64 << 10;
const RATIO: usize = 32;
/// Blocks that a stream may have at once, and for each piece besides.
const BLOCKS: usize = 256;
const PIECE_BLOCKS: usize = 2;
const FLAGS: u32 = flags::TINFL_FLAG_HAS_MORE_INPUT
    | flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
    | flags::TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY
    | flags::TINFL_FLAG_IGNORE_ADLER32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gzip,
    /// With the header of zlib, or without.
    Deflate,
}

/// The codings of one body.
#[derive(Debug)]
pub struct Coding {
    layers: Vec<Layer>,
    /// How much of the body as sent stands behind what was decoded, once decoding has failed.
    copied: Option<usize>,
}

impl Coding {
    /// For the value of Content-Encoding; None when there is nothing to undo, or nothing that can be.
    pub fn new<'a>(values: impl Iterator<Item = &'a [u8]>, events: &mut impl FnMut(Decoder)) -> Option<Box<Coding>> {
        let mut kinds = Vec::new();
        for item in values.flat_map(|value| value.split(|byte| *byte == b',')).map(trim) {
            let is = |name: &str| item.eq_ignore_ascii_case(name.as_bytes());
            if item.is_empty() || is("identity") {
                continue;
            }
            if kinds.len() == LAYERS {
                events(Decoder::CodingLayers);
                return None;
            }
            if is("gzip") || is("x-gzip") {
                kinds.push(Kind::Gzip);
            } else if is("deflate") {
                kinds.push(Kind::Deflate);
            } else {
                events(Decoder::EncodedBody);
                return None;
            }
        }
        // The last that was applied is the first to be undone.
        let layers: Vec<Layer> = kinds.into_iter().rev().map(Layer::new).collect();
        (!layers.is_empty()).then(|| Box::new(Coding { layers, copied: None }))
    }

    /// Goes on with `sent`, all bytes of the body so far; at most `depth` bytes are made of them.
    pub fn advance(&mut self, sent: &[u8], depth: usize, end: bool, events: &mut impl FnMut(Decoder)) {
        if self.copied.is_none() {
            let count = self.layers.len();
            let mut failed = false;
            let mut ended = end;
            for index in 0..count {
                let (before, rest) = self.layers.split_at_mut(index);
                let input = before.last().map_or(sent, Layer::bytes);
                let layer = &mut rest[0];
                layer.advance(input, depth, index + 1 == count, events);
                failed |= layer.state == State::Failed;
                failed |= ended && (!layer.state.may_end() || layer.state == State::Start && !input.is_empty());
                ended &= layer.state != State::Stopped;
            }
            if failed {
                events(Decoder::CodingBroken);
                self.copied = Some(0);
            }
        }
        if let (Some(copied), Some(layer)) = (&mut self.copied, self.layers.last_mut()) {
            layer.append(&sent[*copied..]);
            *copied = sent.len();
        }
    }

    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        self.layers.iter().map(|layer| layer.out.capacity() + size_of::<DecompressorOxide>()).sum()
    }

    /// What has been decoded; if that failed, also what was sent.
    pub fn bytes(&self) -> &[u8] {
        self.layers.last().map_or(&[], Layer::bytes)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// A gzip header's fixed bytes; so many are known.
    Header(u8),
    ExtraLength(u8),
    Extra(u16),
    Name,
    Comment,
    HeaderCrc(u8),
    Compressed,
    /// CRC and length of the content; so many bytes are known.
    Footer(u8),
    /// Behind a member's end: another one, or what does not belong there.
    After,
    Surplus,
    Failed,
    /// A bound was reached: nothing more is decoded.
    Stopped,
}

impl State {
    fn may_end(self) -> bool {
        matches!(self, State::Start | State::After | State::Surplus | State::Failed | State::Stopped)
    }
}

struct Layer {
    kind: Kind,
    state: State,
    inflate: Box<DecompressorOxide>,
    /// Of the input, and where the piece being read ends.
    taken: usize,
    piece: usize,
    blocks: usize,
    /// Zeros behind `filled`: room that is kept.
    out: Vec<u8>,
    filled: usize,
    /// Where in `out` the current stream's content begins.
    begin: usize,
    gzip_flags: u8,
    number: u32,
    wrapped: bool,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Layer({:?}, {:?}, {} to {})", self.kind, self.state, self.taken, self.filled)
    }
}

impl Layer {
    fn new(kind: Kind) -> Layer {
        Layer {
            kind,
            state: State::Start,
            inflate: Box::default(),
            taken: 0,
            piece: PIECE,
            blocks: 0,
            out: Vec::new(),
            filled: 0,
            begin: 0,
            gzip_flags: 0,
            number: 0,
            wrapped: false,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.out[..self.filled]
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        if self.out.len() < end {
            self.out.resize(end.max(2 * self.filled), 0);
        }
        self.out[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }

    /// `last`: nothing decodes what this makes.
    fn advance(&mut self, input: &[u8], depth: usize, last: bool, events: &mut impl FnMut(Decoder)) {
        while self.taken < input.len() && !matches!(self.state, State::Failed | State::Stopped) {
            if self.state == State::Compressed {
                if !self.inflate(input, depth, events) {
                    return;
                }
            } else if self.state == State::Surplus {
                if last {
                    let room = depth.saturating_sub(self.filled);
                    let rest = &input[self.taken..];
                    self.append(&rest[..rest.len().min(room)]);
                }
                self.taken = input.len();
            } else {
                if self.state == State::Start && self.kind == Kind::Deflate {
                    // Two bytes tell which of the two it is.
                    let Some(&[first, second]) = input.get(..2) else { return };
                    let number = u16::from_be_bytes([first, second]);
                    self.wrapped = first & 0x0f == 8 && number % 31 == 0;
                    self.compressed();
                    continue;
                }
                let byte = input[self.taken];
                self.taken += 1;
                self.container(byte, depth, last, events);
            }
        }
    }

    fn compressed(&mut self) {
        self.state = State::Compressed;
        self.inflate.init();
        self.begin = self.filled;
        self.piece = self.piece.max((self.taken / PIECE + 1) * PIECE);
    }

    /// One byte of a gzip container.
    fn container(&mut self, byte: u8, depth: usize, last: bool, events: &mut impl FnMut(Decoder)) {
        self.state = match self.state {
            State::Start | State::Header(0) if byte == 0x1f => State::Header(1),
            State::After if byte == 0x1f && self.kind == Kind::Gzip => {
                events(Decoder::GzipOddity);
                State::Header(1)
            }
            State::After => {
                events(Decoder::GzipOddity);
                self.taken -= 1;
                State::Surplus
            }
            State::Header(1) if byte == 0x8b => State::Header(2),
            State::Header(2) if byte == 8 => State::Header(3),
            State::Header(3) => {
                self.gzip_flags = byte;
                if byte & 0xe0 != 0 || byte & 0x1e != 0 && byte & 0x1e != 0x08 {
                    events(Decoder::GzipOddity);
                }
                State::Header(4)
            }
            State::Header(known @ 4..=8) => State::Header(known + 1),
            State::Header(9) => self.after_field(0),
            State::ExtraLength(0) => {
                self.number = u32::from(byte);
                State::ExtraLength(1)
            }
            State::ExtraLength(_) => match self.number | u32::from(byte) << 8 {
                0 => self.after_field(4),
                length => State::Extra(length as u16),
            },
            State::Extra(left) => {
                self.show(byte, depth, last);
                if left == 1 {
                    self.after_field(4)
                } else {
                    State::Extra(left - 1)
                }
            }
            State::Name | State::Comment if byte != 0 => {
                self.show(byte, depth, last);
                self.state
            }
            State::Name => self.after_field(8),
            State::Comment => self.after_field(16),
            State::HeaderCrc(0) => State::HeaderCrc(1),
            State::HeaderCrc(_) => self.after_field(2),
            State::Footer(known) => {
                self.number = self.number >> 8 | u32::from(byte) << 24;
                if known < 7 {
                    State::Footer(known + 1)
                } else {
                    if self.number != (self.filled - self.begin) as u32 {
                        events(Decoder::GzipOddity);
                    }
                    State::After
                }
            }
            _ => State::Failed,
        };
        if self.state == State::Compressed {
            self.compressed();
        }
    }

    /// The field of the header that comes after the one with this flag.
    fn after_field(&mut self, flag: u8) -> State {
        let has = |bit: u8| self.gzip_flags & bit != 0;
        let order = [(4, State::ExtraLength(0)), (8, State::Name), (16, State::Comment), (2, State::HeaderCrc(0))];
        let from = order.iter().position(|(bit, _)| *bit == flag).map_or(0, |at| at + 1);
        order[from..].iter().find(|(bit, _)| has(*bit)).map_or(State::Compressed, |(_, state)| *state)
    }

    fn show(&mut self, byte: u8, depth: usize, last: bool) {
        if last && self.filled < depth {
            self.append(&[byte]);
        }
    }

    /// Decodes as much as the input and the bounds allow; false when only more input helps.
    fn inflate(&mut self, input: &[u8], depth: usize, events: &mut impl FnMut(Decoder)) -> bool {
        let end = self.piece.min(input.len());
        let unfolded = BASE + RATIO * self.piece;
        let most = depth.min(unfolded);
        if self.out.len() < (self.filled + 1024).min(most + 1) {
            // One byte more than allowed shows that there is more.
            self.out.resize((self.filled + 4096).max(2 * self.filled).min(most + 1), 0);
        }
        let zlib = if self.wrapped { flags::TINFL_FLAG_PARSE_ZLIB_HEADER } else { 0 };
        let (from, room) = (self.taken.min(end), self.out.len().min(most + 1).max(self.begin));
        let at = self.filled - self.begin;
        let (status, taken, made) =
            decompress(&mut self.inflate, &input[from..end], &mut self.out[self.begin..room], at, FLAGS | zlib);
        self.taken = from + taken;
        self.filled += made;
        if self.filled > most {
            self.filled = most;
            events(if most == depth { Decoder::DepthReached } else { Decoder::CompressionBomb });
            self.state = State::Stopped;
            return true;
        }
        match status {
            TINFLStatus::BlockBoundary | TINFLStatus::Done => {
                if status == TINFLStatus::Done {
                    self.number = 0;
                    self.state = if self.kind == Kind::Gzip { State::Footer(0) } else { State::After };
                }
                self.blocks += 1;
                if self.blocks > BLOCKS + PIECE_BLOCKS * (self.piece / PIECE) {
                    events(Decoder::CompressionBomb);
                    self.state = State::Stopped;
                }
                true
            }
            TINFLStatus::HasMoreOutput => true,
            TINFLStatus::NeedsMoreInput => {
                if end < self.piece {
                    return false;
                }
                self.piece += PIECE;
                true
            }
            _ => {
                self.state = State::Failed;
                true
            }
        }
    }
}
