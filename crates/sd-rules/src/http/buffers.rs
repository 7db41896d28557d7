// SPDX-License-Identifier: Apache-2.0
//! The buffers that rules look at, made from a parsed head.

use super::decoder::Decoder;
use super::fields::{is_regular, Fields, Run};
use super::head::{Head, Header, Name};
use super::uri::{self, Collapse, Look};
use super::{Profile, Span};
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

impl View {
    fn of<'a>(self, data: &'a [u8], made: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            View::Absent => None,
            View::Sent(span) => Some(span.of(data)),
            View::Made(span) => Some(span.of(made)),
        }
    }
}

/// Bytes of all readings of a URI; only one that is long and odd in many ways has more.
const MAX_READINGS: usize = 512 << 10;
/// So often what is still encoded is decoded again.
const DEEP_PASSES: usize = 3;

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

/// A reading of the URI, in [`Buffers::made`], and how long its path is.
#[derive(Clone, Copy, Debug)]
struct Reading {
    span: Span,
    path: usize,
}

/// The head's buffers; kept as long as the request's body goes on.
#[derive(Debug)]
pub struct Buffers {
    views: [View; Buffer::COUNT],
    /// The URI as sent, when that is its only reading.
    plain_uri: Option<Span>,
    /// Else the readings of the URI by dialect, in `made`; a rule needs to match one of its dialect's.
    uris: [Vec<Span>; 3],
    too_many: bool,
    /// The second form of [`Buffer::HttpHeaderSnort3`].
    decoded_header: View,
    /// The header lines one by one: [`Buffer::HttpRequestHeader`].
    lines: Vec<Span>,
    made: Vec<u8>,
    /// The form that a further one is made from.
    source: Vec<u8>,
}

const ABSENT: [View; Buffer::COUNT] = [View::Absent; Buffer::COUNT];

impl Default for Buffers {
    fn default() -> Buffers {
        Buffers {
            views: ABSENT,
            plain_uri: None,
            uris: Default::default(),
            too_many: false,
            decoded_header: View::Absent,
            lines: Vec::new(),
            made: Vec::new(),
            source: Vec::new(),
        }
    }
}

