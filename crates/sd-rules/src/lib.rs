// SPDX-License-Identifier: Apache-2.0
//! Judges HTTP requests with compiled Snort and Suricata rules.
//!
//! Pure code without I/O: a [`RuleSet`] is compiled from the JSON document that the rule loader writes, a
//! [`Transaction`] follows one request from its first byte on, however it is cut into calls, and reports each
//! rule that it matches once. Malformed and ambiguous requests are reported the same way, as built-in rules
//! ([`http::decoder`]). Functions on the packet path return verdicts, never errors, and take time linear in
//! the bytes of the request.
#![forbid(unsafe_code)]

mod bytes;
pub mod clearing;
mod dataset;
mod document;
mod expressions;
mod folded;
pub mod http;
mod lines;
mod matcher;
mod packet;
mod pcre;
mod prefilter;
mod ruleset;
pub mod score;
mod shown;
mod standing;
mod state;
mod transaction;
mod transform;
mod view;

pub use document::{Action, Protocol, Service};
pub use http::decoder::Decoder;
pub use http::Profile;
pub use packet::{FlowFacts, PacketFacts, Segment};
pub use ruleset::{LoadError, RuleMeta, RuleSet, RuleSetStats};
pub use shown::{show, Shown};
pub use state::RuleState;
pub use transaction::{RequestSummary, Scratch, Step, Transaction};
pub use view::{number, Unit, View};

/// Names one rule of a [`RuleSet`]; stable as long as the set lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// A part of a request that rules look at. The names are those of Suricata's sticky buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Buffer {
    /// Head and body as sent, from the first byte that is not a blank line.
    Raw,
    /// Percent-decoded; evaluated on the collapsed and on the uncollapsed form.
    HttpUri,
    HttpRawUri,
    HttpMethod,
    /// `Name: value` lines, folds and repetitions joined, without Cookie.
    HttpHeader,
    HttpRawHeader,
    HttpCookie,
    HttpUserAgent,
    /// Lower case, without port; an absolute URI's host goes before the header's.
    HttpHost,
    HttpRawHost,
    /// The body, dechunked and decompressed.
    HttpClientBody,
    HttpRequestLine,
    HttpProtocol,
    HttpContentType,
    HttpContentLen,
    HttpReferer,
    HttpAccept,
    HttpAcceptEnc,
    HttpAcceptLang,
    HttpConnection,
    HttpHeaderNames,
    HttpStart,
    /// The fields behind the last chunk.
    HttpTrailer,
    /// Names of the parts of a multipart body, one after the other: a rule needs to match one of them.
    HttpPartName,
    /// Names of the files among them.
    HttpFileName,
    /// Contents of the parts.
    HttpFileData,
    /// Each header line by itself, `Name: value`, Cookie too; of all lines one has to match.
    HttpRequestHeader,
    /// In documents only: Snort 3's name for what the others call `http_client_body`.
    HttpRawBody,
    /// [`Buffer::HttpUri`] as Snort 2 reads it: backslashes are slashes and runs of slashes one, in the query too; also
    /// with `+` as a space.
    #[serde(skip)]
    HttpUriSnort2,
    /// [`Buffer::HttpUri`] as Snort 3 reads it: also with `+` as a space.
    #[serde(skip)]
    HttpUriSnort3,
    /// The header lines as Snort 2 shows them: with the blank line, repetitions apart.
    #[serde(skip)]
    HttpHeaderSnort2,
    /// [`Buffer::HttpHeader`], also percent-decoded.
    #[serde(skip)]
    HttpHeaderSnort3,
    /// Several cookies without a separator.
    #[serde(skip)]
    HttpCookieSnort2,
    /// [`Buffer::HttpClientBody`], percent-decoded and with `+` as a space: Snort 3's, and Suricata's with `url_decode`.
    #[serde(rename = "http_client_body_decoded")]
    HttpClientBodySnort3,
}

impl Buffer {
    /// Number of buffers; each `Buffer as usize` is below it.
    pub const COUNT: usize = 34;

    pub const ALL: [Buffer; Self::COUNT] = [
        Buffer::Raw,
        Buffer::HttpUri,
        Buffer::HttpRawUri,
        Buffer::HttpMethod,
        Buffer::HttpHeader,
        Buffer::HttpRawHeader,
        Buffer::HttpCookie,
        Buffer::HttpUserAgent,
        Buffer::HttpHost,
        Buffer::HttpRawHost,
        Buffer::HttpClientBody,
        Buffer::HttpRequestLine,
        Buffer::HttpProtocol,
        Buffer::HttpContentType,
        Buffer::HttpContentLen,
        Buffer::HttpReferer,
        Buffer::HttpAccept,
        Buffer::HttpAcceptEnc,
        Buffer::HttpAcceptLang,
        Buffer::HttpConnection,
        Buffer::HttpHeaderNames,
        Buffer::HttpStart,
        Buffer::HttpTrailer,
        Buffer::HttpPartName,
        Buffer::HttpFileName,
        Buffer::HttpFileData,
        Buffer::HttpRequestHeader,
        Buffer::HttpRawBody,
        Buffer::HttpUriSnort2,
        Buffer::HttpUriSnort3,
        Buffer::HttpHeaderSnort2,
        Buffer::HttpHeaderSnort3,
        Buffer::HttpCookieSnort2,
        Buffer::HttpClientBodySnort3,
    ];

