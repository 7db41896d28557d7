// SPDX-License-Identifier: Apache-2.0
//! Puts one direction of a TCP connection in a capture in order.
//!
//! Unlike the inspector's own stream it sees a connection that went on: what is missing may never come, and the other
//! side's acknowledgements tell what its receiver got. Of overlapping segments the first one is kept, but for a segment
//! that begins before the other (the reading of the BSDs, and Suricata's default).

use std::collections::BTreeMap;

/// Bytes ahead of a gap that are kept, and how far ahead they may lie.
const AHEAD: usize = 1 << 20;

#[derive(Default)]
pub struct Half {
    /// Sequence number of the stream's first byte.
    base: Option<u32>,
    /// Bytes in order so far.
    next: u64,
    pending: BTreeMap<u64, Vec<u8>>,
    waiting: usize,
    pub closed: bool,
}

/// What a segment brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// It belongs to the stream.
    pub added: bool,
    /// It brought bytes that are next.
    pub bytes: Vec<u8>,
}

impl Half {
    pub fn begin(&mut self, base: u32) {
        self.base.get_or_insert(base);
    }

    pub fn has_begun(&self) -> bool {
        self.base.is_some()
    }

    /// How far bytes at this number reach into the stream.
    pub fn reach(&self, seq: u32, length: usize) -> u64 {
        self.place(seq).map_or(0, |at| (at + length as i64).max(0) as u64)
    }

    /// How many of the bytes in order its receiver has not acknowledged.
    pub fn unacknowledged(&self, ack: u32) -> usize {
        self.place(ack).map_or(usize::MAX, |at| (self.next as i64 - at).max(0) as usize)
    }

    /// What begins with this number is not behind a gap.
    pub fn expects(&self, seq: u32) -> bool {
        self.place(seq).is_some_and(|at| at <= self.next as i64)
    }

    pub fn memory(&self) -> usize {
        self.waiting
    }

    fn place(&self, seq: u32) -> Option<i64> {
        let base = self.base?;
        let next = base.wrapping_add(self.next as u32);
        Some(self.next as i64 + i64::from(seq.wrapping_sub(next) as i32))
    }

    pub fn insert(&mut self, seq: u32, data: &[u8]) -> Inserted {
        let Some(at) = self.place(seq) else { return Inserted::default() };
        let end = at + data.len() as i64;
        // What begins before the stream is no part of it.
        if at < 0 || end > self.next as i64 + AHEAD as i64 {
            return Inserted::default();
        }
        let (mut at, mut data) = (at as u64, data);
        if at < self.next {
            data = data.get((self.next - at) as usize..).unwrap_or_default();
            at = self.next;
        }
        if !data.is_empty() && self.waiting + data.len() <= AHEAD {
            self.keep(at, data);
        }
        Inserted { added: true, bytes: self.take() }
    }

    fn keep(&mut self, at: u64, data: &[u8]) {
        let mut at = at;
        let mut data = data.to_vec();
        // An earlier segment that began at or before this one is kept where they overlap.
        if let Some((start, part)) = self.pending.range(..=at).next_back() {
            let covered = (start + part.len() as u64).saturating_sub(at) as usize;
            if covered >= data.len() {
                return;
            }
            data.drain(..covered);
            at += covered as u64;
        }
        // This one is kept where a later one overlaps it.
        let end = at + data.len() as u64;
        let over: Vec<u64> = self.pending.range(at..end).map(|(start, _)| *start).collect();
        for start in over {
            let Some(mut part) = self.pending.remove(&start) else { continue };
            self.waiting -= part.len();
            let cut = ((end - start) as usize).min(part.len());
            part.drain(..cut);
            if !part.is_empty() {
                self.waiting += part.len();
                self.pending.insert(end, part);
            }
        }
        self.waiting += data.len();
        self.pending.insert(at, data);
    }

    fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(part) = self.pending.remove(&self.next) {
            self.waiting -= part.len();
            self.next += part.len() as u64;
            if out.is_empty() {
                out = part;
            } else {
                out.extend(part);
            }
        }
        out
    }

    /// The receiver has acknowledged bytes that the capture does not have: what stands behind them. None: nothing is
    /// missing.
    pub fn acknowledged(&mut self, ack: u32) -> Option<Vec<u8>> {
        let to = self.place(ack)?;
        let (&start, _) = self.pending.first_key_value()?;
        (to > self.next as i64 && to as u64 > start).then(|| self.pass_gap(start))
    }

    /// Nothing more will come: what stands behind the next gap.
    pub fn rest(&mut self) -> Option<Vec<u8>> {
        let (&start, _) = self.pending.first_key_value()?;
        Some(self.pass_gap(start))
    }

    fn pass_gap(&mut self, start: u64) -> Vec<u8> {
        self.next = start;
        self.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half() -> Half {
        let mut half = Half::default();
        half.begin(100);
        half
    }

    #[test]
    fn order_and_overlap() {
        let mut h = half();
        assert_eq!(h.insert(103, b"def"), Inserted { added: true, bytes: b"".to_vec() });
        assert_eq!(h.insert(104, b"XYZ").bytes, b"");
        assert_eq!(h.insert(100, b"abc").bytes, b"abcdefZ");
        assert_eq!(h.insert(101, b"bc"), Inserted { added: true, bytes: Vec::new() });
        assert!(!h.insert(99, b"zz").added && !h.insert(100 + (2 << 20), b"far").added);
        // A later segment that begins before another one replaces it.
        let mut h = half();
        h.insert(104, b"EFGH");
        h.insert(102, b"cdef");
        assert_eq!(h.insert(100, b"ab").bytes, b"abcdefGH");
    }

    #[test]
    fn gaps_end_with_an_acknowledgement_or_the_capture() {
        let mut h = half();
        assert_eq!(h.insert(100, b"VERY").bytes, b"VERY");
        h.insert(108, b"DATA");
        assert_eq!(h.acknowledged(108), None);
        assert_eq!(h.acknowledged(112), Some(b"DATA".to_vec()));
        h.insert(120, b"x");
        assert_eq!((h.rest(), h.rest()), (Some(b"x".to_vec()), None));
        assert_eq!(h.memory(), 0);
    }

    #[test]
    fn numbers_wrap() {
        let mut h = Half::default();
        h.begin(u32::MAX - 1);
        assert_eq!(h.insert(u32::MAX - 1, b"abcd").bytes, b"abcd");
        assert_eq!(h.insert(2, b"e").bytes, b"e");
        assert_eq!(h.next, 5);
    }
}
