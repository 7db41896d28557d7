// SPDX-License-Identifier: Apache-2.0
//! What a rule cannot match a plain request without: pieces of which one must stand in it.

use super::guards::Guard;
use super::literals;
use super::text::{bits, fold, shortened};
use crate::document::{
    BitCommand, Comparison, Content, Dialect, Number, Operator, Pcre, Rule, RuleOption, TransformStep,
};
use crate::expressions::Known;
use crate::transform::untransformed;
use crate::Buffer;

/// More alternatives than this are no use.
const ALTERNATIVES: usize = 64;

/// A content of so many bits is better than any guard.
const RARE: f32 = 16.0;

/// What a protocol's name is worth where it does not belong.
const ENDS: f32 = 20.0;

/// Where in a request a piece may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    Line,
    Header,
    /// The value of the header User-Agent.
    Agent,
    Both,
}

impl Region {
    /// What is looked for in `area` (all but `Both`): a piece of this region may stand there.
    pub fn reaches(self, area: Region) -> bool {
        match self {
            Region::Both => true,
            Region::Header => matches!(area, Region::Header | Region::Agent),
            _ => self == area,
        }
    }
}

/// Folded bytes to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Box<[u8]>,
    pub region: Region,
    /// It matters in a line of more bytes: 0, or one of [`LONG`].
    pub over: usize,
}

/// Lines of more bytes than this, and than this, are told apart.
pub const LONG: [usize; 2] = [100, 200];
/// What it is worth that a line is so long, in bits.
const LONG_BITS: [f32; 2] = [4.0, 6.0];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// No plain request can match.
    Never,
    /// One of these stands in each that matches.
    Pieces(Vec<Piece>),
    /// Only segments for which this holds.
    Guarded(Guard),
    /// Only in connections with a bit that another rule's match has set: of these nothing is cleared.
    Bits,
    /// Nothing that could be looked for.
    Open,
}

/// What the pieces of one option are worth.
struct Choice {
    pieces: Vec<Piece>,
    bits: f32,
}

/// Requests of other lengths are not cleared.
pub const SHORTEST: usize = 24;
pub const LONGEST: usize = 2048;

/// TCP flags of the segments that are cleared: ACK, or with PSH.
pub const FLAGS: [u8; 2] = [0x10, 0x18];

impl Need {
    /// What a rule has most of is asked for: a bit costs nothing, a content next to nothing, a guard some time for each
    /// request. `known`: what is known of an expression.
    pub fn of(rule: &Rule, mut known: impl FnMut(&Pcre) -> Option<Known>) -> Need {
        let mut best: Option<Choice> = None;
        let mut bits_wanted = false;
        let mut least = 0;
        for option in &rule.options {
            let found = match option {
                RuleOption::Oddity { sids } if sids.iter().all(|sid| !of_plain_oddity(*sid)) => return Need::Never,
                RuleOption::Content(content) if may_be_absent(rule, content.buffer) => continue,
                RuleOption::Pcre(pcre) if may_be_absent(rule, pcre.buffer) => continue,
                RuleOption::Transform { buffer, .. } if may_be_absent(rule, *buffer) => continue,
                RuleOption::Content(content) => of_content(rule, content),
                RuleOption::Pcre(pcre) if !pcre.negated => {
                    let Some(known) = known(pcre) else { continue };
                    let (offer, bytes) = of_expression(rule.dialect, pcre, &known);
                    least = least.max(bytes);
                    offer
                }
                RuleOption::Transform { buffer, steps, options } => of_transformed(rule, *buffer, steps, options),
                RuleOption::Flowbits { command: BitCommand::Isset, bits, .. } => {
                    bits_wanted |= !bits.is_empty();
                    continue;
                }
                _ => continue,
            };
            match found {
                Offer::Impossible => return Need::Never,
                Offer::Nothing => {}
                Offer::Choice(choice) => {
                    if best.as_ref().is_none_or(|best| best.bits < choice.bits) {
                        best = Some(choice);
                    }
                }
            }
        }
        let Some(guard) = Guard::of(rule, least) else { return Need::Never };
        match best {
            _ if bits_wanted => Need::Bits,
            Some(best) if guard.is_empty() || best.bits >= RARE.min(guard.bits()) => Need::Pieces(best.pieces),
            _ if guard.is_empty() => Need::Open,
            _ => Need::Guarded(guard),
        }
    }
}

/// The rule also matches requests without this buffer, whatever it looks for there.
fn may_be_absent(rule: &Rule, buffer: Buffer) -> bool {
    let meant = rule.dialect.buffer(buffer);
    rule.options
        .iter()
        .any(|option| matches!(option, RuleOption::Absent { buffer, .. } if rule.dialect.buffer(*buffer) == meant))
}

