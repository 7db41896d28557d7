// SPDX-License-Identifier: Apache-2.0
//! `_core.replay` and `_core.judge_request`

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use sd_inspector::replay::Options;
use sd_rules::{Limits, RuleSet, Scratch, Step, Transaction};

fn compile(document: &[u8]) -> PyResult<RuleSet> {
    RuleSet::from_json(document).map(|(rules, _)| rules).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Judge a capture; `emit` gets each event as a line of JSON. Returns the summary as JSON.
#[pyfunction]
#[pyo3(signature = (file, rules, options, emit))]
pub fn replay(py: Python<'_>, file: PathBuf, rules: &[u8], options: &[u8], emit: Py<PyAny>) -> PyResult<String> {
    let options: Options = serde_json::from_slice(options).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let file = BufReader::with_capacity(1 << 20, File::open(file)?);
    py.detach(|| {
        let rules = Arc::new(compile(rules)?);
        let mut failed = None;
        let summary = sd_inspector::replay::replay(file, rules, &options, &mut |event| {
            let line = event.to_string();
            Python::attach(|py| {
                // A signal (Ctrl-C) or a reader that has gone ends it.
                failed = py.check_signals().and_then(|()| emit.call1(py, (line,)).map(drop)).err();
                failed.is_none()
            })
        });
        match (failed, summary) {
            (Some(error), _) => Err(error),
            (None, Ok(summary)) => serde_json::to_string(&summary).map_err(|e| PyRuntimeError::new_err(e.to_string())),
            (None, Err(why)) => Err(PyValueError::new_err(why)),
        }
    })
}

/// One match: gid, sid, buffer, offset, length.
type Matched = (u32, u32, &'static str, u32, u32);

/// Judge the first request of `data`, after which its client closes.
#[pyfunction]
#[pyo3(signature = (rules, data, port = 80, depth = 1 << 20))]
pub fn judge_request(
    py: Python<'_>,
    rules: &[u8],
    data: &[u8],
    port: u16,
    depth: usize,
) -> PyResult<(Vec<Matched>, &'static str, usize)> {
    py.detach(|| {
        let rules = compile(rules)?;
        let limits = Limits { depth, dst_port: port, ..Limits::default() };
        let (mut scratch, mut transaction, mut matches) = (Scratch::default(), Transaction::default(), Vec::new());
        let step = transaction.advance(&rules, &limits, &mut scratch, data, true, &mut matches);
        let (word, used) = match step {
            Step::Done { consumed } => ("complete", consumed),
            Step::NeedMore => ("incomplete", data.len()),
            Step::BodyTooDeep => ("too_deep", data.len()),
            Step::Tunnel => ("not_http", data.len()),
        };
        if matches!(step, Step::NeedMore | Step::Tunnel) {
            transaction.finish(&rules, &limits, &mut scratch, data, &mut matches);
        }
        let found = matches.iter().map(|m| {
            let rule = rules.rule(m.rule);
            (rule.gid, rule.sid, m.buffer.as_str(), m.offset, m.len)
        });
        Ok((found.collect(), word, used))
    })
}
