// SPDX-License-Identifier: Apache-2.0
//! Expressions: what they mean in each engine, and that the engines agree.

use super::*;

fn expression(pattern: &[u8], flags: PcreFlags) -> Expression {
    Expression::new(pattern, flags).unwrap_or_else(|error| panic!("{}: {error}", pattern.escape_ascii()))
}

fn find(built: &Expression, subject: &[u8]) -> Search {
    built.find(subject, 0, Wanted::Where, &mut 1_000_000)
}

fn is_match(pattern: &[u8], subject: &[u8]) -> bool {
    find(&expression(pattern, PcreFlags::default()), subject).unwrap().is_some()
}

#[test]
fn linear_where_possible() {
    for (pattern, hit, miss) in [
        (b"a\\/b\\\"".as_slice(), b"a/b\"".as_slice(), b"a\\/b".as_slice()),
        (b"[\\w-.]+x", b"--x", b"  x"),
        (b"[a[b]+z", b"[z", b"cz"),
        (b"[]a]z", b"]z", b"bz"),
        (b"[a&&b]z", b"&z", b"cz"),
        (b"[a-c-e]z", b"-z", b"dz"),
        (b"[\\x41-\\x43]z", b"Bz", b"Dz"),
        (b"x{y}", b"x{y}", b"xy"),
        (b"x{,2}y", b"x{,2}y", b"xxy"),
        (b"x{2}y", b"xxy", b"xy"),
        (b"x{2,}?y", b"xxxy", b"xy"),
        (b"a\\hb", b"a\tb", b"a\nb"),
        (b"a\\vb", b"a\rb", b"a b"),
        (b"a\\Rb", b"a\r\nb", b"a b"),
        (b"\\<a\\>", b"<a>", b" a "),
        (b"\\101\\x2f\\x{41}", b"A/A", b"A/B"),
        (b"\\Qa.b\\E", b"a.b", b"axb"),
        (b"a$", b"a\n", b"ab"),
        (b"a\\Z", b"a\n", b"ab"),
        (b"\\cA", b"\x01", b"A"),
        (b"a(?#note)b", b"ab", b"anoteb"),
        (b"\xff\xfe", b"\xff\xfe", b"\xff"),
        (b"[\x80-\xff]{3}", b"\x90\x91\xfe", b"abc"),
        (b"(?i)abc", b"ABC", b"AB"),
        (b"[[:alpha:]]+1", b"ab1", b"--1"),
        (b"[^\\n]{5}", b"\xffbcde", b"ab\ncd"),
    ] {
        let built = expression(pattern, PcreFlags::default());
        assert!(!built.backtracks(), "{}", pattern.escape_ascii());
        assert!(find(&built, hit).unwrap().is_some(), "{} on {}", pattern.escape_ascii(), hit.escape_ascii());
        assert!(find(&built, miss).unwrap().is_none(), "{} on {}", pattern.escape_ascii(), miss.escape_ascii());
    }
}

#[test]
fn backtracking_where_needed() {
    for (pattern, hit, miss) in [
        (b"a(?!b)".as_slice(), b"ac".as_slice(), b"ab".as_slice()),
        (b"(?<=a)b", b"ab", b"cb"),
        (b"(a|b)\\1", b"bb", b"ab"),
        (b"a++b", b"aab", b"ac"),
        (b"(?>a+)b", b"aab", b"ac"),
        (b"(?=\xff)\xff", b"\xff", b"a"),
    ] {
        assert!(expression(pattern, PcreFlags::default()).backtracks(), "{}", pattern.escape_ascii());
        assert!(is_match(pattern, hit), "{}", pattern.escape_ascii());
        assert!(!is_match(pattern, miss), "{}", pattern.escape_ascii());
    }
}

#[test]
fn backtracking_is_bounded() {
    let built = expression(b"^((a+)+)(?=c)a?", PcreFlags::default());
    assert_eq!(find(&built, &b"a".repeat(60)), Err(LimitReached));
}

