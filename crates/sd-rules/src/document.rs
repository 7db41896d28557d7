// SPDX-License-Identifier: Apache-2.0
//! The rule document: what the rule loader hands over, one JSON object, byte strings in hex.

use serde::{Deserialize, Deserializer};

use crate::http::Profile;
use crate::standing::Opening;
use crate::Buffer;

/// The document version that this crate reads.
pub const VERSION: u32 = 1;

/// The version of what holds a document for each service.
pub const COLLECTION_VERSION: u32 = 2;

/// All services' documents, in the order of the services.
#[derive(Deserialize)]
pub struct Collection<'a> {
    pub version: u32,
    #[serde(borrow)]
    pub documents: Vec<&'a serde_json::value::RawValue>,
}

/// Whose requests a document judges.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Service {
    pub name: String,
    pub port: u16,
    pub protocol: Protocol,
    /// The server that it runs, for HTTP.
    pub profile: Profile,
}

impl Default for Service {
    fn default() -> Service {
        Service { name: "http".to_owned(), port: 80, protocol: Protocol::Http, profile: Profile::Generic }
    }
}

/// What a service's clients speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Http,
    /// Anything: only the stream of bytes is judged.
    Tcp,
}

/// What happens to a request that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Divert,
    /// An alert; several different ones of one source divert ([`crate::score`]).
    Score,
    Alert,
    /// What it matches is let through: other rules say nothing of it.
    Pass,
}

#[derive(Deserialize)]
pub struct Document<'a> {
    pub version: u32,
    #[serde(default)]
    pub service: Service,
    /// Other actions for built-in rules, by sid; null: not reported.
    #[serde(default)]
    pub builtin: std::collections::HashMap<u32, Option<Action>>,
    /// Kept as text: one rule that does not fit the model must not cost the others.
    #[serde(borrow)]
    pub rules: Vec<&'a serde_json::value::RawValue>,
    /// Rules that are lists of source addresses: XDP looks at those, the matcher names them.
    #[serde(default)]
    pub reputation: Vec<Listed>,
    /// What sets that rules name were loaded with.
    #[serde(default)]
    pub datasets: Vec<Dataset>,
}

/// A set of values that rules look up.
#[derive(Deserialize)]
pub struct Dataset {
    pub name: String,
    pub entries: Vec<DatasetEntry>,
}

#[derive(Deserialize)]
pub struct DatasetEntry {
    #[serde(deserialize_with = "hex")]
    pub bytes: Vec<u8>,
    #[serde(default)]
    pub reputation: u16,
}

/// What events say of a rule that is a list of addresses.
#[derive(Deserialize)]
pub struct Listed {
    #[serde(default = "one")]
    pub gid: u32,
    pub sid: u32,
    #[serde(default)]
    pub rev: u32,
    #[serde(default, deserialize_with = "nullable")]
    pub msg: String,
    #[serde(default, deserialize_with = "nullable")]
    pub classtype: String,
    #[serde(default, deserialize_with = "nullable")]
    pub category: String,
    #[serde(default = "three")]
    pub priority: u8,
    pub action: Action,
    #[serde(default, deserialize_with = "nullable")]
    pub file: String,
    #[serde(default)]
    pub line: u32,
}

#[derive(Deserialize)]
pub struct Rule {
    #[serde(default = "one")]
    pub gid: u32,
    pub sid: u32,
    #[serde(default)]
    pub rev: u32,
    #[serde(default, deserialize_with = "nullable")]
    pub msg: String,
    #[serde(default, deserialize_with = "nullable")]
    pub classtype: String,
    #[serde(default, deserialize_with = "nullable")]
    pub category: String,
    #[serde(default = "three")]
    pub priority: u8,
    pub action: Action,
    #[serde(default, deserialize_with = "nullable")]
    pub file: String,
    #[serde(default)]
    pub line: u32,
    pub scope: Scope,
    #[serde(default)]
    pub dialect: Dialect,
    #[serde(default)]
    pub dst_ports: Option<Vec<(u16, u16)>>,
    #[serde(default)]
    pub dst_ports_negated: bool,
    /// The client's ports; none: any.
    #[serde(default)]
    pub src_ports: Option<Vec<(u16, u16)>>,
    /// The clients; none: any.
    #[serde(default)]
    pub sources: Option<Networks>,
    /// It has no options on purpose: whatever its header allows matches.
    #[serde(default)]
    pub every: bool,
    /// For captures: what the header says besides, and of what the rule is asked.
    #[serde(default)]
    pub view: Option<ViewTest>,
    /// It only changes bits and is never reported.
    #[serde(default)]
    pub silent: bool,
    /// It does `action` only when this holds, and scores else.
    #[serde(default)]
    pub standing: Option<Standing>,
    pub options: Vec<RuleOption>,
}

