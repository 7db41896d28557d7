// SPDX-License-Identifier: Apache-2.0
//! The stream engine: puts segments in order, holds each request until it is judged, forwards or hands over.
//!
//! Pure code: no I/O, no clock, no `unsafe`. Packets and time come in, frames and events go out through [`host::Host`].
//! It must never forward a byte to a real server that was not judged, nor two readings of the same sequence number.
#![forbid(unsafe_code)]

mod connection;
pub mod counter;
mod engine;
pub mod event;
mod handoff;
pub mod host;
pub mod packet;
mod stream;

pub use engine::{Config, Disposition, Engine, Method, Service, RULE_STATE};
pub use handoff::{adopt_option, ADOPT_LENGTH};

#[cfg(test)]
mod tests;