#[test]
fn flags() {
    let set = |change: fn(&mut PcreFlags)| {
        let mut flags = PcreFlags::default();
        change(&mut flags);
        flags
    };
    for (pattern, flags, hit, miss) in [
        (b"ab".as_slice(), set(|f| f.nocase = true), b"AB".as_slice(), b"A".as_slice()),
        (b"a.b", set(|f| f.dotall = true), b"a\nb", b"ab"),
        (b"^b$", set(|f| f.multiline = true), b"a\nb\nc", b"ab"),
        (b"a b # c", set(|f| f.extended = true), b"ab", b"a b"),
        (b"[a ]b c", set(|f| f.extended = true), b" bc", b"xbc"),
        (b"ab", set(|f| f.anchored = true), b"abc", b"xab"),
        (b"ab$", set(|f| f.dollar_endonly = true), b"ab", b"ab\n"),
        (b"a(?!x)b", set(|f| f.anchored = true), b"ab", b"xab"),
    ] {
        let built = expression(pattern, flags);
        assert!(find(&built, hit).unwrap().is_some(), "{} {flags:?}", pattern.escape_ascii());
        assert!(find(&built, miss).unwrap().is_none(), "{} {flags:?}", pattern.escape_ascii());
    }
    let lazy = expression(b"a+", set(|f| f.ungreedy = true));
    assert_eq!(find(&lazy, b"aaa"), Ok(Some((0, 1))));
}

#[test]
fn broken_expressions_are_refused() {
    for pattern in [b"(".as_slice(), b"[a", b"a{2}{3}(", b"*"] {
        assert!(Expression::new(pattern, PcreFlags::default()).is_err(), "{}", pattern.escape_ascii());
    }
}

#[test]
fn stability() {
    let of = |pattern: &[u8]| {
        let built = expression(pattern, PcreFlags::default());
        (built.stable(), built.monotone())
    };
    assert_eq!(of(b"abc"), (true, true));
    assert_eq!(of(b"^abc"), (true, false));
    assert_eq!(of(b"abc$"), (false, false));
    assert_eq!(of(b"abc\\b"), (false, false));
    assert_eq!(of(b"abc(?=d)"), (false, false));
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn expression(&mut self, depth: usize, loose: bool) -> String {
        let atoms = ["a", "b", "[ab]", "[^a]", ".", "\\n", "c"];
        let mut text = String::new();
        for _ in 0..1 + self.below(3) {
            text += &match self.below(if depth == 0 { 4 } else { 8 }) {
                0..=3 => atoms[self.below(atoms.len())].to_owned(),
                4 => format!("(?:{}|{})", self.expression(depth - 1, loose), self.expression(depth - 1, loose)),
                5 if loose => match self.below(4) {
                    0 => format!("(?!{})", self.expression(depth - 1, loose)),
                    1 => format!("(?={})", self.expression(depth - 1, loose)),
                    2 => format!("(?>{})", self.expression(depth - 1, loose)),
                    _ => format!("(?<!{})", atoms[self.below(5)]),
                },
                _ => format!("({})", self.expression(depth - 1, loose)),
            };
            let most = self.below(4);
            text += match self.below(9) {
                0 => ["*", "+", "?", "*?"][most],
                1 => ["{3}", "{2,4}", "{0,3}", "{2,}"][most],
                2 if loose && text.ends_with(')') => ["++", "", "?+", ""][most],
                _ => "",
            };
        }
        text
    }

    fn subject(&mut self) -> Vec<u8> {
        (0..self.below(24)).map(|_| b"aaabbc\n"[self.below(7)]).collect()
    }
}

#[test]
fn bits_tell_whether_there_is_a_match() {
    let mut random = Random(7);
    let (mut matches, mut told) = (0, 0);
    for _ in 0..700 {
        let prefix = ["", "", "^", "^.*"][random.below(4)];
        let pattern = prefix.to_owned() + &random.expression(2, false) + ["", "", "", "$"][random.below(4)];
        let flags = PcreFlags { dotall: random.below(2) == 0, multiline: random.below(2) == 0, ..PcreFlags::default() };
        let built = expression(pattern.as_bytes(), flags);
        let hir = parsed(pattern.as_bytes(), flags).unwrap();
        let Some(bits) = bits::Bits::new(&hir) else { continue };
        for _ in 0..20 {
            let subject = random.subject();
            let from = random.below(subject.len() + 1);
            let found = built.find(&subject, from, Wanted::Where, &mut 1_000_000).unwrap();
            let (end, _) = bits.find(&subject, from, u64::MAX);
            let context = format!("{pattern:?} {flags:?} on {} from {from}", subject.escape_ascii());
            assert!(found.is_none() || end.is_some(), "{context}: {found:?}");
            assert!(!bits.is_exact(from) || found.is_some() == end.is_some(), "{context}: {found:?}, bits {end:?}");
            if let (true, Some((_, last)), Some(end)) = (bits.is_exact(from), found, end) {
                assert!(end <= last, "{context}");
            }
            matches += usize::from(found.is_some());
            told += usize::from(bits.is_exact(from));
        }
    }
    assert!(matches > 2_000 && told > 5_000, "{matches} {told}");
}

