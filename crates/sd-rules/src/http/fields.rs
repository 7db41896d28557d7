// SPDX-License-Identifier: Apache-2.0
//! The lines of a head as fields: what has one name belongs together.

use super::head::{Head, Header};

/// The lines of the head by their names, in the order in which these come first.
pub struct Fields {
    /// Lines of equal names are neighbours; empty: no name stands twice.
    order: Vec<u16>,
    /// In `order`, begin and length of what has one name.
    runs: Vec<(u16, u16)>,
    lines: usize,
}

/// The lines of one name.
pub enum Run<'a> {
    One(usize),
    Some(&'a [u16]),
}

impl Run<'_> {
    pub fn first(&self) -> usize {
        match self {
            Run::One(index) => *index,
            Run::Some(indices) => indices[0] as usize,
        }
    }

    pub fn all(&self) -> impl Iterator<Item = usize> + '_ {
        let (one, indices) = match self {
            Run::One(index) => (Some(*index), [].as_slice()),
            Run::Some(indices) => (None, *indices),
        };
        one.into_iter().chain(indices.iter().map(|index| *index as usize))
    }
}

impl Fields {
    pub fn of(data: &[u8], headers: &[Header]) -> Fields {
        let name = |header: &Header| header.name.of(data);
        let mut fields = Fields { order: Vec::new(), runs: Vec::new(), lines: headers.len() };
        if !may_repeat(headers, data) {
            return fields;
        }
        // Comparing each name with each would be an attacker's lever: equal names are neighbours when sorted.
        let lower = |index: u16| name(&headers[index as usize]).iter().map(u8::to_ascii_lowercase);
        let mut order: Vec<u16> = (0..headers.len() as u16).collect();
        order.sort_by(|a, b| lower(*a).cmp(lower(*b)));
        let mut from = 0;
        while from < order.len() {
            let first = name(&headers[order[from] as usize]);
            let same = |index: &&u16| name(&headers[**index as usize]).eq_ignore_ascii_case(first);
            let length = order[from..].iter().take_while(same).count();
            fields.runs.push((from as u16, length as u16));
            from += length;
        }
        fields.runs.sort_unstable_by_key(|(from, _)| order[*from as usize]);
        fields.order = order;
        fields
    }

    /// Some name stands twice, or looks as if it did.
    pub fn repeats(&self) -> bool {
        !self.order.is_empty()
    }

    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let plain = if self.order.is_empty() { self.lines } else { 0 };
        let several =
            self.runs.iter().map(|(from, length)| Run::Some(&self.order[*from as usize..][..*length as usize]));
        (0..plain).map(Run::One).chain(several)
    }
}

/// The head was sent as it is written here: `Name: value CRLF`.
pub fn is_regular(data: &[u8], head: &Head) -> bool {
    let mut at = head.line.end as usize;
    let ends = |at: usize| data.get(at..at + 2) == Some(b"\r\n");
    for header in &head.headers {
        let (name, value) = (header.name, header.value);
        let after = name.end as usize;
        let regular = ends(at)
            && name.start as usize == at + 2
            && value.start as usize == after + 2
            && data.get(after..after + 2) == Some(b": ")
            && !header.folded;
        if !regular {
            return false;
        }
        at = value.end as usize;
    }
    !head.headers.is_empty()
        && ends(at)
        && head.blank_line == at + 2
        && ends(at + 2)
        && head.line.start as usize == head.start
}

/// False: no name stands twice. Looks at few letters of each, so it may say true where none does.
fn may_repeat(headers: &[Header], data: &[u8]) -> bool {
    const KEPT: usize = 40;
    let mut keys = [0u32; KEPT];
    if headers.len() > KEPT {
        return true;
    }
    for (count, header) in headers.iter().enumerate() {
        let name = header.name.of(data);
        let letter = |index: usize| u32::from(name.get(index).map_or(0, u8::to_ascii_lowercase));
        let end = name.len();
        let key = (end as u32 & 0xff) << 24
            | letter(0) << 16
            | letter(end.wrapping_sub(1)) << 8
            | letter(end.wrapping_sub(3));
        if keys[..count].contains(&key) {
            return true;
        }
        keys[count] = key;
    }
    false
}
