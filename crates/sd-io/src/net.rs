// SPDX-License-Identifier: Apache-2.0
//! What is needed to know about a network interface, in the caller's network namespace.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::error::{Error, Result};

/// Index of the interface; the error says when there is none of that name.
pub fn interface_index(name: &str) -> Result<u32> {
    let text = CString::new(name).map_err(|_| Error::invalid("an interface name holds a zero byte"))?;
    // SAFETY: `text` is a C string.
    match unsafe { libc::if_nametoindex(text.as_ptr()) } {
        0 => Err(Error::os(format!("find the interface \"{name}\""), libc::ENODEV)),
        index => Ok(index),
    }
}

/// Name of the interface with this index.
pub fn interface_name(index: u32) -> Result<String> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the size that the call demands.
    if unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) }.is_null() {
        return Err(Error::last_os(format!("find the interface with index {index}")));
    }
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Ok(String::from_utf8_lossy(&name[..end]).into_owned())
}

fn any_socket() -> Result<OwnedFd> {
    // SAFETY: plain system call.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(Error::last_os("open a socket"));
    }
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn request(name: &str) -> Result<libc::ifreq> {
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(Error::os(format!("find the interface \"{name}\""), libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// Largest IP packet of the interface, bytes.
pub fn mtu(name: &str) -> Result<u32> {
    let socket = any_socket()?;
    let mut request = request(name)?;
    // SAFETY: SIOCGIFMTU reads the name and fills in the number.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &mut request) } < 0 {
        return Err(Error::last_os(format!("read the MTU of \"{name}\"")));
    }
    // SAFETY: the call above wrote this member.
    Ok(unsafe { request.ifr_ifru.ifru_mtu }.max(0) as u32)
}

/// `struct ethtool_channels` of linux/ethtool.h
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    max: [u32; 4],
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

/// Number of receive queues; 1 when the driver does not say.
pub fn receive_queues(name: &str) -> Result<u32> {
    const ETHTOOL_GCHANNELS: u32 = 0x3c;
    interface_index(name)?;
    let socket = any_socket()?;
    let mut channels = Channels { command: ETHTOOL_GCHANNELS, ..Channels::default() };
    let mut request = request(name)?;
    request.ifr_ifru.ifru_data = (&raw mut channels).cast();
    // SAFETY: SIOCETHTOOL with this command writes one `Channels`, which outlives the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &mut request) } < 0 {
        return Ok(1);
    }
    Ok(channels.rx.saturating_add(channels.combined).max(1))
}

/// Now, as the programs count it: nanoseconds of CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// Random bytes from the kernel, in the sandbox too.
pub fn random_word() -> Result<u64> {
    const N: usize = 8; // up to 256 bytes come in one piece
    let mut bytes = [0u8; N];
    // SAFETY: the buffer has N bytes.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
    if got != N as isize {
        return Err(Error::last_os("draw a random key"));
    }
    Ok(u64::from_ne_bytes(bytes))
}
