// SPDX-License-Identifier: Apache-2.0
//! The sandbox, from within: each case runs in a process of its own. Needs root: `cargo test -- --ignored`.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

const CASE: &str = "SDIO_SANDBOX_CASE";
const NOBODY: u32 = 65534;

/// Run `case` of [`inside`] in a sandboxed process.
fn run(case: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "inside", "--ignored", "--nocapture"])
        .env(CASE, case)
        .env_remove("SECUREDIRECT_DEBUG")
        .output()
        .unwrap()
        .status
}

fn leave(right: bool) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(if right { 42 } else { 43 }) }
}

#[test]
#[ignore = "the sandboxed half of the other tests"]
fn inside() {
    let Ok(case) = std::env::var(CASE) else { return };
    let discard = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let (begin, wait) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        wait.recv().unwrap();
        // SAFETY: plain system calls.
        let identity = unsafe { (libc::getuid(), libc::geteuid(), libc::getgid()) };
        let opened = std::fs::File::open("/etc/passwd").map_err(|error| error.raw_os_error());
        (identity, opened.is_err())
    });
    let skipped = sd_io::sandbox::enter(NOBODY, NOBODY).unwrap_or_else(|error| panic!("{error}"));
    assert!(skipped.is_empty(), "{skipped:?}");
    match case.as_str() {
        "works" => {
            begin.send(()).unwrap();
            let (identity, refused) = other.join().unwrap();
            let mut right = identity == (NOBODY, NOBODY, NOBODY) && refused;
            writer.write_all(b"event").unwrap();
            let mut buffer = [0u8; 5];
            reader.read_exact(&mut buffer).unwrap();
            right &= &buffer == b"event";
            right &= socket.send_to(b"x", discard).is_ok();
            let memory = vec![1u8; 64 << 20];
            right &= memory.iter().map(|byte| u64::from(*byte)).sum::<u64>() == 64 << 20;
            std::thread::sleep(std::time::Duration::from_millis(5));
            right &= std::fs::read_dir("/").is_err() && std::fs::File::create("/x").is_err();
            right &= sd_io::net::now_ns() > 0;
            right &= sd_io::net::random_word().unwrap() != sd_io::net::random_word().unwrap();
            leave(right)
        }
        "panic" => {
            let caught = std::panic::catch_unwind(|| panic!("a packet that was too much"));
            leave(caught.is_err())
        }
        "abort" => std::process::abort(),
        "socket" => leave(std::net::UdpSocket::bind("127.0.0.1:0").is_err()),
        "thread" => leave(std::thread::Builder::new().spawn(|| ()).is_err()),
        "execute" => leave(Command::new("/bin/true").status().is_err()),
        "code" => {
            let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            // SAFETY: a new mapping, never used.
            let got = unsafe {
                libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
            };
            leave(got == libc::MAP_FAILED)
        }
        "bpf" => {
            // BPF_PROG_LOAD
            // SAFETY: the attributes are readable for the size given.
            unsafe { libc::syscall(libc::SYS_bpf, 5, [0u64; 16].as_ptr(), 128) };
            leave(false)
        }
        "root" => {
            // SAFETY: plain system call.
            leave(unsafe { libc::setuid(0) } < 0)
        }
        other => panic!("{other}?"),
    }
}

#[test]
#[ignore = "needs root"]
fn what_the_inspector_needs_works() {
    assert_eq!(run("works").code(), Some(42));
    assert_eq!(run("panic").code(), Some(42));
    assert_eq!(run("abort").signal(), Some(libc::SIGABRT));
}

#[test]
#[ignore = "needs root"]
fn memory_for_code_is_refused() {
    assert_eq!(run("code").code(), Some(42));
}

#[test]
#[ignore = "needs root"]
fn everything_else_ends_the_process() {
    for case in ["socket", "thread", "execute", "bpf", "root"] {
        let status = run(case);
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{case}: {status}");
    }
}
