// SPDX-License-Identifier: Apache-2.0
//! One direction of one connection: segments in, one sequence of bytes out.
//!
//! Keeps what has not been forwarded, what the current request began with (for a replay to the honeypot), and a piece of
//! what was forwarded before: under direct server return the server's acknowledgements are invisible, so a
//! retransmission has to be compared with, and sent again from, a copy. Two different bytes for one sequence number are a
//! conflict; no byte that cannot be compared is ever forwarded.

/// Bytes of forwarded requests that are kept to compare retransmissions with.
const HISTORY: usize = 16 * 1024;
/// While a body passes that is too deep to inspect, this much of it is kept.
const DEEP_HISTORY: usize = 256 * 1024;
/// Segments that came too early: how far ahead of the next byte, how many, how many bytes.
const AHEAD_WINDOW: u32 = 16 * 1024 * 1024;
const AHEAD_SEGMENTS: usize = 1024;
const AHEAD_BYTES: usize = 1024 * 1024;
/// What keeping one of them takes besides its bytes: its entry, and the allocator's own.
const AHEAD_EACH: usize = size_of::<Ahead>() + 32;

/// `a - b` for sequence numbers (RFC 9293, section 3.4): negative when a is before b.
pub fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// What an inserted segment did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// New bytes are in order now.
    pub advanced: bool,
    /// Its bytes contradict bytes that came before for the same sequence numbers.
    pub conflict: bool,
    /// This range was forwarded before and has come again, the same: forward it again.
    pub again: Option<(u32, u32)>,
    /// It was not taken: outside the window, or no room.
    pub refused: Option<Refused>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    OutOfWindow,
    NoRoom,
    /// Older than the copy that is kept.
    Unverifiable,
}

#[derive(Debug)]
struct Ahead {
    seq: u32,
    bytes: Box<[u8]>,
}

#[derive(Debug)]
pub struct Stream {
    /// Sequence number of `bytes[0]`.
    start: u32,
    bytes: Vec<u8>,
    /// Where the current request begins in `bytes`.
    request: usize,
    /// False once the current request's beginning had to be let go.
    whole: bool,
    /// All before this has been forwarded.
    sent: u32,
    ahead: Vec<Ahead>,
    ahead_bytes: usize,
    fin: Option<u32>,
}

impl Stream {
    pub fn new(next: u32) -> Stream {
        Stream {
            start: next,
            bytes: Vec::new(),
            request: 0,
            whole: true,
            sent: next,
            ahead: Vec::new(),
            ahead_bytes: 0,
            fin: None,
        }
    }

    /// Nothing waits here: all that came has been forwarded.
    pub fn idle(&self) -> bool {
        self.request().is_empty() && self.sent == self.next() && self.ahead.is_empty() && self.fin.is_none()
    }

    /// Take up what XDP forwarded just before this stream's beginning; the caller has verified it.
    pub fn recall(&mut self, bytes: &[u8]) {
        self.bytes.splice(0..0, bytes.iter().copied());
        self.start = self.start.wrapping_sub(bytes.len() as u32);
        self.request += bytes.len();
    }

    /// Sequence number of the first byte that is kept.
    pub fn start(&self) -> u32 {
        self.start
    }

    /// The sequence number that comes next in order.
    pub fn next(&self) -> u32 {
        self.start.wrapping_add(self.bytes.len() as u32)
    }

    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// Sequence number of the current request's first byte.
    pub fn request_start(&self) -> u32 {
        self.start.wrapping_add(self.request as u32)
    }

    /// The current request as far as it has come.
    pub fn request(&self) -> &[u8] {
        &self.bytes[self.request..]
    }

    /// The client's FIN is in order: nothing comes after [`Stream::next`].
    pub fn finished(&self) -> bool {
        self.fin == Some(self.next())
    }

    /// Bytes of memory that this stream holds.
    pub fn memory(&self) -> usize {
        self.bytes.len() + self.ahead_bytes + self.ahead.len() * AHEAD_EACH
    }