/// Whether a plain request may have what the built-in rule of this number tells of: its framing, its percent signs, its
/// line ends and its Host are known.
fn of_plain_oddity(sid: u32) -> bool {
    !matches!(sid, 1..=11 | 14 | 22 | 26 | 32..=34 | 36 | 37 | 42 | 66 | 69 | 71..=73 | 77)
}

/// What one option of a rule offers to look for.
enum Offer {
    /// A plain request cannot have it.
    Impossible,
    Nothing,
    Choice(Choice),
}

/// How the bytes of a buffer stand in a plain request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The request line, or a part of it.
    Line,
    Target,
    Method,
    /// Lines as sent.
    Lines(Region),
    /// Lines whose repetitions are joined by commas.
    Joined(Region),
    /// One line's value.
    Value,
    Names,
    /// Not in a request without a body.
    Absent,
}

fn shape(buffer: Buffer) -> Shape {
    match buffer {
        Buffer::HttpUri | Buffer::HttpUriSnort2 | Buffer::HttpUriSnort3 | Buffer::HttpRawUri => Shape::Target,
        Buffer::HttpRequestLine | Buffer::HttpProtocol => Shape::Line,
        Buffer::HttpMethod => Shape::Method,
        Buffer::HttpHeader | Buffer::HttpHeaderSnort2 | Buffer::HttpHeaderSnort3 => Shape::Joined(Region::Header),
        Buffer::HttpRequestHeader => Shape::Joined(Region::Header),
        Buffer::HttpStart => Shape::Joined(Region::Both),
        Buffer::HttpRawHeader => Shape::Lines(Region::Header),
        Buffer::Raw => Shape::Lines(Region::Both),
        Buffer::HttpUserAgent => Shape::Lines(Region::Agent),
        Buffer::HttpCookie
        | Buffer::HttpCookieSnort2
        | Buffer::HttpHost
        | Buffer::HttpRawHost
        | Buffer::HttpContentType
        | Buffer::HttpReferer
        | Buffer::HttpAccept
        | Buffer::HttpAcceptEnc
        | Buffer::HttpAcceptLang
        | Buffer::HttpConnection => Shape::Value,
        Buffer::HttpHeaderNames => Shape::Names,
        Buffer::HttpClientBody
        | Buffer::HttpClientBodySnort3
        | Buffer::HttpRawBody
        | Buffer::HttpContentLen
        | Buffer::HttpTrailer
        | Buffer::HttpPartName
        | Buffer::HttpFileName
        | Buffer::HttpFileData => Shape::Absent,
    }
}

/// The best of the contents that can be looked for in the buffer itself.
fn of_transformed(rule: &Rule, buffer: Buffer, steps: &[TransformStep], options: &[RuleOption]) -> Offer {
    let mut best = Offer::Nothing;
    for option in options {
        let RuleOption::Content(content) = option else { continue };
        let Some(content) = untransformed(steps, content) else { continue };
        match (of_content(rule, &Content { buffer, ..content }), &best) {
            (Offer::Impossible, _) => return Offer::Impossible,
            (Offer::Choice(new), Offer::Choice(old)) if new.bits <= old.bits => {}
            (Offer::Choice(new), _) => best = Offer::Choice(new),
            (Offer::Nothing, _) => {}
        }
    }
    best
}

