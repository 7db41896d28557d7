// SPDX-License-Identifier: Apache-2.0
//! An AF_XDP socket on one receive queue: packets in, packets out, without a copy on our side.
//!
//! A frame is in exactly one place: the fill ring (the kernel's), the receive ring, a [`Frame`] in the caller's hands, the
//! transmit ring (the kernel's), or the free list. [`Frame`] cannot be copied, so nobody can touch what the kernel owns.
//!
//! See Documentation/networking/af_xdp.rst of the kernel for the rings.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::map;
use crate::net;
use crate::shared::Mapping;

/// Where the data of a frame that we send begins; the same as the kernel's XDP_PACKET_HEADROOM.
const HEADROOM: u32 = 256;
/// Frames handed out by one `receive`.
const BATCH: u32 = 128;
/// linux/if_xdp.h (6.17): packets that one sendto may send.
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;
const BIND_PATIENCE: Duration = Duration::from_secs(1);

/// A packet buffer in the caller's hands. Give it back with [`Xsk::transmit`] or [`Xsk::release`].
#[derive(Debug)]
#[must_use = "a frame that is dropped is lost to the socket: transmit or release it"]
pub struct Frame {
    address: u64,
    length: u32,
    room: u32,
    socket: i32,
}

impl Frame {
    /// Bytes of the packet.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// No packet in it yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes that fit.
    pub fn capacity(&self) -> usize {
        self.room as usize
    }

    /// Make the packet shorter or longer; false when it does not fit (nothing changes).
    pub fn set_len(&mut self, length: usize) -> bool {
        if length > self.room as usize {
            return false;
        }
        self.length = length as u32;
        true
    }
}

/// One single-producer single-consumer ring shared with the kernel, of elements of type `T` (plain data).
#[derive(Debug)]
struct Ring<T> {
    mapping: Mapping,
    producer: usize,
    consumer: usize,
    flags: usize,
    elements: usize,
    size: u32,
    /// Our own index, and the last value seen of the kernel's.
    ours: u32,
    theirs: u32,
    kind: std::marker::PhantomData<T>,
}

impl<T: Copy> Ring<T> {
    fn map(socket: BorrowedFd<'_>, page: u64, size: u32, offsets: &libc::xdp_ring_offset) -> io::Result<Self> {
        let length = offsets.desc as usize + size as usize * size_of::<T>();
        let mapping = Mapping::new(Some(socket), length, true, page)?;
        let ring = Self {
            mapping,
            producer: offsets.producer as usize,
            consumer: offsets.consumer as usize,
            flags: offsets.flags as usize,
            elements: offsets.desc as usize,
            size,
            ours: 0,
            theirs: 0,
            kind: std::marker::PhantomData,
        };
        let usable = [ring.producer, ring.consumer, ring.flags].iter().all(|at| ring.mapping.u32(*at).is_some());
        if !usable || !size.is_power_of_two() || ring.elements % align_of::<T>() != 0 {
            return Err(io::Error::from_raw_os_error(libc::EPROTO));
        }
        Ok(ring)
    }

    fn index(&self, at: usize) -> &AtomicU32 {
        // `map` has looked at all three places.
        self.mapping.u32(at).expect("inside the ring")
    }

    fn element(&self, index: u32) -> *mut T {
        let slot = (index & (self.size - 1)) as usize;
        // SAFETY: slot < size, and the mapping has room for `size` elements from `elements` on.
        unsafe { self.mapping.start().add(self.elements).cast::<T>().add(slot) }
    }

