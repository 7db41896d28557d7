// SPDX-License-Identifier: Apache-2.0
//! Built-in rules of the HTTP decoder: what is malformed, ambiguous or at a limit, each with its default action.
//!
//! They are reported like rules of a rule file, under a generator id of their own. *Ambiguous* means that two
//! servers may cut the request differently; nobody legitimate sends that, so it diverts.

use crate::document::Action;

/// Generator id of the built-in rules.
pub const GID: u32 = 1_000_000;

macro_rules! decoders {
    ($($(#[$doc:meta])* $name:ident = $sid:literal, $action:expr, $msg:literal;)*) => {
        /// What the decoder found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Decoder { $($(#[$doc])* $name),* }

        impl Decoder {
            /// All of them with sid, default action (None: counted, not reported) and message, in order.
            pub const TABLE: &'static [(Decoder, u32, Option<Action>, &'static str)] =
                &[$((Decoder::$name, $sid, $action, $msg)),*];

            /// Its name, in Rust's way of writing it.
            fn word(self) -> &'static str {
                match self { $(Decoder::$name => stringify!($name)),* }
            }
        }
    };
}

const DIVERT: Option<Action> = Some(Action::Divert);
const ALERT: Option<Action> = Some(Action::Alert);
const QUIET: Option<Action> = None;

decoders! {
    /// Ambiguous framing first.
    ContentLengthConflict = 1, DIVERT, "HTTP ambiguous: several Content-Length values";
    ContentLengthInvalid = 2, DIVERT, "HTTP ambiguous: Content-Length is not a plain decimal number";
    ContentLengthAndTransferEncoding = 3, DIVERT, "HTTP ambiguous: Content-Length together with Transfer-Encoding";
    TransferEncodingInvalid = 4, DIVERT, "HTTP ambiguous: Transfer-Encoding is not exactly 'chunked'";
    TransferEncodingOldVersion = 5, DIVERT, "HTTP ambiguous: Transfer-Encoding before HTTP/1.1";
    ChunkFraming = 6, DIVERT, "HTTP ambiguous: bad chunk framing";
    BareCarriageReturn = 7, DIVERT, "HTTP ambiguous: carriage return without line feed in the head";
    HeadTooLarge = 8, DIVERT, "HTTP ambiguous: request head too large";
    TooManyHeaders = 9, DIVERT, "HTTP ambiguous: too many headers";
    FramingHeaderObfuscated = 10, DIVERT, "HTTP ambiguous: obfuscated Content-Length, Transfer-Encoding or Host header";
    HostConflict = 11, DIVERT, "HTTP ambiguous: several Host headers with different values";
    UriReadings = 12, DIVERT, "HTTP ambiguous: more readings of the URI than can be kept";
    BlankHeaderLine = 13, DIVERT, "HTTP ambiguous: header line of blanks only";
    CompressionBomb = 14, DIVERT, "HTTP ambiguous: compressed body that grows beyond measure";
    /// No client that follows links writes these, and servers differ in where they lead.
    DisguisedWayUp = 15, DIVERT, "HTTP ambiguous: a way up ('../') that is encoded twice, overlong or by %u in the URI";
    FarAboveRoot = 16, DIVERT, "HTTP ambiguous: URI path climbs above the root three times, or by a backslash";
    /// Some servers leave such a body unread, and read it as the next request.
    RequestInBody = 17, DIVERT, "HTTP ambiguous: body of a GET or HEAD that begins as a request does";
    /// Oddities.
    NotHttp = 20, ALERT, "HTTP decoder: the bytes are no HTTP request";
    BareLineFeed = 21, ALERT, "HTTP decoder: line feed without carriage return in the head";
    RequestLineBlanks = 22, ALERT, "HTTP decoder: tab, leading or repeated blank in the request line";
    SimpleRequest = 23, ALERT, "HTTP decoder: request without version (HTTP/0.9)";
    BadVersion = 24, ALERT, "HTTP decoder: unusual protocol version";
    EncodedNul = 25, DIVERT, "HTTP decoder: NUL byte in the URI path";
    DoubleEncoding = 26, ALERT, "HTTP decoder: doubly encoded URI path";
    InvalidPercent = 27, QUIET, "HTTP decoder: invalid percent encoding in the URI";
    UnicodePercent = 28, ALERT, "HTTP decoder: %u encoding in the URI";
    OverlongUtf8 = 29, ALERT, "HTTP decoder: overlong UTF-8 in the URI";
    AboveRoot = 30, ALERT, "HTTP decoder: URI path climbs above the root";
    UnescapedSpace = 31, QUIET, "HTTP decoder: unescaped space in the URI";
    FoldedHeader = 32, ALERT, "HTTP decoder: folded header";
    MissingColon = 33, ALERT, "HTTP decoder: header line without colon";
    HeaderName = 34, ALERT, "HTTP decoder: malformed header name";
    HeaderNul = 35, ALERT, "HTTP decoder: NUL byte in the head";
    ContentLengthRepeated = 36, ALERT, "HTTP decoder: Content-Length repeated with the same value";
    ChunkExtension = 37, QUIET, "HTTP decoder: chunk extension or padded chunk size";
    HostMismatch = 38, ALERT, "HTTP decoder: host of the URI differs from the Host header";
    FieldTooLong = 39, ALERT, "HTTP decoder: very long header field";
    Http2Preface = 40, ALERT, "HTTP decoder: unexpected HTTP/2 preface";
    DepthReached = 41, ALERT, "HTTP decoder: body longer than the inspection depth";
    EncodedBody = 42, ALERT, "HTTP decoder: body in an unknown content coding, inspected as sent";
    MatchBound = 43, ALERT, "Matcher: bound on retries reached for a rule";
    PcreBound = 44, ALERT, "Matcher: bound on backtracking reached for an expression";
    WorkBound = 45, DIVERT, "Matcher: bound on the work for one request reached";
    Refused = 50, ALERT, "HTTP decoder: the profile's server refuses this URI";
    EncodedPlain = 51, QUIET, "HTTP decoder: letter or digit percent-encoded in the URI";
    DotSegment = 52, QUIET, "HTTP decoder: dot segment in the URI path";
    RepeatedSlash = 53, QUIET, "HTTP decoder: repeated slash in the URI path";
    Backslash = 54, QUIET, "HTTP decoder: backslash in the URI path";
    DotParameter = 55, ALERT, "HTTP decoder: dot segment with a parameter in the URI path";
    Fragment = 56, QUIET, "HTTP decoder: fragment in the URI";
    ControlInUri = 57, ALERT, "HTTP decoder: control character in the URI";
    FoldedOften = 58, ALERT, "HTTP decoder: header folded over very many lines";
    HeaderRepeated = 59, QUIET, "HTTP decoder: header repeated that stands once";
    ContentTypeConflict = 60, ALERT, "HTTP decoder: several Content-Type values";
    Charset = 61, ALERT, "HTTP decoder: unusual or repeated charset";
    ExpectUnknown = 62, ALERT, "HTTP decoder: Expect is not 100-continue";
    ExpectWithoutBody = 63, QUIET, "HTTP decoder: Expect without a body";
    UpgradeHttp2 = 64, ALERT, "HTTP decoder: upgrade to HTTP/2 in clear text";
    Connect = 65, ALERT, "HTTP decoder: CONNECT";
    MissingHost = 66, QUIET, "HTTP decoder: HTTP/1.1 request without Host";
    Trailer = 67, QUIET, "HTTP decoder: trailer fields after a chunked body";
    TrailerForbidden = 68, ALERT, "HTTP decoder: trailer field that belongs into the head";
    CodingBroken = 69, ALERT, "HTTP decoder: compressed body that cannot be decompressed";
    GzipOddity = 70, ALERT, "HTTP decoder: unusual gzip container";
    CodingLayers = 71, ALERT, "HTTP decoder: more content codings than are undone";
    MultipartBoundary = 72, ALERT, "HTTP decoder: multipart with an unusable or repeated boundary";
    MultipartPart = 73, ALERT, "HTTP decoder: malformed part of a multipart body";
    MultipartRepeated = 74, ALERT, "HTTP decoder: name or filename of a part repeated";
    MultipartEnd = 75, QUIET, "HTTP decoder: multipart without final boundary";
    MultipartParts = 76, ALERT, "HTTP decoder: more parts than are looked at";
    MethodName = 77, ALERT, "HTTP decoder: malformed method";
}

