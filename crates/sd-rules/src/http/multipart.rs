// SPDX-License-Identifier: Apache-2.0
//! The parts of a multipart body: their names, file names and contents, found as the body arrives.
//!
//! Lenient, since applications differ: lines may end with a bare line feed, names may be quoted or not. What is odd is an
//! event; each way to read a name is shown to the rules. The body itself stays as it is for rules on the body.

use super::decoder::Decoder;
use super::params::{params, Param};
use super::{hex_value, is_token, is_wide_blank, trim, Span};

/// Parts that are looked at, and bytes of one part's header lines and of all names together.
const MAX_PARTS: usize = 1000;
const MAX_PART_HEAD: usize = 8 << 10;
const MAX_NAMES: usize = 128 << 10;
/// Blanks that may stand behind a boundary on its line.
const MAX_PADDING: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Preamble,
    /// Header lines: the part's first, and the one being read.
    Head {
        start: usize,
        line: usize,
    },
    Content,
    /// Behind the last boundary, or no more parts are looked at.
    Epilogue,
}

/// What the parts of one body hold; places in the body, or in `text`.
#[derive(Debug)]
pub struct Multipart {
    /// With its leading dashes.
    boundary: Box<[u8]>,
    /// Of the boundary and the line feed before it.
    finder: memchr::memmem::Finder<'static>,
    state: State,
    /// No boundary's line feed (in a part's head: no line's end) is before this place.
    searched: usize,
    pub text: Vec<u8>,
    pub names: Vec<Span>,
    pub files: Vec<Span>,
    /// Of the files: what has a file name, or no head that says what it is.
    pub contents: Vec<Span>,
    /// The part that is read is a file.
    file: bool,
    parts: usize,
    seen: Seen,
    unended: bool,
}

/// Parameters that the current part has had.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    disposition: bool,
    name: bool,
    file: bool,
}

/// What a look at a possible boundary says.
enum Line {
    /// Not known before more bytes come.
    Unknown,
    No,
    /// A part begins here; or none, it was the last boundary.
    Next(usize),
    Last,
}

impl Multipart {
    /// For the value of a Content-Type.
    pub fn new(content_type: &[u8], events: &mut impl FnMut(Decoder)) -> Option<Box<Multipart>> {
        let kind = content_type.get(..10)?;
        if !kind.eq_ignore_ascii_case(b"multipart/") {
            return None;
        }
        let mut found: Option<Param<'_>> = None;
        for param in params(content_type).filter(|param| param.name.eq_ignore_ascii_case(b"boundary")) {
            match found {
                None => found = Some(param),
                Some(_) => events(Decoder::MultipartBoundary),
            }
        }
        let value = found.map_or(&[][..], |param| param.value);
        let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
        if value.is_empty() || value.len() > 70 || !value.iter().all(usual) || value.ends_with(b" ") {
            events(Decoder::MultipartBoundary);
        }
        if value.is_empty() || value.len() > 1024 {
            return None;
        }
        Some(Box::new(Multipart {
            finder: memchr::memmem::Finder::new(&[b"\n--", value].concat()).into_owned(),
            boundary: [b"--", value].concat().into_boxed_slice(),
            state: State::Preamble,
            searched: 0,
            text: Vec::new(),
            names: Vec::new(),
            files: Vec::new(),
            contents: Vec::new(),
            file: false,
            parts: 0,
            seen: Seen::default(),
            unended: true,
        }))
    }

    /// The last content goes on when more comes.
    pub fn is_open(&self) -> bool {
        self.state == State::Content && self.file
    }

