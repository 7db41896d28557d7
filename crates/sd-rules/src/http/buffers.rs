// SPDX-License-Identifier: Apache-2.0
//! The buffers that rules look at, made from a parsed head.

use super::decoder::Decoder;
use super::head::{Head, Header, Name};
use super::{uri, Span};
use crate::Buffer;

/// Where a buffer's bytes are.
#[derive(Clone, Copy, Debug, Default)]
pub enum View {
    #[default]
    Absent,
    /// A part of the request as sent.
    Sent(Span),
    /// A part of [`Buffers::made`].
    Made(Span),
}

/// Forms of a URI for the rules of one dialect: at most four, each also with spaces for its pluses.
const FORMS: usize = 9;
const SURICATA: usize = 0;
const SNORT2: usize = 1;
const SNORT3: usize = 2;

fn uri_index(buffer: Buffer) -> Option<usize> {
    match buffer {
        Buffer::HttpUri => Some(SURICATA),
        Buffer::HttpUriSnort2 => Some(SNORT2),
        Buffer::HttpUriSnort3 => Some(SNORT3),
        _ => None,
    }
}

/// The head's buffers; kept as long as the request's body goes on.
#[derive(Debug, Default)]
pub struct Buffers {
    views: [View; Buffer::COUNT],
    /// The forms of the URI by dialect; of those of one dialect a rule needs to match one.
    uris: [[View; FORMS]; 3],
    /// The second form of [`Buffer::HttpHeaderSnort3`].
    decoded_header: View,
    made: Vec<u8>,
    /// The form that a further one is made from.
    source: Vec<u8>,
}

impl Buffers {
    pub fn reset(&mut self) {
        self.views = Default::default();
        self.uris = Default::default();
        self.decoded_header = View::Absent;
        self.made.clear();
        self.made.shrink_to(16 << 10);
        self.source.clear();
        self.source.shrink_to(16 << 10);
    }

    /// Number of the views of a buffer, of which a rule needs to match one.
    pub fn forms(&self, buffer: Buffer) -> usize {
        match uri_index(buffer) {
            Some(index) => self.uris[index].iter().take_while(|view| !matches!(view, View::Absent)).count(),
            None if buffer == Buffer::HttpHeaderSnort3 && !matches!(self.decoded_header, View::Absent) => 2,
            None => 1,
        }
    }

    pub fn get<'a>(&'a self, data: &'a [u8], buffer: Buffer, form: usize) -> Option<&'a [u8]> {
        let view = match uri_index(buffer) {
            Some(index) => self.uris[index][form],
            None if form == 0 => self.views[buffer as usize],
            None => self.decoded_header,
        };
        match view {
            View::Absent => None,
            View::Sent(span) => Some(span.of(data)),
            View::Made(span) => Some(span.of(&self.made)),
        }
    }

    fn sent(&mut self, buffer: Buffer, span: Span) {
        self.views[buffer as usize] = View::Sent(span);
    }

