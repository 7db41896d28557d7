// SPDX-License-Identifier: Apache-2.0
//! `_core.Adopter`

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{exactly, into_py, ipv4};

#[pyclass(frozen, module = "securedirect._core")]
pub struct Adopter(Mutex<sd_io::adopter::Adopter>);

impl Adopter {
    fn inner(&self) -> MutexGuard<'_, sd_io::adopter::Adopter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Adopter {
    #[new]
    #[pyo3(signature = (interface, *, vip, ports, key))]
    fn new(py: Python<'_>, interface: &str, vip: &str, ports: Vec<u16>, key: &[u8]) -> PyResult<Self> {
        let (vip, key) = (ipv4(vip)?, exactly(key, "key")?);
        py.detach(|| sd_io::adopter::Adopter::attach(interface, vip, &ports, key))
            .map(|adopter| Self(Mutex::new(adopter)))
            .map_err(into_py)
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        for (name, value) in self.inner().counters().map_err(into_py)? {
            counters.set_item(name, value)?;
        }
        Ok(counters)
    }

    fn detach(&self) -> PyResult<()> {
        self.inner().detach().map_err(into_py)
    }
}
