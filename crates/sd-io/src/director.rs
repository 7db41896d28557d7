// SPDX-License-Identifier: Apache-2.0
//! Loads the director, keeps its maps pinned, attaches it, and writes what the supervisor decides.
//!
//! The maps outlive the process: a restarted supervisor finds connections and attackers where they were. What is written
//! while packets pass is ordered so that XDP never acts on half of it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore, Object, ProgramInput};

use crate::abi;
use crate::clearing::{SharedClearing, Travelled};
use crate::error::{Error, Result};
use crate::map::{self, Elements, Info};
use crate::net;
use crate::object;
use crate::shared::{Attackers, Backend, Settings, SharedBackends, SharedConfig, SharedCounters, SharedFlows};
use crate::xdp::{self, Mode, Wanted};

/// Name of the XDP program; by it a program of before is known.
pub(crate) const PROGRAM: &str = "securedirect";

const MAPS: [&str; 11] = [
    "config",
    "backends",
    "flows",
    "attackers",
    "allow",
    "listed",
    "xsks",
    "counters",
    "inspected",
    "clearing",
    "automata",
];

/// The maps that only a program which clears has.
const CLEARING: [&str; 2] = ["clearing", "automata"];

/// Sizes that are fixed when the maps are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder on bpffs; `None`: nothing is pinned (measurements, tests).
    pub pin_dir: Option<PathBuf>,
    /// Connections to have room for; the table is a power of two of places, about twice as many.
    pub max_flows: u32,
    /// At most so many marked sources.
    pub max_attackers: u32,
}

impl Options {
    /// Twice as many places as flows, 8 in a bucket: a set-associative table that is half full hardly has a full set.
    fn buckets(&self) -> u32 {
        self.max_flows.div_ceil(4).clamp(1024, 1 << 22).next_power_of_two()
    }
}

/// One marked source; times in nanoseconds relative to now (negative: past).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct MarkedSource {
    pub address: Ipv6Addr,
    pub since_ns: i64,
    pub expires_ns: i64,
    pub connections: u64,
    pub sid: u32,
}

/// One network of a rule that is a list of source addresses; `services` and `divert`: one bit for each service.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Listed {
    pub network: String,
    pub services: u64,
    pub divert: u64,
    pub sid: u32,
}

/// One connection in the table.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct FlowEntry {
    pub index: u32,
    pub owner: u64,
    pub facts: crate::shared::FlowFacts,
    pub idle_ns: u64,
    pub age_ns: u64,
    pub attack_sid: u32,
    pub next_seq: u32,
}

/// The XDP program on one interface with its maps.
#[derive(Debug)]
pub struct Director {
    interface: String,
    options: Options,
    object: Object,
    fds: Vec<(&'static str, OwnedFd)>,
    config: SharedConfig,
    backends: SharedBackends,
    flows: SharedFlows,
    inspected: SharedCounters,
    attackers: Attackers,
    allow: Elements,
    listed: Elements,
}

fn io_error(step: impl Into<String>, error: &io::Error) -> Error {
    Error::os(step, error.raw_os_error().unwrap_or(libc::EIO))
}

/// IPv6 form of a written address.
pub fn parse_address(text: &str) -> Result<[u8; 16]> {
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Ok(v4.to_ipv6_mapped().octets());
    }
    text.parse::<Ipv6Addr>()
        .map(|v6| v6.octets())
        .map_err(|_| Error::invalid(format!("\"{text}\" is not an IP address")))
}

/// The way people write it: IPv4 when it is one.
pub fn show_address(bytes: [u8; 16]) -> String {
    let address = Ipv6Addr::from(bytes);
    address.to_ipv4_mapped().map_or_else(|| address.to_string(), |v4| v4.to_string())
}

