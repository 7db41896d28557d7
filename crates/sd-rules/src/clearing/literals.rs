// SPDX-License-Identifier: Apache-2.0
//! Literals of a regular expression of which one stands in each of its matches.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::text::{bits, fold};
use crate::document::PcreFlags;
use crate::pcre;

/// More alternatives than this are not followed, nor repetitions written out longer than this.
const ALTERNATIVES: usize = 64;
const WRITTEN_OUT: usize = 64;
/// Nor classes of more bytes.
const CLASS: usize = 8;

/// Where a text begins with this, a line begins as the first of its buffer.
pub const BEGIN: u8 = 0;

/// Folded; None when there are no such literals, or they cannot be told.
pub fn required(pattern: &[u8], flags: PcreFlags) -> Option<Vec<Vec<u8>>> {
    one_of(&pcre::parsed(pattern, flags)?)
}

/// A part of each match that lies in one line: its least length, and literals as of [`required`] of which one stands in it.
/// The longest such part.
pub fn in_line(pattern: &[u8], flags: PcreFlags) -> Option<(usize, Vec<Vec<u8>>)> {
    let hir = pcre::parsed(pattern, flags)?;
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(&hir),
    };
    let runs = parts.split(may_end_line).map(|run| Hir::concat(run.to_vec()));
    let longest = runs.max_by_key(|run| run.properties().minimum_len())?;
    Some((longest.properties().minimum_len()?, one_of(&longest)?))
}

/// A line feed may stand in what matches.
fn may_end_line(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(Class::Bytes(class)) => class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&b'\n')),
        HirKind::Class(Class::Unicode(class)) => class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&'\n')),
        HirKind::Capture(capture) => may_end_line(&capture.sub),
        HirKind::Repetition(repetition) => may_end_line(&repetition.sub),
        HirKind::Alternation(parts) | HirKind::Concat(parts) => parts.iter().any(may_end_line),
    }
}

fn one_of(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    if let Some(all) = texts(hir) {
        return all.iter().all(|text| !text.is_empty()).then_some(all);
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
            let mut offer = |mut literals: Vec<Vec<u8>>| {
                only_shortest(&mut literals);
                let least = literals.iter().map(|text| bits(text)).fold(f32::INFINITY, f32::min);
                let value = least - (literals.len() as f32).log2();
                let empty = literals.iter().any(|text| text.iter().all(|byte| matches!(*byte, b'\r' | b'\n' | BEGIN)));
                if !empty && best.as_ref().is_none_or(|best| best.0 < value) {
                    best = Some((value, literals));
                }
            };
            // What stands side by side, as far as it can be written out; and what of it ends within a repetition.
            let mut run = vec![Vec::new()];
            let mut cut = Vec::new();
            for part in parts {
                let found = texts(part);
                match found.as_ref().and_then(|found| joined(&run, found)) {
                    Some(longer) => run = longer,
                    None if found.is_none() && repeated(part).is_some() => {
                        let once = repeated(part).unwrap_or_default();
                        cut.extend(joined(&run, &once).unwrap_or(run));
                        offer(std::mem::take(&mut cut));
                        run = once;
                    }
                    None if found.is_none() && cut.len() < ALTERNATIVES && written_out(&run, part).is_some() => {
                        offer([run.as_slice(), &cut].concat());
                        let [ways, more] = written_out(&run, part).unwrap_or_default();
                        run = ways;
                        cut.extend(more);
                    }
                    None => {
                        cut.append(&mut run);
                        offer(std::mem::take(&mut cut));
                        run = found.clone().unwrap_or_else(|| vec![Vec::new()]);
                        if let (None, Some(literals)) = (found, one_of(part)) {
                            offer(literals);
                        }
                    }
                }
            }
            cut.append(&mut run);
            offer(cut);
            best.map(|(_, literals)| literals)
        }
        _ => None,
    }
}

/// Each text of the first followed by each of the second, unless these are too many.
fn joined(first: &[Vec<u8>], second: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let longest = |texts: &[Vec<u8>]| texts.iter().map(Vec::len).max().unwrap_or(0);
    if first.len() * second.len() > ALTERNATIVES || longest(first) + longest(second) > WRITTEN_OUT {
        return None;
    }
    let pairs = first.iter().flat_map(|begin| second.iter().map(move |end| [begin.as_slice(), end].concat()));
    Some(pairs.collect())
}

fn is_plain(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\r' | b'\n')
}

/// What an unbounded repetition begins and ends with, as far as it can be written out.
fn repeated(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Repetition(repetition) if repetition.min > 0 => texts(&repetition.sub),
        HirKind::Capture(capture) => repeated(&capture.sub),
        _ => None,
    }
}

/// `run` without and with what may be repeated behind it, and where it is repeated further; None when these are too many or
/// `run` is nothing yet.
fn written_out(run: &[Vec<u8>], hir: &Hir) -> Option<[Vec<Vec<u8>>; 2]> {
    match hir.kind() {
        HirKind::Repetition(repetition) if repetition.min == 0 && run.iter().all(|text| !text.is_empty()) => {
            let once = texts(&repetition.sub)?;
            let one = joined(run, &once)?;
            let more = joined(&one, &once)?;
            Some([[run, one.as_slice()].concat(), more])
        }
        HirKind::Capture(capture) => written_out(run, &capture.sub),
        _ => None,
    }
}

