// SPDX-License-Identifier: Apache-2.0
//! The embedded BPF objects: opening, setting their constants, silencing libbpf.

use std::ffi::OsStr;
use std::sync::Once;

use libbpf_rs::btf::types::{DataSec, Var};
use libbpf_rs::btf::Btf;
use libbpf_rs::{AsRawLibbpf, ObjectBuilder, OpenObject, PrintLevel};

use crate::error::{Error, Result};

#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

macro_rules! embedded {
    ($name:literal) => {{
        static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bpf.o")));
        &OBJECT.0
    }};
}

pub(crate) static DIRECTOR: &[u8] = embedded!("director");
pub(crate) static DIRECTOR_PLAIN: &[u8] = embedded!("director_plain");
pub(crate) static ADOPT: &[u8] = embedded!("adopt");
pub(crate) static JUDGE: &[u8] = embedded!("judge");
pub(crate) static PASS: &[u8] = embedded!("pass");

/// True when the developer asked for libbpf's and the verifier's own words.
pub(crate) fn debug() -> bool {
    std::env::var_os("SECUREDIRECT_DEBUG").is_some_and(|value| !value.is_empty() && value != "0")
}

fn print(_level: PrintLevel, text: String) {
    eprint!("{text}");
}

/// libbpf writes to stderr unless told not to; our errors say what a user needs to know.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        libbpf_rs::set_print(debug().then_some((PrintLevel::Debug, print)));
    });
}

pub(crate) fn open(name: &str, object: &[u8]) -> Result<OpenObject> {
    quiet();
    ObjectBuilder::default()
        .name(name)
        .and_then(|builder| builder.open_memory(object))
        .map_err(|error| Error::bpf(format!("open the BPF object \"{name}\""), &error))
}

/// How many processors the kernel may number: elements of a map that has one for each.
pub(crate) fn cpus() -> Result<u32> {
    let count = libbpf_rs::num_possible_cpus().map_err(|error| Error::bpf("count the processors", &error))?;
    u32::try_from(count).map_err(|_| Error::host("the kernel numbers too many processors"))
}

/// Set `const volatile` variables before the object is loaded. The sizes must be right.
pub(crate) fn set_constants(object: &mut OpenObject, values: &[(&str, &[u8])]) -> Result<()> {
    let mut places = Vec::with_capacity(values.len());
    {
        // SAFETY: the object is alive for the whole block and nothing changes it meanwhile.
        let raw = unsafe { object.as_libbpf_object().as_ref() };
        let btf = Btf::from_bpf_object(raw)
            .ok()
            .flatten()
            .ok_or_else(|| Error::invalid("the BPF object has no type information"))?;
        let section = btf
            .type_by_name::<DataSec<'_>>(".rodata")
            .ok_or_else(|| Error::invalid("the BPF object has no constants"))?;
        for (name, value) in values {
            let place = section
                .iter()
                .find(|info| btf.type_by_id::<Var<'_>>(info.ty).is_some_and(|v| v.name() == Some(OsStr::new(name))))
                .ok_or_else(|| Error::invalid(format!("the BPF object has no constant \"{name}\"")))?;
            if place.size != value.len() {
                return Err(Error::invalid(format!("the constant \"{name}\" has {} bytes", place.size)));
            }
            places.push((place.offset as usize, *value));
        }
    }
    let mut rodata = object
        .maps_mut()
        .find(|map| map.name().to_string_lossy().ends_with(".rodata"))
        .ok_or_else(|| Error::invalid("the BPF object has no constants"))?;
    let data = rodata.initial_value_mut().ok_or_else(|| Error::invalid("the BPF object's constants cannot be set"))?;
    for (offset, value) in places {
        data.get_mut(offset..offset + value.len())
            .ok_or_else(|| Error::invalid("a constant of the BPF object is out of place"))?
            .copy_from_slice(value);
    }
    Ok(())
}
