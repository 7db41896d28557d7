// SPDX-License-Identifier: Apache-2.0
//! The program that passes everything; veth peers of an interface that transmits with `XDP_TX` need one.

use std::os::fd::AsFd;

use crate::error::{Error, Result};
use crate::object;
use crate::xdp::{self, Mode, Wanted};

const NAME: &str = "pass";

/// Attach it; a `pass` of before is replaced.
pub fn attach_pass(interface: &str) -> Result<Mode> {
    crate::net::interface_index(interface)?;
    let object = object::open(NAME, object::PASS)?
        .load()
        .map_err(|error| Error::bpf("load the BPF program \"pass\"", &error))?;
    let program = object.progs().next().ok_or_else(|| Error::invalid("the BPF object has no program"))?;
    xdp::attach(interface, program.as_fd(), &[NAME], Wanted::Auto)
}

/// Remove SecureDirect's XDP program, whichever it is, from the interface. Idempotent; others' programs stay.
pub fn detach_xdp(interface: &str) -> Result<()> {
    object::quiet();
    xdp::detach(interface, |program| program.name == NAME || program.name == crate::director::PROGRAM)
}