/// How a content has to stand somewhere in `buffer`; see [`crate::standing`].
#[derive(Deserialize)]
pub struct Standing {
    pub buffer: Buffer,
    #[serde(deserialize_with = "hex")]
    pub bytes: Vec<u8>,
    #[serde(default)]
    pub nocase: bool,
    /// In the address's path.
    #[serde(default)]
    pub path: bool,
    /// As a whole name.
    #[serde(default)]
    pub whole: bool,
    /// In the request line.
    #[serde(default)]
    pub line: bool,
    /// A name: in the path, nothing needs to open it.
    #[serde(default)]
    pub name: bool,
    /// With at least this before it.
    #[serde(default)]
    pub opening: Opening,
}

/// What a rule for captures is asked of: both directions, every protocol, with the addresses that are there.
#[derive(Deserialize)]
pub struct ViewTest {
    pub unit: UnitKind,
    /// Of `stream`: single packets are judged, too.
    #[serde(default)]
    pub packets: bool,
    /// Only connections with HTTP.
    #[serde(default)]
    pub http: bool,
    #[serde(default)]
    pub protocol: Option<u8>,
    #[serde(default)]
    pub from: Option<Networks>,
    #[serde(default)]
    pub to: Option<Networks>,
    #[serde(default)]
    pub from_ports: Option<Vec<(u16, u16)>>,
    #[serde(default)]
    pub to_ports: Option<Vec<(u16, u16)>>,
    /// Either end may be the source.
    #[serde(default)]
    pub both: bool,
    /// Whose packets: the client's or the server's; none: both.
    #[serde(default)]
    pub client: Option<bool>,
    #[serde(default)]
    pub established: Option<bool>,
    /// Ends what it matches: nothing of the connection is judged after it.
    #[serde(default)]
    pub drop: bool,
    /// It acts without being told.
    #[serde(default)]
    pub silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitKind {
    /// HTTP requests.
    Request,
    /// Every packet.
    Packet,
    /// The first packet of each direction of a connection.
    Once,
    /// The bytes of a connection, in order.
    Stream,
    /// Only bytes in order, never a packet's.
    Reassembled,
}

/// Addresses: in one of the first networks (none: any) and in none of the others.
#[derive(Deserialize)]
pub struct Networks {
    #[serde(rename = "in")]
    pub within: Vec<String>,
    #[serde(rename = "not")]
    pub without: Vec<String>,
}

/// Whose meaning a rule's options have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    Snort2,
    Snort3,
    #[default]
    Suricata,
}

