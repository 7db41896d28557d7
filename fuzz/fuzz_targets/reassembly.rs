// SPDX-License-Identifier: Apache-2.0
//! Bytes as packets of several connections into the engine: nothing that was not judged reaches a server.
#![no_main]

#[path = "../../crates/sd-engine/tests/common/mod.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|input: &[u8]| common::fuzz::reassembly(input));