    /// More parts may come.
    pub fn goes_on(&self) -> bool {
        self.state != State::Epilogue
    }

    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        let spans = self.names.capacity() + self.files.capacity() + self.contents.capacity();
        self.text.capacity() + spans * size_of::<Span>()
    }

    /// Goes on with `body`, all its bytes so far.
    pub fn advance(&mut self, body: &[u8], end: bool, events: &mut impl FnMut(Decoder)) {
        while match self.state {
            State::Epilogue => false,
            State::Head { start, line } => self.head_line(body, start, line, end, events),
            State::Preamble | State::Content => self.search(body, end, events),
        } {}
        if end && self.unended {
            self.unended = false;
            events(Decoder::MultipartEnd);
        }
        if end && self.state == State::Content {
            self.state = State::Epilogue;
        }
    }

    /// Looks for the next boundary; false when more bytes are needed.
    fn search(&mut self, body: &[u8], end: bool, events: &mut impl FnMut(Decoder)) -> bool {
        let open = self.state == State::Content;
        let first =
            self.searched == 0 && !open && body.len() >= self.boundary.len() && body.starts_with(&self.boundary);
        let rest = body.get(self.searched..).unwrap_or_default();
        let at = match self.finder.find(rest) {
            _ if first => 0,
            Some(found) => self.searched + found + 1,
            // The body may begin with a boundary: as long as that is not known nothing is skipped.
            None if !open && body.len() < self.boundary.len() => return false,
            None => {
                self.searched = self.searched.max(body.len().saturating_sub(self.boundary.len()));
                self.show(body, end);
                return false;
            }
        };
        match self.boundary_line(body, at) {
            Line::No => self.searched = at.max(1),
            Line::Unknown => {
                self.searched = at.saturating_sub(1);
                self.show(body, end);
                return false;
            }
            line @ (Line::Next(_) | Line::Last) => {
                if open && self.file {
                    if let Some(content) = self.contents.last_mut() {
                        content.end = line_end(body, at).max(content.start as usize) as u32;
                    }
                }
                let Line::Next(next) = line else {
                    self.state = State::Epilogue;
                    self.unended = false;
                    return false;
                };
                self.searched = next;
                self.begin_part(next, events);
            }
        }
        true
    }

    /// The open content's end: nothing before it can turn out to be a boundary.
    fn show(&mut self, body: &[u8], end: bool) {
        if self.is_open() {
            if let Some(content) = self.contents.last_mut() {
                let safe = if end { body.len() } else { self.searched.saturating_sub(1) };
                content.end = safe.max(content.end as usize) as u32;
            }
        }
    }

    fn begin_part(&mut self, next: usize, events: &mut impl FnMut(Decoder)) {
        self.parts += 1;
        self.seen = Seen::default();
        self.state = State::Head { start: next, line: next };
        if self.parts > MAX_PARTS || self.text.len() > MAX_NAMES {
            events(Decoder::MultipartParts);
            self.state = State::Epilogue;
            self.unended = false;
        }
    }

    /// What stands behind the boundary at `at` on its line.
    fn boundary_line(&self, body: &[u8], at: usize) -> Line {
        let mut place = at + self.boundary.len();
        let last = match body.get(place..place + 2) {
            Some(b"--") => return Line::Last,
            None if body.get(place) == Some(&b'-') || body.len() <= place => return Line::Unknown,
            _ => place + MAX_PADDING,
        };
        loop {
            match body.get(place) {
                None => return Line::Unknown,
                Some(b'\n') => return Line::Next(place + 1),
                Some(byte) if is_wide_blank(*byte) && place < last => place += 1,
                Some(_) => return Line::No,
            }
        }
    }

    /// One line of a part's head; false when more bytes are needed.
    fn head_line(
        &mut self,
        body: &[u8],
        start: usize,
        line: usize,
        end: bool,
        events: &mut impl FnMut(Decoder),
    ) -> bool {
        let from = self.searched.max(line);
        let bound = body.len().min(start + MAX_PART_HEAD);
        let found = body.get(from..bound).and_then(|rest| memchr::memchr(b'\n', rest));
        let Some(found) = found else {
            self.searched = bound.max(from);
            if bound == start + MAX_PART_HEAD || end {
                // No head at all, or one without end: its bytes are content.
                events(Decoder::MultipartPart);
                self.content(start);
                return true;
            }
            return false;
        };
        let (next, text) = (from + found + 1, &body[line..from + found]);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        self.searched = next;
        if text.is_empty() {
            if !self.seen.disposition {
                events(Decoder::MultipartPart);
            }
            self.content(next);
        } else if text.starts_with(&self.boundary) {
            match self.boundary_line(body, line) {
                Line::Last => {
                    events(Decoder::MultipartPart);
                    self.state = State::Epilogue;
                    self.unended = false;
                }
                Line::Next(next) => {
                    events(Decoder::MultipartPart);
                    self.begin_part(next, events);
                }
                _ => self.state = State::Head { start, line: next },
            }
        } else {
            self.header(text, events);
            self.state = State::Head { start, line: next };
        }
        true
    }

    fn content(&mut self, at: usize) {
        self.file = self.seen.file || !self.seen.disposition;
        if self.file {
            self.contents.push(Span::new(at, at));
        }
        self.state = State::Content;
        // The boundary may follow at once, behind the line feed that is there.
        self.searched = at - 1;
    }

    fn header(&mut self, line: &[u8], events: &mut impl FnMut(Decoder)) {
        let folded = is_wide_blank(line[0]);
        let colon = memchr::memchr(b':', line);
        let name = trim(&line[..colon.unwrap_or(0)]);
        if folded || colon.is_none() || name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            events(Decoder::MultipartPart);
        }
        let disposition = name.eq_ignore_ascii_case(b"content-disposition");
        if disposition && self.seen.disposition {
            events(Decoder::MultipartRepeated);
        }
        self.seen.disposition |= disposition;
        // A folded line may hold what belongs to the one before.
        let value = if folded { line } else { &line[colon.map_or(0, |at| at + 1)..] };
        if !disposition && !folded {
            return;
        }
        if folded && memchr::memchr(b';', value).is_none() {
            self.take([b";", value].concat().as_slice(), events);
        } else {
            self.take(value, events);
        }
    }

    fn take(&mut self, value: &[u8], events: &mut impl FnMut(Decoder)) {
        for param in params(value) {
            let is = |name: &str| param.name.eq_ignore_ascii_case(name.as_bytes());
            let file = param.name.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"filename"));
            if is("name") {
                if std::mem::replace(&mut self.seen.name, true) {
                    events(Decoder::MultipartRepeated);
                }
            } else if file {
                if std::mem::replace(&mut self.seen.file, true) {
                    events(Decoder::MultipartRepeated);
                }
            } else {
                continue;
            }
            self.readings(&param, file);
        }
    }

    /// Each way in which applications read the value.
    fn readings(&mut self, param: &Param<'_>, file: bool) {
        let value = param.value;
        self.keep(file, |text| text.extend_from_slice(value));
        if param.quoted && value.contains(&b'\\') {
            self.keep(file, |text| {
                let mut bytes = value.iter();
                while let Some(&byte) = bytes.next() {
                    text.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
                }
            });
        }
        if let [b'\'', inside @ .., b'\''] = value {
            self.keep(file, |text| text.extend_from_slice(inside));
        }
        if param.name.ends_with(b"*") {
            let encoded = value.splitn(3, |byte| *byte == b'\'').nth(2).unwrap_or(value);
            self.keep(file, |text| {
                let mut at = 0;
                while let Some(&byte) = encoded.get(at) {
                    let digit = |index: usize| encoded.get(index).and_then(|digit| hex_value(*digit));
                    match (byte, digit(at + 1), digit(at + 2)) {
                        (b'%', Some(high), Some(low)) => {
                            text.push(high << 4 | low);
                            at += 3;
                        }
                        _ => {
                            text.push(byte);
                            at += 1;
                        }
                    }
                }
            });
        }
    }

    fn keep(&mut self, file: bool, make: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        make(&mut self.text);
        let list = if file { &mut self.files } else { &mut self.names };
        list.push(Span::new(start, self.text.len()));
    }
}

/// Where the content before a boundary at `at` ends: the line end belongs to the boundary.
fn line_end(body: &[u8], at: usize) -> usize {
    let mut end = at;
    for byte in [b'\n', b'\r'] {
        if end > 0 && body[end - 1] == byte {
            end -= 1;
        }
    }
    end
}
