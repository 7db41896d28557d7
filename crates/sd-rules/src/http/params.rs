// SPDX-License-Identifier: Apache-2.0
//! `name=value` parameters of Content-Type and Content-Disposition, read leniently.

use super::trim;

/// One parameter; `value` is without its quotes but with its escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub quoted: bool,
}

/// The parameters behind the first semicolon.
pub struct Params<'a> {
    rest: &'a [u8],
}

pub fn params(value: &[u8]) -> Params<'_> {
    Params { rest: memchr::memchr(b';', value).map_or(&[], |at| &value[at + 1..]) }
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let name_end = memchr::memchr2(b'=', b';', self.rest).unwrap_or(self.rest.len());
        let name = trim(&self.rest[..name_end]);
        if self.rest.get(name_end) != Some(&b'=') {
            self.rest = self.rest.get(name_end + 1..).unwrap_or_default();
            return Some(Param { name, value: &[], quoted: false });
        }
        let after = &self.rest[name_end + 1..];
        let blanks = after.iter().take_while(|byte| super::is_wide_blank(**byte)).count();
        let (value, quoted, end) = match after[blanks..].strip_prefix(b"\"") {
            Some(inside) => {
                let mut length = 0;
                while length < inside.len() && inside[length] != b'"' {
                    length += if inside[length] == b'\\' { 2 } else { 1 };
                }
                let length = length.min(inside.len());
                (&inside[..length], true, blanks + 1 + length)
            }
            None => (&after[..0], false, 0),
        };
        let end = end + memchr::memchr(b';', &after[end..]).unwrap_or(after.len() - end);
        self.rest = after.get(end + 1..).unwrap_or_default();
        Some(Param { name, value: if quoted { value } else { trim(&after[..end]) }, quoted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        for (value, expected) in [
            (b"a/b".as_slice(), vec![]),
            (b"a; b=c", vec![("b", "c", false)]),
            (b"a;b=\"c;d\" ; e = f ;g", vec![("b", "c;d", true), ("e", "f", false), ("g", "", false)]),
            (b"a;b=\"c\\\"d\";e=\"f", vec![("b", "c\\\"d", true), ("e", "f", true)]),
            (b"a;b=\"c\\", vec![("b", "c\\", true)]),
            (b"a;=;b=", vec![("", "", false), ("b", "", false)]),
            (b"a;;b='c'", vec![("", "", false), ("b", "'c'", false)]),
        ] {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let found: Vec<_> = params(value).map(|one| (text(one.name), text(one.value), one.quoted)).collect();
            let expected: Vec<_> =
                expected.into_iter().map(|(n, v, q): (&str, &str, bool)| (n.to_owned(), v.to_owned(), q)).collect();
            assert_eq!(found, expected, "{}", value.escape_ascii());
        }
    }
}
