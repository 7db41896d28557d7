// SPDX-License-Identifier: Apache-2.0
//! `_core.replay`, `_core.judge_request`, `_core.normalise` and `_core.builtin_rules`

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sd_inspector::replay::{unfinished_checksums, Options, Rules};
use sd_rules::http::decoder::GID;
use sd_rules::{Action, Decoder, Limits, PacketFacts, Profile, RuleSet, Scratch, Segment, Step, Transaction};

fn compile(document: &[u8]) -> PyResult<RuleSet> {
    RuleSet::from_json(document).map(|(rules, _)| rules).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Judge a capture by the director's rules and by those for captures; `emit` gets each event as a line of JSON. Returns the
/// summary as JSON.
#[pyfunction]
#[pyo3(signature = (file, rules, capture_rules, options, emit))]
pub fn replay(
    py: Python<'_>,
    file: PathBuf,
    rules: &[u8],
    capture_rules: &[u8],
    options: &[u8],
    emit: Py<PyAny>,
) -> PyResult<String> {
    let options: Options = serde_json::from_slice(options).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let open = || File::open(&file).map(|file| BufReader::with_capacity(1 << 20, file));
    let (first, second) = (open()?, open()?);
    py.detach(|| {
        let rules = Rules { live: Arc::new(compile(rules)?), capture: Arc::new(compile(capture_rules)?) };
        let mut failed = None;
        let forgiven = unfinished_checksums(first).map_err(PyValueError::new_err)?;
        let summary = sd_inspector::replay::replay(second, rules, &options, forgiven, &mut |event| {
            let mut line = Vec::new();
            sd_inspector::eve::write_line(&mut line, event);
            let line = String::from_utf8_lossy(&line);
            Python::attach(|py| {
                // A signal (Ctrl-C) or a reader that has gone ends it.
                failed = py.check_signals().and_then(|()| emit.call1(py, (&*line,)).map(drop)).err();
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
        // As one segment.
        let facts = PacketFacts { payload: data, flags: 0x18, ..PacketFacts::default() };
        let (sent, segment) = ((data.len() as u64, 0), Some(Segment::of(&facts)));
        let limits = Limits { depth, dst_port: port, sent, segment, ..Limits::default() };
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

/// The readings of one buffer, by its name and the dialect that has it so ("" when all have).
type Readings<'py> = (&'static str, &'static str, Vec<Bound<'py, PyBytes>>);

/// What rules see of the first request of `data` on a service with this profile, and the sids of the oddities found.
#[pyfunction]
#[pyo3(signature = (data, profile = "generic", depth = 1 << 20))]
pub fn normalise<'py>(
    py: Python<'py>,
    data: &[u8],
    profile: &str,
    depth: usize,
) -> PyResult<(Vec<Readings<'py>>, Vec<u32>)> {
    let known = Profile::from_name(profile).ok_or_else(|| PyValueError::new_err(format!("no profile {profile:?}")))?;
    let shown = py.detach(|| sd_rules::show(known, &Limits { depth, ..Limits::default() }, data));
    let buffers = shown.buffers.iter().map(|(buffer, readings)| {
        (buffer.as_str(), buffer.dialect(), readings.iter().map(|reading| PyBytes::new(py, reading)).collect())
    });
    let sids = shown.oddities.iter().map(|decoder| Decoder::TABLE[*decoder as usize].1);
    Ok((buffers.collect(), sids.collect()))
}

/// gid, sid, default action (None: not reported) and message of each built-in rule.
#[pyfunction]
pub fn builtin_rules() -> Vec<(u32, u32, Option<&'static str>, &'static str)> {
    let word = |action: &Action| match action {
        Action::Divert => "divert",
        Action::Score => "score",
        Action::Alert => "alert",
        Action::Pass => "pass",
    };
    Decoder::TABLE.iter().map(|(_, sid, action, msg)| (GID, *sid, action.as_ref().map(word), *msg)).collect()
}