    /// The bytes from `from` to `to`, as far as they are kept.
    pub fn range(&self, from: u32, to: u32) -> &[u8] {
        let a = distance(from, self.start).max(0) as usize;
        let b = (distance(to, self.start).max(0) as usize).min(self.bytes.len());
        &self.bytes[a.min(b)..b]
    }

    /// True when the current request is still held from its first byte, so that it can be replayed.
    pub fn replayable(&self) -> bool {
        self.whole
    }

    pub fn insert(&mut self, seq: u32, payload: &[u8], fin: bool) -> Inserted {
        let mut result = Inserted::default();
        let end = seq.wrapping_add(payload.len() as u32);
        if fin {
            // A FIN before bytes that are already in order contradicts them.
            if distance(end, self.next()) < 0 || self.fin.is_some_and(|f| f != end) {
                result.refused = Some(Refused::OutOfWindow);
                return result;
            }
            self.fin = Some(end);
        }
        let ahead = distance(seq, self.next());
        if ahead > 0 {
            self.keep_ahead(seq, payload, &mut result);
            return result;
        }
        if distance(end, self.next()) > 0 || (payload.is_empty() && ahead == 0) {
            let known = (-ahead) as usize;
            if !self.same(seq, &payload[..known.min(payload.len())], &mut result) {
                return result;
            }
            self.append(&payload[known.min(payload.len())..], &mut result);
            if self.drain_ahead() {
                result.conflict = true;
            }
            if known > 0 && distance(seq, self.sent) < 0 {
                let to = if distance(self.sent, end) < 0 { self.sent } else { end };
                result.again = Some((seq, to));
            }
            return result;
        }
        // Nothing new: a retransmission, or a keep-alive with one byte of garbage (RFC 9293, section 3.8.4).
        if payload.len() == 1 && ahead == -1 {
            result.again = (distance(seq, self.sent) < 0).then_some((seq, end));
            return result;
        }
        if self.same(seq, payload, &mut result) && distance(seq, self.sent) < 0 {
            let to = if distance(self.sent, end) < 0 { self.sent } else { end };
            result.again = Some((seq, to));
        }
        result
    }

    /// Compare with what is kept; false with `conflict` or `refused` set otherwise.
    fn same(&self, seq: u32, payload: &[u8], result: &mut Inserted) -> bool {
        let offset = distance(seq, self.start);
        if offset < 0 {
            result.refused = Some(Refused::Unverifiable);
            return false;
        }
        let offset = offset as usize;
        let known = &self.bytes[offset.min(self.bytes.len())..];
        let n = known.len().min(payload.len());
        if known[..n] != payload[..n] {
            result.conflict = true;
            return false;
        }
        true
    }

    fn append(&mut self, bytes: &[u8], result: &mut Inserted) {
        let room = match self.fin {
            Some(fin) => distance(fin, self.next()).max(0) as usize,
            None => bytes.len(),
        };
        if room < bytes.len() && self.fin.is_some() {
            // Bytes after the FIN: the server would not take them either.
            result.refused = Some(Refused::OutOfWindow);
        }
        self.bytes.extend_from_slice(&bytes[..room.min(bytes.len())]);
        result.advanced = true;
    }