fn of_content(rule: &Rule, content: &Content) -> Offer {
    let buffer = rule.dialect.buffer(content.buffer);
    let shape = shape(buffer);
    if content.negated || content.bytes.is_empty() {
        return Offer::Nothing;
    }
    let mut text: Vec<u8> = content.bytes.clone();
    if shape == Shape::Method {
        return if of_plain_method(&text) { Offer::Nothing } else { Offer::Impossible };
    }
    let length = text.len() as i64;
    let at_start = content.startswith
        || matches!(content.offset, None | Some(Number::Fixed(0)))
            && matches!(content.depth, Some(Number::Fixed(depth)) if depth == length);
    let whole = at_start && rule.options.iter().any(|option| is_exactly(rule.dialect, option, buffer, length as u32));
    let at_end = content.endswith || whole;
    // What stands around a buffer in the request belongs to the content there.
    match buffer {
        Buffer::HttpUri | Buffer::HttpRawUri | Buffer::HttpUriSnort3 | Buffer::HttpUriSnort2 => {
            if at_start {
                text.insert(0, b' ');
            }
            if at_end {
                text.extend_from_slice(b" HTTP/1.");
            }
            // Inside a target no space is sent, except as a plus.
            if rule.dialect == Dialect::Suricata && content.bytes.contains(&b' ') {
                return Offer::Impossible;
            }
            return pieces_of(&text, Shape::Line);
        }
        Buffer::HttpUserAgent
        | Buffer::HttpReferer
        | Buffer::HttpAccept
        | Buffer::HttpAcceptEnc
        | Buffer::HttpAcceptLang
        | Buffer::HttpContentType
        | Buffer::HttpCookie
        | Buffer::HttpHost
        | Buffer::HttpRawHost => {
            if at_start {
                let name: &[u8] = match buffer {
                    Buffer::HttpUserAgent => b"user-agent: ",
                    Buffer::HttpReferer => b"referer: ",
                    Buffer::HttpAccept => b"accept: ",
                    Buffer::HttpAcceptEnc => b"accept-encoding: ",
                    Buffer::HttpAcceptLang => b"accept-language: ",
                    Buffer::HttpContentType => b"content-type: ",
                    Buffer::HttpCookie => b"cookie: ",
                    _ => b"host: ",
                };
                text.splice(0..0, name.iter().copied());
            }
            // A port may follow a host.
            if at_end && buffer != Buffer::HttpHost {
                text.extend_from_slice(b"\r\n");
            }
            if content.bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
                return Offer::Impossible;
            }
            let region = if buffer == Buffer::HttpUserAgent { Region::Agent } else { Region::Header };
            return pieces_of(&text, Shape::Lines(region));
        }
        Buffer::Raw => {
            // Behind the request line comes a header at once.
            let parts = split_lines(&text);
            if at_start && parts.len() > 2 && parts[1].is_empty() {
                return Offer::Impossible;
            }
            if let Some(choice) = besides_the_protocol(rule, content) {
                return Offer::Choice(choice);
            }
        }
        _ => {}
    }
    pieces_of(&text, shape)
}

/// A content that each request line's end has, but that must not be followed by what follows it there: it is looked
/// for where something else follows.
fn besides_the_protocol(rule: &Rule, content: &Content) -> Option<Choice> {
    const END: &[u8] = b" http/1.";
    const TAILS: [&[u8]; 2] = [b" http/1.0\r\n", b" http/1.1\r\n"];
    let text: Vec<u8> = content.bytes.iter().map(|byte| fold(*byte)).collect();
    let after = memchr::memmem::find(END, &text)? + text.len();
    let index =
        rule.options.iter().position(|option| matches!(option, RuleOption::Content(c) if std::ptr::eq(c, content)));
    // What must not stand right behind the content; anything else may move on from it.
    let mut barred: Vec<(usize, &[u8])> = Vec::new();
    for option in &rule.options[index? + 1..] {
        match option {
            RuleOption::Isdataat { .. } => {}
            RuleOption::Content(next) if next.negated && next.buffer == content.buffer => {
                let Some(Number::Fixed(within)) = next.within else { break };
                let at_once = matches!(next.distance, None | Some(Number::Fixed(0)));
                let placed = next.offset.is_some() || next.depth.is_some() || next.startswith || next.endswith;
                // Folding changes nothing of these.
                let stays = next.bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'\r' | b'\n'));
                if at_once && stays && !placed && !next.bytes.is_empty() {
                    barred.push((usize::try_from(within).ok()?, &next.bytes));
                }
            }
            _ => break,
        }
    }
    let is_barred = |read: &[u8]| {
        barred.iter().any(|(within, bytes)| memchr::memmem::find(&read[..read.len().min(*within)], bytes).is_some())
    };
    let tails = TAILS.map(|tail| &tail[after..]);
    if !tails.iter().all(|tail| is_barred(tail)) {
        return None;
    }
    let mut pieces = vec![Piece { bytes: text.clone().into_boxed_slice(), region: Region::Header, over: 0 }];
    let mut begun: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(read) = begun.pop() {
        for byte in (b' '..=b'~').chain([b'\r', b'\n']).filter(|byte| fold(*byte) == *byte) {
            let longer = [read.as_slice(), &[byte]].concat();
            if is_barred(&longer) {
                continue;
            }
            if tails.iter().any(|tail| tail.starts_with(&longer)) {
                begun.push(longer);
            } else if !matches!(byte, b'\r' | b'\n') {
                let bytes = [text.as_slice(), &longer].concat().into_boxed_slice();
                pieces.push(Piece { bytes, region: Region::Line, over: 0 });
            }
        }
    }
    Some(Choice { pieces, bits: ENDS })
}

