// SPDX-License-Identifier: Apache-2.0
//! The director's maps as shared memory: no system call for each access.
//!
//! The kernel program and other processes write to the same bytes, so every access is atomic and nothing here is ever a
//! plain reference into the mapping. An index outside the map is `None` or ignored, never a panic.

use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicU8, Ordering};

use crate::abi::{self, Bucket, Config, Flow, Service};
use crate::error::{Error, Result};
use crate::map;

/// One memory mapping, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to the mapping wherever it is used; it is accessed through atomics or, by its only other
// users (the AF_XDP rings), through `&mut self`.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives atomics only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `fd` None: private anonymous memory.
    pub(crate) fn new(fd: Option<BorrowedFd<'_>>, length: usize, writable: bool, offset: u64) -> std::io::Result<Self> {
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let flags = match fd {
            Some(_) => libc::MAP_SHARED | libc::MAP_POPULATE,
            None => libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
        };
        let raw = fd.map_or(-1, |fd| fd.as_raw_fd());
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, raw, offset as libc::off_t) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { start, length }),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn place<T>(&self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        if end > self.length || offset % align_of::<T>() != 0 {
            return None;
        }
        // SAFETY: inside the mapping, just checked.
        Some(unsafe { self.start.as_ptr().add(offset) }.cast())
    }

    pub(crate) fn u64(&self, offset: usize) -> Option<&AtomicU64> {
        // SAFETY: in bounds and aligned (the mapping begins at a page), alive as long as `self`, only atomics touch it.
        self.place(offset).map(|place| unsafe { AtomicU64::from_ptr(place) })
    }

    pub(crate) fn u32(&self, offset: usize) -> Option<&AtomicU32> {
        // SAFETY: as in `u64`.
        self.place(offset).map(|place| unsafe { AtomicU32::from_ptr(place) })
    }

    pub(crate) fn u16(&self, offset: usize) -> Option<&AtomicU16> {
        // SAFETY: as in `u64`.
        self.place(offset).map(|place| unsafe { AtomicU16::from_ptr(place) })
    }

    pub(crate) fn u8(&self, offset: usize) -> Option<&AtomicU8> {
        // SAFETY: as in `u64`.
        self.place(offset).map(|place| unsafe { AtomicU8::from_ptr(place) })
    }

    fn get64(&self, offset: usize) -> u64 {
        self.u64(offset).map_or(0, |place| place.load(Ordering::Relaxed))
    }

    fn get32(&self, offset: usize) -> u32 {
        self.u32(offset).map_or(0, |place| place.load(Ordering::Relaxed))
    }

    fn get16(&self, offset: usize) -> u16 {
        self.u16(offset).map_or(0, |place| place.load(Ordering::Relaxed))
    }

    fn get8(&self, offset: usize) -> u8 {
        self.u8(offset).map_or(0, |place| place.load(Ordering::Relaxed))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; every reference into it borrows from `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

pub(crate) fn share(fd: BorrowedFd<'_>, name: &str, value_size: usize, writable: bool) -> Result<(Mapping, u32)> {
    let info = map::info(fd)?;
    if info.kind != libbpf_sys::BPF_MAP_TYPE_ARRAY
        || info.value_size as usize != value_size
        || info.flags & libbpf_sys::BPF_F_MMAPABLE == 0
    {
        return Err(Error::invalid(format!("descriptor {} is not the map \"{name}\"", fd.as_raw_fd())));
    }
    // The kernel's array stride is the value size rounded up to 8.
    let bytes = info.max_entries as usize * value_size.next_multiple_of(8);
    let mapping = Mapping::new(Some(fd), bytes, writable, 0)
        .map_err(|error| Error::os(format!("map \"{name}\" into memory"), error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok((mapping, info.max_entries))
}

fn place_of_service(index: usize) -> Option<usize> {
    (index < abi::SERVICES).then(|| offset_of!(Config, services) + index * size_of::<Service>())
}

/// XDP reads the port as it stands in the packet.
fn place_of_port(port: u16) -> usize {
    offset_of!(Config, service_of) + usize::from(port.to_be())
}

/// Map "config".
#[derive(Debug)]
pub struct SharedConfig(Mapping);

/// What the director answers for; see [`SharedConfig::write`].
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Settings {
    pub vip: [u8; 4],
    /// Of the services, by their index.
    pub ports: Vec<u16>,
    pub mac: [u8; 6],
    pub flow_timeout_ns: u64,
    pub closed_timeout_ns: u64,
    pub attacker_expiry_ns: u64,
    pub inspect: bool,
}

impl SharedConfig {
    /// Share the map behind this descriptor for reading; the descriptor may be closed afterwards.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self> {
        Ok(Self(share(fd, "config", size_of::<Config>(), false)?.0))
    }

    /// For those functions that write.
    pub(crate) fn open_writable(fd: BorrowedFd<'_>) -> Result<Self> {
        Ok(Self(share(fd, "config", size_of::<Config>(), true)?.0))
    }

    /// Version of the layout; 0 in a new map.
    pub fn abi_version(&self) -> u32 {
        self.0.get32(offset_of!(Config, abi_version))
    }

    fn flags(&self) -> u32 {
        self.0.u32(offset_of!(Config, flags)).map_or(0, |flags| flags.load(Ordering::Acquire))
    }

    /// The director has been configured.
    pub fn ready(&self) -> bool {
        self.flags() & abi::CONFIG_READY != 0
    }

    /// Payload needs a verdict.
    pub fn inspect(&self) -> bool {
        self.flags() & abi::CONFIG_INSPECT != 0
    }

    /// The virtual address.
    pub fn vip(&self) -> [u8; 4] {
        self.0.get32(offset_of!(Config, vip)).to_ne_bytes()
    }

    /// Index of the service at this port.
    pub fn service(&self, port: u16) -> Option<usize> {
        usize::from(self.0.get8(place_of_port(port))).checked_sub(1)
    }

    /// The director's own MAC address.
    pub fn mac(&self) -> [u8; 6] {
        std::array::from_fn(|at| self.0.get8(offset_of!(Config, mac) + at))
    }

    /// Idle time after which an established flow is forgotten.
    pub fn flow_timeout_ns(&self) -> u64 {
        self.0.get64(offset_of!(Config, flow_timeout_ns))
    }

    /// ... after FIN or RST.
    pub fn closed_timeout_ns(&self) -> u64 {
        self.0.get64(offset_of!(Config, closed_timeout_ns))
    }

    /// How long a source stays marked.
    pub fn attacker_expiry_ns(&self) -> u64 {
        self.0.get64(offset_of!(Config, attacker_expiry_ns))
    }

    /// The honeypot that this source is sent to: the same choice as in bpf/director.bpf.c.
    pub fn honeypot_for(&self, service: usize, source: [u8; 4]) -> Option<u16> {
        let at = place_of_service(service)?;
        let n = self.0.get32(at + offset_of!(Service, n_honeypots));
        if n == 0 || n as usize > abi::SLOTS {
            return None;
        }
        let slot = (u32::from_be_bytes(source).wrapping_mul(2_654_435_761) >> 8) % n;
        Some(u16::from(self.0.get8(at + offset_of!(Service, honeypots) + slot as usize)))
    }

    fn set64(&self, offset: usize, value: u64) {
        if let Some(place) = self.0.u64(offset) {
            place.store(value, Ordering::Relaxed);
        }
    }

    fn set32(&self, offset: usize, value: u32, order: Ordering) {
        if let Some(place) = self.0.u32(offset) {
            place.store(value, order);
        }
    }

    /// For a new map: fresh keys and the version.
    pub(crate) fn initialise(&self, keys: [u64; 2]) {
        let at = offset_of!(Config, hash_key);
        for (n, key) in keys.into_iter().enumerate() {
            self.set64(at + n * 8, key);
        }
        self.set32(offset_of!(Config, abi_version), abi::ABI_VERSION, Ordering::Release);
    }

    /// The flags come last: XDP looks at nothing before it has seen READY.
    pub(crate) fn write(&self, settings: &Settings) {
        // A service at another place than before has no machines until its schedule is written.
        for (index, port) in settings.ports.iter().enumerate() {
            if let (true, Some(_)) = (self.service(*port) != Some(index), place_of_service(index)) {
                self.write_schedule(index, &[], &[]);
            }
        }
        for port in 0..=u16::MAX {
            let index = settings.ports.iter().take(abi::SERVICES).position(|ours| *ours == port);
            if let Some(place) = self.0.u8(place_of_port(port)) {
                place.store(index.map_or(0, |index| index as u8 + 1), Ordering::Relaxed);
            }
        }
        // Address and the first half of the MAC share a word with nothing else.
        let mut first = [0u8; 8];
        first[..4].copy_from_slice(&settings.vip);
        first[6..].copy_from_slice(&settings.mac[..2]);
        self.set64(offset_of!(Config, vip), u64::from_ne_bytes(first));
        let last = [settings.mac[2], settings.mac[3], settings.mac[4], settings.mac[5]];
        self.set32(offset_of!(Config, mac) + 2, u32::from_ne_bytes(last), Ordering::Relaxed);
        self.set64(offset_of!(Config, flow_timeout_ns), settings.flow_timeout_ns);
        self.set64(offset_of!(Config, closed_timeout_ns), settings.closed_timeout_ns);
        self.set64(offset_of!(Config, attacker_expiry_ns), settings.attacker_expiry_ns);
        let mut flags = abi::CONFIG_READY;
        if settings.inspect {
            flags |= abi::CONFIG_INSPECT;
        }
        self.set32(offset_of!(Config, flags), flags, Ordering::Release);
    }

    /// Slots first, their number last: whatever XDP reads meanwhile is an old or a new slot.
    pub(crate) fn write_schedule(&self, service: usize, servers: &[u8], honeypots: &[u8]) {
        let Some(at) = place_of_service(service) else { return };
        for (slots, table, number) in [
            (servers, at + offset_of!(Service, servers), at + offset_of!(Service, n_servers)),
            (honeypots, at + offset_of!(Service, honeypots), at + offset_of!(Service, n_honeypots)),
        ] {
            for (slot, backend) in slots.iter().take(abi::SLOTS).enumerate() {
                if let Some(place) = self.0.u8(table + slot) {
                    place.store(*backend, Ordering::Relaxed);
                }
            }
            self.set32(number, slots.len().min(abi::SLOTS) as u32, Ordering::Release);
        }
    }

    /// For measurements: every SYN counts as one after a timeout.
    pub(crate) fn write_flow_timeout(&self, ns: u64) {
        self.set64(offset_of!(Config, flow_timeout_ns), ns);
    }
}

/// One real server or honeypot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Where its packets go.
    pub mac: [u8; 6],
    /// `abi::BACKEND_*`
    pub flags: u16,
    /// Its own address.
    pub address: [u8; 4],
    /// The MSS that it announces.
    pub mss: u16,
    /// The scale that it announces for its own window; `None`: it does not scale.
    pub wscale: Option<u8>,
}

/// Map "backends".
#[derive(Debug)]
pub struct SharedBackends(Mapping, u32);

impl SharedBackends {
    /// Share the map behind this descriptor for reading; the descriptor may be closed afterwards.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self> {
        let (mapping, entries) = share(fd, "backends", size_of::<abi::Backend>(), false)?;
        Ok(Self(mapping, entries))
    }

    /// For those functions that write.
    pub(crate) fn open_writable(fd: BorrowedFd<'_>) -> Result<Self> {
        let (mapping, entries) = share(fd, "backends", size_of::<abi::Backend>(), true)?;
        Ok(Self(mapping, entries))
    }

    fn at(&self, index: u16) -> Option<usize> {
        (u32::from(index) < self.1).then_some(usize::from(index) * size_of::<abi::Backend>())
    }

    /// The machine with this index; `None` when there is no such index (an index never written has no flags).
    pub fn get(&self, index: u16) -> Option<Backend> {
        let at = self.at(index)?;
        let head = self.0.u64(at)?.load(Ordering::Acquire).to_ne_bytes();
        let tail = self.0.u64(at + 8)?.load(Ordering::Relaxed).to_ne_bytes();
        let flags = u16::from_ne_bytes([head[6], head[7]]);
        Some(Backend {
            mac: [head[0], head[1], head[2], head[3], head[4], head[5]],
            flags,
            address: [tail[0], tail[1], tail[2], tail[3]],
            mss: u16::from_ne_bytes([tail[4], tail[5]]),
            wscale: (flags & abi::BACKEND_WSCALE != 0).then_some(tail[6]),
        })
    }

    /// MAC and flags change as one word, last.
    pub(crate) fn set(&self, index: u16, backend: &Backend) {
        let Some(at) = self.at(index) else { return };
        let mut flags = backend.flags & !abi::BACKEND_WSCALE;
        let mut tail = [0u8; 8];
        tail[..4].copy_from_slice(&backend.address);
        tail[4..6].copy_from_slice(&backend.mss.to_ne_bytes());
        if let Some(scale) = backend.wscale {
            flags |= abi::BACKEND_WSCALE;
            tail[6] = scale.min(14);
        }
        let mut head = [0u8; 8];
        head[..6].copy_from_slice(&backend.mac);
        head[6..].copy_from_slice(&flags.to_ne_bytes());
        if let (Some(first), Some(second)) = (self.0.u64(at), self.0.u64(at + 8)) {
            second.store(u64::from_ne_bytes(tail), Ordering::Relaxed);
            first.store(u64::from_ne_bytes(head), Ordering::Release);
        }
    }
}

/// What is known of a connection, as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowFacts {
    /// Client, IPv6 form.
    pub saddr: [u8; 16],
    /// Virtual address, IPv6 form.
    pub daddr: [u8; 16],
    /// Client's port.
    pub sport: u16,
    /// Service's port.
    pub dport: u16,
    /// Index of the real server; 0xffff: none.
    pub server: u16,
    /// Index of the honeypot; 0xffff: none.
    pub honeypot: u16,
    /// Nanoseconds, CLOCK_MONOTONIC.
    pub created: u64,
    /// Sequence number of the client's SYN.
    pub client_isn: u32,
    /// Round trip between director and client, from the handshake.
    pub rtt_us: u32,
    /// From the client's SYN.
    pub mss: u16,
    /// From the client's SYN; 0xff: no scaling offered.
    pub wscale: u8,
    /// `abi::OPT_*` that the client's SYN offered.
    pub options: u8,
}

/// Map "flows"; a flow's index is bucket * WAYS + way.
#[derive(Debug)]
pub struct SharedFlows {
    mapping: Mapping,
    buckets: u32,
}

impl SharedFlows {
    /// Share the map behind this descriptor, which may be closed afterwards.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self> {
        let (mapping, buckets) = share(fd, "flows", size_of::<Bucket>(), true)?;
        Ok(Self { mapping, buckets })
    }

    /// Number of places.
    pub fn capacity(&self) -> u32 {
        self.buckets * abi::WAYS
    }

    fn at(&self, index: u32, field: usize) -> Option<usize> {
        if index >= self.capacity() {
            return None;
        }
        let (bucket, way) = ((index / abi::WAYS) as usize, (index % abi::WAYS) as usize);
        Some(bucket * size_of::<Bucket>() + offset_of!(Bucket, way) + way * size_of::<Flow>() + field)
    }

    fn u64(&self, index: u32, field: usize) -> Option<&AtomicU64> {
        self.mapping.u64(self.at(index, field)?)
    }

    fn u32(&self, index: u32, field: usize) -> Option<&AtomicU32> {
        self.mapping.u32(self.at(index, field)?)
    }

    /// The tag of a place: 0 free, 1 being written.
    pub fn tag(&self, index: u32) -> Option<u32> {
        if index >= self.capacity() {
            return None;
        }
        let (bucket, way) = ((index / abi::WAYS) as usize, (index % abi::WAYS) as usize);
        let tag = self.mapping.u32(bucket * size_of::<Bucket>() + way * 4)?;
        Some(tag.load(Ordering::Acquire))
    }

    /// \[count:32\]\[generation:16\]\[flags:16\]; None outside of the table.
    pub fn owner(&self, index: u32) -> Option<u64> {
        Some(self.u64(index, offset_of!(Flow, owner))?.load(Ordering::Acquire))
    }

    /// True when the owner was `old` and is `new` now.
    pub fn compare_exchange_owner(&self, index: u32, old: u64, new: u64) -> bool {
        self.u64(index, offset_of!(Flow, owner))
            .is_some_and(|owner| owner.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok())
    }

    /// Set flags; the value before.
    pub fn or_owner(&self, index: u32, flags: u64) -> Option<u64> {
        Some(self.u64(index, offset_of!(Flow, owner))?.fetch_or(flags & abi::FLAG_MASK, Ordering::AcqRel))
    }

    /// Keep only these flags (count and generation stay); the value before.
    pub fn and_owner(&self, index: u32, flags: u64) -> Option<u64> {
        Some(self.u64(index, offset_of!(Flow, owner))?.fetch_and(flags | !abi::FLAG_MASK, Ordering::AcqRel))
    }

    /// \[next:32\]\[pending:32\]
    pub fn stream(&self, index: u32) -> Option<u64> {
        Some(self.u64(index, offset_of!(Flow, stream))?.load(Ordering::Acquire))
    }

    /// True when the stream was `old` and is `new` now.
    pub fn compare_exchange_stream(&self, index: u32, old: u64, new: u64) -> bool {
        self.u64(index, offset_of!(Flow, stream))
            .is_some_and(|stream| stream.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok())
    }

    /// The connection's facts. Not one atomic picture: compare the owner's generation before and after.
    pub fn facts(&self, index: u32) -> Option<FlowFacts> {
        let base = self.at(index, 0)?;
        let m = &self.mapping;
        let address = |at: usize| {
            let mut bytes = [0u8; 16];
            bytes[..8].copy_from_slice(&m.get64(base + at).to_ne_bytes());
            bytes[8..].copy_from_slice(&m.get64(base + at + 8).to_ne_bytes());
            bytes
        };
        Some(FlowFacts {
            saddr: address(offset_of!(Flow, saddr)),
            daddr: address(offset_of!(Flow, daddr)),
            sport: u16::from_be(m.get16(base + offset_of!(Flow, sport))),
            dport: u16::from_be(m.get16(base + offset_of!(Flow, dport))),
            server: m.get16(base + offset_of!(Flow, server)),
            honeypot: m.get16(base + offset_of!(Flow, honeypot)),
            created: m.get64(base + offset_of!(Flow, created)),
            client_isn: m.get32(base + offset_of!(Flow, client_isn)),
            rtt_us: m.get32(base + offset_of!(Flow, rtt_us)),
            mss: m.get16(base + offset_of!(Flow, mss)),
            wscale: m.get8(base + offset_of!(Flow, wscale)),
            options: m.get8(base + offset_of!(Flow, options)),
        })
    }

    fn read64(&self, index: u32, field: usize) -> Option<u64> {
        Some(self.u64(index, field)?.load(Ordering::Relaxed))
    }

    fn read32(&self, index: u32, field: usize) -> Option<u32> {
        Some(self.u32(index, field)?.load(Ordering::Relaxed))
    }

    fn write64(&self, index: u32, field: usize, value: u64) {
        if let Some(place) = self.u64(index, field) {
            place.store(value, Ordering::Relaxed);
        }
    }

    fn write32(&self, index: u32, field: usize, value: u32) {
        if let Some(place) = self.u32(index, field) {
            place.store(value, Ordering::Relaxed);
        }
    }

    /// The client's acknowledgement in the handshake.
    pub fn first_ack(&self, index: u32) -> Option<u32> {
        if index >= self.capacity() {
            return None;
        }
        let (bucket, way) = ((index / abi::WAYS) as usize, (index % abi::WAYS) as usize);
        let place = bucket * size_of::<Bucket>() + offset_of!(Bucket, first_ack) + way * 4;
        Some(self.mapping.u32(place)?.load(Ordering::Relaxed))
    }

    /// The client's newest acknowledgement.
    pub fn last_ack(&self, index: u32) -> Option<u32> {
        self.read32(index, offset_of!(Flow, last_ack))
    }

    /// When it moved, nanoseconds.
    pub fn ack_time(&self, index: u32) -> Option<u64> {
        self.read64(index, offset_of!(Flow, ack_time))
    }

    /// When the last packet of the client came, nanoseconds.
    pub fn last_seen(&self, index: u32) -> Option<u64> {
        self.read64(index, offset_of!(Flow, last_seen))
    }

    /// Rule that made this connection an attack; 0: none.
    pub fn attack_sid(&self, index: u32) -> Option<u32> {
        self.read32(index, offset_of!(Flow, attack_sid))
    }

    /// \[hash:48\]\[length:16\] of the last request, when XDP cleared it, and the client's acknowledgement with it.
    pub fn seal(&self, index: u32) -> Option<(u64, u32)> {
        Some((self.read64(index, offset_of!(Flow, seal))?, self.read32(index, offset_of!(Flow, cleared_ack))?))
    }

    /// XDP may clear requests as long as it has counted no more than `count` packets; the last request had this `ack`.
    pub fn give_back(&self, index: u32, count: u32, ack: u32) {
        self.write64(index, offset_of!(Flow, seal), 0);
        self.write32(index, offset_of!(Flow, cleared_ack), ack);
        if let Some(returned) = self.u32(index, offset_of!(Flow, returned)) {
            returned.store(count, Ordering::Release);
        }
    }

    /// When the connection was moved to a honeypot, nanoseconds; 0: never.
    pub fn diverted_at(&self, index: u32) -> Option<u64> {
        self.read64(index, offset_of!(Flow, diverted_at))
    }

    // The setters are relaxed: what they write counts from the owner's next release operation on.

    /// Index of the honeypot that will take the connection.
    pub fn set_honeypot(&self, index: u32, honeypot: u16) {
        if let Some(place) = self.at(index, offset_of!(Flow, honeypot)).and_then(|at| self.mapping.u16(at)) {
            place.store(honeypot, Ordering::Relaxed);
        }
    }

    /// The rule that matched.
    pub fn set_attack_sid(&self, index: u32, sid: u32) {
        self.write32(index, offset_of!(Flow, attack_sid), sid);
    }

    /// Where the honeypot's timestamps begin; nobody has tried to echo them yet.
    pub fn set_proof_base(&self, index: u32, base: u32) {
        self.write32(index, offset_of!(Flow, cleared_ack), 0);
        self.write32(index, offset_of!(Flow, proof_base), base);
    }

    /// When the connection was moved, nanoseconds.
    pub fn set_diverted_at(&self, index: u32, ns: u64) {
        self.write64(index, offset_of!(Flow, diverted_at), ns);
    }
}

/// Map "inspected": the inspector's counters, which outlive it. Their names are the inspector's affair.
#[derive(Debug)]
pub struct SharedCounters {
    mapping: Mapping,
    entries: u32,
}

impl SharedCounters {
    /// Share the map behind this descriptor, which may be closed afterwards.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self> {
        let (mapping, entries) = share(fd, "inspected", 8, true)?;
        Ok(Self { mapping, entries })
    }

    /// Number of counters.
    pub fn capacity(&self) -> usize {
        self.entries as usize
    }

    /// Count.
    pub fn add(&self, counter: usize, n: u64) {
        if let Some(place) = self.mapping.u64(counter.saturating_mul(8)) {
            place.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Value of a counter; 0 when there is none.
    pub fn get(&self, counter: usize) -> u64 {
        self.mapping.u64(counter.saturating_mul(8)).map_or(0, |place| place.load(Ordering::Relaxed))
    }
}

/// Map "attackers" for the inspector: marking and asking take one system call each.
#[derive(Debug)]
pub struct Attackers(map::Elements);

impl Attackers {
    /// Use the map behind this descriptor (duplicated).
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self> {
        let owned = fd
            .try_clone_to_owned()
            .map_err(|error| Error::os("duplicate a descriptor", error.raw_os_error().unwrap_or(libc::EMFILE)))?;
        let elements = map::Elements::new(owned, "attackers")?;
        let info = map::info(elements.as_fd())?;
        if info.key_size != 16 || info.value_size as usize != size_of::<abi::Attacker>() {
            return Err(Error::invalid(format!("descriptor {} is not the map \"attackers\"", fd.as_raw_fd())));
        }
        Ok(Self(elements))
    }

    /// Mark a source (IPv6 form) from now on; an existing mark is replaced.
    pub fn mark(&self, source: [u8; 16], now_ns: u64, expiry_ns: u64, sid: u32) -> Result<()> {
        let mut value = [0u8; size_of::<abi::Attacker>()];
        value[..8].copy_from_slice(&now_ns.to_ne_bytes());
        value[8..16].copy_from_slice(&now_ns.saturating_add(expiry_ns).to_ne_bytes());
        value[24..28].copy_from_slice(&sid.to_ne_bytes());
        self.0.update(&source, &value, false)?;
        Ok(())
    }

    /// Forget a source; false when it was not marked.
    pub fn unmark(&self, source: [u8; 16]) -> Result<bool> {
        self.0.delete(&source)
    }

    /// The mark of a source, expired or not.
    pub fn get(&self, source: [u8; 16]) -> Result<Option<abi::Attacker>> {
        Ok(self.0.lookup(&source)?.as_deref().and_then(parse_attacker))
    }

    /// All marks.
    pub fn list(&self) -> Result<Vec<([u8; 16], abi::Attacker)>> {
        let mut found = Vec::new();
        for key in self.0.keys()? {
            let (Ok(source), Some(value)) = (<[u8; 16]>::try_from(key.as_slice()), self.0.lookup(&key)?) else {
                continue;
            };
            if let Some(mark) = parse_attacker(&value) {
                found.push((source, mark));
            }
        }
        Ok(found)
    }

    pub(crate) fn put(&self, source: [u8; 16], mark: &abi::Attacker) -> Result<()> {
        let mut value = Vec::with_capacity(size_of::<abi::Attacker>());
        value.extend_from_slice(&mark.since.to_ne_bytes());
        value.extend_from_slice(&mark.expires.to_ne_bytes());
        value.extend_from_slice(&mark.connections.to_ne_bytes());
        value.extend_from_slice(&mark.sid.to_ne_bytes());
        value.extend_from_slice(&mark.pad.to_ne_bytes());
        self.0.update(&source, &value, false)?;
        Ok(())
    }
}

fn parse_attacker(value: &[u8]) -> Option<abi::Attacker> {
    let u64_at = |at: usize| Some(u64::from_ne_bytes(value.get(at..at + 8)?.try_into().ok()?));
    let sid = u32::from_ne_bytes(value.get(24..28)?.try_into().ok()?);
    Some(abi::Attacker { since: u64_at(0)?, expires: u64_at(8)?, connections: u64_at(16)?, sid, pad: 0 })
}
