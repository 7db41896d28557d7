// SPDX-License-Identifier: Apache-2.0
//! One error type: which step failed, the kernel's number for it, and what to do.

use std::fmt;
use std::io;

/// What a caller may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel refused a step.
    Kernel,
    /// This kernel lacks a feature that is needed.
    KernelMissing,
    /// The caller asked for something that makes no sense.
    Invalid,
}

/// A step that failed.
#[derive(Clone, Debug)]
pub struct Error {
    /// Class of the failure.
    pub kind: Kind,
    /// What was being done, with the names of things.
    pub step: String,
    /// The kernel's error number, when it gave one.
    pub errno: Option<i32>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Result of a step with the kernel.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `step` failed with this error number.
    pub fn os(step: impl Into<String>, errno: i32) -> Self {
        Self { kind: Kind::Kernel, step: step.into(), errno: Some(errno), hint: None }
    }

    /// The host is not as it must be; the kernel gave no number.
    pub fn host(step: impl Into<String>) -> Self {
        Self { kind: Kind::Kernel, step: step.into(), errno: None, hint: None }
    }

    /// `step` failed and the thread's errno says why.
    pub fn last_os(step: impl Into<String>) -> Self {
        Self::os(step, io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }

    /// `step` failed inside libbpf.
    pub fn bpf(step: impl Into<String>, error: &libbpf_rs::Error) -> Self {
        match errno_of(error) {
            Some(errno) => Self::os(step, errno),
            None => Self::host(format!("{}: {error:#}", step.into())),
        }
    }

    /// A request that cannot be carried out as given.
    pub fn invalid(step: impl Into<String>) -> Self {
        Self { kind: Kind::Invalid, step: step.into(), errno: Some(libc::EINVAL), hint: None }
    }

    /// This kernel lacks something; `hint` says what is needed.
    pub fn missing(step: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: Kind::KernelMissing, step: step.into(), errno: Some(libc::ENOSYS), hint: Some(hint.into()) }
    }

    /// The kernel's error number, when it gave one.
    pub fn errno(&self) -> Option<i32> {
        self.errno
    }

    /// What went wrong, and the remedy when there is one for just this case: for callers with remedies of their own for the
    /// usual numbers.
    pub fn message(&self) -> String {
        let mut text = self.step.clone();
        if let (Some(errno), Kind::Kernel) = (self.errno, self.kind) {
            let words = io::Error::from_raw_os_error(errno).to_string();
            text.push_str(": ");
            text.push_str(words.split(" (os error").next().unwrap_or_default());
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!(" ({hint})"));
        }
        text
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// libbpf-rs keeps the number inside its text only ("... (os error 1)", the form of `std::io::Error`).
pub(crate) fn errno_of(error: &libbpf_rs::Error) -> Option<i32> {
    let text = format!("{error:#}");
    let (_, tail) = text.rsplit_once("(os error ")?;
    tail.split_once(')')?.0.parse().ok()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        let usual = match self.errno {
            Some(libc::EPERM | libc::EACCES) => {
                "run as root, or with the capabilities CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON"
            }
            Some(libc::ENOMEM) => "there is not enough memory for the tables; lower director.max_flows",
            Some(libc::ENODEV) => "there is no such interface here; see `ip link`",
            _ => return Ok(()),
        };
        if self.hint.is_none() {
            write!(f, " ({usual})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_number_that_libbpf_hides() {
        let error = libbpf_rs::Error::from(io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(errno_of(&error), Some(libc::EPERM));
        let error = Error::bpf("load the program", &error);
        assert_eq!(error.errno, Some(libc::EPERM));
        assert!(error.to_string().starts_with("load the program: Operation not permitted (run as root"));
    }
}
