// SPDX-License-Identifier: Apache-2.0
//! Judging a benign request takes no memory once the thread is warm.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{compile, content, get, post, rule};
use sd_rules::{Limits, Scratch, Step, Transaction};
use serde_json::json;

static CALLS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        System.dealloc(pointer, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn benign_requests_allocate_nothing() {
    let set = compile(
        (0..200)
            .flat_map(|index| {
                let text = format!("/attack{index}.cgi");
                ["http_uri", "raw", "http_header", "http_cookie", "http_client_body"]
                    .map(|buffer| rule(index, vec![content(buffer, text.as_bytes(), json!({}))]))
            })
            .chain([rule(999, vec![content("raw", b"Host", json!({})), content("raw", b"\0", json!({}))])])
            .collect(),
    );
    let chunks = common::chunked(&[b"some", b"text"]);
    let requests = [get("/index.html?a=b"), get("/a%20b//c/../d?e=%41"), post(b"name=value"), chunks];
    let (mut tx, mut scratch, mut out) = (Transaction::default(), Scratch::default(), Vec::new());
    let limits = Limits::default();
    let mut calls = 0;
    for round in 0..4 {
        let before = CALLS.load(Ordering::Relaxed);
        for request in &requests {
            tx.reset();
            let step = tx.advance(&set, &limits, &mut scratch, request, false, &mut out);
            assert_eq!(step, Step::Done { consumed: request.len() });
        }
        assert!(out.is_empty());
        calls = CALLS.load(Ordering::Relaxed) - before;
        assert!(round > 0 || calls > 0, "the first round warms up");
    }
    assert_eq!(calls, 0);
}