/// Some plain request's method has this text.
fn of_plain_method(text: &[u8]) -> bool {
    let has = |method: &[u8]| method.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text));
    has(b"GET") || has(b"HEAD")
}

/// Some plain request begins so, as far as its first blank.
fn begins_plain(text: &[u8]) -> bool {
    [&b"get "[..], b"head "]
        .into_iter()
        .any(|start| start.iter().zip(text).all(|(wanted, byte)| *wanted == fold(*byte)))
}

/// The option says that the buffer has exactly this length.
fn is_exactly(dialect: Dialect, option: &RuleOption, buffer: Buffer, length: u32) -> bool {
    match option {
        RuleOption::Urilen(found) | RuleOption::Bsize(found) => {
            let Comparison { op, value, .. } = found.comparison;
            !found.relative && dialect.buffer(found.buffer) == buffer && op == Operator::Equal && value == length
        }
        _ => false,
    }
}

/// Where a line of a content may stand: not in the request line what that cannot have.
fn region_of(line: &[u8], region: Region) -> Region {
    let line_cannot = line.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'#'));
    let starts_inside = line.first() == Some(&b'\n') || line.first() == Some(&b'\r');
    if region == Region::Both && (line_cannot || starts_inside) {
        Region::Header
    } else {
        region
    }
}

/// Cut `text` where a plain request may show something else between, and choose the rarest part.
fn pieces_of(text: &[u8], shape: Shape) -> Offer {
    if text.iter().any(|byte| !matches!(byte, b' '..=b'~' | b'\r' | b'\n')) {
        return Offer::Impossible;
    }
    // Each of them suffices; of its pieces one has to stand there.
    let mut candidates: Vec<Vec<Piece>> = Vec::new();
    let mut add = |ways: &[Vec<u8>], region: Region| {
        if ways.iter().all(|bytes| bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))) {
            let piece =
                |bytes: &Vec<u8>| Piece { bytes: bytes.iter().map(|byte| fold(*byte)).collect(), region, over: 0 };
            candidates.push(ways.iter().map(piece).collect());
        }
    };
    match shape {
        Shape::Line | Shape::Target => {
            let target_only = shape == Shape::Target;
            if text.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'#' | b'\r' | b'\n')) {
                return Offer::Impossible;
            }
            if !target_only || !text.is_empty() {
                add(&[text.to_vec()], Region::Line);
            }
        }
        Shape::Lines(region) => {
            for line in lines(text) {
                let region = region_of(&line, region);
                add(&[line], region);
            }
        }
        Shape::Joined(region) => {
            for line in lines(text) {
                let region = region_of(&line, region);
                // Where values were joined there is a comma, of which nothing was sent.
                line.split(|byte| *byte == b',').for_each(|part| add(&[part.to_vec()], region));
                if let Some(ways) = with_joints(&line) {
                    add(&ways, region);
                }
            }
        }
        Shape::Names => {
            let parts: Vec<&[u8]> = split_lines(text);
            // Half a line end: after it comes the other here, and a colon in the request.
            if parts.iter().any(|part| part.iter().any(|byte| matches!(byte, b'\r' | b'\n'))) {
                return Offer::Nothing;
            }
            let last = parts.len() - 1;
            for (index, name) in parts.iter().enumerate() {
                if name.is_empty() {
                    continue;
                }
                let mut bytes = Vec::new();
                if index > 0 {
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(name);
                if index < last {
                    bytes.push(b':');
                }
                add(&[bytes], Region::Header);
            }
        }
        Shape::Absent => return Offer::Impossible,
        Shape::Value => {
            if text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
                return Offer::Impossible;
            }
            add(&[text.to_vec()], Region::Header);
        }
        Shape::Method => return Offer::Nothing,
    }
    let rated = candidates.into_iter().map(|pieces| {
        let mut choice = Choice { bits: f32::INFINITY, pieces };
        for piece in &mut choice.pieces {
            piece.bytes = shortened(&piece.bytes).into();
            let cost = match piece.region {
                Region::Line | Region::Agent => 0.0,
                Region::Header => 2.0,
                Region::Both => 3.0,
            };
            choice.bits = choice.bits.min(bits(&piece.bytes) - cost);
        }
        choice.bits -= (choice.pieces.len() as f32).log2();
        choice
    });
    rated.max_by(|a, b| a.bits.total_cmp(&b.bits)).map_or(Offer::Nothing, Offer::Choice)
}

