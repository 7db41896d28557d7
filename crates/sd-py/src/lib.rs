// SPDX-License-Identifier: Apache-2.0
//! `securedirect._core`: what Python sees of the Rust side. Only conversions live here; the types and texts are described
//! in python/securedirect/_core.pyi.
#![forbid(unsafe_code)]

mod adopter;
mod clearing;
mod director;
mod error;
mod inspector;
mod replay;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use error::into_py;

#[pyfunction]
fn compile_rules(py: Python<'_>, document: &[u8]) -> PyResult<Vec<(usize, String)>> {
    py.detach(|| sd_rules::RuleSet::from_json(document))
        .map(|(_, refused)| refused)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

#[pyfunction]
fn attach_pass(interface: &str) -> PyResult<()> {
    sd_io::pass::attach_pass(interface).map(|_| ()).map_err(into_py)
}

#[pyfunction]
fn detach_xdp(interface: &str) -> PyResult<()> {
    sd_io::pass::detach_xdp(interface).map_err(into_py)
}

#[pyfunction]
#[pyo3(signature = (repeat = 1_000_000))]
fn measure_xdp(py: Python<'_>, repeat: u32) -> PyResult<Bound<'_, PyDict>> {
    let measured = py.detach(|| sd_io::measure::measure_xdp(repeat)).map_err(into_py)?;
    let paths = PyDict::new(py);
    for (path, ns) in measured {
        paths.set_item(path, ns)?;
    }
    Ok(paths)
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("KernelError", module.py().get_type::<error::KernelError>())?;
    module.add_class::<director::Director>()?;
    module.add_class::<adopter::Adopter>()?;
    module.add_function(wrap_pyfunction!(compile_rules, module)?)?;
    module.add_function(wrap_pyfunction!(attach_pass, module)?)?;
    module.add_function(wrap_pyfunction!(detach_xdp, module)?)?;
    module.add_function(wrap_pyfunction!(measure_xdp, module)?)?;
    module.add_function(wrap_pyfunction!(inspector::run_inspector, module)?)?;
    module.add_function(wrap_pyfunction!(replay::replay, module)?)?;
    module.add_function(wrap_pyfunction!(replay::judge_request, module)?)?;
    module.add_function(wrap_pyfunction!(replay::normalise, module)?)?;
    module.add_function(wrap_pyfunction!(replay::builtin_rules, module)?)?;
    module.add_class::<clearing::Clearing>()?;
    Ok(())
}
