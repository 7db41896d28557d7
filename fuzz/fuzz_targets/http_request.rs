// SPDX-License-Identifier: Apache-2.0
//! Bytes as HTTP requests: no crash, and no verdict that depends on the segmentation.
#![no_main]

#[path = "../../crates/sd-rules/tests/common/mod.rs"]
mod common;

use std::sync::OnceLock;

use sd_rules::RuleSet;

static RULES: OnceLock<RuleSet> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    common::fuzz::http_request(RULES.get_or_init(common::fuzz::rules), input);
});
