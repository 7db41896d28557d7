// SPDX-License-Identifier: Apache-2.0
//! Which requests are plain: a small automaton over bytes, one line like the other.
//!
//! `GET` or `HEAD`, a target that begins with a slash and has nothing to decode, `HTTP/1.0` or `1.1`, header lines of
//! the form `Name: value CRLF` without blanks at the value's end, no header that frames a body or changes the protocol.
//! Headers that a server or a buffer could read in two ways when repeated raise a bit: twice the same is not plain, and
//! Host must be there.
//! Two pieces of bytes are forbidden besides ([`FORBIDDEN`]); the automaton that looks for contents does that.

use super::needs::Region;

pub const DEAD: u16 = 0;
pub const START: u16 = 1;
/// A header line begins; from here on all lines are alike.
pub const LINE: u16 = 2;

/// What has been read where the area `Agent` begins.
pub const AGENT: &[u8] = b"\r\nuser-agent:";

/// A slash after a slash, and a dot after one, are read differently; blanks at a line's end are cut off.
pub const FORBIDDEN: [(&[u8], Region); 3] = [(b"//", Region::Line), (b"/.", Region::Line), (b" \r", Region::Header)];

/// Headers whose repetition is not plain, in the order of their bits; the first must be there.
pub const ONCE: [&str; 8] =
    ["host", "cookie", "user-agent", "referer", "accept", "accept-encoding", "accept-language", "connection"];
