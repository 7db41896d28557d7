// SPDX-License-Identifier: Apache-2.0
//! The rule document: what the rule loader hands over, one JSON object, byte strings in hex.

use serde::{Deserialize, Deserializer};

use crate::http::Profile;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Divert,
    /// An alert; several different ones of one source divert ([`crate::score`]).
    Score,
    Alert,
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
    /// It only changes bits and is never reported.
    #[serde(default)]
    pub silent: bool,
    pub options: Vec<RuleOption>,
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
        /// Relative: `cursor + value <= size`; absolute: `value < size` (Suricata's reading).
        value: Number,
        #[serde(default)]
        relative: bool,
        #[serde(default)]
        negated: bool,
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
    /// Bits of the connection.
    Flowbits {
        command: BitCommand,
        bits: Vec<String>,
        #[serde(default)]
        any: bool,
    },
    /// A bit of the source, for so many seconds.
    Xbits {
        command: BitCommand,
        name: String,
        #[serde(default)]
        seconds: u32,
    },
    Count(CountOption),
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

/// A rule matches only at certain ones of what would be its matches in a window of time.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct CountOption {
    pub how: CountKind,
    pub count: u32,
    pub seconds: u32,
    pub track: Track,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    Source,
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