    fn keep_ahead(&mut self, seq: u32, payload: &[u8], result: &mut Inserted) {
        if seq.wrapping_sub(self.next()) > AHEAD_WINDOW {
            result.refused = Some(Refused::OutOfWindow);
            return;
        }
        if payload.is_empty() {
            return;
        }
        let end = seq.wrapping_add(payload.len() as u32);
        let at = self.ahead.partition_point(|a| distance(a.seq, seq) < 0);
        // A frame carries less than 64 KiB, so only neighbours within that distance can overlap.
        let first = self.ahead[..at].partition_point(|a| distance(a.seq, seq) < -65536);
        let mut covered = false;
        for a in &self.ahead[first..] {
            if distance(a.seq, end) >= 0 {
                break;
            }
            let a_end = a.seq.wrapping_add(a.bytes.len() as u32);
            let from = if distance(a.seq, seq) > 0 { a.seq } else { seq };
            let to = if distance(a_end, end) < 0 { a_end } else { end };
            if distance(to, from) <= 0 {
                continue;
            }
            let n = distance(to, from) as usize;
            let (i, j) = (distance(from, a.seq) as usize, distance(from, seq) as usize);
            if a.bytes[i..i + n] != payload[j..j + n] {
                result.conflict = true;
                return;
            }
            covered |= n == payload.len();
        }
        if covered {
            return;
        }
        if self.ahead.len() >= AHEAD_SEGMENTS || self.ahead_bytes + payload.len() > AHEAD_BYTES {
            result.refused = Some(Refused::NoRoom);
            return;
        }
        self.ahead_bytes += payload.len();
        self.ahead.insert(at, Ahead { seq, bytes: payload.into() });
    }

    /// Take over what came early and is in order now; true on a conflict.
    fn drain_ahead(&mut self) -> bool {
        let mut taken = 0;
        let mut conflict = false;
        while let Some(a) = self.ahead.get(taken) {
            let known = distance(self.start.wrapping_add(self.bytes.len() as u32), a.seq);
            if known < 0 {
                break;
            }
            let known = (known as usize).min(a.bytes.len());
            let offset = distance(a.seq, self.start);
            if offset >= 0 {
                let offset = offset as usize;
                conflict |= self.bytes[offset..offset + known] != a.bytes[..known];
            }
            if conflict {
                // What is in order stays; the contradiction itself is not taken (and not compared again and again).
                self.ahead_bytes -= a.bytes.len();
                taken += 1;
                break;
            }
            self.ahead_bytes -= a.bytes.len();
            let limit = self
                .fin
                .map_or(usize::MAX, |f| distance(f, self.start.wrapping_add(self.bytes.len() as u32)).max(0) as usize);
            let fresh = &a.bytes[known..];
            self.bytes.extend_from_slice(&fresh[..fresh.len().min(limit)]);
            taken += 1;
        }
        self.ahead.drain(..taken);
        conflict
    }

    /// The current request ends before `seq`, where the next one begins.
    pub fn request_ends(&mut self, seq: u32) {
        self.request = (distance(seq, self.start).max(0) as usize).min(self.bytes.len());
        self.whole = true;
    }

    /// In a tunnel nothing is a request: judge from `seq` on, without a beginning to replay.
    pub fn judged_from(&mut self, seq: u32) {
        self.request_ends(seq);
        self.whole = false;
    }

    /// All before `to` has been forwarded.
    pub fn forwarded(&mut self, to: u32) {
        if distance(to, self.sent) > 0 {
            self.sent = to;
        }
    }

    /// Let go of forwarded bytes that are older than the history kept. Amortised: memory moves once per HISTORY bytes.
    pub fn trim(&mut self) {
        let sent = distance(self.sent, self.start).max(0) as usize;
        let old = self.request.min(sent);
        if old >= 2 * HISTORY {
            self.cut(old - HISTORY);
        }
    }

    /// While a body is too deep to inspect: the current request cannot be replayed any more, keep only a window of it.
    pub fn trim_deep(&mut self) {
        let sent = distance(self.sent, self.start).max(0) as usize;
        if sent >= 2 * DEEP_HISTORY {
            self.cut(sent - DEEP_HISTORY);
        }
    }

