// SPDX-License-Identifier: Apache-2.0
//! Everything of SecureDirect that talks to the kernel: BPF programs and their maps, AF_XDP sockets, the sandbox.
//!
//! The only crate with `unsafe`. What it offers is safe: no caller can reach outside a mapping or give a frame that the
//! kernel owns to anybody else. Policy lives elsewhere.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod abi;
pub mod adopter;
pub mod clearing;
pub mod director;
mod error;
pub mod fds;
mod map;
pub mod measure;
pub mod net;
mod object;
pub mod pass;
pub mod sandbox;
pub mod shared;
pub mod xdp;
pub mod xsk;

pub use error::{Error, Kind, Result};

/// Memory that is free goes back to the system: of rules that are gone, for one. The C library would keep it.
pub fn give_back_memory() {
    // SAFETY: it touches what the allocator has free, and nothing else.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
