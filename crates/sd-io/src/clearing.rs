// SPDX-License-Identifier: Apache-2.0
//! The tables by which XDP clears requests (`bpf/clear.h`), as shared memory, and the judge alone for tests.

use std::mem::offset_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{fence, AtomicU64, Ordering};
use std::time::Duration;

use libbpf_rs::{MapCore, Object, ProgramInput};

use crate::abi::{self, Clearing};
use crate::error::{Error, Result};
use crate::net;
use crate::object;
use crate::shared::{share, Mapping};

/// One service's automaton, with rows counted from its own first entry.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Automaton<'a> {
    pub classes: &'a [u8; 256],
    pub entries: &'a [u32],
    pub start: u32,
    pub line: u32,
    /// Asked in their order from the first; at most [`abi::GUARDS`].
    pub guards: Vec<abi::Guard>,
}

/// NH (see `sd_sum_and_hash` of bpf/clear.h), and the length.
fn seal(mix: u64, key: impl Fn(usize) -> u64, request: &[u8]) -> u64 {
    let mut padded = request.to_vec();
    padded.resize(request.len().next_multiple_of(abi::CLEAR_STRIDE), 0);
    let mut hash = 0u64;
    for (n, piece) in padded.chunks(8).enumerate().take(abi::CLEAR_LONGEST / 8) {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        let mixed = u64::from_le_bytes(word).wrapping_add(key(n));
        hash = hash.wrapping_add((mixed & 0xffff_ffff) * (mixed >> 32));
    }
    hash.wrapping_mul(mix) & !0xffff | request.len() as u64 & 0xffff
}

/// Maps "clearing" and "automata".
#[derive(Debug)]
pub struct SharedClearing {
    control: Mapping,
    automata: Mapping,
}

impl SharedClearing {
    /// Share the maps behind these descriptors, which may be closed afterwards.
    pub fn open(clearing: BorrowedFd<'_>, automata: BorrowedFd<'_>) -> Result<Self> {
        let (control, _) = share(clearing, "clearing", size_of::<Clearing>(), true)?;
        let (automata, _) = share(automata, "automata", (abi::CLEAR_ENTRIES + 256) * 4, true)?;
        Ok(Self { control, automata })
    }