#[test]
fn bits_count_far() {
    for (pattern, hit, miss) in [
        ("^.*:[^\\n]{1000}", [vec![b':'; 700], vec![b'x'; 301]].concat(), ":x\n".repeat(900).into_bytes()),
        ("(?:\\*\\?){700}", b"*?".repeat(701), b"*?".repeat(699)),
        ("a.{0,300}b(?:cd|ef){2,3}g", b"a___befcdg".to_vec(), [b"a".as_slice(), &[b'b'; 302], b"cdcdg"].concat()),
        ("x{200,900}y", [vec![b'x'; 950], vec![b'y']].concat(), [vec![b'x'; 199], vec![b'y']].concat()),
    ] {
        let flags = PcreFlags { dotall: true, multiline: true, ..PcreFlags::default() };
        let bits = bits::Bits::new(&parsed(pattern.as_bytes(), flags).unwrap()).unwrap();
        assert!(bits.is_exact(0) && bits.find(&hit, 0, u64::MAX).0.is_some(), "{pattern}");
        assert_eq!(bits.find(&miss, 0, u64::MAX).0, None, "{pattern}");
        let built = expression(pattern.as_bytes(), flags);
        for wanted in [Wanted::Where, Wanted::Whether] {
            assert!(built.find(&hit, 0, wanted, &mut u64::MAX.clone()).unwrap().is_some(), "{pattern}");
            assert_eq!(built.find(&miss, 0, wanted, &mut u64::MAX.clone()), Ok(None), "{pattern}");
        }
    }
}

#[test]
fn backtracking_finds_what_pcre_finds() {
    let mut random = Random(11);
    let (mut compared, mut matches) = (0, 0);
    for _ in 0..600 {
        let back = ["", "\\1", "(?=a)"][random.below(3)];
        let pattern = format!("({}){}{back}", random.expression(1, true), random.expression(2, true));
        let flags = PcreFlags { dotall: random.below(2) == 0, ..PcreFlags::default() };
        let Ok(built) = Expression::new(pattern.as_bytes(), flags) else { continue };
        if !built.backtracks() {
            continue;
        }
        let plain = pcre2::bytes::RegexBuilder::new()
            .dotall(flags.dotall)
            .build(&format!("(*LIMIT_MATCH=3500){pattern}"))
            .unwrap();
        for _ in 0..20 {
            let subject = random.subject();
            let from = random.below(subject.len() + 1);
            let found = built.find(&subject, from, Wanted::Where, &mut 1_000_000);
            let Ok(expected) = plain.find_at(&subject, from) else { continue };
            let expected = expected.map(|found| (found.start(), found.end()));
            assert_eq!(found, Ok(expected), "{pattern:?} {flags:?} on {} from {from}", subject.escape_ascii());
            compared += 1;
            matches += usize::from(expected.is_some());
        }
    }
    assert!(compared > 3_000 && matches > 500, "{compared} {matches}");
}

#[test]
fn backtracking_costs_what_it_takes_at_each_place() {
    // Each place needs hundreds of steps, so all of them would need minutes.
    let built =
        expression(b"n=((?!^--).)*?[\\r\\n]{2,}((?!^--).)*?;", PcreFlags { dotall: true, ..PcreFlags::default() });
    let subject = [b"n=aaaaaa".repeat(10_000), b"\n\n".to_vec()].concat();
    let mut left = 500_000;
    assert_eq!(built.find(&subject, 0, Wanted::Where, &mut left), Ok(None));
    assert!(left > 300_000, "no ; at all: one pass");
    let subject = [b"n=aaaaaa".repeat(100), b"\n\n".to_vec(), vec![b'b'; 3_000], b";".to_vec()].concat().repeat(20);
    let mut left = 500_000;
    assert_eq!(built.find(&subject, 0, Wanted::Where, &mut left), Err(LimitReached));
}
