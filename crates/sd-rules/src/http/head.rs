// SPDX-License-Identifier: Apache-2.0
//! Request line and headers: found line by line as bytes arrive, each byte looked at once.

use super::body::{BodyState, Chunks};
use super::decoder::Decoder;
use super::params::params;
use super::{is_blank, is_token, is_wide_blank, trim, Span};
use crate::Limits;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadState {
    /// Nothing but line ends so far.
    #[default]
    Blank,
    RequestLine,
    Headers,
    Complete,
    /// No HTTP request, or one whose end cannot be told.
    NotHttp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Other,
    Host,
    UserAgent,
    Cookie,
    ContentLength,
    ContentType,
    ContentEncoding,
    TransferEncoding,
    Connection,
    Upgrade,
    Expect,
    Referer,
    Accept,
    AcceptEncoding,
    AcceptLanguage,
}

impl Name {
    pub fn of(name: &[u8]) -> Name {
        let (text, found): (&[u8], Name) = match (name.len(), name.first().map(u8::to_ascii_lowercase)) {
            (4, _) => (b"host", Name::Host),
            (10, Some(b'u')) => (b"user-agent", Name::UserAgent),
            (6, Some(b'c')) => (b"cookie", Name::Cookie),
            (14, _) => (b"content-length", Name::ContentLength),
            (12, _) => (b"content-type", Name::ContentType),
            (16, _) => (b"content-encoding", Name::ContentEncoding),
            (17, _) => (b"transfer-encoding", Name::TransferEncoding),
            (10, Some(b'c')) => (b"connection", Name::Connection),
            (7, Some(b'u')) => (b"upgrade", Name::Upgrade),
            (6, Some(b'e')) => (b"expect", Name::Expect),
            (7, Some(b'r')) => (b"referer", Name::Referer),
            (6, Some(b'a')) => (b"accept", Name::Accept),
            (15, Some(b'a')) if name.get(7).is_some_and(|byte| byte | 0x20 == b'e') => {
                (b"accept-encoding", Name::AcceptEncoding)
            }
            (15, Some(b'a')) => (b"accept-language", Name::AcceptLanguage),
            _ => return Name::Other,
        };
        if is_named(name, text) {
            found
        } else {
            Name::Other
        }
    }

    /// A server that finds two of it reads one or the other.
    fn stands_once(self) -> bool {
        matches!(
            self,
            Name::Host | Name::UserAgent | Name::ContentLength | Name::ContentType | Name::Expect | Name::Referer
        )
    }

    /// Headers that decide where a request ends or whose it is.
    fn frames(self) -> bool {
        matches!(self, Name::Host | Name::ContentLength | Name::TransferEncoding)
    }
}

/// Both have the same length; `text` is of small letters and dashes. Every header of every request is asked, so eight letters
/// are compared at once.
fn is_named(name: &[u8], text: &[u8]) -> bool {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let (mut names, mut texts) = (name.chunks_exact(8), text.chunks_exact(8));
    for (name, text) in names.by_ref().zip(texts.by_ref()) {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        if word(name) | SMALL != word(text) {
            return false;
        }
    }
    let rest = names.remainder().iter().zip(texts.remainder());
    // A carriage return is the one other byte that looks like a dash.
    rest.fold(0, |differs, (name, text)| differs | ((name | 0x20) ^ text)) == 0 && memchr::memchr(b'\r', name).is_none()
}

#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub name: Span,
    /// Trimmed; with the line ends of its folds, if `folded`.
    pub value: Span,
    pub known: Name,
    pub folded: bool,
}

