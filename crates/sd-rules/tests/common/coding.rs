// SPDX-License-Identifier: Apache-2.0
//! Compressed bodies.
#![allow(dead_code)] // each test file uses its part

use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, 6)
}

pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec_zlib(bytes, 6)
}

/// Without a valid check sum, which nobody looks at.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    [&head[..], &deflate(bytes), &[0; 4], &(bytes.len() as u32).to_le_bytes()].concat()
}