    fn needs_wakeup(&self) -> bool {
        self.index(self.flags).load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    // ---- we produce: fill, transmit ----

    fn room(&mut self) -> u32 {
        let free = self.size.saturating_sub(self.ours.wrapping_sub(self.theirs));
        if free > 0 {
            return free;
        }
        self.theirs = self.index(self.consumer).load(Ordering::Acquire);
        self.size.saturating_sub(self.ours.wrapping_sub(self.theirs))
    }

    /// Not seen by the kernel before `publish`. The caller has asked for `room`.
    fn put(&mut self, value: T) {
        // SAFETY: between the kernel's consumer and our producer the slots are ours.
        unsafe { self.element(self.ours).write(value) };
        self.ours = self.ours.wrapping_add(1);
    }

    fn publish(&mut self) {
        self.index(self.producer).store(self.ours, Ordering::Release);
    }

    /// What the kernel has not taken yet.
    fn pending(&mut self) -> u32 {
        self.theirs = self.index(self.consumer).load(Ordering::Acquire);
        self.ours.wrapping_sub(self.theirs)
    }

    // ---- we consume: receive, completion ----

    fn available(&mut self) -> u32 {
        if self.theirs == self.ours {
            self.theirs = self.index(self.producer).load(Ordering::Acquire);
        }
        self.theirs.wrapping_sub(self.ours).min(self.size)
    }

    /// The caller has asked for `available`.
    fn take(&mut self) -> T {
        // SAFETY: between our consumer and the kernel's producer the slots hold what the kernel wrote before its release.
        let value = unsafe { self.element(self.ours).read() };
        self.ours = self.ours.wrapping_add(1);
        value
    }

    fn consumed(&mut self) {
        self.index(self.consumer).store(self.ours, Ordering::Release);
    }
}

/// What the kernel lost on this socket, since it was opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Not received, for want of a frame in the fill ring or another reason.
    pub dropped: u64,
    /// The receive ring was full.
    pub ring_full: u64,
    /// How often no frame was in the fill ring.
    pub fill_empty: u64,
}

/// An AF_XDP socket with its packet memory.
#[derive(Debug)]
pub struct Xsk {
    // The rings and the socket go before the memory that the kernel writes to.
    fill: Ring<u64>,
    completion: Ring<u64>,
    rx: Ring<libc::xdp_desc>,
    tx: Ring<libc::xdp_desc>,
    socket: OwnedFd,
    memory: Mapping,
    queue: u32,
    frame_size: u32,
    frames: u32,
    free: Vec<u32>,
    posted: u32,
    sending: u32,
    zero_copy: bool,
}

fn os_error(step: impl Into<String>, error: &io::Error) -> Error {
    Error::os(step, error.raw_os_error().unwrap_or(libc::EIO))
}

fn set_option<T>(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: `value` is readable for its size.
    let ret = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `T` must be plain data for which all-zero bytes are valid; all users are below, with C structures.
fn get_option<T>(socket: BorrowedFd<'_>, name: libc::c_int) -> io::Result<T> {
    // SAFETY: see above.
    let mut value: T = unsafe { std::mem::zeroed() };
    let mut size = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is writable for `size` bytes.
    let ret = unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_XDP, name, (&raw mut value).cast(), &mut size) };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    if size as usize != size_of::<T>() {
        return Err(io::Error::from_raw_os_error(libc::EPROTO));
    }
    Ok(value)
}

