// SPDX-License-Identifier: Apache-2.0
//! Loads the adopter and attaches it at tc ingress of a honeypot's interface.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use libbpf_rs::btf::types::Func;
use libbpf_rs::btf::Btf;
use libbpf_rs::{MapCore, Object, TcHookBuilder, TC_INGRESS};

use crate::error::{errno_of, Error, Result};
use crate::{abi, map, net, object};

/// Names of its counters.
pub const COUNTERS: [&str; 5] =
    ["adopted", "refused_mac", "refused_no_listener", "refused_already_open", "refused_by_kernel"];

const KFUNC: &str = "bpf_sk_assign_tcp_reqsk";
/// Our place among the interface's filters, so that a restarted agent replaces its own and nobody else's.
const HANDLE: u32 = 1;
const PRIORITY: u32 = 0x5344;

/// The tc program on one interface. Stays attached until [`Adopter::detach`].
#[derive(Debug)]
pub struct Adopter {
    object: Object,
    interface: String,
    ifindex: u32,
    made_qdisc: bool,
    attached: bool,
}

/// An error when this kernel cannot adopt connections.
fn require_kfunc() -> Result<()> {
    let found = Btf::from_vmlinux().is_ok_and(|btf| btf.type_by_name::<Func<'_>>(KFUNC).is_some());
    if found {
        return Ok(());
    }
    Err(Error::missing(
        format!("this kernel cannot adopt connections (it has no {KFUNC})"),
        "Linux >= 6.9 with CONFIG_SYN_COOKIES and BTF is needed on a honeypot; elsewhere use handoff.method = \"classic\"",
    ))
}

/// libbpf's description of the place "ingress of this interface".
fn qdisc(ifindex: u32, attach_point: libbpf_sys::bpf_tc_attach_point) -> libbpf_sys::bpf_tc_hook {
    libbpf_sys::bpf_tc_hook {
        sz: size_of::<libbpf_sys::bpf_tc_hook>() as libbpf_sys::size_t,
        ifindex: ifindex as i32,
        attach_point,
        ..Default::default()
    }
}

impl Adopter {
    /// Load and attach. `ports`: of the services. `key`: 16 bytes that the director has too.
    pub fn attach(interface: &str, vip: Ipv4Addr, ports: &[u16], key: [u8; 16]) -> Result<Self> {
        object::quiet();
        let ifindex = net::interface_index(interface)?;
        require_kfunc()?;
        let mut open = object::open("adopt", object::ADOPT)?;
        let mut services = vec![0u8; abi::PORTS];
        for port in ports {
            services[usize::from(port.to_be())] = 1;
        }
        object::set_constants(&mut open, &[("vip", &vip.octets()), ("services", &services), ("key", &key)])?;
        let object = open.load().map_err(|error| match errno_of(&error) {
            Some(libc::ESRCH | libc::ENOTSUP) => Error::missing(
                "this kernel cannot adopt connections",
                "Linux >= 6.9 with CONFIG_SYN_COOKIES and BTF is needed on a honeypot",
            ),
            _ => Error::bpf("load the BPF program \"adopt\"", &error),
        })?;
        let mut hook = qdisc(ifindex, libbpf_sys::BPF_TC_INGRESS | libbpf_sys::BPF_TC_EGRESS);
        // SAFETY: `hook` is complete.
        let ret = unsafe { libbpf_sys::bpf_tc_hook_create(&mut hook) };
        if ret < 0 && ret != -libc::EEXIST {
            return Err(Error::os(format!("create the clsact qdisc on {interface}"), -ret));
        }
        let mut adopter =
            Self { object, interface: interface.to_owned(), ifindex, made_qdisc: ret == 0, attached: false };
        if let Err(error) = adopter.attach_filter() {
            let _ = adopter.detach();
            return Err(error);
        }
        Ok(adopter)
    }

    fn hook(&self) -> Result<libbpf_rs::TcHook> {
        let program = self.object.progs().next().ok_or_else(|| Error::invalid("the BPF object has no program"))?;
        let hook = TcHookBuilder::new(program.as_fd())
            .ifindex(self.ifindex as i32)
            .replace(true)
            .handle(HANDLE)
            .priority(PRIORITY)
            .hook(TC_INGRESS);
        Ok(hook)
    }

    fn attach_filter(&mut self) -> Result<()> {
        self.hook()?
            .attach()
            .map_err(|error| Error::bpf(format!("attach the adopter to {}", self.interface), &error))?;
        self.attached = true;
        Ok(())
    }

    /// Counters by name.
    pub fn counters(&self) -> Result<Vec<(&'static str, u64)>> {
        let counters = self
            .object
            .maps()
            .find(|map| map.name() == "adopt_counters")
            .ok_or_else(|| Error::invalid("the BPF object has no counters"))?;
        let mut all = Vec::with_capacity(COUNTERS.len());
        for (index, name) in COUNTERS.iter().enumerate() {
            all.push((*name, map::sum_per_cpu(counters.as_fd(), index as u32)?));
        }
        Ok(all)
    }

    /// Detach; the qdisc goes too when it was ours. Idempotent, also when the interface is gone.
    pub fn detach(&mut self) -> Result<()> {
        if std::mem::take(&mut self.attached) {
            if let Err(error) = self.hook()?.detach() {
                let gone = matches!(errno_of(&error), Some(libc::ENOENT | libc::ENODEV | libc::EINVAL));
                if !gone {
                    self.attached = true;
                    return Err(Error::bpf(format!("detach the adopter from {}", self.interface), &error));
                }
            }
        }
        if std::mem::take(&mut self.made_qdisc) {
            let mut hook = qdisc(self.ifindex, libbpf_sys::BPF_TC_INGRESS | libbpf_sys::BPF_TC_EGRESS);
            // SAFETY: `hook` is complete.
            let ret = unsafe { libbpf_sys::bpf_tc_hook_destroy(&mut hook) };
            if ret < 0 && !matches!(-ret, libc::ENOENT | libc::ENODEV | libc::EINVAL) {
                return Err(Error::os(format!("remove the clsact qdisc from {}", self.interface), -ret));
            }
        }
        Ok(())
    }
}