    /// Clear by these automata from now on, by service; a service without one is not cleared, nor is any meanwhile.
    ///
    /// Automata that do not fit (all together have [`abi::CLEAR_ENTRIES`]) are left out; returns the places of these.
    pub fn install(&self, services: &[Option<Automaton<'_>>]) -> Vec<usize> {
        let Some(sequence) = self.control.u64(offset_of!(Clearing, sequence)) else { return Vec::new() };
        let odd = sequence.load(Ordering::Acquire) | 1;
        sequence.store(odd, Ordering::SeqCst);
        // Who reads a new entry sees the odd number afterwards.
        fence(Ordering::SeqCst);
        let mut base = 0usize;
        let mut left_out = Vec::new();
        for service in 0..abi::SERVICES {
            let mut begin = abi::Begin { start: 0, line: 0, guards: 0, pad: 0 };
            if let Some(automaton) = services.get(service).and_then(Option::as_ref) {
                if base + automaton.entries.len() <= abi::CLEAR_ENTRIES && automaton.guards.len() <= abi::GUARDS {
                    for (place, entry) in automaton.entries.iter().enumerate() {
                        if let Some(to) = self.automata.u32((base + place) * 4) {
                            to.store(entry + base as u32, Ordering::Relaxed);
                        }
                    }
                    for (byte, class) in automaton.classes.iter().enumerate() {
                        if let Some(to) = self.control.u8(offset_of!(Clearing, classes) + service * 256 + byte) {
                            to.store(*class, Ordering::Relaxed);
                        }
                    }
                    for (place, guard) in automaton.guards.iter().enumerate() {
                        self.write_guard(
                            offset_of!(Clearing, guards) + (service * abi::GUARDS + place) * size_of::<abi::Guard>(),
                            guard,
                        );
                    }
                    begin.start = automaton.start + base as u32;
                    begin.line = automaton.line + base as u32;
                    begin.guards = automaton.guards.len() as u32;
                    base += automaton.entries.len();
                } else {
                    left_out.push(service);
                }
            }
            let place = offset_of!(Clearing, begin) + service * size_of::<abi::Begin>();
            self.put(place + offset_of!(abi::Begin, start), begin.start);
            self.put(place + offset_of!(abi::Begin, line), begin.line);
            self.put(place + offset_of!(abi::Begin, guards), begin.guards);
        }
        sequence.store(odd + 1, Ordering::Release);
        left_out
    }

    fn put(&self, place: usize, value: u32) {
        if let Some(to) = self.control.u32(place) {
            to.store(value, Ordering::Relaxed);
        }
    }

    fn write_guard(&self, place: usize, guard: &abi::Guard) {
        self.put(place + offset_of!(abi::Guard, low), guard.low);
        self.put(place + offset_of!(abi::Guard, span), guard.span);
        for (field, value) in [
            (offset_of!(abi::Guard, field), guard.field),
            (offset_of!(abi::Guard, hit), guard.hit),
            (offset_of!(abi::Guard, miss), guard.miss),
        ] {
            if let Some(to) = self.control.u16(place + field) {
                to.store(value, Ordering::Relaxed);
            }
        }
    }

    /// Unless they are there: keys of the hashes of cleared requests.
    pub(crate) fn draw_keys(&self) -> Result<()> {
        let place = |offset: usize| self.control.u64(offset);
        let Some(mix) = place(offset_of!(Clearing, seal_mix)) else { return Ok(()) };
        if mix.load(Ordering::Relaxed) != 0 {
            return Ok(());
        }
        for n in 0..abi::CLEAR_LONGEST / 8 {
            if let Some(key) = place(offset_of!(Clearing, seal_key) + n * 8) {
                key.store(net::random_word()?, Ordering::Relaxed);
            }
        }
        mix.store(net::random_word()? | 1, Ordering::Relaxed);
        Ok(())
    }

    /// What XDP remembers of a request that it cleared: \[hash:48\]\[length:16\]. It clears none that is longer than the
    /// key.
    pub fn seal(&self, request: &[u8]) -> u64 {
        let key = |offset: usize| self.control.u64(offset).map_or(0, |key| key.load(Ordering::Relaxed));
        seal(key(offset_of!(Clearing, seal_mix)), |n| key(offset_of!(Clearing, seal_key) + n * 8), request)
    }

    /// Nothing of this source is cleared before this time, ns of CLOCK_MONOTONIC.
    pub fn hold(&self, source: [u8; 4], ns: u64) {
        let mix = self.control.u64(offset_of!(Clearing, seal_mix)).map_or(0, |mix| mix.load(Ordering::Relaxed));
        let hash = u64::from(u32::from_ne_bytes(source)).wrapping_mul(mix) >> (64 - abi::HELD_BITS);
        // The source's own first: who finds the latest looks there.
        for place in [offset_of!(Clearing, held) + hash as usize * 8, offset_of!(Clearing, held_until)] {
            if let Some(until) = self.control.u64(place) {
                until.fetch_max(ns, Ordering::SeqCst);
            }
        }
    }
}

/// Why requests were not cleared, and how often: counted by the inspector, beside the tables. The first two places are for
/// all and for those that found no place.
#[derive(Debug)]
pub struct Travelled(Mapping);

impl Travelled {
    /// Share the map "clearing" behind this descriptor, which may be closed afterwards.
    pub fn open(clearing: BorrowedFd<'_>) -> Result<Self> {
        Ok(Self(share(clearing, "clearing", size_of::<Clearing>(), true)?.0))
    }

    fn place(&self, n: usize, field: usize) -> Option<&AtomicU64> {
        self.0.u64(offset_of!(Clearing, travelled) + (n % abi::TRAVELLED) * 16 + field * 8)
    }