pub(crate) fn raw_socket() -> Result<OwnedFd> {
    // SAFETY: plain system call.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        let error = Error::last_os("open an AF_XDP socket");
        return Err(match error.errno {
            Some(libc::EAFNOSUPPORT) => Error::missing("AF_XDP sockets", "Linux with CONFIG_XDP_SOCKETS is needed"),
            _ => error,
        });
    }
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bind(socket: BorrowedFd<'_>, ifindex: u32, queue: u32, zero_copy: bool) -> io::Result<()> {
    let mode = if zero_copy { libc::XDP_ZEROCOPY } else { libc::XDP_COPY };
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: mode | libc::XDP_USE_NEED_WAKEUP,
        sxdp_ifindex: ifindex,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: 0,
    };
    let give_up = Instant::now() + BIND_PATIENCE;
    loop {
        // SAFETY: `address` is a complete sockaddr_xdp.
        let ret = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_xdp>() as libc::socklen_t,
            )
        };
        if ret == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // A predecessor that was just killed gives the queue back a moment later.
        if error.raw_os_error() != Some(libc::EBUSY) || Instant::now() >= give_up {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Smallest number of frames.
pub const MIN_FRAMES: u32 = 256;
/// Usual number of frames.
pub const DEFAULT_FRAMES: u32 = 8192;

impl Xsk {
    /// A socket on this queue with `frames` buffers (rounded up to a power of two): one half for receiving, the other for
    /// what the caller holds and sends. Copy mode.
    pub fn open(ifindex: u32, queue: u32, frames: u32) -> Result<Self> {
        Self::open_with(ifindex, queue, frames, false)
    }

    /// The same; `zero_copy`: the driver must support it.
    pub fn open_with(ifindex: u32, queue: u32, frames: u32, zero_copy: bool) -> Result<Self> {
        let name = net::interface_name(ifindex)?;
        let frame_size: u32 = match net::mtu(&name)? {
            // Ethernet header with a VLAN tag, and the kernel's headroom.
            mtu if mtu + 18 + HEADROOM <= 2048 => 2048,
            mtu if mtu + 18 + HEADROOM <= 4096 => 4096,
            mtu => {
                return Err(Error::host(format!("the MTU of {name} is {mtu}: a packet does not fit into a frame"))
                    .with_hint(format!("ip link set dev {name} mtu 1500")))
            }
        };
        let frames = frames.clamp(MIN_FRAMES, 1 << 20).next_power_of_two();
        let half = frames / 2;
        let failed = |what: &str, error: &io::Error| os_error(format!("AF_XDP on {name} queue {queue}: {what}"), error);

        let memory = Mapping::new(None, frames as usize * frame_size as usize, true, 0)
            .map_err(|error| failed("memory for packets", &error))?;
        let socket = raw_socket()?;
        let fd = socket.as_fd();
        // SAFETY: all-zero bytes are a valid xdp_umem_reg.
        let mut umem: libc::xdp_umem_reg = unsafe { std::mem::zeroed() };
        umem.addr = memory.start() as u64;
        umem.len = memory.length() as u64;
        umem.chunk_size = frame_size;
        set_option(fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &umem).map_err(|error| failed("register memory", &error))?;
        for (option, size) in [
            (libc::XDP_UMEM_FILL_RING, half),
            (libc::XDP_UMEM_COMPLETION_RING, frames),
            (libc::XDP_RX_RING, half),
            (libc::XDP_TX_RING, half),
        ] {
            set_option(fd, libc::SOL_XDP, option, &size).map_err(|error| failed("make a ring", &error))?;
        }
        let offsets: libc::xdp_mmap_offsets =
            get_option(fd, libc::XDP_MMAP_OFFSETS).map_err(|error| failed("ask for the rings", &error))?;
        let map_failed = |error: io::Error| failed("map a ring", &error);
        let fill = Ring::map(fd, libc::XDP_UMEM_PGOFF_FILL_RING, half, &offsets.fr).map_err(map_failed)?;
        let completion =
            Ring::map(fd, libc::XDP_UMEM_PGOFF_COMPLETION_RING, frames, &offsets.cr).map_err(map_failed)?;
        let rx = Ring::map(fd, libc::XDP_PGOFF_RX_RING as u64, half, &offsets.rx).map_err(map_failed)?;
        let tx = Ring::map(fd, libc::XDP_PGOFF_TX_RING as u64, half, &offsets.tx).map_err(map_failed)?;

        // In copy mode the kernel makes an skb of each packet sent, within the socket's send buffer. Best effort: smaller
        // numbers only mean more system calls.
        let _ = set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &(16i32 << 20));
        let _ = set_option(fd, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &half.min(256));

        bind(fd, ifindex, queue, zero_copy).map_err(|error| {
            let found = failed("bind", &error);
            match error.raw_os_error() {
                Some(libc::EBUSY) => found.with_hint("another program has this queue; is a second inspector running?"),
                Some(libc::EINVAL) => found.with_hint("the interface has no such receive queue"),
                Some(libc::EOPNOTSUPP) => found.with_hint("the driver cannot do this mode"),
                _ => found,
            }
        })?;
        let mut xsk = Self {
            fill,
            completion,
            rx,
            tx,
            socket,
            memory,
            queue,
            frame_size,
            frames,
            free: (0..frames).rev().collect(),
            posted: 0,
            sending: 0,
            zero_copy,
        };
        xsk.refill();
        Ok(xsk)
    }

    /// Let XDP redirect the packets of `queue` to this socket, in the place of any other. Allowed to the privileged only.
    pub fn register(&self, xskmap: BorrowedFd<'_>, queue: u32) -> Result<()> {
        let fd = xskmap.try_clone_to_owned().map_err(|error| os_error("duplicate a descriptor", &error))?;
        map::Elements::new(fd, "xsks")?.update(&queue.to_ne_bytes(), &self.socket.as_raw_fd().to_ne_bytes(), false)?;
        Ok(())
    }

    /// The queue that it was opened on.
    pub fn queue(&self) -> u32 {
        self.queue
    }

    /// The driver uses our memory directly.
    pub fn zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Bytes of one frame that a packet may have.
    pub fn frame_capacity(&self) -> usize {
        (self.frame_size - HEADROOM) as usize
    }

    /// Frames that are neither the kernel's nor in the caller's hands.
    pub fn free_frames(&self) -> usize {
        self.free.len()
    }

    /// Frames in the caller's hands.
    pub fn held_frames(&self) -> usize {
        (self.frames as usize).saturating_sub(self.free.len() + self.posted as usize + self.sending as usize)
    }

    fn frame(&self, address: u64, length: u32) -> Frame {
        let inside = (address % u64::from(self.frame_size)) as u32;
        Frame { address, length, room: self.frame_size - inside, socket: self.socket.as_raw_fd() }
    }

    /// Append received packets (at most 128) to `batch`; the number of them. Never waits.
    pub fn receive(&mut self, batch: &mut Vec<Frame>) -> usize {
        let n = self.rx.available().min(BATCH);
        if n == 0 {
            return 0;
        }
        batch.reserve(n as usize);
        for _ in 0..n {
            let descriptor = self.rx.take();
            self.posted = self.posted.saturating_sub(1);
            let frame = self.frame(descriptor.addr, descriptor.len);
            if descriptor.addr < self.memory.length() as u64 && frame.length <= frame.room {
                batch.push(frame);
            }
        }
        self.rx.consumed();
        self.refill();
        n as usize
    }

    /// Offset in memory of the packet; `None` for a frame of another socket.
    fn place(&self, frame: &Frame) -> Option<usize> {
        (frame.socket == self.socket.as_raw_fd()).then_some(frame.address as usize)
    }

    /// The 16 bytes in front of the packet, where XDP puts its metadata.
    pub fn meta(&self, frame: &Frame) -> [u8; 16] {
        let mut meta = [0u8; 16];
        if let Some(at) = self.place(frame) {
            if at % self.frame_size as usize >= meta.len() {
                // SAFETY: the bytes are in the same frame, which `frame` shows to be in the caller's hands.
                unsafe {
                    self.memory.start().add(at - meta.len()).copy_to_nonoverlapping(meta.as_mut_ptr(), meta.len())
                };
            }
        }
        meta
    }

    /// The packet.
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        match self.place(frame) {
            // SAFETY: address and length were checked when the frame was made; a frame in the caller's hands is not
            // touched by the kernel, and who changes it has `self` exclusively.
            Some(at) => unsafe { std::slice::from_raw_parts(self.memory.start().add(at), frame.length as usize) },
            None => &[],
        }
    }

    /// The packet, to be changed.
    pub fn bytes_mut(&mut self, frame: &Frame) -> &mut [u8] {
        match self.place(frame) {
            // SAFETY: as in `bytes`; `self` is borrowed exclusively.
            Some(at) => unsafe { std::slice::from_raw_parts_mut(self.memory.start().add(at), frame.length as usize) },
            None => &mut [],
        }
    }

    /// A frame for a packet of our own, as long as it can be (the bytes are old ones; see [`Frame::set_len`]); `None`:
    /// all are in use.
    pub fn alloc(&mut self) -> Option<Frame> {
        if self.free.is_empty() {
            self.reap();
        }
        let chunk = self.free.pop()?;
        let room = self.frame_size - HEADROOM;
        Some(self.frame(u64::from(chunk) * u64::from(self.frame_size) + u64::from(HEADROOM), room))
    }

    /// Give a frame back unsent.
    pub fn release(&mut self, frame: Frame) {
        if self.place(&frame).is_some() {
            self.give_back(frame.address);
        }
    }

    fn give_back(&mut self, address: u64) {
        let chunk = address / u64::from(self.frame_size);
        if chunk < u64::from(self.frames) && self.free.len() < self.frames as usize {
            self.free.push(chunk as u32);
        }
    }

    /// Queue a packet for sending; [`Xsk::flush`] sends. The frame comes back when the ring is full.
    pub fn transmit(&mut self, frame: Frame) -> std::result::Result<(), Frame> {
        if self.place(&frame).is_none() || frame.length == 0 || self.tx.room() == 0 {
            return Err(frame);
        }
        self.tx.put(libc::xdp_desc { addr: frame.address, len: frame.length, options: 0 });
        self.sending += 1;
        Ok(())
    }

    /// Send what is queued. Bounded: what the kernel does not take now goes with the next flush. An error means that the
    /// interface cannot send at all (it is down or gone).
    pub fn flush(&mut self) -> Result<()> {
        self.tx.publish();
        // In copy mode one call sends up to the budget (32 before Linux 6.17); leave room for refusals.
        let queued = self.tx.pending();
        for _ in 0..queued.div_ceil(32) + 8 {
            if self.tx.pending() == 0 {
                break;
            }
            if !self.tx.needs_wakeup() {
                break; // the driver is at it
            }
            // SAFETY: no buffer, no address: AF_XDP takes this as "look at the ring".
            let ret = unsafe {
                libc::sendto(self.socket.as_raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0)
            };
            if ret < 0 {
                match io::Error::last_os_error() {
                    error
                        if matches!(
                            error.raw_os_error(),
                            Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::EINTR)
                        ) =>
                    {
                        self.collect(); // completions may be what it waits for
                    }
                    error => {
                        self.reap();
                        return Err(os_error("send packets", &error));
                    }
                }
            }
        }
        self.reap();
        Ok(())
    }

    fn collect(&mut self) {
        let n = self.completion.available();
        for _ in 0..n {
            let address = self.completion.take();
            self.sending = self.sending.saturating_sub(1);
            self.give_back(address);
        }
        if n > 0 {
            self.completion.consumed();
        }
    }

    /// Take back sent frames and give free ones to the kernel for receiving.
    pub fn reap(&mut self) {
        self.collect();
        self.refill();
    }

    fn refill(&mut self) {
        let missing = (self.frames / 2).saturating_sub(self.posted).min(self.free.len() as u32).min(self.fill.room());
        if missing == 0 {
            return;
        }
        for _ in 0..missing {
            let Some(chunk) = self.free.pop() else { break };
            self.fill.put(u64::from(chunk) * u64::from(self.frame_size));
            self.posted += 1;
        }
        self.fill.publish();
    }

    /// Wait for packets; false when none came in time.
    pub fn wait(&self, timeout_ms: i32) -> bool {
        let mut poll = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        let ret = unsafe { libc::poll(&mut poll, 1, timeout_ms) };
        ret > 0 && poll.revents & libc::POLLIN != 0
    }

    /// What the kernel lost on this socket.
    pub fn statistics(&self) -> Result<Statistics> {
        let raw: libc::xdp_statistics = get_option(self.socket.as_fd(), libc::XDP_STATISTICS)
            .map_err(|error| os_error("ask for an AF_XDP socket's statistics", &error))?;
        Ok(Statistics {
            dropped: raw.rx_dropped,
            ring_full: raw.rx_ring_full,
            fill_empty: raw.rx_fill_ring_empty_descs,
        })
    }
}

impl AsFd for Xsk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
