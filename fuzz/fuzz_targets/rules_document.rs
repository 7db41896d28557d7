// SPDX-License-Identifier: Apache-2.0
//! Bytes as a rule document: refused with a reason, or compiled and able to judge.
#![no_main]

#[path = "../../crates/sd-rules/tests/common/mod.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|input: &[u8]| common::fuzz::rules_document(input));
