// SPDX-License-Identifier: Apache-2.0
//! Descriptors that were inherited as numbers.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::error::{Error, Result};

/// A descriptor of our own for the open file behind `number`, which stays open.
pub fn duplicate(number: RawFd) -> Result<OwnedFd> {
    // SAFETY: a plain system call with numbers; a bad number is an error.
    let own = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if own < 0 {
        return Err(Error::last_os(format!("use the inherited descriptor {number}")));
    }
    // SAFETY: the kernel has just given it to us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(own) })
}