/// A request with one of these is not plain.
const NEVER: [&str; 9] = [
    "content-type",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "expect",
    "upgrade",
    "http2-settings",
    "trailer",
    "proxy-connection",
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Edge {
    to: u16,
    once: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    edges: Vec<[Edge; 256]>,
    /// Where in a request each state is: `Line`, `Header` or `Agent`.
    area: Vec<Region>,
}

impl Grammar {
    /// `percent`: header values may hold percent signs, as no rule looks at them decoded.
    pub fn new(percent: bool) -> Grammar {
        let mut grammar = Grammar {
            edges: vec![[Edge::default(); 256]; 3],
            area: vec![Region::Header, Region::Line, Region::Header],
        };
        grammar.request_line();
        grammar.header_lines(percent);
        grammar
    }

    pub fn states(&self) -> usize {
        self.edges.len()
    }

    pub fn area(&self, state: u16) -> Region {
        self.area[usize::from(state)]
    }

    /// The state after `byte`, and the bits of headers that are known with it.
    pub fn next(&self, state: u16, byte: u8) -> (u16, u16) {
        let edge = self.edges[usize::from(state)][usize::from(byte)];
        (edge.to, edge.once)
    }

    fn add(&mut self, area: Region) -> u16 {
        self.edges.push([Edge::default(); 256]);
        self.area.push(area);
        (self.edges.len() - 1) as u16
    }

    fn on(&mut self, from: u16, bytes: impl IntoIterator<Item = u8>, to: u16) {
        for byte in bytes {
            self.edges[usize::from(from)][usize::from(byte)].to = to;
        }
    }

    /// New states that read `text`, in both cases with `fold`.
    fn chain(&mut self, from: u16, text: &str, fold: bool) -> u16 {
        let mut at = from;
        for byte in text.bytes() {
            let known = self.edges[usize::from(at)][usize::from(byte)].to;
            let next = if known == DEAD { self.add(self.area(at)) } else { known };
            self.on(at, [byte], next);
            if fold {
                self.on(at, [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()], next);
            }
            at = next;
        }
        at
    }

    fn request_line(&mut self) {
        let get = self.chain(START, "GET ", false);
        let head = self.chain(START, "HEAD", false);
        self.on(head, *b" ", get);
        let target = self.add(Region::Line);
        self.on(get, *b"/", target);
        self.on(target, (b'!'..=b'~').filter(|byte| !b"%\\#".contains(byte)), target);
        let dot = self.chain(target, " HTTP/1.", false);
        let version = self.add(Region::Line);
        self.on(dot, *b"01", version);
        let end = self.chain(version, "\r", false);
        self.on(end, *b"\n", LINE);
    }

    fn header_lines(&mut self, percent: bool) {
        let value_bytes = || (b' '..=b'~').filter(move |byte| percent || *byte != b'%');
        let [cr, agent_cr] = [Region::Header, Region::Agent].map(|area| {
            let cr = self.add(area);
            self.on(cr, *b"\n", LINE);
            cr
        });
        // Any value, after its colon and one space.
        let [colon, agent_colon] = [Region::Header, Region::Agent].map(|area| {
            let value = self.add(area);
            self.on(value, value_bytes(), value);
            self.on(value, *b"\r", if area == Region::Agent { agent_cr } else { cr });
            let space = self.add(area);
            self.on(space, value_bytes().filter(|byte| *byte != b' '), value);
            let colon = self.add(area);
            self.on(colon, *b" ", space);
            colon
        });
        let name_bytes = || (b'!'..=b'~').filter(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
        let name = self.add(Region::Header);
        self.on(name, name_bytes(), name);
        self.on(name, *b":", colon);
        // A host has no user and nothing that could be read as a path.
        let host_bytes = || (b'!'..=b'~').filter(|byte| byte.is_ascii_alphanumeric() || b".:-_".contains(byte));
        let host = self.add(Region::Header);
        self.on(host, host_bytes(), host);
        self.on(host, *b"\r", cr);
        let host_space = self.add(Region::Header);
        self.on(host_space, host_bytes(), host);
        let host_colon = self.add(Region::Header);
        self.on(host_colon, *b" ", host_space);
        // Connection: what does not change the protocol.
        let connection_colon = self.add(Region::Header);
        for kept in [" keep-alive", " close"] {
            let end = self.chain(connection_colon, kept, true);
            self.on(end, *b"\r", cr);
        }

        let mut known = Vec::new();
        let first = self.edges.len();
        for (bit, text) in ONCE.iter().enumerate() {
            let to = match *text {
                "host" => host_colon,
                "user-agent" => agent_colon,
                "connection" => connection_colon,
                _ => colon,
            };
            known.push((self.chain(LINE, text, true), to, 1u16 << bit));
        }
        for text in NEVER {
            known.push((self.chain(LINE, text, true), DEAD, 0));
        }
        // Names that only begin like a known one.
        for state in std::iter::once(LINE).chain(first as u16..self.edges.len() as u16) {
            for byte in name_bytes() {
                let edge = &mut self.edges[usize::from(state)][usize::from(byte)];
                if edge.to == DEAD {
                    edge.to = name;
                }
            }
            if state != LINE {
                self.on(state, *b":", colon);
            }
        }
        for (state, to, once) in known {
            self.edges[usize::from(state)][usize::from(b':')] = Edge { to, once };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> bool {
        let grammar = Grammar::new(true);
        let mut state = START;
        let (mut seen, mut twice) = (0, 0);
        for byte in text.bytes() {
            let (next, once) = grammar.next(state, byte);
            twice |= seen & once;
            seen |= once;
            state = next;
        }
        state == LINE && twice == 0 && seen & 1 == 1
    }

    #[test]
    fn table() {
        for (head, wanted) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n", true),
            ("HEAD /a?b=c HTTP/1.0\r\nhost: a.b:80\r\nX-y_z: a b  c\r\n", true),
            ("GET / HTTP/1.1\r\n", false),
            ("POST / HTTP/1.1\r\nHost: a\r\n", false),
            ("GET  / HTTP/1.1\r\nHost: a\r\n", false),
            ("GET /%41 HTTP/1.1\r\nHost: a\r\n", false),
            ("GET /\\ HTTP/1.1\r\nHost: a\r\n", false),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", false),
            ("GET / HTTP/1.1\nHost: a\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nX:y\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nX:  y\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z: w\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH: 0\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Lengths: 0\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n", false),
            ("GET / HTTP/1.1\r\nHost: u@a\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nX", false),
        ] {
            assert_eq!(plain(head), wanted, "{head:?}");
        }
    }
}