    /// Everything that the request line decides.
    pub fn request_line(
        &mut self,
        data: &[u8],
        head: &Head,
        used: &[bool; Buffer::COUNT],
        events: &mut impl FnMut(Decoder),
    ) {
        self.sent(Buffer::HttpMethod, head.method);
        self.sent(Buffer::HttpRawUri, head.uri);
        self.sent(Buffer::HttpRequestLine, head.line);
        if !head.protocol.is_empty() {
            self.sent(Buffer::HttpProtocol, head.protocol);
        }
        let whole = head.uri.of(data);
        let (authority, path) = split_absolute(whole);
        if let Some(authority) = authority {
            if used[Buffer::HttpHost as usize] {
                self.host(authority);
            }
        }
        let path_start = head.uri.start as usize + whole.len() - path.len();
        let span = Span::new(path_start, path_start + path.len());
        let snort = used[Buffer::HttpUriSnort2 as usize] || used[Buffer::HttpUriSnort3 as usize];
        let plain = uri::is_plain(path);
        if plain && !(snort && uri::snort_differs(path)) {
            for forms in &mut self.uris {
                forms[0] = View::Sent(span);
            }
            return;
        }
        let start = self.made.len();
        if plain {
            self.made.extend_from_slice(path);
        } else {
            uri::decode(path, &mut self.made, events);
        }
        let decoded = Span::new(start, self.made.len());
        let mut forms = 0;
        self.add_uri(SURICATA, &mut forms, decoded);
        if !plain {
            if memchr::memchr(0, &self.made[start..]).is_some() {
                events(Decoder::EncodedNul);
            }
            self.collapsed(decoded, &mut forms, events);
            let from = self.made.len();
            self.take_source(decoded);
            if uri::decode_deep(&self.source, &mut self.made, events) {
                let deep = Span::new(from, self.made.len());
                self.add_uri(SURICATA, &mut forms, deep);
                self.collapsed(deep, &mut forms, events);
            }
        }
        for (index, buffer) in [(SNORT2, Buffer::HttpUriSnort2), (SNORT3, Buffer::HttpUriSnort3)] {
            if used[buffer as usize] {
                self.snort_uris(index, index == SNORT2);
            }
        }
    }

    fn take_source(&mut self, of: Span) {
        self.source.clear();
        self.source.extend_from_slice(of.of(&self.made));
    }

    /// Adds the form that ends `made` unless there is an equal one.
    fn add_uri(&mut self, index: usize, forms: &mut usize, span: Span) {
        let known = self.uris[index][..*forms].iter().any(|view| match view {
            View::Made(other) => other.of(&self.made) == span.of(&self.made),
            _ => false,
        });
        if !known {
            self.uris[index][*forms] = View::Made(span);
            *forms += 1;
        }
    }

    /// Adds the collapsed form of a decoded one unless it is the same.
    fn collapsed(&mut self, decoded: Span, forms: &mut usize, events: &mut impl FnMut(Decoder)) {
        let from = self.made.len();
        self.take_source(decoded);
        uri::collapse(&self.source, &mut self.made, events);
        if self.made[from..] == self.source {
            self.made.truncate(from);
            return;
        }
        self.add_uri(SURICATA, forms, Span::new(from, self.made.len()));
    }