impl Buffers {
    pub fn reset(&mut self) {
        self.views = ABSENT;
        self.plain_uri = None;
        self.too_many = false;
        self.uris.iter_mut().for_each(Vec::clear);
        self.decoded_header = View::Absent;
        self.lines.clear();
        self.made.clear();
        self.made.shrink_to(16 << 10);
        self.source.clear();
        self.source.shrink_to(16 << 10);
    }

    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        self.made.capacity() + self.source.capacity()
    }

    /// Number of the views of a buffer, of which a rule needs to match one.
    pub fn forms(&self, buffer: Buffer) -> usize {
        match uri_index(buffer) {
            Some(_) if self.plain_uri.is_some() => 1,
            Some(index) => self.uris[index].len(),
            None if buffer == Buffer::HttpRequestHeader => self.lines.len(),
            None if buffer == Buffer::HttpHeaderSnort3 && !matches!(self.decoded_header, View::Absent) => 2,
            None => 1,
        }
    }

    /// [`Buffer::HttpStart`] when it is not what was sent.
    pub fn made_start(&self) -> Option<&[u8]> {
        match self.views[Buffer::HttpStart as usize] {
            View::Made(span) => Some(span.of(&self.made)),
            _ => None,
        }
    }

    /// The path of the address, decoded.
    pub fn path<'a>(&'a self, data: &'a [u8]) -> &'a [u8] {
        let uri = self.get(data, Buffer::HttpUri, 0).unwrap_or_default();
        &uri[..memchr::memchr(b'?', uri).unwrap_or(uri.len())]
    }

    pub fn get<'a>(&'a self, data: &'a [u8], buffer: Buffer, form: usize) -> Option<&'a [u8]> {
        let view = match uri_index(buffer) {
            Some(index) => {
                return match self.plain_uri {
                    Some(span) => (form == 0).then(|| span.of(data)),
                    None => self.uris[index].get(form).map(|span| span.of(&self.made)),
                };
            }
            None if buffer == Buffer::HttpRequestHeader => return Some(self.lines.get(form)?.of(&self.made)),
            None if form == 0 => self.views[buffer as usize],
            None => self.decoded_header,
        };
        view.of(data, &self.made)
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
        profile: Profile,
        events: &mut impl FnMut(Decoder),
    ) {
        self.sent(Buffer::HttpMethod, head.method);
        self.sent(Buffer::HttpRawUri, head.uri);
        self.sent(Buffer::HttpRequestLine, head.line);
        if !head.protocol.is_empty() {
            self.sent(Buffer::HttpProtocol, head.protocol);
        }
        let whole = head.uri.of(data);
        let (authority, rest) = head.target(data);
        if let Some(authority) = authority {
            self.host_of_target(authority);
        }
        let start = head.uri.start as usize + whole.len() - rest.len();
        let look = Look::at(rest);
        let snort = used[Buffer::HttpUriSnort2 as usize] || used[Buffer::HttpUriSnort3 as usize];
        let plain = look.is_plain();
        if plain && (!snort || look.is_plain_for_snort()) {
            self.plain_uri = Some(Span::new(start, start + rest.len()));
            return;
        }
        if plain {
            let from = self.made.len();
            self.made.extend_from_slice(rest);
            self.uris[SURICATA].push(Span::new(from, self.made.len()));
        } else {
            self.readings(rest, look, profile, events);
        }
        for (index, buffer) in [(SNORT2, Buffer::HttpUriSnort2), (SNORT3, Buffer::HttpUriSnort3)] {
            if used[buffer as usize] {
                self.snort_readings(index, index == SNORT2);
            }
        }
        if self.too_many {
            events(Decoder::UriReadings);
        }
    }

    /// All readings that the profile's server may have of a URI that is not plain.
    fn readings(&mut self, sent: &[u8], look: Look, profile: Profile, events: &mut impl FnMut(Decoder)) {
        if look.has_control() {
            events(Decoder::ControlInUri);
        }
        let (path, query) = sent.split_at(look.path);
        let start = self.made.len();
        uri::decode(path, None, &mut self.made, events);
        let path_end = self.made.len();
        uri::decode(query, None, &mut self.made, events);
        if memchr::memchr(0, &self.made[start..path_end]).is_some() {
            events(Decoder::EncodedNul);
        }
        if memchr::memchr(b'\\', &self.made[start..path_end]).is_some() {
            events(Decoder::Backslash);
        }
        let decoded = Reading { span: Span::new(start, self.made.len()), path: path_end - start };
        if self.refused(profile, path, look, &decoded) {
            events(Decoder::Refused);
        }
        let collapses = !look.path_is_plain();
        self.with_collapsed(decoded, collapses, profile, events);
        if look.has_fragment() {
            events(Decoder::Fragment);
            if profile.cuts_fragment() {
                let cut = &sent[..memchr::memchr(b'#', sent).unwrap_or(sent.len())];
                let (path, query) = cut.split_at(look.path.min(cut.len()));
                self.decoded(path, query, None, profile, events);
            }
        }
        if look.has_blank() {
            // Some take what follows a blank for the version.
            let end = sent.iter().position(|byte| super::is_blank(*byte)).unwrap_or(sent.len());
            let (path, query) = sent[..end].split_at(look.path.min(end));
            self.decoded(path, query, None, profile, events);
        }
        if profile.may_keep_slash() && uri::has_encoded_slash(path) {
            self.decoded(path, query, Some(b'/'), profile, events);
        }
        let loose = uri::has_loose_pair(decoded.span.of(&self.made));
        for loose in [false, true].into_iter().take(1 + usize::from(loose)) {
            let mut last = Some(decoded).filter(|_| profile.decodes_deep());
            for _ in 0..DEEP_PASSES {
                let Some(reading) = last else { break };
                let from = self.made.len();
                self.take_source(reading.span);
                last = uri::decode_deep(&self.source, reading.path, loose, &mut self.made, events)
                    .map(|path| Reading { span: Span::new(from, self.made.len()), path });
                if let Some(deeper) = last {
                    self.with_collapsed(deeper, collapses, profile, events);
                }
            }
        }
        if !profile.decodes_deep() {
            // Seen, though this server does not do it.
            let from = self.made.len();
            self.take_source(decoded.span);
            uri::decode_deep(&self.source, decoded.path, false, &mut self.made, events);
            self.made.truncate(from);
        }
    }

    /// True when the profile's server answers with an error instead of reading the URI; generic: nobody knows.
    fn refused(&self, profile: Profile, path: &[u8], look: Look, decoded: &Reading) -> bool {
        let malformed = |knows_unicode| !uri::is_well_formed(path, knows_unicode);
        let bytes = &decoded.span.of(&self.made)[..decoded.path];
        let nul = || memchr::memchr(0, bytes).is_some() || look.has_control();
        match profile {
            Profile::Generic => false,
            Profile::Iis => malformed(true) || nul(),
            Profile::Apache => malformed(false) || nul() || uri::is_above_root(bytes) || look.has_fragment(),
            Profile::Nginx => malformed(false) || nul() || uri::is_above_root(bytes),
        }
    }

    /// The reading that comes of decoding once, with `keep` left encoded.
    fn decoded(
        &mut self,
        path: &[u8],
        query: &[u8],
        keep: Option<u8>,
        profile: Profile,
        events: &mut impl FnMut(Decoder),
    ) {
        let start = self.made.len();
        uri::decode(path, keep, &mut self.made, events);
        let path = self.made.len() - start;
        uri::decode(query, None, &mut self.made, events);
        let reading = Reading { span: Span::new(start, self.made.len()), path };
        self.with_collapsed(reading, true, profile, events);
    }

    /// A decoded reading and what collapsing makes of it.
    fn with_collapsed(
        &mut self,
        reading: Reading,
        collapses: bool,
        profile: Profile,
        events: &mut impl FnMut(Decoder),
    ) {
        self.add(SURICATA, reading.span);
        let path = &reading.span.of(&self.made)[..reading.path];
        let backslash = memchr::memchr(b'\\', path).is_some();
        let parameter = uri::has_dot_parameter(path);
        if parameter {
            events(Decoder::DotParameter);
        }
        if !collapses {
            return;
        }
        let separates = profile.backslash_separates();
        if separates {
            self.collapsed(&reading, Collapse::Backslashes, events);
        }
        if !separates || backslash && profile.backslash_is_plain() {
            self.collapsed(&reading, Collapse::Slashes, events);
        }
        if parameter && profile.strips_parameters() {
            self.collapsed(&reading, Collapse::Parameters, events);
        }
    }

    fn collapsed(&mut self, reading: &Reading, how: Collapse, events: &mut impl FnMut(Decoder)) {
        let from = self.made.len();
        self.take_source(reading.span);
        uri::collapse(&self.source, reading.path, how, &mut self.made, events);
        self.add_last(SURICATA, from);
    }

    fn take_source(&mut self, of: Span) {
        self.source.clear();
        self.source.extend_from_slice(of.of(&self.made));
    }

    /// Adds a reading unless there is an equal one, or too much already: then [`Decoder::UriReadings`] says so.
    fn add(&mut self, index: usize, span: Span) -> bool {
        let new = span.of(&self.made);
        if self.uris[index].iter().any(|other| other.of(&self.made) == new) {
            return false;
        }
        if self.made.len() > MAX_READINGS {
            self.too_many = true;
            return false;
        }
        self.uris[index].push(span);
        true
    }

    /// The same for the reading that `made` ends with.
    fn add_last(&mut self, index: usize, from: usize) {
        if !self.add(index, Span::new(from, self.made.len())) {
            self.made.truncate(from);
        }
    }

    /// Snort's readings: those that Suricata's rules see, `folded` ones instead for Snort 2; of each with a plus also the
    /// one with a space there.
    fn snort_readings(&mut self, index: usize, folded: bool) {
        for number in 0..self.uris[SURICATA].len() {
            let reading = self.uris[SURICATA][number];
            self.take_source(reading);
            if folded {
                let from = self.made.len();
                uri::fold_slashes(&self.source, &mut self.made);
                self.source.clear();
                self.source.extend_from_slice(&self.made[from..]);
                self.add_last(index, from);
            } else {
                self.add(index, reading);
            }
            if memchr::memchr(b'+', &self.source).is_some() {
                let from = self.made.len();
                self.made.extend(self.source.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }));
                self.add_last(index, from);
            }
        }
    }

    /// The target's host goes before that of the header.
    fn host_of_target(&mut self, authority: &[u8]) {
        let start = self.made.len();
        let host = strip_port(without_user(authority));
        let host = host.strip_suffix(b".").unwrap_or(host);
        self.made.extend(host.iter().map(u8::to_ascii_lowercase));
        let view = View::Made(Span::new(start, self.made.len()));
        self.views[Buffer::HttpHost as usize] = view;
        self.views[Buffer::HttpRawHost as usize] = view;
    }

    /// An empty header names none.
    fn host_of_header(&mut self, data: &[u8]) {
        self.source.clear();
        match self.views[Buffer::HttpRawHost as usize].of(data, &self.made) {
            None | Some([]) => return,
            Some(raw) => self.source.extend(strip_port(raw).iter().map(u8::to_ascii_lowercase)),
        }
        let start = self.made.len();
        self.made.extend_from_slice(&self.source);
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
        let (authority, _) = head.target(data);
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
            if host && authority.is_some() {
                // The target's is there.
            } else if matches!(self.views[buffer as usize], View::Absent) {
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
                            self.host_of_header(data);
                        }
                    }
                    Some(authority) if !same_host(authority, header.value.of(data)) => {
                        events(Decoder::HostMismatch);
                    }
                    _ => {}
                }
            }
        }
        if [
            Buffer::HttpHeader,
            Buffer::HttpHeaderSnort3,
            Buffer::HttpStart,
            Buffer::HttpRequestHeader,
            Buffer::HttpHeaderNames,
        ]
        .iter()
        .any(|buffer| used[*buffer as usize])
        {
            self.of_fields(data, head, &Fields::of(data, &head.headers), used);
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
    }

    /// What is made of the fields, of which one has the values of all lines with its name.
    fn of_fields(&mut self, data: &[u8], head: &Head, fields: &Fields, used: &[bool; Buffer::COUNT]) {
        let headers = &head.headers;
        let regular = !fields.repeats() && is_regular(data, head);
        if used[Buffer::HttpHeader as usize] || used[Buffer::HttpHeaderSnort3 as usize] {
            self.header_view(data, head, fields, regular);
            if used[Buffer::HttpHeaderSnort3 as usize] {
                self.decode_header(data);
            }
        }
        if used[Buffer::HttpStart as usize] && regular {
            self.sent(Buffer::HttpStart, Span::new(head.start, head.end));
        } else if used[Buffer::HttpStart as usize] {
            let start = self.made.len();
            self.made.extend_from_slice(head.line.of(data));
            self.made.extend_from_slice(b"\r\n");
            for run in fields.runs() {
                self.field(data, headers, &run);
                self.made.extend_from_slice(b"\r\n");
            }
            if !headers.is_empty() {
                self.made.extend_from_slice(b"\r\n");
            }
            self.views[Buffer::HttpStart as usize] = View::Made(Span::new(start, self.made.len()));
        }
        if used[Buffer::HttpRequestHeader as usize] {
            for run in fields.runs() {
                let start = self.made.len();
                self.field(data, headers, &run);
                self.lines.push(Span::new(start, self.made.len()));
            }
        }
        if used[Buffer::HttpHeaderNames as usize] && !headers.is_empty() {
            let start = self.made.len();
            self.made.extend_from_slice(b"\r\n");
            for run in fields.runs() {
                self.made.extend_from_slice(headers[run.first()].name.of(data));
                self.made.extend_from_slice(b"\r\n");
            }
            self.made.extend_from_slice(b"\r\n");
            self.views[Buffer::HttpHeaderNames as usize] = View::Made(Span::new(start, self.made.len()));
        }
    }

    /// Cookie has a buffer of its own.
    fn header_view(&mut self, data: &[u8], head: &Head, fields: &Fields, regular: bool) {
        let headers = &head.headers;
        let view = if regular && headers.iter().all(|header| header.known != Name::Cookie) {
            View::Sent(Span::new(head.headers_start, head.blank_line))
        } else {
            let start = self.made.len();
            for run in fields.runs().filter(|run| headers[run.first()].known != Name::Cookie) {
                self.field(data, headers, &run);
                self.made.extend_from_slice(b"\r\n");
            }
            View::Made(Span::new(start, self.made.len()))
        };
        if !matches!(view, View::Made(span) if span.is_empty()) {
            self.views[Buffer::HttpHeader as usize] = view;
        }
        self.views[Buffer::HttpHeaderSnort3 as usize] = view;
    }

    fn decode_header(&mut self, data: &[u8]) {
        let Some(text) = self.views[Buffer::HttpHeaderSnort3 as usize].of(data, &self.made) else { return };
        if memchr::memchr(b'%', text).is_some() {
            self.source.clear();
            self.source.extend_from_slice(text);
            let from = self.made.len();
            uri::decode(&self.source, None, &mut self.made, &mut |_| {});
            self.decoded_header = View::Made(Span::new(from, self.made.len()));
        }
    }

    /// Appends `Name: value`.
    fn field(&mut self, data: &[u8], headers: &[Header], run: &Run) {
        self.made.extend_from_slice(headers[run.first()].name.of(data));
        self.made.extend_from_slice(b": ");
        for (nth, index) in run.all().enumerate() {
            if nth > 0 {
                self.made.extend_from_slice(b", ");
            }
            push_value(&mut self.made, data, &headers[index]);
        }
    }

    /// The lines in their order, without Cookie, with the blank line; a space after the colon only where one was sent.
    fn snort_header(&mut self, data: &[u8], headers: &[Header]) {
        for header in headers.iter().filter(|header| header.known != Name::Cookie) {
            if header.name.is_empty() && data.get((header.value.start as usize).wrapping_sub(1)) == Some(&b'\n') {
                // A line without a colon.
                push_value(&mut self.made, data, header);
                self.made.extend_from_slice(b"\r\n");
                continue;
            }
            self.made.extend_from_slice(header.name.of(data));
            let blank = matches!(data.get((header.value.start as usize).wrapping_sub(1)), Some(b' ' | b'\t'));
            self.made.extend_from_slice(if blank { b": " } else { b":" });
            push_value(&mut self.made, data, header);
            self.made.extend_from_slice(b"\r\n");
        }
        self.made.extend_from_slice(b"\r\n");
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
    let start = out.len();
    for line in value.split(|byte| *byte == b'\n').map(super::trim).filter(|line| !line.is_empty()) {
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(line);
    }
}

/// The same host and port; an authority may also name a user.
fn same_host(authority: &[u8], host: &[u8]) -> bool {
    let authority = without_user(authority);
    let plain = |text| <[u8]>::strip_suffix(text, b":80").unwrap_or(text);
    plain(authority).eq_ignore_ascii_case(plain(host))
}

fn without_user(authority: &[u8]) -> &[u8] {
    &authority[memchr::memrchr(b'@', authority).map_or(0, |at| at + 1)..]
}

/// The host of `host:port`; what follows a colon is never a part of its name.
fn strip_port(host: &[u8]) -> &[u8] {
    // The colons of an IPv6 address are inside its brackets.
    let inside = if host.first() == Some(&b'[') { memchr::memchr(b']', host).unwrap_or(0) } else { 0 };
    let end = memchr::memchr(b':', &host[inside..]).map_or(host.len(), |at| inside + at);
    super::trim(&host[..end])
}