    /// The name used in rule documents and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Buffer::Raw => "raw",
            Buffer::HttpUri | Buffer::HttpUriSnort2 | Buffer::HttpUriSnort3 => "http_uri",
            Buffer::HttpRawUri => "http_raw_uri",
            Buffer::HttpMethod => "http_method",
            Buffer::HttpHeader | Buffer::HttpHeaderSnort2 | Buffer::HttpHeaderSnort3 => "http_header",
            Buffer::HttpRawHeader => "http_raw_header",
            Buffer::HttpCookie | Buffer::HttpCookieSnort2 => "http_cookie",
            Buffer::HttpUserAgent => "http_user_agent",
            Buffer::HttpHost => "http_host",
            Buffer::HttpRawHost => "http_raw_host",
            Buffer::HttpClientBody | Buffer::HttpClientBodySnort3 => "http_client_body",
            Buffer::HttpRequestLine => "http_request_line",
            Buffer::HttpProtocol => "http_protocol",
            Buffer::HttpContentType => "http_content_type",
            Buffer::HttpContentLen => "http_content_len",
            Buffer::HttpReferer => "http_referer",
            Buffer::HttpAccept => "http_accept",
            Buffer::HttpAcceptEnc => "http_accept_enc",
            Buffer::HttpAcceptLang => "http_accept_lang",
            Buffer::HttpConnection => "http_connection",
            Buffer::HttpHeaderNames => "http_header_names",
            Buffer::HttpStart => "http_start",
            Buffer::HttpTrailer => "http_trailer",
            Buffer::HttpPartName => "http_part_name",
            Buffer::HttpFileName => "http_file_name",
            Buffer::HttpFileData => "http_file_data",
            Buffer::HttpRequestHeader => "http_request_header",
            Buffer::HttpRawBody => "http_raw_body",
        }
    }

    /// Which rules see it so, "" for all.
    pub fn dialect(self) -> &'static str {
        match self {
            Buffer::HttpUriSnort2 | Buffer::HttpHeaderSnort2 | Buffer::HttpCookieSnort2 => "snort2",
            Buffer::HttpUriSnort3 | Buffer::HttpHeaderSnort3 | Buffer::HttpClientBodySnort3 => "snort3",
            Buffer::HttpUri | Buffer::HttpHeader => "suricata",
            _ => "",
        }
    }

    /// Raw, bodies and what they hold grow while a request arrives; all others are known once the head is.
    pub(crate) fn grows(self) -> bool {
        matches!(self, Buffer::Raw | Buffer::HttpClientBody | Buffer::HttpClientBodySnort3 | Buffer::HttpTrailer)
            || self.is_of_parts()
    }

    /// Each part of a body has its own.
    pub(crate) fn is_of_parts(self) -> bool {
        matches!(self, Buffer::HttpPartName | Buffer::HttpFileName | Buffer::HttpFileData)
    }
}

/// One rule that a request matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    pub rule: RuleId,
    /// Buffer of the rule's first positive content or pcre, and its place there in bytes.
    pub buffer: Buffer,
    pub offset: u32,
    pub len: u32,
    /// The rule's, or to score where what it looks for does not stand as in an attack.
    pub action: Action,
}

/// Bounds of what is inspected.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Body bytes (as sent) that are judged.
    pub depth: usize,
    /// Bytes of request line and headers; a longer head is ambiguous.
    pub max_head: usize,
    pub max_headers: usize,
    /// Port that the request was sent to, for rules that name ports.
    pub dst_port: u16,
    /// The client's port.
    pub src_port: u16,
    /// Bytes that client and server have sent on the connection so far.
    pub sent: (u64, u64),
    /// The last segment, for rules that ask for both a request and what only a segment has.
    pub segment: Option<Segment>,
    /// In a capture: where the request stands.
    pub view: Option<View>,
    /// In a capture: what its connection has had.
    pub flow: FlowFacts,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth: 1 << 20,
            max_head: 64 << 10,
            max_headers: 1024,
            dst_port: 80,
            src_port: 0,
            sent: (0, 0),
            segment: None,
            view: None,
            flow: FlowFacts::default(),
        }
    }
}
