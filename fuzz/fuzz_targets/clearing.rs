// SPDX-License-Identifier: Apache-2.0
//! Requests that the kernel would clear: the matcher finds nothing in them.
#![no_main]

#[path = "../../crates/sd-rules/tests/common/mod.rs"]
mod common;

use std::sync::OnceLock;

use sd_rules::clearing::Tables;
use sd_rules::RuleSet;

static RULES: OnceLock<Vec<(RuleSet, Tables)>> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let rules = RULES.get_or_init(|| ["snort2", "snort3", "suricata"].map(common::fuzz::clearing_rules).into());
    for (rules, tables) in rules {
        common::fuzz::clearing(rules, tables, input);
    }
});
