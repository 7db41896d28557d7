// SPDX-License-Identifier: Apache-2.0
//! Attaching XDP programs through netlink, so that they outlive the process: with the supervisor killed the director
//! goes on and drops what nobody judges.
//!
//! Never replaces or removes a program of somebody else.

use std::fmt;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Error, Result};
use crate::net;

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the kernel's receive path, for drivers without support: slow.
    Generic,
}

impl Mode {
    fn flag(self) -> u32 {
        match self {
            Self::Native => libbpf_sys::XDP_FLAGS_DRV_MODE,
            Self::Generic => libbpf_sys::XDP_FLAGS_SKB_MODE,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// What a user may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Native, and generic where the driver has none.
    Auto,
    /// This mode or an error.
    Only(Mode),
}

/// A loaded program.
#[derive(Debug)]
pub(crate) struct Program {
    fd: OwnedFd,
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) maps: Vec<u32>,
}

fn failed(ret: i32, step: impl Into<String>) -> Error {
    Error::os(step, -ret)
}

fn info_of(fd: BorrowedFd<'_>, maps: &mut [u32]) -> Result<libbpf_sys::bpf_prog_info> {
    let mut info = libbpf_sys::bpf_prog_info {
        nr_map_ids: maps.len() as u32,
        map_ids: maps.as_mut_ptr() as u64,
        ..Default::default()
    };
    let mut size = size_of::<libbpf_sys::bpf_prog_info>() as u32;
    // SAFETY: `info` is writable and `size` its size; the kernel writes at most `nr_map_ids` numbers to `maps`.
    let ret = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(fd.as_raw_fd(), &mut info, &mut size) };
    if ret < 0 {
        return Err(failed(ret, "ask the kernel about a BPF program"));
    }
    Ok(info)
}

impl Program {
    /// `None`: it is gone.
    fn by_id(id: u32) -> Result<Option<Self>> {
        // SAFETY: plain system call.
        let fd = unsafe { libbpf_sys::bpf_prog_get_fd_by_id(id) };
        if fd == -libc::ENOENT {
            return Ok(None);
        }
        if fd < 0 {
            return Err(failed(fd, format!("open the BPF program {id}")));
        }
        // SAFETY: a new descriptor that nobody else knows.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut maps = [0u32; 64];
        let info = info_of(std::os::fd::AsFd::as_fd(&fd), &mut maps)?;
        let name = info.name.iter().take_while(|c| **c != 0).map(|c| *c as u8 as char).collect();
        let maps = maps.iter().take(info.nr_map_ids as usize).copied().collect();
        Ok(Some(Self { fd, id, name, maps }))
    }
}

/// The program on the interface in this mode.
pub(crate) fn attached(ifindex: u32, mode: Mode) -> Result<Option<Program>> {
    let mut id = 0u32;
    // SAFETY: `id` is writable.
    let ret = unsafe { libbpf_sys::bpf_xdp_query_id(ifindex as i32, mode.flag() as i32, &mut id) };
    if ret < 0 {
        return Err(failed(ret, format!("ask for the XDP program of interface {ifindex}")));
    }
    if id == 0 {
        return Ok(None);
    }
    Program::by_id(id)
}

fn set(ifindex: u32, mode: Mode, new: Option<BorrowedFd<'_>>, old: Option<&Program>) -> i32 {
    let mut options = libbpf_sys::bpf_xdp_attach_opts {
        sz: size_of::<libbpf_sys::bpf_xdp_attach_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    let mut flags = mode.flag();
    match old {
        Some(program) => {
            options.old_prog_fd = program.fd.as_raw_fd();
            flags |= libbpf_sys::XDP_FLAGS_REPLACE;
        }
        None => flags |= libbpf_sys::XDP_FLAGS_UPDATE_IF_NOEXIST,
    }
    let fd = new.map_or(-1, |fd| fd.as_raw_fd());
    // SAFETY: `options` outlives the call.
    unsafe { libbpf_sys::bpf_xdp_attach(ifindex as i32, fd, flags, &options) }
}

/// Attach `program` to the interface, in the place of an earlier program of one of the names `ours`.
pub(crate) fn attach(interface: &str, program: BorrowedFd<'_>, ours: &[&str], wanted: Wanted) -> Result<Mode> {
    let ifindex = net::interface_index(interface)?;
    let modes: &[Mode] = match wanted {
        Wanted::Auto => &[Mode::Native, Mode::Generic],
        Wanted::Only(Mode::Native) => &[Mode::Native],
        Wanted::Only(Mode::Generic) => &[Mode::Generic],
    };
    let mut olds = Vec::new();
    for mode in [Mode::Native, Mode::Generic] {
        if let Some(old) = attached(ifindex, mode)? {
            if !ours.contains(&old.name.as_str()) {
                return Err(Error::os(
                    format!("another XDP program, \"{}\", is attached to {interface} ({mode})", old.name),
                    libc::EBUSY,
                )
                .with_hint(format!("remove it with `ip link set dev {interface} xdp off`, or use another interface")));
            }
            olds.push((mode, old));
        }
    }
    let mut last = Error::invalid("no XDP mode");
    for mode in modes {
        // The kernel allows one mode at a time.
        for (other, old) in olds.iter().filter(|(other, _)| other != mode) {
            set(ifindex, *other, None, Some(old));
        }
        let old = olds.iter().find(|(at, _)| at == mode).map(|(_, old)| old);
        let ret = set(ifindex, *mode, Some(program), old);
        if ret >= 0 {
            return Ok(*mode);
        }
        last = failed(ret, format!("attach the XDP program to {interface} ({mode})"));
        if matches!(-ret, libc::EPERM | libc::EACCES | libc::ENODEV) {
            break;
        }
        if *mode == Mode::Native && wanted != Wanted::Auto {
            last = last.with_hint("the driver may have no XDP; try director.xdp_mode = \"generic\"");
        }
    }
    Err(last)
}

/// Remove the programs that `ours` accepts. Nothing attached, or no such interface any more: done already.
pub(crate) fn detach(interface: &str, ours: impl Fn(&Program) -> bool) -> Result<()> {
    let Ok(ifindex) = net::interface_index(interface) else {
        return Ok(());
    };
    for mode in [Mode::Native, Mode::Generic] {
        if let Some(old) = attached(ifindex, mode)?.filter(|program| ours(program)) {
            let ret = set(ifindex, mode, None, Some(&old));
            if ret < 0 && -ret != libc::ENOENT {
                return Err(failed(ret, format!("detach the XDP program {} from {interface}", old.id)));
            }
        }
    }
    Ok(())
}
