// SPDX-License-Identifier: Apache-2.0
//! Gives up everything that the inspector does not need, after it has opened what it needs: files, capabilities, new
//! sockets and threads, most system calls. Whoever takes over the inspector's code finds an empty machine.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule, TargetArch,
};

use crate::error::{Error, Result};
use crate::object::debug;

fn seccomp_failed(what: &str, error: &dyn std::error::Error) -> Error {
    Error::missing(format!("{what}: {error}"), "the inspector needs Linux with CONFIG_SECCOMP_FILTER")
}

fn check(ret: libc::c_int, step: &str) -> Result<()> {
    if ret < 0 {
        return Err(Error::last_os(step));
    }
    Ok(())
}

/// Enter the sandbox for good: this user and group, no capabilities, an empty root, few system calls.
///
/// All threads of the process are covered, so start them before. Returns the steps that were left out because the process
/// had no right to do them (it was not root); whatever else fails is an error, and the caller must end.
pub fn enter(uid: u32, gid: u32) -> Result<Vec<&'static str>> {
    let mut skipped = Vec::new();
    let filters = filters()?; // allocates and may fail: before the point of no return

    // SAFETY (all blocks below): plain system calls with numbers, or with pointers to locals that outlive the call.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, "give up new privileges")?;
    if !empty_root() {
        skipped.push("empty root directory");
    }
    for (resource, limit) in [
        (libc::RLIMIT_CORE, 0),    // no packets of others in core files
        (libc::RLIMIT_NPROC, 0),   // no threads or children any more
        (libc::RLIMIT_NOFILE, 64), // poll() counts against it; those open stay open
    ] {
        let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
        // SAFETY: see above.
        check(unsafe { libc::setrlimit(resource, &limit) }, "set a resource limit")?;
    }
    drop_bounding_set(&mut skipped)?;
    // glibc applies these three to all threads.
    // SAFETY: see above.
    if unsafe { libc::geteuid() } == 0 {
        // SAFETY: see above; an empty list is never read.
        check(unsafe { libc::setgroups(0, std::ptr::null()) }, "leave all groups")?;
        // SAFETY: see above.
        check(unsafe { libc::setresgid(gid, gid, gid) }, "change the group")?;
        // SAFETY: see above.
        check(unsafe { libc::setresuid(uid, uid, uid) }, "change the user")?;
    } else {
        skipped.push("change of user");
    }
    drop_capabilities()?;
    // After the change of user, which resets it: nobody of the same user traces us or reads our memory.
    // SAFETY: see above.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }, "forbid tracing")?;
    for filter in &filters {
        seccompiler::apply_filter_all_threads(filter).map_err(|error| seccomp_failed("install the filter", &error))?;
    }
    Ok(skipped)
}

/// A directory that is deleted already: nothing is in it and nothing can be made in it. False without the right to it.
fn empty_root() -> bool {
    for parent in ["/run", "/tmp", "/dev/shm"] {
        let mut template = format!("{parent}/securedirect-XXXXXX\0").into_bytes();
        // SAFETY: C strings that outlive the calls; the first is writable and ends in XXXXXX.
        unsafe {
            if libc::mkdtemp(template.as_mut_ptr().cast()).is_null() {
                continue;
            }
            let entered = libc::chdir(template.as_ptr().cast()) == 0;
            libc::rmdir(template.as_ptr().cast());
            return entered && libc::chroot(c".".as_ptr()) == 0 && libc::chdir(c"/".as_ptr()) == 0;
        }
    }
    false
}

fn drop_bounding_set(skipped: &mut Vec<&'static str>) -> Result<()> {
    for capability in 0..64 {
        // SAFETY: plain system call.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } == 0 {
            continue;
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINVAL) => break, // the last one was the last one
            Some(libc::EPERM) => {
                skipped.push("empty capability bounding set");
                break;
            }
            _ => return Err(Error::last_os("empty the capability bounding set")),
        }
    }
    Ok(())
}

fn drop_capabilities() -> Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [0u32; 6];
    // SAFETY: header and data have the layout of capset(2), version 3.
    let ret = unsafe { libc::syscall(libc::SYS_capset, &header, none.as_ptr()) };
    check(ret as libc::c_int, "give up all capabilities")?;
    // SAFETY: plain system call.
    let ret = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    check(ret, "give up ambient capabilities")
}