/// What of a line with commas stands in a plain request, when each comma with a blank behind it may be one by which the
/// values of repeated headers were joined: the line itself, or for each such comma, if it is the first joint, what ends a
/// value before it or begins one behind it. None when there is no comma, or one leaves nothing to look for.
fn with_joints(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    // What is a blank here may have been a plus, which begins values.
    let folded: Vec<u8> = line.iter().map(|byte| fold(*byte)).collect();
    let joint = |text: &[u8], at: usize| text[at] == b',' && text.get(at + 1).is_none_or(|next| *next == b' ');
    if !folded.contains(&b',') {
        return None;
    }
    let mut ways = vec![folded.clone()];
    for at in (0..folded.len()).filter(|at| joint(&folded, *at)) {
        let after = folded.get(at + 2..).unwrap_or_default();
        // No value is empty, so that the next joint is not at once.
        let next = (1..after.len()).find(|at| joint(after, *at)).unwrap_or(after.len());
        ways.push(match (&folded[..at], &after[..next]) {
            ([], []) => return None,
            ([], begin) => [b": ", begin].concat(),
            (end, _) => [end, b"\r\n"].concat(),
        });
    }
    Some(ways)
}

fn split_lines(text: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        parts.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    parts.push(rest);
    parts
}

/// The lines of a content, each with the line end before it and the one behind it, as far as the content has them. A line
/// between may be missing in a buffer, or stand elsewhere.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let parts = split_lines(text);
    let last = parts.len() - 1;
    let mut out = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if part.is_empty() {
            continue;
        }
        let mut line = Vec::new();
        if index > 0 {
            line.extend_from_slice(b"\r\n");
        }
        line.extend_from_slice(part);
        if index < last {
            line.extend_from_slice(b"\r\n");
        }
        out.push(line);
    }
    out
}

/// The better of what stands anywhere in a match and what stands in a part of it in one line; and so many bytes it matches
/// at least.
fn of_expression(dialect: Dialect, pcre: &Pcre, known: &Known) -> (Offer, usize) {
    let everywhere = of_pcre(dialect, pcre, known.required.as_deref(), 0);
    let Some((bytes, literals)) = known.in_line.as_deref().filter(|_| dialect.buffer(pcre.buffer) == Buffer::Raw)
    else {
        return (everywhere, 0);
    };
    let over = LONG.into_iter().rev().find(|long| bytes >= long).unwrap_or(0);
    let offer = match (everywhere, of_pcre(dialect, pcre, Some(literals), over)) {
        (Offer::Choice(one), Offer::Choice(other)) if one.bits >= other.bits => Offer::Choice(one),
        (Offer::Choice(one), Offer::Nothing) => Offer::Choice(one),
        (Offer::Impossible, _) => Offer::Impossible,
        (_, other) => other,
    };
    (offer, *bytes)
}

/// `over`: a line that matches has more bytes.
fn of_pcre(dialect: Dialect, pcre: &Pcre, literals: Option<&[Vec<u8>]>, over: usize) -> Offer {
    let shape = shape(dialect.buffer(pcre.buffer));
    if shape == Shape::Absent {
        return Offer::Impossible;
    }
    let Some(literals) = literals else { return Offer::Nothing };
    if shape == Shape::Method {
        let possible = literals.iter().any(|literal| literal.is_empty() || of_plain_method(literal));
        return if possible { Offer::Nothing } else { Offer::Impossible };
    }
    let mut all = Choice { pieces: Vec::new(), bits: f32::INFINITY };
    for literal in literals.iter() {
        let (first, literal) = match literal.split_first() {
            Some((&literals::BEGIN, rest)) => (true, rest),
            _ => (false, literal.as_slice()),
        };
        // The first line of what is sent begins with its method.
        if first && shape == Shape::Lines(Region::Both) && !pcre.relative && !begins_plain(literal) {
            continue;
        }
        if matches!(shape, Shape::Target) && dialect == Dialect::Suricata && literal.contains(&b' ') {
            continue;
        }
        match pieces_of(literal, shape) {
            Offer::Impossible => {}
            Offer::Nothing => return Offer::Nothing,
            Offer::Choice(choice) => {
                all.bits = all.bits.min(choice.bits);
                all.pieces.extend(choice.pieces);
            }
        }
    }
    match all.pieces.len() {
        0 => Offer::Impossible,
        count if count > ALTERNATIVES => Offer::Nothing,
        count => {
            all.bits -= (count as f32).log2();
            if let Some(long) = LONG.iter().position(|long| *long == over) {
                all.bits += LONG_BITS[long];
                all.pieces.iter_mut().for_each(|piece| piece.over = over);
            }
            Offer::Choice(all)
        }
    }
}