    /// Snort's forms: the ones that Suricata's rules see, `folded` ones instead for Snort 2; of each with a plus also the
    /// one with a space there.
    fn snort_uris(&mut self, index: usize, folded: bool) {
        let mut forms = 0;
        for view in self.uris[SURICATA] {
            let View::Made(span) = view else { continue };
            let mut span = span;
            if folded {
                self.take_source(span);
                let from = self.made.len();
                uri::fold_slashes(&self.source, &mut self.made);
                span = Span::new(from, self.made.len());
            }
            self.add_uri(index, &mut forms, span);
            if memchr::memchr(b'+', span.of(&self.made)).is_some() {
                self.take_source(span);
                let from = self.made.len();
                self.made.extend(self.source.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }));
                self.add_uri(index, &mut forms, Span::new(from, self.made.len()));
            }
        }
    }

    fn host(&mut self, authority: &[u8]) {
        let start = self.made.len();
        let after_user = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
        let host = strip_port(&authority[after_user..]);
        self.made.extend(host.iter().map(u8::to_ascii_lowercase));
        self.views[Buffer::HttpHost as usize] = View::Made(Span::new(start, self.made.len()));
    }

    /// Everything that the headers decide; only what rules use is made.
    pub fn headers(
        &mut self,
        data: &[u8],
        head: &Head,
        used: &[bool; Buffer::COUNT],
        events: &mut impl FnMut(Decoder),
    ) {
        self.sent(Buffer::HttpRawHeader, Span::new(head.headers_start, head.end));
        self.sent(Buffer::HttpStart, Span::new(head.start, head.end));
        let (authority, _) = split_absolute(head.uri.of(data));
        for (index, header) in head.headers.iter().enumerate() {
            let (buffer, separator) = match header.known {
                Name::Cookie => (Buffer::HttpCookie, ", "),
                Name::UserAgent => (Buffer::HttpUserAgent, ", "),
                Name::Host => (Buffer::HttpRawHost, ", "),
                Name::ContentType => (Buffer::HttpContentType, ", "),
                Name::ContentLength => (Buffer::HttpContentLen, ", "),
                Name::Referer => (Buffer::HttpReferer, ", "),
                Name::Accept => (Buffer::HttpAccept, ", "),
                Name::AcceptEncoding => (Buffer::HttpAcceptEnc, ", "),
                Name::AcceptLanguage => (Buffer::HttpAcceptLang, ", "),
                Name::Connection => (Buffer::HttpConnection, ", "),
                _ => continue,
            };
            let host = buffer == Buffer::HttpRawHost;
            if !used[buffer as usize] && !host {
                continue;
            }
            if matches!(self.views[buffer as usize], View::Absent) {
                let repeated = head.headers[index + 1..].iter().any(|other| other.known == header.known);
                if !repeated && !header.folded {
                    self.sent(buffer, header.value);
                } else {
                    let start = self.made.len();
                    self.join(data, &head.headers[index..], |other| other.known == header.known, separator);
                    self.views[buffer as usize] = View::Made(Span::new(start, self.made.len()));
                }
            }
            if host {
                match authority {
                    None if used[Buffer::HttpHost as usize] => {
                        if matches!(self.views[Buffer::HttpHost as usize], View::Absent) {
                            self.host(header.value.of(data));
                        }
                    }
                    Some(authority) if !authority.eq_ignore_ascii_case(header.value.of(data)) => {
                        events(Decoder::HostMismatch);
                    }
                    _ => {}
                }
            }
        }
        if used[Buffer::HttpHeader as usize] || used[Buffer::HttpHeaderSnort3 as usize] {
            let start = self.made.len();
            self.normalised(data, &head.headers);
            let view = View::Made(Span::new(start, self.made.len()));
            self.views[Buffer::HttpHeader as usize] = view;
            self.views[Buffer::HttpHeaderSnort3 as usize] = view;
            if used[Buffer::HttpHeaderSnort3 as usize] && memchr::memchr(b'%', &self.made[start..]).is_some() {
                self.take_source(Span::new(start, self.made.len()));
                let from = self.made.len();
                uri::decode(&self.source, &mut self.made, &mut |_| {});
                self.decoded_header = View::Made(Span::new(from, self.made.len()));
            }
        }
        if used[Buffer::HttpHeaderSnort2 as usize] {
            let start = self.made.len();
            self.snort_header(data, &head.headers);
            self.views[Buffer::HttpHeaderSnort2 as usize] = View::Made(Span::new(start, self.made.len()));
        }
        if used[Buffer::HttpCookieSnort2 as usize] {
            let start = self.made.len();
            self.join(data, &head.headers, |header| header.known == Name::Cookie, "");
            if head.headers.iter().any(|header| header.known == Name::Cookie) {
                self.views[Buffer::HttpCookieSnort2 as usize] = View::Made(Span::new(start, self.made.len()));
            }
        }
        if used[Buffer::HttpHeaderNames as usize] {
            let start = self.made.len();
            self.made.extend_from_slice(b"\r\n");
            for header in &head.headers {
                self.made.extend_from_slice(header.name.of(data));
                self.made.extend_from_slice(b"\r\n");
            }
            self.made.extend_from_slice(b"\r\n");
            self.views[Buffer::HttpHeaderNames as usize] = View::Made(Span::new(start, self.made.len()));
        }
    }

    /// The lines in their order, without Cookie, with the blank line; a space after the colon only where one was sent.
    fn snort_header(&mut self, data: &[u8], headers: &[Header]) {
        for header in headers.iter().filter(|header| header.known != Name::Cookie) {
            self.made.extend_from_slice(header.name.of(data));
            let blank = matches!(data.get((header.value.start as usize).wrapping_sub(1)), Some(b' ' | b'\t'));
            self.made.extend_from_slice(if blank { b": " } else { b":" });
            push_value(&mut self.made, data, header);
            self.made.extend_from_slice(b"\r\n");
        }
        self.made.extend_from_slice(b"\r\n");
    }

    /// `Name: value CRLF` for each name, repetitions at the place of the first; time linear in the headers for
    /// requests with few repetitions, and bounded by their capped number otherwise.
    fn normalised(&mut self, data: &[u8], headers: &[Header]) {
        let mut order: Vec<u16> = Vec::new();
        let many = headers.len() > 48;
        if many {
            // Sorted by name, first of each name first: quadratic comparison would be an attack's lever.
            order.extend(0..headers.len() as u16);
            order.sort_by_cached_key(|index| headers[*index as usize].name.of(data).to_ascii_lowercase());
        }
        let same = |a: &Header, b: &Header| a.name.of(data).eq_ignore_ascii_case(b.name.of(data));
        let mut place: Vec<(u16, u16)> = Vec::new();
        if many {
            // Runs of equal names; a stable sort keeps them in order of appearance.
            let mut from = 0;
            while from < order.len() {
                let first = &headers[order[from] as usize];
                let length = order[from..].iter().take_while(|index| same(first, &headers[**index as usize])).count();
                place.push((from as u16, length as u16));
                from += length;
            }
            place.sort_unstable_by_key(|(from, _)| order[*from as usize]);
            for (from, length) in place {
                let run = &order[from as usize..][..length as usize];
                if headers[run[0] as usize].known == Name::Cookie {
                    continue;
                }
                self.made.extend_from_slice(headers[run[0] as usize].name.of(data));
                self.made.extend_from_slice(b": ");
                for (nth, index) in run.iter().enumerate() {
                    if nth > 0 {
                        self.made.extend_from_slice(b", ");
                    }
                    push_value(&mut self.made, data, &headers[*index as usize]);
                }
                self.made.extend_from_slice(b"\r\n");
            }
            return;
        }
        for (index, header) in headers.iter().enumerate() {
            if header.known == Name::Cookie || headers[..index].iter().any(|earlier| same(earlier, header)) {
                continue;
            }
            self.made.extend_from_slice(header.name.of(data));
            self.made.extend_from_slice(b": ");
            self.join(data, &headers[index..], |other| same(header, other), ", ");
            self.made.extend_from_slice(b"\r\n");
        }
    }

    fn join(&mut self, data: &[u8], headers: &[Header], wanted: impl Fn(&Header) -> bool, separator: &str) {
        for (nth, header) in headers.iter().filter(|header| wanted(header)).enumerate() {
            if nth > 0 {
                self.made.extend_from_slice(separator.as_bytes());
            }
            push_value(&mut self.made, data, header);
        }
    }
}

/// Appends the value, each fold as one space.
fn push_value(out: &mut Vec<u8>, data: &[u8], header: &Header) {
    let value = header.value.of(data);
    if !header.folded {
        out.extend_from_slice(value);
        return;
    }
    for (nth, line) in value.split(|byte| *byte == b'\n').enumerate() {
        let line = super::trim(line);
        if nth > 0 && !line.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(line);
    }
}

/// Authority and the rest of an absolute URI; the rest is the whole URI otherwise.
fn split_absolute(uri: &[u8]) -> (Option<&[u8]>, &[u8]) {
    if uri.first().is_none_or(|byte| !byte.is_ascii_alphabetic()) {
        return (None, uri);
    }
    let scheme = uri.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    let Some(rest) = uri[scheme..].strip_prefix(b"://") else {
        return (None, uri);
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
    (Some(&rest[..end]), &rest[end..])
}

fn strip_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        // The colons of an IPv6 address are inside its brackets.
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    }
}