    fn count(&self, n: usize) {
        if let Some(count) = self.place(n, 1) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One request travelled for these reasons (not 0).
    pub fn add(&self, reasons: impl Iterator<Item = u64>) {
        self.count(0);
        for reason in reasons {
            self.count(self.place_of(reason).unwrap_or(1));
        }
    }

    fn place_of(&self, reason: u64) -> Option<usize> {
        let first = (reason.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
        (0..8).map(|n| 2 + first.wrapping_add(n) % (abi::TRAVELLED - 2)).find(|n| {
            self.place(*n, 0).is_some_and(|key| {
                let taken = key.compare_exchange(0, reason, Ordering::Relaxed, Ordering::Relaxed);
                taken.is_ok() || taken == Err(reason)
            })
        })
    }

    /// How many requests, and each reason with its count.
    pub fn list(&self) -> (u64, Vec<(u64, u64)>) {
        let read = |n: usize, field: usize| self.place(n, field).map_or(0, |place| place.load(Ordering::Relaxed));
        let reasons = (2..abi::TRAVELLED).map(|n| (read(n, 0), read(n, 1))).filter(|(reason, _)| *reason != 0);
        (read(0, 1), reasons.collect())
    }
}

/// The judge of the director alone, for tests and measurements: not attached to anything.
pub struct Judge {
    object: Object,
    tables: SharedClearing,
}

impl Judge {
    /// Load it into the kernel.
    pub fn load() -> Result<Self> {
        let mut open = object::open("judge", object::JUDGE)?;
        for mut map in open.maps_mut().filter(|map| map.name() == "lines") {
            map.set_max_entries(object::cpus()?).map_err(|error| Error::bpf("set the size of a map", &error))?;
        }
        let object = open.load().map_err(|error| Error::bpf("load the BPF program \"judge\"", &error))?;
        let map = |name: &str| {
            object.maps().find(|map| map.name() == name).ok_or_else(|| Error::invalid(format!("no map \"{name}\"")))
        };
        let tables = SharedClearing::open(map("clearing")?.as_fd(), map("automata")?.as_fd())?;
        Ok(Self { object, tables })
    }

    /// Its tables.
    pub fn tables(&self) -> &SharedClearing {
        &self.tables
    }

    /// Judge a request `repeat` times, an Ethernet frame without options in its headers: whether the first service's tables clear it, and the mean duration.
    pub fn judge(&self, frame: &[u8], repeat: u32) -> Result<(bool, Duration)> {
        const XDP_TX: u32 = 3;
        let program = self.object.progs_mut().next().ok_or_else(|| Error::host("the BPF object has no program"))?;
        let input = ProgramInput { data_in: Some(frame), repeat, ..ProgramInput::default() };
        let output = program.test_run(input).map_err(|error| Error::bpf("run the BPF program on a request", &error))?;
        Ok((output.return_value == XDP_TX, output.duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like drawn ones.
    fn drawn(n: u64) -> u64 {
        let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    fn with_key(key: u64, request: &[u8]) -> u64 {
        seal(drawn(key) | 1, |n| drawn(key << 32 | n as u64), request)
    }

    /// Bits that a step of shifting and multiplying carries from one word to the next can be taken back there, whatever the
    /// key: the second request would get to a server as a repetition of the first.
    #[test]
    fn no_two_requests_of_one_seal_are_made_without_the_key() {
        let request = b"GET /cgi-bin/0hf?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: shop\r\n\r\n";
        let mut same = 0;
        for key in 0..200u64 {
            for (flip, back) in [0x40, 0x80].into_iter().flat_map(|flip| [0, 2, 4, 6].map(|back| (flip, back))) {
                for (first, second) in [(23, 31), (24, 28), (24, 32), (16, 48)] {
                    let mut other = *request;
                    other[first] ^= flip;
                    other[second] ^= flip;
                    other[28] ^= back;
                    same += usize::from(with_key(key, &other) == with_key(key, request));
                }
            }
        }
        assert_eq!(same, 0);
    }

    #[test]
    fn a_seal_says_the_length() {
        assert_eq!(with_key(1, b"GET / HTTP/1.1") & 0xffff, 14);
        assert_ne!(with_key(1, b"1234567"), with_key(1, b"1234567\0"));
        assert_ne!(with_key(1, b"12345678"), with_key(2, b"12345678"));
    }
}
