// SPDX-License-Identifier: Apache-2.0
//! Literals of a regular expression of which one stands in each of its matches.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::text::{bits, fold};
use crate::document::PcreFlags;
use crate::pcre;

/// More alternatives than this are not followed, nor repetitions written out longer than this.
const ALTERNATIVES: usize = 64;
const WRITTEN_OUT: usize = 64;

/// Folded; None when there are no such literals, or they cannot be told.
pub fn required(pattern: &[u8], flags: PcreFlags) -> Option<Vec<Vec<u8>>> {
    one_of(&pcre::parsed(pattern, flags)?)
}

fn one_of(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    if let Some(text) = exactly(hir) {
        return (!text.is_empty()).then(|| vec![text]);
    }
    match hir.kind() {
        HirKind::Capture(capture) => one_of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => one_of(&repetition.sub),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(one_of(part)?);
                if all.len() > ALTERNATIVES {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Concat(parts) => {
            let mut best: Option<(f32, Vec<Vec<u8>>)> = None;
            let mut offer = |literals: Vec<Vec<u8>>| {
                let least = literals.iter().map(|text| bits(text)).fold(f32::INFINITY, f32::min);
                let value = least - (literals.len() as f32).log2();
                if !literals.is_empty() && best.as_ref().is_none_or(|best| best.0 < value) {
                    best = Some((value, literals));
                }
            };
            let mut run = Vec::new();
            for part in parts {
                match exactly(part) {
                    Some(text) => run.extend(text),
                    None => {
                        if !run.is_empty() {
                            offer(vec![std::mem::take(&mut run)]);
                        }
                        if let Some(literals) = one_of(part) {
                            offer(literals);
                        }
                    }
                }
            }
            if !run.is_empty() {
                offer(vec![run]);
            }
            best.map(|(_, literals)| literals)
        }
        _ => None,
    }
}

/// The one folded text that all matches are.
fn exactly(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(Vec::new()),
        HirKind::Literal(literal) => Some(literal.0.iter().map(|byte| fold(*byte)).collect()),
        HirKind::Class(class) => {
            let mut folded = None;
            let mut same = |low: u32, high: u32| {
                (low..=high.min(low + 2)).all(|value| {
                    let byte = u8::try_from(value).ok().filter(u8::is_ascii).map(fold);
                    byte.is_some() && *folded.get_or_insert(byte) == byte
                })
            };
            let one = match class {
                Class::Bytes(class) => class.ranges().iter().all(|r| same(r.start().into(), r.end().into())),
                Class::Unicode(class) => class.ranges().iter().all(|r| same(r.start().into(), r.end().into())),
            };
            Some(vec![folded.flatten().filter(|_| one)?])
        }
        HirKind::Capture(capture) => exactly(&capture.sub),
        HirKind::Repetition(repetition) if repetition.max == Some(repetition.min) => {
            let text = exactly(&repetition.sub)?;
            let times = repetition.min as usize;
            (text.len().saturating_mul(times) <= WRITTEN_OUT).then(|| text.repeat(times))
        }
        HirKind::Concat(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(exactly(part)?);
            }
            Some(all)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(pattern: &str, nocase: bool) -> Option<Vec<String>> {
        let found = required(pattern.as_bytes(), PcreFlags { nocase, ..PcreFlags::default() })?;
        Some(found.into_iter().map(|text| String::from_utf8(text).unwrap()).collect())
    }

    #[test]
    fn table() {
        for (pattern, nocase, wanted) in [
            ("cmd\\.exe", false, Some(vec!["cmd.exe"])),
            ("CMD[0-9]+evil", true, Some(vec!["evil"])),
            ("a(?:foo|bar)b", false, Some(vec!["foo", "bar"])),
            ("x{3}", false, Some(vec!["xxx"])),
            ("(?:foo)?", false, None),
            ("[a-z]+", false, None),
            ("^/wp-admin$", false, Some(vec!["/wp-admin"])),
            ("[^&]*", false, None),
            ("(?:foo|)", false, None),
        ] {
            let wanted = wanted.map(|texts| texts.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(literals(pattern, nocase), wanted, "{pattern}");
        }
    }
}
