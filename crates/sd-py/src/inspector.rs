// SPDX-License-Identifier: Apache-2.0
//! `_core.run_inspector`

use std::collections::HashMap;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::into_py;

/// Never returns while all is well; see python/securedirect/daemon/inspector.py for what is passed.
#[pyfunction]
#[pyo3(signature = (config, rules, fds, events, control = None))]
pub fn run_inspector(
    py: Python<'_>,
    config: &[u8],
    rules: &[u8],
    fds: HashMap<String, i32>,
    events: i32,
    control: Option<i32>,
) -> PyResult<()> {
    let mut maps = HashMap::new();
    for (name, number) in fds {
        maps.insert(name, sd_io::fds::duplicate(number).map_err(into_py)?);
    }
    let events = sd_io::fds::duplicate(events).map_err(into_py)?;
    let control = control.map(sd_io::fds::duplicate).transpose().map_err(into_py)?;
    py.detach(|| sd_inspector::run(config, rules, &maps, events, control)).map_err(PyRuntimeError::new_err)
}