fn only(conditions: Vec<Condition>) -> Result<Vec<Rule>> {
    Ok(vec![Rule::new(conditions).map_err(|error| seccomp_failed("build the filter", &error))?])
}

fn argument(index: u8, op: Op, value: u64) -> Result<Condition> {
    Condition::new(index, Width::Dword, op, value).map_err(|error| seccomp_failed("build the filter", &error))
}

/// What may be called. Everything else ends the process.
fn allowed() -> Result<BTreeMap<i64, Vec<Rule>>> {
    const ALWAYS: &[i64] = &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_lseek,
        libc::SYS_fstat,
        libc::SYS_fcntl,
        libc::SYS_ppoll,
        libc::SYS_epoll_pwait,
        libc::SYS_sendto,
        libc::SYS_recvfrom,
        libc::SYS_sendmsg,
        libc::SYS_recvmsg,
        libc::SYS_futex,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_tgkill,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_set_robust_list,
        libc::SYS_membarrier,
    ];
    let mut rules: BTreeMap<i64, Vec<Rule>> = ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    for call in [libc::SYS_poll, libc::SYS_epoll_wait, libc::SYS_time] {
        rules.insert(call, Vec::new());
    }
    for call in REFUSED.iter().chain(REFUSED_HERE) {
        rules.insert(*call, Vec::new());
    }
    // Memory for data; the other filter refuses it for code.
    rules.insert(libc::SYS_mmap, Vec::new());
    rules.insert(libc::SYS_mprotect, Vec::new());
    // Elements of the maps that are open: mark a source, ask for one, forget one.
    let mut bpf = Vec::new();
    for command in [libbpf_sys::BPF_MAP_LOOKUP_ELEM, libbpf_sys::BPF_MAP_UPDATE_ELEM, libbpf_sys::BPF_MAP_DELETE_ELEM] {
        bpf.extend(only(vec![argument(0, Op::Eq, u64::from(command))?])?);
    }
    rules.insert(libc::SYS_bpf, bpf);
    // Names of threads and of anonymous memory (glibc).
    let mut prctl = only(vec![argument(0, Op::Eq, libc::PR_SET_NAME as u64)?])?;
    prctl.extend(only(vec![argument(0, Op::Eq, libc::PR_SET_VMA as u64)?])?);
    rules.insert(libc::SYS_prctl, prctl);
    // AF_XDP statistics.
    rules.insert(libc::SYS_getsockopt, only(vec![argument(1, Op::Eq, libc::SOL_XDP as u64)?])?);
    Ok(rules)
}

/// Harmless in an empty root, and asked for when Python or a panic tries to show where it was: an error number instead of
/// the end of the process, so that the message itself gets out.
const REFUSED: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_ioctl,
    libc::SYS_prlimit64,
    libc::SYS_sysinfo,
    libc::SYS_unlinkat,
];
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] =
    &[libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_readlink, libc::SYS_access, libc::SYS_unlink];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

fn compile(rules: BTreeMap<i64, Vec<Rule>>, otherwise: SeccompAction, matched: SeccompAction) -> Result<BpfProgram> {
    let arch =
        TargetArch::try_from(std::env::consts::ARCH).map_err(|error| seccomp_failed("build the filter", &error))?;
    SeccompFilter::new(rules, otherwise, matched, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|error| seccomp_failed("build the filter", &error))
}

/// Two filters, of which the kernel takes the stricter answer.
fn filters() -> Result<[BpfProgram; 2]> {
    let mut refused: BTreeMap<i64, Vec<Rule>> =
        REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    // No memory for code. An error number, since PCRE2 asks for it when rules are reloaded, and does without then.
    let code = Op::MaskedEq(libc::PROT_EXEC as u64);
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        refused.insert(call, only(vec![argument(2, code.clone(), libc::PROT_EXEC as u64)?])?);
    }
    let otherwise = if debug() { SeccompAction::Log } else { SeccompAction::KillProcess };
    Ok([
        compile(refused, SeccompAction::Allow, SeccompAction::Errno(libc::EACCES as u32))?,
        compile(allowed()?, otherwise, SeccompAction::Allow)?,
    ])
}