/// "a.b.c.d/n" or an address alone; bits behind the prefix must be zero.
fn parse_network(text: &str) -> Result<abi::AllowKey> {
    let wrong = || Error::invalid(format!("\"{text}\" is not a network (example: 203.0.113.0/24)"));
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().map_err(|_| wrong())?)),
        None => (text, None),
    };
    let is_v4 = address.parse::<Ipv4Addr>().is_ok();
    let bytes = parse_address(address).map_err(|_| wrong())?;
    let (width, shift) = if is_v4 { (32, 96) } else { (128, 0) };
    let prefix = prefix.unwrap_or(width);
    if prefix > width {
        return Err(wrong());
    }
    let prefix_length = prefix + shift;
    let host_bits = u128::MAX.checked_shr(prefix_length).unwrap_or(0);
    if u128::from_be_bytes(bytes) & host_bits != 0 {
        return Err(Error::invalid(format!("\"{text}\" has bits set behind its prefix")));
    }
    Ok(abi::AllowKey { prefix_length, address: bytes })
}

fn allow_bytes(key: &abi::AllowKey) -> [u8; 20] {
    let mut bytes = [0u8; 20];
    bytes[..4].copy_from_slice(&key.prefix_length.to_ne_bytes());
    bytes[4..].copy_from_slice(&key.address);
    bytes
}

/// The folder (which need not exist yet) must be on a BPF file system, or nothing can be pinned there.
fn check_pin_dir(dir: &Path) -> Result<()> {
    const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
    let existing = dir.ancestors().find(|path| path.exists()).unwrap_or(dir);
    let path = std::ffi::CString::new(existing.as_os_str().as_encoded_bytes())
        .map_err(|_| Error::invalid("the path of the pins holds a zero byte"))?;
    // SAFETY: all-zero bytes are a valid statfs; the path is a C string.
    let magic = unsafe {
        let mut stat: libc::statfs = std::mem::zeroed();
        if libc::statfs(path.as_ptr(), &mut stat) < 0 {
            return Err(Error::last_os(format!("look at {}", existing.display())));
        }
        stat.f_type as i64
    };
    if magic & 0xffff_ffff != BPF_FS_MAGIC {
        return Err(Error::host(format!("{} is not on a BPF file system", dir.display()))
            .with_hint("mount one: mount -t bpf bpf /sys/fs/bpf"));
    }
    Ok(())
}