/// A set of them, one bit each.
pub(crate) type Oddities = u128;

impl Decoder {
    pub(crate) fn bit(self) -> Oddities {
        1 << self as u8
    }

    /// What an event of it is called, as Suricata writes such names: `DOUBLE_ENCODING`.
    pub fn event(self) -> String {
        let mut name = String::new();
        for letter in self.word().chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }

    /// Who found it, in an event.
    pub fn layer(self) -> &'static str {
        match self {
            Decoder::NotHttp | Decoder::Http2Preface => "proto_detect",
            Decoder::MatchBound | Decoder::PcreBound | Decoder::WorkBound => "matcher",
            _ => "proto_parser",
        }
    }

    /// By its number.
    pub fn of_sid(sid: u32) -> Option<Decoder> {
        Decoder::TABLE.iter().find(|row| row.1 == sid).map(|row| row.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_order_and_sids_are_unique() {
        for (index, (decoder, sid, _, _)) in Decoder::TABLE.iter().enumerate() {
            assert_eq!(*decoder as usize, index);
            assert_eq!(Decoder::TABLE.iter().filter(|row| row.1 == *sid).count(), 1);
        }
        assert!(Decoder::TABLE.len() <= 128, "the set of found oddities is one word");
        assert_eq!(Decoder::OverlongUtf8.event(), "OVERLONG_UTF8");
    }
}