impl Dialect {
    /// The buffer that a name means in this dialect.
    pub fn buffer(self, named: Buffer) -> Buffer {
        match (self, named) {
            (Dialect::Snort2, Buffer::HttpUri) => Buffer::HttpUriSnort2,
            (Dialect::Snort3, Buffer::HttpUri) => Buffer::HttpUriSnort3,
            (Dialect::Snort2, Buffer::HttpHeader) => Buffer::HttpHeaderSnort2,
            (Dialect::Snort3, Buffer::HttpHeader) => Buffer::HttpHeaderSnort3,
            (Dialect::Snort2, Buffer::HttpCookie) => Buffer::HttpCookieSnort2,
            (Dialect::Snort3, Buffer::HttpClientBody) => Buffer::HttpClientBodySnort3,
            (_, Buffer::HttpRawBody) => Buffer::HttpClientBody,
            _ => named,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Http,
    Packet,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum RuleOption {
    Content(Content),
    Pcre(Pcre),
    Urilen(Length),
    Bsize(Length),
    Isdataat {
        buffer: Buffer,
        /// Relative: `cursor + value <= size`; absolute: `value < size` (Suricata's reading). A relative value that is
        /// taken from the request has the dialect's: Snort asks for one byte more.
        value: Number,
        #[serde(default)]
        relative: bool,
        #[serde(default)]
        negated: bool,
    },
    /// The request has no such buffer.
    Absent {
        buffer: Buffer,
        /// Or what the other options on it ask for holds.
        #[serde(default)]
        or_else: bool,
    },
    /// The decoder has found one of these, named by the numbers of the built-in rules.
    Oddity {
        sids: Vec<u32>,
    },
    Dsize(Comparison),
    Flags {
        set: String,
        #[serde(default, deserialize_with = "nullable")]
        mode: String,
        #[serde(default, deserialize_with = "nullable")]
        mask: String,
    },
    Ack {
        value: u32,
    },
    Seq {
        value: u32,
    },
    /// A number of the IP or TCP header.
    Header {
        field: HeaderField,
        #[serde(flatten)]
        comparison: Comparison,
    },
    /// Letters M (more fragments), D (do not fragment), R (reserved), with the modes of `flags`.
    Fragbits {
        set: String,
        #[serde(default, deserialize_with = "nullable")]
        mode: String,
    },
    /// The IP header has this option; 256: any.
    Ipopts {
        value: u16,
    },
    Sameip,
    #[serde(rename = "stream_size")]
    StreamSize {
        side: StreamSide,
        #[serde(flatten)]
        comparison: Comparison,
    },
    /// Bits of the connection.
    Flowbits {
        command: BitCommand,
        bits: Vec<String>,
        #[serde(default)]
        any: bool,
    },
    /// A bit of the source, or of the destination, for so many seconds.
    Xbits {
        command: BitCommand,
        name: String,
        #[serde(default)]
        seconds: u32,
        #[serde(default)]
        track: Track,
    },
    /// A number of the connection.
    Flowint(IntOption),
    Count(CountOption),
    /// A buffer's value in a set, or with a set's reputation.
    Dataset(DatasetLookup),
    /// The options on bytes that only a packet has; the buffers that they name mean nothing.
    #[serde(rename = "packet_bytes")]
    PacketBytes {
        of: PacketBytes,
        options: Vec<RuleOption>,
    },
    /// What a connection has had so far. For captures only.
    #[serde(rename = "flow_size")]
    FlowSize {
        field: FlowField,
        #[serde(flatten)]
        comparison: Comparison,
    },
    #[serde(rename = "byte_test")]
    ByteTest(ByteTest),
    #[serde(rename = "byte_jump")]
    ByteJump(ByteJump),
    /// byte_extract and byte_math.
    #[serde(rename = "byte_extract")]
    ByteExtract(ByteExtract),
    /// The options on the decoded bytes; the buffers that they name mean nothing.
    #[serde(rename = "base64_decode")]
    Base64 {
        buffer: Buffer,
        #[serde(default)]
        bytes: Option<u32>,
        #[serde(default)]
        offset: u32,
        #[serde(default)]
        relative: bool,
        options: Vec<RuleOption>,
    },
    /// The options on what the steps make of the buffer, one after the other; without steps, on one of several of its kind
    /// that need not be the one that other options look into.
    Transform {
        buffer: Buffer,
        steps: Vec<TransformStep>,
        options: Vec<RuleOption>,
    },
}

/// Suricata's transformations.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum TransformStep {
    UrlDecode,
    ToLowercase,
    ToUppercase,
    StripWhitespace,
    CompressWhitespace,
    Dotprefix,
    HeaderLowercase,
    StripPseudoHeaders,
    ToMd5,
    ToSha1,
    ToSha256,
    Xor {
        #[serde(deserialize_with = "hex")]
        key: Vec<u8>,
    },
    /// The first group's capture.
    Pcrexform {
        pattern: String,
    },
    FromBase64 {
        #[serde(default)]
        offset: u32,
        #[serde(default)]
        bytes: Option<u32>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderField {
    Ttl,
    Tos,
    Id,
    Protocol,
    Fragoffset,
    Window,
    /// Of the TCP header's options.
    Mss,
    Wscale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamSide {
    Client,
    Server,
    Both,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BitCommand {
    Set,
    Unset,
    Toggle,
    Isset,
    Isnotset,
}

impl BitCommand {
    pub fn tests(self) -> bool {
        matches!(self, BitCommand::Isset | BitCommand::Isnotset)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct IntOption {
    pub name: String,
    pub op: IntOperator,
    /// A number, or the name of another one of the connection.
    #[serde(default)]
    pub value: Number,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum IntOperator {
    #[serde(rename = "+")]
    Add,
    #[serde(rename = "-")]
    Subtract,
    #[serde(rename = "=")]
    Set,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    Not,
    #[serde(rename = "isset")]
    Isset,
    #[serde(rename = "isnotset")]
    Isnotset,
}

impl IntOperator {
    pub fn changes(self) -> bool {
        matches!(self, IntOperator::Add | IntOperator::Subtract | IntOperator::Set)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct DatasetLookup {
    pub buffer: Buffer,
    pub name: String,
    /// What the set's values are: string, md5, sha256, ipv4, ip.
    #[serde(rename = "type")]
    pub values: String,
    pub command: DatasetCommand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatasetCommand {
    Isset,
    Isnotset,
    /// A match when it was not there.
    Set,
    /// A match when it was.
    Unset,
    Reputation {
        op: ReputationOperator,
        value: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ReputationOperator {
    #[serde(rename = "<")]
    Less,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = "==")]
    Equal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PacketBytes {
    /// The TCP header with its options.
    Tcp,
    /// The IP header with its options.
    Ipv4,
    Ipv6,
    /// The address.
    Source,
    Destination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowField {
    /// Seconds since its first packet.
    Age,
    // Without a side: one of the two.
    PacketsToServer,
    PacketsToClient,
    Packets,
    BytesToServer,
    BytesToClient,
    Bytes,
}

/// A rule matches only at certain ones of what would be its matches in a window of time.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct CountOption {
    pub how: CountKind,
    pub count: u32,
    pub seconds: u32,
    pub track: Track,
    /// Matches with a port that has been counted do not count.
    #[serde(default)]
    pub unique: Option<Port>,
    /// Of a backoff.
    #[serde(default)]
    pub multiplier: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    Source,
    Destination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CountKind {
    /// Each that completes another `count`.
    Threshold,
    /// The one that completes `count`, once a window.
    Both,
    /// Each after the first `count`.
    Filter,
    /// Each of the first `count`: how often to tell, never whether it matches. For captures only.
    Limit,
    /// The one that completes `count`, then the one that completes `multiplier` times as many, and so on.
    Backoff,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    #[default]
    Source,
    /// For captures; a service has one address.
    Destination,
    /// Between this source and this destination.
    Both,
    /// Of this connection.
    Flow,
    /// Of all sources together.
    All,
}

/// A number, or the name of one that another option takes from the request.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Number {
    Fixed(i64),
    Name(String),
}

impl Default for Number {
    fn default() -> Number {
        Number::Fixed(0)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    #[default]
    Big,
    Little,
}

/// How a number is written as text.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    Dec,
    Hex,
    Oct,
}

#[derive(Deserialize)]
pub struct Field {
    pub buffer: Buffer,
    /// Of text, at most; 0: as many as there are digits.
    pub bytes: Number,
    #[serde(default)]
    pub offset: Number,
    #[serde(default)]
    pub relative: bool,
    #[serde(default)]
    pub endian: Endian,
    /// Given: the number is text.
    #[serde(default)]
    pub base: Option<Base>,
    #[serde(default)]
    pub bitmask: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub enum ByteOperator {
    #[serde(rename = "<")]
    Less,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "&")]
    And,
    #[serde(rename = "^")]
    Xor,
}

#[derive(Deserialize)]
pub struct ByteTest {
    #[serde(flatten)]
    pub field: Field,
    pub op: ByteOperator,
    #[serde(default)]
    pub negated: bool,
    pub value: Number,
}

/// Where a jump is counted from.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JumpFrom {
    /// The end of the number that was read.
    #[default]
    Field,
    Beginning,
    End,
}

#[derive(Deserialize)]
pub struct ByteJump {
    #[serde(flatten)]
    pub field: Field,
    #[serde(default)]
    pub multiplier: Option<i64>,
    #[serde(default)]
    pub align: Option<i64>,
    #[serde(default)]
    pub from: JumpFrom,
    #[serde(default)]
    pub post_offset: Option<Number>,
}

#[derive(Deserialize)]
pub struct ByteExtract {
    #[serde(flatten)]
    pub field: Field,
    pub name: String,
    #[serde(default)]
    pub multiplier: Option<i64>,
    #[serde(default)]
    pub align: Option<i64>,
    #[serde(default)]
    pub math: Option<Math>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub enum MathOperator {
    #[serde(rename = "+")]
    Add,
    #[serde(rename = "-")]
    Subtract,
    #[serde(rename = "*")]
    Multiply,
    #[serde(rename = "/")]
    Divide,
    #[serde(rename = "<<")]
    Left,
    #[serde(rename = ">>")]
    Right,
}

#[derive(Deserialize)]
pub struct Math {
    pub op: MathOperator,
    pub value: Number,
}

#[derive(Deserialize)]
pub struct Content {
    pub buffer: Buffer,
    #[serde(deserialize_with = "hex")]
    pub bytes: Vec<u8>,
    #[serde(default)]
    pub nocase: bool,
    #[serde(default)]
    pub negated: bool,
    #[serde(default)]
    pub offset: Option<Number>,
    #[serde(default)]
    pub depth: Option<Number>,
    #[serde(default)]
    pub distance: Option<Number>,
    #[serde(default)]
    pub within: Option<Number>,
    #[serde(default)]
    pub startswith: bool,
    #[serde(default)]
    pub endswith: bool,
    #[serde(default)]
    pub fast_pattern: bool,
}

#[derive(Deserialize)]
pub struct Pcre {
    pub buffer: Buffer,
    #[serde(deserialize_with = "hex")]
    pub pattern: Vec<u8>,
    #[serde(flatten)]
    pub flags: PcreFlags,
    #[serde(default)]
    pub relative: bool,
    #[serde(default)]
    pub negated: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct PcreFlags {
    pub nocase: bool,
    pub dotall: bool,
    pub multiline: bool,
    pub extended: bool,
    pub anchored: bool,
    pub dollar_endonly: bool,
    pub ungreedy: bool,
}

#[derive(Deserialize)]
pub struct Length {
    pub buffer: Buffer,
    /// What follows the last match is measured.
    #[serde(default)]
    pub relative: bool,
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// A comparison with a length; `<>` excludes both ends.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Comparison {
    pub op: Operator,
    pub value: u32,
    #[serde(default)]
    pub high: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Operator {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "<>")]
    Between,
    #[serde(rename = "!=")]
    Not,
}

impl Comparison {
    pub fn holds(&self, length: usize) -> bool {
        let value = self.value as usize;
        match self.op {
            Operator::Equal => length == value,
            Operator::Less => length < value,
            Operator::Greater => length > value,
            Operator::AtMost => length <= value,
            Operator::AtLeast => length >= value,
            Operator::Not => length != value,
            Operator::Between => length > value && length < self.high.unwrap_or(u32::MAX) as usize,
        }
    }
}

fn one() -> u32 {
    1
}

fn three() -> u8 {
    3
}

fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

fn hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    unhex(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("a byte string is not hexadecimal"))
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() % 2 != 0 {
        return None;
    }
    text.chunks_exact(2)
        .map(|pair| Some(crate::http::hex_value(pair[0])? << 4 | crate::http::hex_value(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_and_refused() {
        assert_eq!(unhex(b"00ff4A"), Some(vec![0, 255, 0x4a]));
        assert_eq!(unhex(b"0"), None);
        assert_eq!(unhex(b"0g"), None);
    }

    #[test]
    fn comparisons() {
        let of = |op, value, high| Comparison { op, value, high };
        for (comparison, inside, outside) in [
            (of(Operator::Equal, 5, None), 5, 6),
            (of(Operator::Less, 5, None), 4, 5),
            (of(Operator::Greater, 5, None), 6, 5),
            (of(Operator::AtMost, 5, None), 5, 6),
            (of(Operator::AtLeast, 5, None), 5, 4),
            (of(Operator::Between, 5, Some(8)), 6, 5),
            (of(Operator::Between, 5, Some(8)), 7, 8),
        ] {
            assert!(comparison.holds(inside), "{comparison:?}");
            assert!(!comparison.holds(outside), "{comparison:?}");
        }
    }
}
