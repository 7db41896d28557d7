// SPDX-License-Identifier: Apache-2.0
//! BPF maps by file descriptor: what they are, pins, elements.

use std::ffi::CString;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};

/// What the kernel says of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    pub(crate) kind: u32,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
}

fn failed(ret: i32, step: impl Into<String>) -> Error {
    Error::os(step, -ret)
}

fn raw_info(fd: BorrowedFd<'_>) -> Result<libbpf_sys::bpf_map_info> {
    let mut info = libbpf_sys::bpf_map_info::default();
    let mut size = size_of::<libbpf_sys::bpf_map_info>() as u32;
    // SAFETY: `info` is writable and `size` is its size.
    let ret = unsafe { libbpf_sys::bpf_map_get_info_by_fd(fd.as_raw_fd(), &mut info, &mut size) };
    if ret < 0 {
        return Err(failed(ret, "ask the kernel about a BPF map"));
    }
    Ok(info)
}

pub(crate) fn info(fd: BorrowedFd<'_>) -> Result<Info> {
    let info = raw_info(fd)?;
    Ok(Info {
        kind: info.type_,
        key_size: info.key_size,
        value_size: info.value_size,
        max_entries: info.max_entries,
        flags: info.map_flags,
    })
}

pub(crate) fn id(fd: BorrowedFd<'_>) -> Result<u32> {
    Ok(raw_info(fd)?.id)
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::invalid(format!("{}: no path", path.display())))
}

/// The map pinned at `path`; `None` when there is none.
pub(crate) fn open_pin(path: &Path) -> Result<Option<OwnedFd>> {
    let text = c_path(path)?;
    // SAFETY: `text` is a C string.
    let fd = unsafe { libbpf_sys::bpf_obj_get(text.as_ptr()) };
    if fd == -libc::ENOENT {
        return Ok(None);
    }
    if fd < 0 {
        return Err(failed(fd, format!("open the pinned map {}", path.display())));
    }
    // SAFETY: a new descriptor that nobody else knows.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
}

pub(crate) fn pin(fd: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let text = c_path(path)?;
    // SAFETY: `text` is a C string.
    let ret = unsafe { libbpf_sys::bpf_obj_pin(fd.as_raw_fd(), text.as_ptr()) };
    if ret < 0 {
        return Err(failed(ret, format!("pin a map at {}", path.display())));
    }
    Ok(())
}

/// Elements of one map; keys and values as the kernel has them.
#[derive(Debug)]
pub(crate) struct Elements {
    fd: OwnedFd,
    name: &'static str,
    key_size: usize,
    value_size: usize,
    max_entries: u32,
}

impl Elements {
    pub(crate) fn new(fd: OwnedFd, name: &'static str) -> Result<Self> {
        let info = info(fd.as_fd())?;
        Ok(Self {
            fd,
            name,
            key_size: info.key_size as usize,
            value_size: info.value_size as usize,
            max_entries: info.max_entries,
        })
    }

    pub(crate) fn max_entries(&self) -> u32 {
        self.max_entries
    }

    fn check(&self, key: &[u8], value: usize) -> Result<()> {
        if key.len() != self.key_size || value != self.value_size {
            return Err(Error::invalid(format!("the map \"{}\" has other sizes", self.name)));
        }
        Ok(())
    }

    pub(crate) fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check(key, self.value_size)?;
        let mut value = vec![0; self.value_size];
        // SAFETY: key and value have the map's sizes (checked; the map is not a per-CPU one, see `lookup_per_cpu`).
        let ret = unsafe {
            libbpf_sys::bpf_map_lookup_elem(self.fd.as_raw_fd(), key.as_ptr().cast(), value.as_mut_ptr().cast())
        };
        match -ret {
            0 => Ok(Some(value)),
            libc::ENOENT => Ok(None),
            errno => Err(Error::os(format!("look up in the map \"{}\"", self.name), errno)),
        }
    }

    /// Set an element; true unless `only_new` and it exists.
    pub(crate) fn update(&self, key: &[u8], value: &[u8], only_new: bool) -> Result<bool> {
        self.check(key, value.len())?;
        let flags = if only_new { libbpf_sys::BPF_NOEXIST } else { libbpf_sys::BPF_ANY };
        // SAFETY: key and value have the map's sizes.
        let ret = unsafe {
            libbpf_sys::bpf_map_update_elem(
                self.fd.as_raw_fd(),
                key.as_ptr().cast(),
                value.as_ptr().cast(),
                flags.into(),
            )
        };
        match -ret {
            0 => Ok(true),
            libc::EEXIST if only_new => Ok(false),
            libc::E2BIG | libc::ENOSPC => Err(Error::os(format!("the map \"{}\" is full", self.name), -ret)),
            errno => Err(Error::os(format!("write to the map \"{}\"", self.name), errno)),
        }
    }

    /// True when there was such an element.
    pub(crate) fn delete(&self, key: &[u8]) -> Result<bool> {
        self.check(key, self.value_size)?;
        // SAFETY: the key has the map's size.
        let ret = unsafe { libbpf_sys::bpf_map_delete_elem(self.fd.as_raw_fd(), key.as_ptr().cast()) };
        match -ret {
            0 => Ok(true),
            libc::ENOENT => Ok(false),
            errno => Err(Error::os(format!("delete from the map \"{}\"", self.name), errno)),
        }
    }

    /// All keys. Bounded, whatever others do to the map meanwhile.
    pub(crate) fn keys(&self) -> Result<Vec<Vec<u8>>> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for _ in 0..self.max_entries {
            let mut next = vec![0u8; self.key_size];
            let previous = keys.last().map_or(std::ptr::null(), |key| key.as_ptr());
            // SAFETY: both keys have the map's size; null asks for the first one.
            let ret = unsafe {
                libbpf_sys::bpf_map_get_next_key(self.fd.as_raw_fd(), previous.cast(), next.as_mut_ptr().cast())
            };
            match -ret {
                0 => keys.push(next),
                libc::ENOENT => break,
                errno => return Err(Error::os(format!("list the map \"{}\"", self.name), errno)),
            }
        }
        keys.sort_unstable();
        keys.dedup(); // a key deleted meanwhile makes the kernel begin again
        Ok(keys)
    }
}

impl AsFd for Elements {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The sum over all CPUs of element `index` of a per-CPU array of 64-bit counters.
pub(crate) fn sum_per_cpu(fd: BorrowedFd<'_>, index: u32) -> Result<u64> {
    // SAFETY: no arguments.
    let cpus = unsafe { libbpf_sys::libbpf_num_possible_cpus() };
    if cpus <= 0 {
        return Err(failed(cpus, "count the CPUs"));
    }
    let mut values = vec![0u64; cpus as usize];
    // SAFETY: the kernel writes one 64-bit value for each possible CPU; the map's values are of that size (its only users
    // are this crate's own counter maps).
    let ret = unsafe {
        libbpf_sys::bpf_map_lookup_elem(fd.as_raw_fd(), (&raw const index).cast(), values.as_mut_ptr().cast())
    };
    if ret < 0 {
        return Err(failed(ret, "read a counter"));
    }
    Ok(values.iter().fold(0, |sum, value| sum.wrapping_add(*value)))
}
