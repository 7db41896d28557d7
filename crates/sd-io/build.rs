// SPDX-License-Identifier: Apache-2.0
//! Compiles bpf/*.bpf.c; the objects are embedded in the library, so nothing of this is needed at run time.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{exit, Command};

const PROGRAMS: [&str; 4] = ["director", "adopt", "judge", "pass"];

fn fail(message: &str) -> ! {
    eprintln!("error: {message}");
    exit(1);
}

/// Debian keeps <asm/types.h> in a directory named after the host; clang for the bpf target does not look there.
fn host_headers() -> Option<PathBuf> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").ok()?;
    let path = PathBuf::from(format!("/usr/include/{arch}-linux-gnu"));
    path.is_dir().then_some(path)
}

fn compile(clang: &str, source: &Path, libbpf: &Path, object: &Path, define: Option<&str>) {
    let mut command = Command::new(clang);
    command.args(["-O2", "-fno-strict-aliasing", "-g", "-target", "bpf", "-mcpu=v3", "-Wall"]).arg("-I").arg(libbpf);
    command.args(define.map(|name| format!("-D{name}")));
    if let Some(headers) = host_headers() {
        command.arg("-idirafter").arg(headers);
    }
    // Paths of the building machine do not belong in the object's line information.
    if let Some(root) = source.parent().and_then(Path::parent) {
        command.arg(format!("-ffile-prefix-map={}=.", root.display()));
    }
    command.arg("-c").arg(source).arg("-o").arg(object);
    match command.output() {
        Ok(done) => {
            let words = String::from_utf8_lossy(&done.stderr);
            if !done.status.success() {
                fail(&format!("{clang} could not compile {}:\n{words}", source.display()));
            }
            for line in words.lines() {
                println!("cargo:warning={line}");
            }
        }
        Err(error) => fail(&format!(
            "cannot run {clang}: {error}; install the package clang-19 (Debian: apt-get install clang-19 \
             linux-libc-dev) or name another clang >= 16 with SECUREDIRECT_CLANG"
        )),
    }
}

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let libbpf = PathBuf::from(env::var_os("DEP_BPF_INCLUDE").expect("libbpf-sys sets it"));
    let clang = env::var("SECUREDIRECT_CLANG").unwrap_or_else(|_| "clang-19".to_owned());
    let bpf = root.join("bpf").canonicalize().unwrap_or_else(|error| {
        fail(&format!("the folder bpf/ beside crates/ is missing: {error}"));
    });

    println!("cargo:rerun-if-env-changed=SECUREDIRECT_CLANG");
    println!("cargo:rerun-if-changed={}", bpf.display());
    for entry in bpf.read_dir().into_iter().flatten().flatten() {
        println!("cargo:rerun-if-changed={}", entry.path().display());
    }
    for name in PROGRAMS {
        compile(&clang, &bpf.join(format!("{name}.bpf.c")), &libbpf, &out.join(format!("{name}.bpf.o")), None);
    }
    // For kernels that refuse loops without a bound.
    let plain = out.join("director_plain.bpf.o");
    compile(&clang, &bpf.join("director.bpf.c"), &libbpf, &plain, Some("SD_WITHOUT_CLEARING"));
}