/// Leaves out those that hold another: where they stand, that stands.
fn only_shortest(literals: &mut Vec<Vec<u8>>) {
    literals.sort_unstable_by_key(Vec::len);
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for text in literals.drain(..) {
        if !kept.iter().any(|short| memchr::memmem::find(&text, short).is_some()) {
            kept.push(text);
        }
    }
    kept.sort_unstable();
    *literals = kept;
}

/// All folded texts that match, when they are few.
fn texts(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut all: Vec<Vec<u8>> = match hir.kind() {
        HirKind::Look(Look::StartLF) => vec![vec![b'\n'], vec![BEGIN]],
        HirKind::Empty | HirKind::Look(_) => vec![Vec::new()],
        HirKind::Literal(literal) => vec![literal.0.iter().map(|byte| fold(*byte)).collect()],
        HirKind::Class(class) => {
            let ranges: Vec<(u32, u32)> = match class {
                Class::Bytes(class) => class.ranges().iter().map(|r| (r.start().into(), r.end().into())).collect(),
                Class::Unicode(class) => class.ranges().iter().map(|r| (r.start().into(), r.end().into())).collect(),
            };
            // Other bytes are in no plain request.
            let plain =
                |(low, high): (u32, u32)| (low.min(127)..=high.min(127)).map(|value| value as u8).filter(is_plain);
            let mut bytes: Vec<u8> = ranges.into_iter().flat_map(plain).map(fold).collect();
            bytes.sort_unstable();
            bytes.dedup();
            if bytes.len() > CLASS {
                return None;
            }
            bytes.into_iter().map(|byte| vec![byte]).collect()
        }
        HirKind::Capture(capture) => texts(&capture.sub)?,
        HirKind::Repetition(repetition) => {
            let max = repetition.max.filter(|max| *max == repetition.min || *max == repetition.min + 1)?;
            let one = texts(&repetition.sub)?;
            let mut all = vec![Vec::new()];
            for _ in 0..repetition.min {
                all = joined(&all, &one)?;
            }
            if max > repetition.min {
                all.extend(joined(&all, &one)?);
            }
            all
        }
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(texts(part)?);
            }
            all
        }
        HirKind::Concat(parts) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                all = joined(&all, &texts(part)?)?;
            }
            all
        }
    };
    all.sort_unstable();
    all.dedup();
    (all.len() <= ALTERNATIVES).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(pattern: &str, nocase: bool) -> Option<Vec<String>> {
        let found = required(pattern.as_bytes(), PcreFlags { nocase, multiline: nocase, ..PcreFlags::default() })?;
        Some(found.into_iter().map(|text| String::from_utf8(text).unwrap()).collect())
    }

    #[test]
    fn parts_in_one_line() {
        for (pattern, wanted) in [
            ("^Host[^\\r\\n]{100,}", Some((104, vec!["\0host", "\nhost"]))),
            ("^.*\\x3a[^\\n]{1000}", Some((1001, vec![":"]))),
            ("GET /\\?{250,}", Some((255, vec!["get /?"]))),
            ("a\\nbcd\\s+ef", Some((3, vec!["bcd"]))),
            ("(?:\\s|x){300}ab", Some((2, vec!["ab"]))),
            ("[^a]{300}", None),
        ] {
            let flags = PcreFlags { nocase: true, multiline: true, dotall: true, ..PcreFlags::default() };
            let found = in_line(pattern.as_bytes(), flags);
            let wanted = wanted
                .map(|(length, texts)| (length, texts.into_iter().map(|text| text.as_bytes().to_vec()).collect()));
            assert_eq!(found, wanted, "{pattern}");
        }
    }

    #[test]
    fn table() {
        for (pattern, nocase, wanted) in [
            ("cmd\\.exe", false, Some(vec!["cmd.exe"])),
            ("CMD[0-9]+evil", true, Some(vec!["evil"])),
            (
                "^MODE\\s+[^ABSC]",
                true,
                Some(vec!["\0mode\n", "\0mode\r", "\0mode ", "\nmode\n", "\nmode\r", "\nmode "]),
            ),
            ("a=(?:[\"'])+x", false, Some(vec!["a=\"", "a='"])),
            ("xy\\x00+", false, Some(vec!["xy\0"])),
            ("xy[\\x80-\\xff]", false, Some(vec![])),
            ("a(?:foo|bar)b", false, Some(vec!["abarb", "afoob"])),
            ("/(?:up|cmd)\\.jspx?[0-9]+", true, Some(vec!["/cmd.jsp", "/up.jsp"])),
            ("[ab]?x[^c]yy", false, Some(vec!["yy"])),
            ("x{3}", false, Some(vec!["xxx"])),
            ("(?:foo)?", false, None),
            ("[a-z]+", false, None),
            ("^[^&]*x", true, Some(vec!["x"])),
            ("(?:^|&)a=", true, Some(vec!["\0a=", "\na=", "&a="])),
            ("^/wp-admin\\z", false, Some(vec!["/wp-admin"])),
            ("[^&]*", false, None),
            ("(?:foo|)", false, None),
            ("a,[ ]*,", false, Some(vec!["a,  ", "a, ,", "a,,"])),
            ("^Accept:[^\\r\\n]*,[ \\t]*,", true, Some(vec![",  ", ", ,", ",,"])),
            ("foo *", false, Some(vec!["foo"])),
            ("[a-z]+ *= *[0-9]", false, Some(vec!["="])),
        ] {
            let wanted = wanted.map(|texts| texts.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(literals(pattern, nocase), wanted, "{pattern}");
        }
    }
}
