// SPDX-License-Identifier: Apache-2.0
//! `_core.Director`

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use sd_io::abi;
use sd_io::director::{show_address, Listed, Options};
use sd_io::shared::{Backend, Settings};
use sd_io::xdp::{Mode, Wanted};

use crate::error::{exactly, into_py, ipv4, nanoseconds};

#[pyclass(frozen, module = "securedirect._core")]
pub struct Director {
    inner: sd_io::director::Director,
    mode: Wanted,
}

/// Why a request was not cleared: service, words, sid (0: no rule's), count.
type Reason = (usize, String, u32, u64);

/// Names of the flags in a flow's owner word.
const FLOW_FLAGS: [(u64, &str); 10] = [
    (abi::FLAG_ESTABLISHED, "established"),
    (abi::FLAG_CLOSED, "closed"),
    (abi::FLAG_DIVERTED, "diverted"),
    (abi::FLAG_MOVING, "moving"),
    (abi::FLAG_PROVE, "prove"),
    (abi::FLAG_PROVED, "proved"),
    (abi::FLAG_SILENT, "silent"),
    (abi::FLAG_MIDSTREAM, "midstream"),
    (abi::FLAG_ALLOWED, "allowed"),
    (abi::FLAG_LISTED, "listed"),
];

fn seconds(ns: f64) -> f64 {
    ns / 1e9
}

/// Slots of backend indexes.
fn slots(indexes: &[u16], what: &str) -> PyResult<Vec<u8>> {
    indexes
        .iter()
        .map(|index| u8::try_from(*index))
        .collect::<Result<_, _>>()
        .map_err(|_| PyValueError::new_err(format!("{what}: indexes go from 0 to 255")))
}

#[pymethods]
impl Director {
    #[new]
    #[pyo3(signature = (interface, *, pin_dir, xdp_mode = "auto", max_flows = 262_144, max_attackers = 65_536))]
    fn new(
        py: Python<'_>,
        interface: &str,
        pin_dir: &str,
        xdp_mode: &str,
        max_flows: u32,
        max_attackers: u32,
    ) -> PyResult<Self> {
        let mode = match xdp_mode {
            "auto" => Wanted::Auto,
            "native" => Wanted::Only(Mode::Native),
            "generic" => Wanted::Only(Mode::Generic),
            other => {
                return Err(PyValueError::new_err(format!("xdp_mode: \"{other}\" is not auto, native or generic")))
            }
        };
        let options = Options { pin_dir: Some(pin_dir.into()), max_flows, max_attackers };
        let inner = py.detach(|| sd_io::director::Director::load(interface, options)).map_err(into_py)?;
        Ok(Self { inner, mode })
    }

    #[pyo3(signature = (*, vip, ports, mac, flow_timeout, closed_timeout, inspect, attacker_expiry, allow))]
    #[allow(clippy::too_many_arguments)]
    fn configure(
        &self,
        vip: &str,
        ports: Vec<u16>,
        mac: &[u8],
        flow_timeout: f64,
        closed_timeout: f64,
        inspect: bool,
        attacker_expiry: f64,
        allow: Vec<String>,
    ) -> PyResult<()> {
        let settings = Settings {
            vip: ipv4(vip)?.octets(),
            ports,
            mac: exactly(mac, "mac")?,
            flow_timeout_ns: nanoseconds(flow_timeout, "flow_timeout")?,
            closed_timeout_ns: nanoseconds(closed_timeout, "closed_timeout")?,
            attacker_expiry_ns: nanoseconds(attacker_expiry, "attacker_expiry")?,
            inspect,
        };
        self.inner.configure(&settings, &allow).map_err(into_py)
    }

    /// Networks on rules' lists: (network, services, services that divert, sid), one bit for each service.
    fn set_listed(&self, py: Python<'_>, networks: Vec<(String, u64, u64, u32)>) -> PyResult<()> {
        let of = |(network, services, divert, sid)| Listed { network, services, divert, sid };
        let networks: Vec<Listed> = networks.into_iter().map(of).collect();
        py.detach(|| self.inner.set_listed(&networks)).map_err(into_py)
    }