fn late_line(data: &[u8], start: usize, line_feed: usize) -> &[u8] {
    let line = &data[start..line_feed];
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Bytes of one header.
const MAX_FIELD: usize = 18_000;

/// So many lines a header may be folded over.
const MAX_FOLDS: u32 = 64;

/// What has been parsed of a head; spans refer to the request's bytes.
#[derive(Debug, Default)]
pub struct Head {
    pub state: HeadState,
    /// First byte of the request line.
    pub start: usize,
    /// First byte after the head.
    pub end: usize,
    /// The request line has been read, whatever became of the rest.
    pub has_line: bool,
    /// The request line without its end.
    pub line: Span,
    pub method: Span,
    pub uri: Span,
    /// Empty: HTTP/0.9.
    pub protocol: Span,
    /// First byte of the header lines, and of the blank line that ends them.
    pub headers_start: usize,
    pub blank_line: usize,
    pub headers: Vec<Header>,
    pub upgrade: bool,
    pub expect_continue: bool,
    minor_version: Option<u8>,
    /// Folds of the last header.
    folds: u32,
    /// Headers were left out.
    overfull: bool,
    /// The request line has no version: HTTP/0.9 has no header lines, but some servers read those that follow.
    late: bool,
    line_start: usize,
    /// Up to where the current line has been searched for its end.
    searched: usize,
}

impl Head {
    pub fn reset(&mut self) {
        let mut headers = std::mem::take(&mut self.headers);
        headers.clear();
        headers.shrink_to(128);
        *self = Head { headers, ..Head::default() };
    }

    /// Goes on with `data`, all bytes of the request so far.
    pub fn parse(&mut self, data: &[u8], limits: &Limits, events: &mut impl FnMut(Decoder)) {
        if self.state == HeadState::Blank {
            while let Some(byte) = data.get(self.start) {
                if !matches!(byte, b'\r' | b'\n') || self.start >= limits.max_head {
                    self.state = HeadState::RequestLine;
                    self.line_start = self.start;
                    self.searched = self.start;
                    self.start_of_line(data, events);
                    break;
                }
                self.start += 1;
            }
        }
        while matches!(self.state, HeadState::RequestLine | HeadState::Headers) {
            // A head that is too long is so however it is cut: the search ends at the limit.
            let bound = data.len().min(limits.max_head);
            let Some(found) = data.get(self.searched..bound).and_then(|rest| memchr::memchr(b'\n', rest)) else {
                self.searched = bound.max(self.searched);
                if data.len() > limits.max_head {
                    events(Decoder::HeadTooLarge);
                    self.not_http();
                }
                return;
            };
            let line_feed = self.searched + found;
            let line_start = self.line_start;
            self.line_start = line_feed + 1;
            self.searched = line_feed + 1;
            let mut line_end = line_feed;
            if line_end > line_start && data[line_end - 1] == b'\r' {
                line_end -= 1;
            } else {
                events(Decoder::BareLineFeed);
            }
            let line = &data[line_start..line_end];
            if memchr::memchr2(b'\r', 0, line).is_some() {
                if line.contains(&b'\r') {
                    events(Decoder::BareCarriageReturn);
                }
                if line.contains(&0) {
                    events(Decoder::HeaderNul);
                }
            }
            if self.state == HeadState::RequestLine {
                self.request_line(line, line_start, events);
            } else if line.is_empty() {
                self.blank_line = line_start;
                self.end = line_feed + 1;
                self.state = HeadState::Complete;
            } else {
                self.header_line(line, line_start, limits, events);
            }
        }
    }

    /// Of a request without a version, lines that may be headers are still to come.
    pub fn awaits_headers(&self) -> bool {
        self.late && self.state == HeadState::Complete
    }

    /// Goes on with such lines: once, where they end, when they are complete (`end`: nothing more will come) and there are
    /// some. Until [`Head::read_late_headers`] they are none.
    pub fn late_headers_end(&mut self, data: &[u8], limits: &Limits, end: bool) -> Option<usize> {
        if !self.awaits_headers() {
            return None;
        }
        let bound = data.len().min(limits.max_head);
        let to = loop {
            let rest = data.get(self.searched..bound).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', rest) else {
                self.searched = bound.max(self.searched);
                if !end && data.len() <= limits.max_head {
                    return None;
                }
                self.blank_line = self.line_start;
                break self.searched.min(data.len());
            };
            let line_feed = self.searched + found;
            let line_start = std::mem::replace(&mut self.line_start, line_feed + 1);
            self.searched = line_feed + 1;
            if late_line(data, line_start, line_feed).is_empty() {
                self.blank_line = line_start;
                break self.searched;
            }
        };
        self.late = false;
        (self.blank_line > self.end).then_some(to)
    }

    /// They frame nothing, and nothing is odd about them: who reads HTTP/0.9 sees a stream of bytes.
    pub fn read_late_headers(&mut self, data: &[u8], limits: &Limits, end: usize) {
        let mut at = self.end;
        while at < self.blank_line {
            let line_feed = at + memchr::memchr(b'\n', &data[at..]).expect("these lines have ends");
            self.header_line(late_line(data, at, line_feed), at, limits, &mut |_| {});
            at = line_feed + 1;
        }
        self.end = end;
    }

    fn not_http(&mut self) {
        self.state = HeadState::NotHttp;
        self.end = self.start;
    }

    /// A first byte that no method begins with: no HTTP, no need to wait for a line end.
    fn start_of_line(&mut self, data: &[u8], events: &mut impl FnMut(Decoder)) {
        let byte = data[self.start];
        if !is_token(byte) && !is_wide_blank(byte) {
            events(Decoder::NotHttp);
            self.not_http();
        }
    }

    fn request_line(&mut self, line: &[u8], at: usize, events: &mut impl FnMut(Decoder)) {
        self.line = Span::new(at, at + line.len());
        self.headers_start = self.line_start;
        let leading = line.iter().take_while(|byte| is_wide_blank(**byte)).count();
        let end = line.iter().rposition(|byte| !is_wide_blank(*byte)).map_or(leading, |last| last + 1);
        let text = &line[leading..end];
        let method_length = text.iter().position(|byte| is_wide_blank(*byte)).unwrap_or(text.len());
        let rest_start = method_length + text[method_length..].iter().take_while(|byte| is_wide_blank(**byte)).count();
        let method = &text[..method_length];
        let last_blank = text.iter().rposition(|byte| is_wide_blank(*byte)).unwrap_or(method_length);
        let last = text.get(last_blank + 1..).unwrap_or_default();
        let versioned =
            last.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/")) && last_blank >= method_length;
        // What names a version is a request to whoever is lenient about methods.
        let token = method.iter().all(|byte| is_token(*byte));
        if rest_start == text.len() || !token && !versioned {
            events(Decoder::NotHttp);
            self.not_http();
            return;
        }
        if !token {
            events(Decoder::MethodName);
        }
        let uri_end = if versioned {
            text[..last_blank].iter().rposition(|byte| !is_wide_blank(*byte)).map_or(rest_start, |last| last + 1)
        } else {
            text.len()
        };
        let base = at + leading;
        self.method = Span::new(base, base + method_length);
        self.uri = Span::new(base + rest_start.min(uri_end.max(method_length)), base + uri_end);
        let uri = &text[rest_start.min(uri_end)..uri_end];
        if versioned {
            self.protocol = Span::new(base + last_blank + 1, base + text.len());
            self.minor_version = match last {
                b"HTTP/1.1" => Some(1),
                b"HTTP/1.0" => Some(0),
                _ => {
                    let preface = last == b"HTTP/2.0" && method == b"PRI";
                    events(if preface { Decoder::Http2Preface } else { Decoder::BadVersion });
                    None
                }
            };
        }
        let separators = rest_start - method_length + if versioned { text.len() - last.len() - uri_end } else { 1 };
        if leading > 0
            || end < line.len()
            || separators > 2
            || line.iter().any(|byte| matches!(byte, b'\t' | 0x0b | 0x0c))
        {
            events(Decoder::RequestLineBlanks);
        }
        if uri.iter().any(|byte| is_wide_blank(*byte)) {
            events(Decoder::UnescapedSpace);
        }
        self.has_line = true;
        if versioned {
            self.state = HeadState::Headers;
        } else {
            events(Decoder::SimpleRequest);
            self.state = HeadState::Complete;
            self.end = self.line_start;
            self.blank_line = self.line_start;
            self.late = true;
        }
    }

    fn header_line(&mut self, line: &[u8], at: usize, limits: &Limits, events: &mut impl FnMut(Decoder)) {
        if line.len() > MAX_FIELD {
            events(Decoder::FieldTooLong);
        }
        if is_blank(line[0]) {
            // Some servers take it for the end of the head.
            if line.iter().all(|byte| is_wide_blank(*byte)) {
                events(Decoder::BlankHeaderLine);
            }
            if let Some(header) = self.headers.last_mut() {
                events(Decoder::FoldedHeader);
                self.folds += 1;
                if self.folds > MAX_FOLDS {
                    events(Decoder::FoldedOften);
                }
                if at + line.len() - header.value.start as usize > MAX_FIELD {
                    events(Decoder::FieldTooLong);
                }
                header.folded = true;
                let end = line.iter().rposition(|byte| !is_wide_blank(*byte)).map_or(0, |last| at + last + 1);
                if end > 0 {
                    header.value.end = end as u32;
                }
                if header.known.frames() {
                    events(Decoder::FramingHeaderObfuscated);
                }
                return;
            }
        }
        self.folds = 0;
        if self.headers.len() >= limits.max_headers {
            // One of those that are left out may say where the body ends.
            events(Decoder::TooManyHeaders);
            self.overfull = true;
            return;
        }
        let colon = memchr::memchr(b':', line);
        let name_end = colon.unwrap_or(line.len());
        let name = trim(&line[..name_end]);
        let name_start = at + line[..name_end].iter().position(|byte| !is_wide_blank(*byte)).unwrap_or(0);
        let mut known = Name::of(name);
        let regular = name.len() == name_end && !name.is_empty() && name.iter().all(|byte| is_token(*byte));
        match colon {
            None => events(Decoder::MissingColon),
            Some(_) if !regular => events(Decoder::HeaderName),
            Some(_) => {}
        }
        if colon.is_none() || !regular {
            // Some servers drop or stop at what does not belong into a name.
            let mut plain = [0u8; 20];
            let mut length = 0;
            for &byte in name.iter().filter(|byte| is_token(**byte)).take(plain.len()) {
                plain[length] = byte;
                length += 1;
            }
            let meant = Name::of(&plain[..length]);
            let cut = Name::of(name.split(|byte| !is_token(*byte)).next().unwrap_or_default());
            if meant.frames() || cut.frames() {
                events(Decoder::FramingHeaderObfuscated);
            }
            if known == Name::Other {
                known = if meant == Name::Other { cut } else { meant };
            }
            if colon.is_none() {
                known = Name::Other;
            }
        }
        let value = &line[(name_end + 1).min(line.len())..];
        let value_start =
            (name_end + 1).min(line.len()) + value.iter().position(|byte| !is_wide_blank(*byte)).unwrap_or(value.len());
        let trimmed = trim(value).len();
        if colon.is_none() {
            // A value without a name.
            let value = Span::new(name_start, name_start + name.len());
            self.headers.push(Header { name: Span::new(at, at), value, known, folded: false });
            return;
        }
        self.headers.push(Header {
            name: Span::new(name_start, name_start + name.len()),
            value: Span::new(at + value_start, at + value_start + trimmed),
            known,
            folded: false,
        });
    }

    /// The authority of the request's target, if it has one, and the rest of it.
    pub fn target<'a>(&self, data: &'a [u8]) -> (Option<&'a [u8]>, &'a [u8]) {
        let target = self.uri.of(data);
        if target.first().is_none_or(|byte| !byte.is_ascii_alphabetic()) {
            return (None, target);
        }
        if self.method.of(data) == b"CONNECT" {
            return (Some(target), target);
        }
        let scheme = target.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
        match target[scheme..].strip_prefix(b"://") {
            // Without an authority it is a path.
            Some(rest) if rest.is_empty() || rest.starts_with(b"/") => (None, &target[scheme + 1..]),
            Some(rest) => {
                let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            // Apache takes what follows the colon for the path.
            None if target[scheme..].starts_with(b":/") => (None, &target[scheme + 1..]),
            None => (None, target),
        }
    }

    /// How the body is framed, once the head is complete.
    pub fn framing(&mut self, data: &[u8], events: &mut impl FnMut(Decoder)) -> BodyState {
        if self.protocol.is_empty() {
            // HTTP/0.9: no headers, no further request.
            return BodyState::Unframed;
        }
        let mut length: Option<u64> = None;
        let mut length_broken = false;
        let mut codings = 0usize;
        let mut chunked_exactly = true;
        let mut chunked_last = false;
        let mut host: Option<&[u8]> = None;
        let mut content_type: Option<&[u8]> = None;
        let mut expects = false;
        let mut seen = 0u32;
        for header in &self.headers {
            let value = header.value.of(data);
            if header.known == Name::Other {
                continue;
            }
            let bit = 1 << header.known as u32;
            if seen & bit != 0 && header.known.stands_once() {
                events(Decoder::HeaderRepeated);
            }
            seen |= bit;
            match header.known {
                Name::ContentLength => {
                    for item in value.split(|byte| *byte == b',') {
                        match plain_number(trim(item)) {
                            None => {
                                events(Decoder::ContentLengthInvalid);
                                length_broken = true;
                            }
                            Some(number) if length.is_none() => length = Some(number),
                            Some(number) if length == Some(number) => events(Decoder::ContentLengthRepeated),
                            Some(_) => {
                                events(Decoder::ContentLengthConflict);
                                length_broken = true;
                            }
                        }
                    }
                }
                Name::TransferEncoding => {
                    codings += 1;
                    chunked_exactly &= value.eq_ignore_ascii_case(b"chunked");
                    let last = trim(value.rsplit(|byte| *byte == b',').next().unwrap_or_default());
                    chunked_last = last.eq_ignore_ascii_case(b"chunked");
                }
                Name::Host => match host {
                    Some(first) if !first.eq_ignore_ascii_case(value) => events(Decoder::HostConflict),
                    _ => host = Some(value),
                },
                Name::Upgrade => {
                    self.upgrade = true;
                    let mut items = value.split(|byte| *byte == b',');
                    if items.any(|item| trim(item).get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"h2c"))) {
                        events(Decoder::UpgradeHttp2);
                    }
                }
                Name::Expect => {
                    expects = true;
                    if value.eq_ignore_ascii_case(b"100-continue") {
                        self.expect_continue = true;
                    } else {
                        events(Decoder::ExpectUnknown);
                    }
                }
                Name::ContentType => {
                    charset(value, events);
                    match content_type {
                        Some(first) if first != value => events(Decoder::ContentTypeConflict),
                        _ => content_type = Some(value),
                    }
                }
                _ => {}
            }
        }
        if host.is_none() && self.minor_version == Some(1) {
            events(Decoder::MissingHost);
        }
        if self.method.of(data) == b"CONNECT" {
            events(Decoder::Connect);
        }
        if expects && codings == 0 && length.unwrap_or(0) == 0 && !length_broken {
            events(Decoder::ExpectWithoutBody);
        }
        if codings > 0 {
            if length.is_some() || length_broken {
                events(Decoder::ContentLengthAndTransferEncoding);
            }
            if codings > 1 || !chunked_exactly {
                events(Decoder::TransferEncodingInvalid);
            }
            if self.minor_version != Some(1) {
                events(Decoder::TransferEncodingOldVersion);
            }
            if chunked_last && !self.overfull {
                return BodyState::Chunked(Chunks::default());
            }
        }
        match length {
            _ if length_broken || self.overfull => BodyState::Unframed,
            Some(0) => BodyState::Done,
            Some(length) => BodyState::Length(length),
            None if codings > 0 => BodyState::Unframed,
            None => BodyState::Done,
        }
    }
}

