// SPDX-License-Identifier: Apache-2.0
//! Errors on their way to Python, and checked numbers on their way in.

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use sd_io::{Error, Kind};

pyo3::create_exception!(securedirect._core, KernelError, PyOSError, "A step with the kernel failed.");

/// A wrong argument is a `ValueError`, everything else a `KernelError` with the kernel's number, when there is one.
pub fn into_py(error: Error) -> PyErr {
    match (error.kind, error.errno()) {
        (Kind::Invalid, _) => PyValueError::new_err(error.message()),
        (_, Some(errno)) => KernelError::new_err((errno, error.message())),
        (_, None) => KernelError::new_err(error.message()),
    }
}

/// Seconds as nanoseconds.
pub fn nanoseconds(seconds: f64, what: &str) -> PyResult<u64> {
    let ns = seconds * 1e9;
    if !(0.0..=9e18).contains(&ns) {
        return Err(PyValueError::new_err(format!("{what}: {seconds} is not a number of seconds")));
    }
    Ok(ns as u64)
}

/// An IPv4 address.
pub fn ipv4(text: &str) -> PyResult<std::net::Ipv4Addr> {
    text.parse().map_err(|_| PyValueError::new_err(format!("\"{text}\" is not an IPv4 address")))
}

/// Exactly N bytes.
pub fn exactly<const N: usize>(bytes: &[u8], what: &str) -> PyResult<[u8; N]> {
    bytes.try_into().map_err(|_| PyValueError::new_err(format!("{what} must have {N} bytes, not {}", bytes.len())))
}
