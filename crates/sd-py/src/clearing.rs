// SPDX-License-Identifier: Apache-2.0
//! `_core.Clearing`

use std::net::SocketAddrV4;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use sd_inspector::clearing;

/// Cleared, why not, the rules behind it, what the matcher finds, the kernel's answer.
type Judged = (bool, String, Vec<u32>, Vec<String>, Option<bool>);

/// What the kernel clears with one rule document.
#[pyclass]
pub struct Clearing(clearing::Clearing);

#[pymethods]
impl Clearing {
    #[new]
    #[pyo3(signature = (document, *, kernel = false))]
    fn new(document: &[u8], kernel: bool) -> PyResult<Self> {
        clearing::Clearing::new(document, kernel).map(Self).map_err(PyValueError::new_err)
    }

    fn reload(&mut self, document: &[u8]) -> PyResult<()> {
        self.0.reload(document).map_err(PyValueError::new_err)
    }

    /// `source` and `port`: the client's.
    #[pyo3(signature = (request, *, source = "198.51.100.1", port = 40000))]
    fn judge(&mut self, request: &[u8], source: &str, port: u16) -> PyResult<Judged> {
        let source = source.parse().map_err(|_| PyValueError::new_err(format!("{source:?} is no IPv4 address")))?;
        let judged = self.0.judge(SocketAddrV4::new(source, port), request).map_err(PyRuntimeError::new_err)?;
        Ok((judged.cleared, judged.why, judged.sids, judged.matches, judged.kernel))
    }

    /// Nanoseconds in the kernel.
    #[pyo3(signature = (requests, repeat = 1_000_000))]
    fn measure(&self, py: Python<'_>, requests: Vec<Vec<u8>>, repeat: u32) -> PyResult<Vec<f64>> {
        let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
        py.detach(|| self.0.measure(&requests, repeat)).map_err(PyRuntimeError::new_err)
    }

    /// Nanoseconds in the kernel for one of these, each run once; None where the kernel cannot.
    fn measure_once(&self, py: Python<'_>, requests: Vec<Vec<u8>>) -> PyResult<Option<f64>> {
        let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
        py.detach(|| self.0.measure_once(&requests)).map_err(PyRuntimeError::new_err)
    }

    /// JSON.
    fn summary(&self) -> String {
        self.0.summary().to_string()
    }
}