    #[pyo3(signature = (index, *, kind, address, mac, up, adopt = false, wscale = None, mss = 1460, sack = true,
                        timestamps = true))]
    #[allow(clippy::too_many_arguments)]
    fn set_backend(
        &self,
        index: u16,
        kind: &str,
        address: &str,
        mac: Option<&[u8]>,
        up: bool,
        adopt: bool,
        wscale: Option<u8>,
        mss: u16,
        sack: bool,
        timestamps: bool,
    ) -> PyResult<()> {
        let honeypot = match kind {
            "server" => false,
            "honeypot" => true,
            other => return Err(PyValueError::new_err(format!("kind: \"{other}\" is not server or honeypot"))),
        };
        let flags = [
            (up, abi::BACKEND_UP),
            (mac.is_some(), abi::BACKEND_RESOLVED),
            (honeypot, abi::BACKEND_HONEYPOT),
            (adopt, abi::BACKEND_ADOPT),
            (sack, abi::BACKEND_SACK),
            (timestamps, abi::BACKEND_TIMESTAMPS),
        ];
        let backend = Backend {
            mac: mac.map_or(Ok([0; 6]), |mac| exactly(mac, "mac"))?,
            flags: flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag),
            address: ipv4(address)?.octets(),
            mss,
            wscale,
        };
        self.inner.set_backend(index, &backend).map_err(into_py)
    }

    fn set_schedule(&self, service: usize, servers: Vec<u16>, honeypots: Vec<u16>) -> PyResult<()> {
        let (servers, honeypots) = (slots(&servers, "servers")?, slots(&honeypots, "honeypots")?);
        self.inner.set_schedule(service, &servers, &honeypots).map_err(into_py)
    }

    fn attach(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.inner.attach(self.mode)).map(|mode| mode.to_string()).map_err(into_py)
    }

    fn detach(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.detach()).map_err(into_py)
    }

    /// How many requests were looked at, and their reasons.
    fn travelled(&self) -> PyResult<(u64, Vec<Reason>)> {
        let Some(travelled) = self.inner.travelled().map_err(into_py)? else { return Ok((0, Vec::new())) };
        let (total, reasons) = travelled.list();
        let said = reasons.into_iter().filter_map(|(key, count)| {
            let (service, words, sid) = sd_inspector::travelled::said(key)?;
            Some((service, words, sid, count))
        });
        Ok((total, said.collect()))
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        for (name, value) in self.inner.counters().map_err(into_py)? {
            counters.set_item(name, value)?;
        }
        for (place, name) in sd_engine::counter::NAMES.iter().enumerate() {
            counters.set_item(name, self.inner.inspected().get(place))?;
        }
        Ok(counters)
    }

    fn attackers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let all = PyList::empty(py);
        for mark in self.inner.attackers().map_err(into_py)? {
            let entry = PyDict::new(py);
            entry.set_item("address", show_address(mark.address.octets()))?;
            entry.set_item("since", seconds(mark.since_ns as f64))?;
            entry.set_item("expires", seconds(mark.expires_ns as f64))?;
            entry.set_item("sid", mark.sid)?;
            entry.set_item("connections", mark.connections)?;
            all.append(entry)?;
        }
        Ok(all)
    }

    #[pyo3(signature = (address, *, expiry, sid = 0))]
    fn attacker_add(&self, address: &str, expiry: f64, sid: u32) -> PyResult<()> {
        self.inner.attacker_add(address, nanoseconds(expiry, "expiry")?, sid).map_err(into_py)
    }

    fn attacker_remove(&self, address: &str) -> PyResult<bool> {
        self.inner.attacker_remove(address).map_err(into_py)
    }

    #[pyo3(signature = (limit = 1000))]
    fn flows<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let all = PyList::empty(py);
        for flow in py.detach(|| self.inner.flow_entries(limit)) {
            let index = |backend: u16| (backend != 0xffff).then_some(backend);
            let flags: Vec<&str> =
                FLOW_FLAGS.iter().filter(|(flag, _)| flow.owner & flag != 0).map(|(_, name)| *name).collect();
            let entry = PyDict::new(py);
            entry.set_item("client", show_address(flow.facts.saddr))?;
            entry.set_item("client_port", flow.facts.sport)?;
            entry.set_item("vip", show_address(flow.facts.daddr))?;
            entry.set_item("port", flow.facts.dport)?;
            entry.set_item("server", index(flow.facts.server))?;
            entry.set_item("honeypot", index(flow.facts.honeypot))?;
            entry.set_item("flags", flags)?;
            entry.set_item("age", seconds(flow.age_ns as f64))?;
            entry.set_item("idle", seconds(flow.idle_ns as f64))?;
            entry.set_item("rtt_us", flow.facts.rtt_us)?;
            entry.set_item("to_inspector", flow.owner >> 32)?;
            entry.set_item("attack_sid", flow.attack_sid)?;
            all.append(entry)?;
        }
        Ok(all)
    }

    fn inspector_fds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fds = PyDict::new(py);
        for (name, fd) in self.inner.inspector_fds() {
            fds.set_item(name, fd)?;
        }
        Ok(fds)
    }
}
