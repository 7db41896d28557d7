// SPDX-License-Identifier: Apache-2.0
//! Replays the inputs of the fuzz targets: the seeds, and what was once found.

mod common;

use std::path::{Path, PathBuf};

/// Inputs of a target, from `fuzz/corpus` and `fuzz/regressions` of the checkout.
fn inputs(target: &str) -> Vec<PathBuf> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut files = Vec::new();
    for kind in ["corpus", "regressions"] {
        let Ok(entries) = std::fs::read_dir(fuzz.join(kind).join(target)) else { continue };
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.sort();
    files
}

#[test]
fn http_request() {
    let rules = common::fuzz::rules();
    let files = inputs("http_request");
    for file in &files {
        println!("{}", file.display());
        common::fuzz::http_request(&rules, &std::fs::read(file).unwrap());
    }
    assert!(!files.is_empty(), "the seeds are part of the checkout");
}

#[test]
fn rules_document() {
    let files = inputs("rules_document");
    for file in &files {
        println!("{}", file.display());
        common::fuzz::rules_document(&std::fs::read(file).unwrap());
    }
    assert!(!files.is_empty(), "the seeds are part of the checkout");
}