/// The pinned maps that can be taken over. None of them when the layout has changed.
fn reusable(dir: &Path, wanted: &[(&'static str, Info)]) -> Result<Vec<(&'static str, OwnedFd)>> {
    let mut found = Vec::new();
    for (name, wanted) in wanted {
        let Some(fd) = map::open_pin(&dir.join(name))? else { continue };
        // The kernel may add flags of its own (array maps of some sizes); those asked for must be there.
        let have = map::info(fd.as_fd())?;
        if (Info { flags: wanted.flags, ..have }) == *wanted && have.flags & wanted.flags == wanted.flags {
            found.push((*name, fd));
        }
    }
    let version = found
        .iter()
        .find(|(name, _)| *name == "config")
        .and_then(|(_, fd)| SharedConfig::open(fd.as_fd()).ok())
        .map(|config| config.abi_version());
    match version {
        Some(abi::ABI_VERSION) => Ok(found),
        _ => Ok(Vec::new()),
    }
}

/// A walk reads the tables' number before and after, which says something where loads keep their order; and its memory is its
/// processor's, of which it must not lose hold before it ends.
fn may_clear() -> bool {
    let realtime = fs::read("/sys/kernel/realtime").is_ok_and(|text| text.first() == Some(&b'1'));
    cfg!(target_arch = "x86_64") && !realtime
}

/// Marks of a map that is replaced by one of another size: they are worth more than its size.
fn copy_marks(dir: &Path, to: &Attackers) {
    let Ok(Some(old)) = map::open_pin(&dir.join("attackers")) else { return };
    let Ok(old) = Attackers::open(old.as_fd()) else { return };
    for (source, mark) in old.list().unwrap_or_default() {
        if to.put(source, &mark).is_err() {
            return; // full
        }
    }
}

impl Director {
    /// Load the program and its maps; pinned maps of the same sizes are taken over, others replaced. Does not attach.
    pub fn load(interface: &str, options: Options) -> Result<Self> {
        net::interface_index(interface)?;
        Self::load_for(interface, options)
    }

    /// Without an interface: for measurements.
    pub(crate) fn load_for(interface: &str, options: Options) -> Result<Self> {
        let (object, kept) = match Self::object(&options, object::DIRECTOR) {
            Ok(loaded) if may_clear() => loaded,
            // Loops without a bound need Linux 6.9: without them everything goes to the inspector.
            _ => Self::object(&options, object::DIRECTOR_PLAIN)?,
        };
        Self::with(interface, options, object, kept)
    }

    /// Load a program with its maps; and the pinned ones among these.
    fn object(options: &Options, program: &[u8]) -> Result<(Object, Vec<(&'static str, OwnedFd)>)> {
        let buckets = options.buckets();
        let mut open = object::open("director", program)?;
        object::set_constants(&mut open, &[("bucket_mask", &(buckets - 1).to_ne_bytes())])?;
        for mut map in open.maps_mut() {
            let size = match map.name().to_str() {
                Some("flows") => buckets,
                Some("attackers") => options.max_attackers.max(1),
                Some("lines") => object::cpus()?,
                _ => continue,
            };
            map.set_max_entries(size).map_err(|error| Error::bpf("set the size of a map", &error))?;
        }
        let wanted: Vec<(&'static str, Info)> = open
            .maps()
            .filter_map(|map| {
                let name = MAPS.into_iter().find(|name| map.name() == *name)?;
                let info = Info {
                    kind: map.map_type().into(),
                    key_size: map.key_size(),
                    value_size: map.value_size(),
                    max_entries: map.max_entries(),
                    flags: map.map_flags(),
                };
                Some((name, info))
            })
            .collect();
        let kept = match &options.pin_dir {
            Some(dir) => {
                check_pin_dir(dir)?;
                reusable(dir, &wanted)?
            }
            None => Vec::new(),
        };
        for mut map in open.maps_mut() {
            if let Some((name, fd)) = kept.iter().find(|(name, _)| map.name() == *name) {
                map.reuse_fd(fd.as_fd())
                    .map_err(|error| Error::bpf(format!("take over the pinned map \"{name}\""), &error))?;
            }
        }
        let object = open.load().map_err(|error| {
            let error = Error::bpf("load the BPF program \"director\"", &error);
            if error.hint.is_none() {
                error.with_hint(
                    "Linux 5.18 or newer with BTF is needed; SECUREDIRECT_DEBUG=1 shows the verifier's words",
                )
            } else {
                error
            }
        })?;
        Ok((object, kept))
    }

    fn with(interface: &str, options: Options, object: Object, kept: Vec<(&'static str, OwnedFd)>) -> Result<Self> {
        let mut fds = Vec::new();
        for name in MAPS {
            let Some(map) = object.maps().find(|map| map.name() == name) else {
                if CLEARING.contains(&name) {
                    continue;
                }
                return Err(Error::invalid(format!("the BPF object has no map \"{name}\"")));
            };
            let fd = map.as_fd().try_clone_to_owned().map_err(|error| io_error("duplicate a descriptor", &error))?;
            fds.push((name, fd));
        }
        let fd_of = |name: &str| -> Result<BorrowedFd<'_>> {
            fds.iter()
                .find(|(have, _)| *have == name)
                .map(|(_, fd)| fd.as_fd())
                .ok_or_else(|| Error::invalid(format!("no map \"{name}\"")))
        };
        let config = SharedConfig::open_writable(fd_of("config")?)?;
        let backends = SharedBackends::open_writable(fd_of("backends")?)?;
        let flows = SharedFlows::open(fd_of("flows")?)?;
        let inspected = SharedCounters::open(fd_of("inspected")?)?;
        let attackers = Attackers::open(fd_of("attackers")?)?;
        let allow = fd_of("allow")?.try_clone_to_owned().map_err(|error| io_error("duplicate a descriptor", &error))?;
        let allow = Elements::new(allow, "allow")?;
        let listed =
            fd_of("listed")?.try_clone_to_owned().map_err(|error| io_error("duplicate a descriptor", &error))?;
        let listed = Elements::new(listed, "listed")?;

        if config.abi_version() == 0 {
            config.initialise([net::random_word()?, net::random_word()?]);
        }
        if fds.iter().any(|(name, _)| CLEARING.contains(name)) {
            SharedClearing::open(fd_of("clearing")?, fd_of("automata")?)?.draw_keys()?;
        }
        let director = Self {
            interface: interface.to_owned(),
            options,
            fds,
            config,
            backends,
            flows,
            inspected,
            attackers,
            allow,
            listed,
            object,
        };
        director.pin(&kept)?;
        Ok(director)
    }

    /// Pin what is not pinned yet, in the place of what could not be taken over.
    fn pin(&self, kept: &[(&'static str, OwnedFd)]) -> Result<()> {
        let Some(dir) = &self.options.pin_dir else { return Ok(()) };
        fs::create_dir_all(dir).map_err(|error| io_error(format!("create {}", dir.display()), &error))?;
        let is_kept = |name: &str| kept.iter().any(|(have, _)| *have == name);
        if !is_kept("attackers") {
            copy_marks(dir, &self.attackers);
        }
        let new: Vec<_> = self.fds.iter().filter(|(name, _)| !is_kept(name)).collect();
        for (done, (name, fd)) in new.iter().enumerate() {
            let path = dir.join(name);
            let result = match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(io_error(format!("remove {}", path.display()), &error))
                }
                _ => map::pin(fd.as_fd(), &path),
            };
            if let Err(error) = result {
                for (name, _) in &new[..done] {
                    let _ = fs::remove_file(dir.join(name));
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn program(&self) -> Result<libbpf_rs::Program<'_>> {
        self.object
            .progs()
            .find(|program| program.name() == PROGRAM)
            .ok_or_else(|| Error::invalid("the BPF object has no program"))
    }

    /// Run the program on one packet `repeat` times: verdict and mean duration.
    pub(crate) fn test_run(&self, frame: &[u8], repeat: u32) -> Result<(u32, std::time::Duration)> {
        let program = self
            .object
            .progs_mut()
            .find(|program| program.name() == PROGRAM)
            .ok_or_else(|| Error::host("the BPF object has no program"))?;
        let input = ProgramInput { data_in: Some(frame), repeat, ..ProgramInput::default() };
        let output = program.test_run(input).map_err(|error| Error::bpf("run the BPF program on a packet", &error))?;
        Ok((output.return_value, output.duration))
    }

    pub(crate) fn fd(&self, name: &str) -> Result<BorrowedFd<'_>> {
        self.fds
            .iter()
            .find(|(have, _)| *have == name)
            .map(|(_, fd)| fd.as_fd())
            .ok_or_else(|| Error::invalid(format!("no map \"{name}\"")))
    }

    pub(crate) fn config(&self) -> &SharedConfig {
        &self.config
    }

    /// True when the kernel runs loops without a bound, so that requests can be cleared.
    pub fn clears(&self) -> bool {
        self.fds.iter().any(|(name, _)| *name == "automata")
    }

    /// The tables by which requests are cleared; None when the kernel cannot.
    pub fn clearing(&self) -> Result<Option<SharedClearing>> {
        if !self.clears() {
            return Ok(None);
        }
        SharedClearing::open(self.fd("clearing")?, self.fd("automata")?).map(Some)
    }

    /// Why requests were not cleared; None when the kernel cannot clear.
    pub fn travelled(&self) -> Result<Option<Travelled>> {
        if !self.clears() {
            return Ok(None);
        }
        Travelled::open(self.fd("clearing")?).map(Some)
    }

    /// The flow table.
    pub fn flow_table(&self) -> &SharedFlows {
        &self.flows
    }

    /// Attach to the interface, in the place of a SecureDirect program of before.
    pub fn attach(&self, wanted: Wanted) -> Result<Mode> {
        let program = self.program()?;
        xdp::attach(&self.interface, program.as_fd(), &[PROGRAM], wanted)
    }

    /// Detach and unpin. Idempotent. A program that works on other maps (another SecureDirect's) stays.
    pub fn detach(&self) -> Result<()> {
        let config = map::id(self.fd("config")?)?;
        xdp::detach(&self.interface, |program| program.name == PROGRAM && program.maps.contains(&config))?;
        let Some(dir) = &self.options.pin_dir else { return Ok(()) };
        for name in MAPS {
            let path = dir.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error(format!("remove {}", path.display()), &error));
                }
                _ => {}
            }
        }
        let _ = fs::remove_dir(dir); // others may keep theirs beside ours
        Ok(())
    }

    /// Set what the program answers for and who is never diverted.
    pub fn configure(&self, settings: &Settings, allow: &[String]) -> Result<()> {
        let mut wanted = Vec::with_capacity(allow.len());
        for network in allow {
            wanted.push(allow_bytes(&parse_network(network)?));
        }
        if settings.ports.len() > abi::SERVICES {
            return Err(Error::invalid(format!("there are places for {} services", abi::SERVICES)));
        }
        for key in self.allow.keys()? {
            if !wanted.iter().any(|network| network.as_slice() == key) {
                self.allow.delete(&key)?;
            }
        }
        for key in &wanted {
            self.allow.update(key, &[1], false)?;
        }
        self.config.write(settings);
        Ok(())
    }

    /// Networks that rules list, instead of those of before. What stays is at no time absent.
    pub fn set_listed(&self, networks: &[Listed]) -> Result<()> {
        let mut wanted: HashMap<Vec<u8>, Vec<u8>> = HashMap::with_capacity(networks.len());
        for listed in networks {
            let mut value = Vec::with_capacity(24);
            value.extend_from_slice(&listed.services.to_ne_bytes());
            value.extend_from_slice(&listed.divert.to_ne_bytes());
            value.extend_from_slice(&listed.sid.to_ne_bytes());
            value.extend_from_slice(&[0; 4]);
            wanted.insert(allow_bytes(&parse_network(&listed.network)?).to_vec(), value);
        }
        if wanted.len() > self.listed.max_entries() as usize {
            let most = self.listed.max_entries();
            return Err(Error::invalid(format!("rules list {} networks, there is room for {most}", wanted.len())));
        }
        for key in self.listed.keys()? {
            match wanted.get(&key) {
                None => {
                    self.listed.delete(&key)?;
                }
                Some(value) if self.listed.lookup(&key)?.as_ref() == Some(value) => {
                    wanted.remove(&key);
                }
                Some(_) => {}
            }
        }
        for (key, value) in &wanted {
            self.listed.update(key, value, false)?;
        }
        Ok(())
    }

    /// Describe one machine.
    pub fn set_backend(&self, index: u16, backend: &Backend) -> Result<()> {
        if usize::from(index) >= abi::MAX_BACKENDS {
            return Err(Error::invalid(format!("there are {} places for machines", abi::MAX_BACKENDS)));
        }
        self.backends.set(index, backend);
        Ok(())
    }

    /// The machine at this index, as XDP sees it.
    pub fn backend(&self, index: u16) -> Option<Backend> {
        self.backends.get(index)
    }

    /// Slot tables of backend indexes for one service.
    pub fn set_schedule(&self, service: usize, servers: &[u8], honeypots: &[u8]) -> Result<()> {
        if service >= abi::SERVICES {
            return Err(Error::invalid(format!("there are places for {} services", abi::SERVICES)));
        }
        if servers.len().max(honeypots.len()) > abi::SLOTS {
            return Err(Error::invalid(format!("a schedule has at most {} slots", abi::SLOTS)));
        }
        self.config.write_schedule(service, servers, honeypots);
        Ok(())
    }

    /// The XDP program's counters by name.
    pub fn counters(&self) -> Result<Vec<(&'static str, u64)>> {
        let fd = self.fd("counters")?;
        let read = |(index, name): (usize, &&'static str)| Ok((*name, map::sum_per_cpu(fd, index as u32)?));
        abi::COUNTERS.iter().enumerate().map(read).collect()
    }

    /// The inspector's counters.
    pub fn inspected(&self) -> &SharedCounters {
        &self.inspected
    }

    /// Marked sources, expired ones too (they have no effect).
    pub fn attackers(&self) -> Result<Vec<MarkedSource>> {
        let now = net::now_ns();
        let relative = |time: u64| time.wrapping_sub(now) as i64;
        Ok(self
            .attackers
            .list()?
            .into_iter()
            .map(|(source, mark)| MarkedSource {
                address: Ipv6Addr::from(source),
                since_ns: relative(mark.since),
                expires_ns: relative(mark.expires),
                connections: mark.connections,
                sid: mark.sid,
            })
            .collect())
    }

    /// Mark a source. When the table is full, expired marks make room first.
    pub fn attacker_add(&self, address: &str, expiry_ns: u64, sid: u32) -> Result<()> {
        let source = parse_address(address)?;
        let now = net::now_ns();
        match self.attackers.mark(source, now, expiry_ns, sid) {
            Err(error) if matches!(error.errno, Some(libc::E2BIG | libc::ENOSPC)) => {
                for (old, mark) in self.attackers.list()? {
                    if mark.expires <= now {
                        self.attackers.unmark(old)?;
                    }
                }
                self.attackers
                    .mark(source, now, expiry_ns, sid)
                    .map_err(|error| error.with_hint("raise attackers.max_entries"))
            }
            other => other,
        }
    }

    /// Forget a source; false when it was not marked.
    pub fn attacker_remove(&self, address: &str) -> Result<bool> {
        self.attackers.unmark(parse_address(address)?)
    }

    /// At most `limit` connections of the table.
    pub fn flow_entries(&self, limit: usize) -> Vec<FlowEntry> {
        let now = net::now_ns();
        (0..self.flows.capacity())
            .filter(|index| self.flows.tag(*index).is_some_and(|tag| tag > 1))
            .filter_map(|index| {
                let facts = self.flows.facts(index)?;
                Some(FlowEntry {
                    index,
                    owner: self.flows.owner(index)?,
                    facts,
                    idle_ns: now.saturating_sub(self.flows.last_seen(index)?),
                    age_ns: now.saturating_sub(facts.created),
                    attack_sid: self.flows.attack_sid(index)?,
                    next_seq: (self.flows.stream(index)? >> 32) as u32,
                })
            })
            .take(limit)
            .collect()
    }

    /// Descriptors of the maps, by name; they stay owned by this object.
    pub fn inspector_fds(&self) -> Vec<(&'static str, RawFd)> {
        self.fds
            .iter()
            .filter(|(name, _)| !matches!(*name, "allow" | "listed" | "counters"))
            .map(|(name, fd)| (*name, fd.as_raw_fd()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_written_in_the_ipv6_form() {
        let key = parse_network("203.0.113.0/24").unwrap();
        assert_eq!(key.prefix_length, 120);
        assert_eq!(show_address(key.address), "203.0.113.0");
        assert_eq!(parse_network("198.51.100.7").unwrap().prefix_length, 128);
        assert_eq!(parse_network("0.0.0.0/0").unwrap().prefix_length, 96);
        assert_eq!(parse_network("2001:db8::/32").unwrap().prefix_length, 32);
        for wrong in ["203.0.113.1/24", "203.0.113.0/33", "x", "203.0.113.0/-1", ""] {
            assert!(parse_network(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_table_has_a_power_of_two_of_buckets() {
        let buckets = |max_flows| Options { pin_dir: None, max_flows, max_attackers: 1 }.buckets();
        assert_eq!(buckets(1), 1024);
        assert_eq!(buckets(262_144), 65536);
        assert_eq!(buckets(262_145), 131_072);
        assert_eq!(buckets(300_000), 131_072);
        assert_eq!(buckets(u32::MAX), 1 << 22);
    }

    #[test]
    fn a_kernel_without_the_loops_gets_a_program_that_clears_nothing() {
        // SAFETY: no arguments, cannot fail.
        if unsafe { libc::geteuid() } != 0 {
            eprintln!("skipped: needs root");
            return;
        }
        let options = Options { pin_dir: None, max_flows: 1024, max_attackers: 16 };
        for (program, clears) in [(object::DIRECTOR_PLAIN, false), (object::DIRECTOR, true)] {
            let (object, kept) = Director::object(&options, program).unwrap();
            let director = Director::with("lo", Options { pin_dir: None, ..options }, object, kept).unwrap();
            assert_eq!(director.clears(), clears);
            assert_eq!(director.clearing().unwrap().is_some(), clears);
        }
    }
}