    fn cut(&mut self, n: usize) {
        self.bytes.drain(..n);
        self.start = self.start.wrapping_add(n as u32);
        self.whole &= n <= self.request;
        self.request = self.request.saturating_sub(n);
        if self.bytes.capacity() > 8 * HISTORY && self.bytes.len() < 2 * HISTORY {
            self.bytes.shrink_to(2 * HISTORY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(s: &mut Stream, seq: u32, b: &[u8]) -> Inserted {
        s.insert(seq, b, false)
    }

    #[test]
    fn in_order_and_out_of_order() {
        let base = 0xffff_fffe;
        let mut s = Stream::new(base);
        assert!(ok(&mut s, base, b"ab").advanced);
        assert!(!ok(&mut s, base.wrapping_add(4), b"ef").advanced);
        assert!(!s.ahead.is_empty());
        assert!(ok(&mut s, base.wrapping_add(2), b"cd").advanced);
        assert_eq!(s.request(), b"abcdef");
        assert!(s.ahead.is_empty());
    }

    #[test]
    fn retransmissions_are_compared_and_sent_again_only_where_forwarded() {
        let mut s = Stream::new(100);
        ok(&mut s, 100, b"abcdef");
        assert_eq!(ok(&mut s, 100, b"abc").again, None, "held bytes are not sent again");
        s.forwarded(104);
        assert_eq!(ok(&mut s, 100, b"abcdef").again, Some((100, 104)));
        assert!(ok(&mut s, 102, b"cXe").conflict);
        let partly = ok(&mut s, 103, b"defgh");
        assert!(partly.advanced && !partly.conflict);
        assert_eq!(partly.again, Some((103, 104)));
        assert_eq!(s.request(), b"abcdefgh");
    }

    #[test]
    fn early_segments_must_agree() {
        let mut s = Stream::new(0);
        ok(&mut s, 10, b"klm");
        assert!(ok(&mut s, 11, b"lX").conflict);
        let mut s = Stream::new(0);
        ok(&mut s, 2, b"cd");
        assert!(ok(&mut s, 0, b"abX").conflict, "the gap's filler contradicts what came early");
    }

    #[test]
    fn keep_alive_garbage_is_no_conflict() {
        let mut s = Stream::new(0);
        ok(&mut s, 0, b"abc");
        s.forwarded(3);
        let r = ok(&mut s, 2, b"\0");
        assert!(!r.conflict);
        assert_eq!(r.again, Some((2, 3)));
        assert_eq!(s.range(2, 3), b"c");
        ok(&mut s, 3, b"d");
        assert_eq!(ok(&mut s, 3, b"d").again, None, "a held byte is not sent");
    }

    #[test]
    fn nothing_unverifiable_is_taken() {
        let mut s = Stream::new(0);
        let block = vec![b'x'; 1000];
        for i in 0..100u32 {
            ok(&mut s, i * 1000, &block);
            s.request_ends((i + 1) * 1000);
            s.forwarded((i + 1) * 1000);
            s.trim();
        }
        assert!(s.memory() <= 2 * HISTORY + 1000);
        assert_eq!(ok(&mut s, 5, b"yyy").refused, Some(Refused::Unverifiable));
        assert_eq!(ok(&mut s, 99_000, &block).again, Some((99_000, 100_000)));
    }

    #[test]
    fn bounds() {
        let mut s = Stream::new(0);
        assert_eq!(ok(&mut s, AHEAD_WINDOW + 10, b"x").refused, Some(Refused::OutOfWindow));
        let mut refused = 0;
        for i in 0..2000u32 {
            refused += u32::from(ok(&mut s, 10 + i * 2, b"x").refused == Some(Refused::NoRoom));
        }
        assert_eq!(refused as usize, 2000 - AHEAD_SEGMENTS);
        assert!(s.memory() > 48 * AHEAD_SEGMENTS, "single bytes take more than a byte each");
    }

    #[test]
    fn fin_ends_the_stream() {
        let mut s = Stream::new(0);
        s.insert(3, b"de", true);
        assert!(!s.finished());
        s.insert(0, b"abc", false);
        assert!(s.finished());
        assert_eq!(s.request(), b"abcde");
        s.insert(5, b"more", false);
        assert_eq!(s.request(), b"abcde");
    }
}
