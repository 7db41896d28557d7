// SPDX-License-Identifier: Apache-2.0
//! Whose reading of a request counts: the web server behind a service.
//!
//! Apache's and nginx's were seen on Apache 2.4 and nginx 1.22 as Debian ships them (docs/http.md); the one of IIS is what
//! its documentation and libhtp say.

/// The server that a service runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Not known: what any server might read is judged.
    #[default]
    Generic,
    Apache,
    Nginx,
    Iis,
}

impl Profile {
    /// The name used in configurations and documents.
    pub fn from_name(name: &str) -> Option<Profile> {
        Some(match name {
            "generic" => Profile::Generic,
            "apache" => Profile::Apache,
            "nginx" => Profile::Nginx,
            "iis" => Profile::Iis,
            _ => return None,
        })
    }

    /// A backslash separates path segments.
    pub(crate) fn backslash_separates(self) -> bool {
        matches!(self, Profile::Generic | Profile::Iis)
    }

    /// A backslash is a letter like any other.
    pub(crate) fn backslash_is_plain(self) -> bool {
        self != Profile::Iis
    }

    /// What is still encoded after decoding once is decoded again, `%u` and what only resembles a character too.
    pub(crate) fn decodes_deep(self) -> bool {
        matches!(self, Profile::Generic | Profile::Iis)
    }

    /// `%2f` stays as it is, or is decoded, as the administrator says (AllowEncodedSlashes).
    pub(crate) fn may_keep_slash(self) -> bool {
        matches!(self, Profile::Generic | Profile::Apache)
    }

    /// What follows a semicolon in a path segment does not belong to its name (servlet containers).
    pub(crate) fn strips_parameters(self) -> bool {
        self == Profile::Generic
    }

    /// What follows `#` is ignored.
    pub(crate) fn cuts_fragment(self) -> bool {
        matches!(self, Profile::Generic | Profile::Nginx)
    }
}