/// A charset in which another reading of the body than as ASCII is possible, or two of them.
fn charset(content_type: &[u8], events: &mut impl FnMut(Decoder)) {
    const USUAL: [&str; 7] = ["utf-8", "utf8", "us-ascii", "iso-8859-1", "iso-8859-15", "latin1", "windows-1252"];
    if memchr::memchr(b';', content_type).is_none() {
        return;
    }
    let mut found = false;
    for param in params(content_type).filter(|param| param.name.eq_ignore_ascii_case(b"charset")) {
        let usual = USUAL.iter().any(|name| param.value.eq_ignore_ascii_case(name.as_bytes()));
        if found || !usual {
            events(Decoder::Charset);
        }
        found = true;
    }
}

/// Decimal digits only, below 2^63.
fn plain_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 40 {
        return None;
    }
    text.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit).filter(|number| *number <= i64::MAX as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, known) in [
            (b"Host".as_slice(), Name::Host),
            (b"hOsT", Name::Host),
            (b"Content-Length", Name::ContentLength),
            (b"CONTENT-LENGTH", Name::ContentLength),
            (b"content\rlength", Name::Other),
            (b"content\rLength", Name::Other),
            (b"Content_Length", Name::Other),
            (b"Content-Lengti", Name::Other),
            (b"Transfer-Encoding", Name::TransferEncoding),
            (b"Transfer-Encodin\x07", Name::Other),
            (b"Accept-Language", Name::AcceptLanguage),
            (b"Accept-Encoding", Name::AcceptEncoding),
            (b"Sec-Fetch-Dest", Name::Other),
            (b"", Name::Other),
        ] {
            assert_eq!(Name::of(name), known, "{}", name.escape_ascii());
        }
    }
}
