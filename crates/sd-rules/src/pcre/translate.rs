// SPDX-License-Identifier: Apache-2.0
//! PCRE to the syntax of the linear engines, without change of meaning; or loosely, as something that matches wherever the
//! expression does.

use crate::document::PcreFlags;

/// The pattern as PCRE2 is given it: text; bytes above 0x7f are written as escapes (never part of syntax).
pub fn escape_high_bytes(pattern: &[u8]) -> String {
    let mut text = String::with_capacity(pattern.len() + 16);
    for &byte in pattern {
        push_literal_high(&mut text, byte);
    }
    text
}

fn push_literal_high(text: &mut String, byte: u8) {
    if byte.is_ascii() {
        text.push(byte as char);
    } else {
        text.push_str(&format!("\\x{byte:02x}"));
    }
}

/// Without change of meaning; None: needs backtracking. `loose`: what needs that is left out or taken as anything, so that
/// wherever the expression matches, this does, too.
pub fn translate(pattern: &[u8], flags: PcreFlags, loose: bool) -> Option<String> {
    let out = String::with_capacity(pattern.len() + 16);
    let mut translator = Translator { input: pattern, at: 0, out, flags, loose };
    if flags.anchored {
        translator.out.push_str("\\A(?:");
    }
    translator.run()?;
    if flags.anchored {
        // In extended mode a comment would swallow the parenthesis.
        translator.out.push_str(if flags.extended { "\n)" } else { ")" });
    }
    Some(translator.out)
}

struct Translator<'a> {
    input: &'a [u8],
    at: usize,
    out: String,
    flags: PcreFlags,
    loose: bool,
}

impl Translator<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.input.get(self.at + ahead).copied()
    }

    fn starts(&self, text: &[u8]) -> bool {
        self.input[self.at..].starts_with(text)
    }

    /// A literal byte that means itself everywhere in the output.
    fn literal(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            self.out.push(byte as char);
        } else {
            self.out.push_str(&format!("\\x{byte:02x}"));
        }
    }

    fn run(&mut self) -> Option<()> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\\' => self.escape(false)?,
                b'[' => self.class()?,
                b'(' => self.group()?,
                b'*' | b'+' | b'?' => {
                    self.out.push(byte as char);
                    self.at += 1;
                    self.after_quantifier()?;
                }
                b'{' => {
                    let bounds = self.bounds();
                    if bounds == 0 {
                        self.out.push_str("\\{");
                        self.at += 1;
                    } else {
                        let end = self.at + bounds;
                        self.out.push_str(std::str::from_utf8(&self.input[self.at..end]).ok()?);
                        self.at = end;
                        self.after_quantifier()?;
                    }
                }
                b'}' => {
                    self.out.push_str("\\}");
                    self.at += 1;
                }
                b'$' if !self.flags.multiline => {
                    // The end, or before a newline that ends the subject.
                    self.out.push_str(if self.flags.dollar_endonly { "\\z" } else { "(?:\\n?\\z)" });
                    self.at += 1;
                }
                b'#' if self.flags.extended => {
                    while let Some(byte) = self.peek(0) {
                        if byte == b'\n' {
                            break;
                        }
                        self.at += 1;
                    }
                }
                _ if byte.is_ascii() => {
                    self.out.push(byte as char);
                    self.at += 1;
                }
                _ => {
                    self.literal(byte);
                    self.at += 1;
                }
            }
        }
        Some(())
    }

    /// `?` (lazy) is copied; `+` (possessive) needs the other engine.
    fn after_quantifier(&mut self) -> Option<()> {
        match self.peek(0) {
            Some(b'+') if self.loose => {
                self.at += 1;
                Some(())
            }
            Some(b'+') => None,
            Some(b'?') => {
                self.out.push('?');
                self.at += 1;
                Some(())
            }
            _ => Some(()),
        }
    }

    /// Length of `{n}`, `{n,}` or `{n,m}` at the current place; 0: a literal brace.
    fn bounds(&self) -> usize {
        let rest = &self.input[self.at + 1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return 0;
        }
        match rest.get(digits) {
            Some(b'}') => digits + 2,
            Some(b',') => {
                let more = rest[digits + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                if rest.get(digits + 1 + more) == Some(&b'}') {
                    digits + more + 3
                } else {
                    0
                }
            }
            _ => 0,
        }
    }

    fn group(&mut self) -> Option<()> {
        if self.starts(b"(?#") {
            let end = memchr::memchr(b')', &self.input[self.at..])?;
            self.at += end + 1;
            return Some(());
        }
        if self.starts(b"(*") {
            return None;
        }
        if self.loose && (self.starts(b"(?>") || self.starts(b"(?|")) {
            self.out.push_str("(?:");
            self.at += 3;
            return Some(());
        }
        if self.loose && [&b"(?="[..], b"(?!", b"(?<=", b"(?<!"].iter().any(|open| self.starts(open)) {
            self.out.push_str("(?:)");
            return self.skip_group();
        }
        if self.starts(b"(?") {
            match (self.peek(2)?, self.peek(3)) {
                (b'=' | b'!' | b'>' | b'|' | b'(' | b'R' | b'&' | b'\'', _) => return None,
                (b'<', Some(b'=' | b'!')) => return None,
                (b'P', Some(b'=' | b'>')) => return None,
                (digit, _) if digit.is_ascii_digit() => return None,
                (b'+' | b'-', Some(digit)) if digit.is_ascii_digit() => return None,
                (b'<' | b'P', _) => {}
                _ => {
                    // Inline flags: those with another meaning here, and changes of $ and blanks, go to PCRE2.
                    let flags = self.input[self.at + 2..].iter().take_while(|byte| !b":)".contains(byte));
                    for flag in flags {
                        if !b"isU-".contains(flag) {
                            return None;
                        }
                    }
                }
            }
            self.out.push_str("(?");
            self.at += 2;
            return Some(());
        }
        self.out.push('(');
        self.at += 1;
        Some(())
    }

    /// Leaves out a group with all that is in it.
    fn skip_group(&mut self) -> Option<()> {
        let mut depth = 0;
        loop {
            match self.peek(0)? {
                b'\\' if matches!(self.peek(1)?, b'Q' | b'E') => return None,
                b'\\' => self.at += 1,
                b'#' if self.flags.extended => return None,
                b'[' => {
                    let kept = self.out.len();
                    self.class()?;
                    self.out.truncate(kept);
                    continue;
                }
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn escape(&mut self, in_class: bool) -> Option<()> {
        let next = self.peek(1)?;
        self.at += 2;
        match next {
            b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'n' | b'r' | b't' | b'f' => {
                self.out.push('\\');
                self.out.push(next as char);
            }
            b'b' if in_class => self.out.push_str("\\x08"),
            b'b' | b'B' | b'A' | b'z' if !in_class => {
                self.out.push('\\');
                self.out.push(next as char);
            }
            b'Z' if !in_class => self.out.push_str("(?:\\n?\\z)"),
            b'a' => self.out.push_str("\\x07"),
            b'e' => self.out.push_str("\\x1b"),
            b'h' if in_class => self.out.push_str("\\t\\x20\\xa0"),
            b'h' => self.out.push_str("[\\t\\x20\\xa0]"),
            b'H' if !in_class => self.out.push_str("[^\\t\\x20\\xa0]"),
            b'v' if in_class => self.out.push_str("\\n\\x0b\\f\\r\\x85"),
            b'v' => self.out.push_str("[\\n\\x0b\\f\\r\\x85]"),
            b'V' if !in_class => self.out.push_str("[^\\n\\x0b\\f\\r\\x85]"),
            b'R' if !in_class => self.out.push_str("(?:\\r\\n|[\\n\\x0b\\f\\r\\x85])"),
            b'N' if !in_class => self.out.push_str("[^\\n]"),
            b'c' => {
                let byte = self.peek(0)?.to_ascii_uppercase() ^ 0x40;
                self.at += 1;
                self.literal(byte);
            }
            b'x' => {
                let byte = self.hex_escape()?;
                self.literal(byte);
            }
            b'0' => {
                let byte = self.octal(0, 2)?;
                self.literal(byte);
            }
            b'1'..=b'7' if in_class => {
                let byte = self.octal(u32::from(next - b'0'), 2)?;
                self.literal(byte);
            }
            b'1'..=b'9' => {
                // \10 and above are octal only when no such group exists: three octal digits are sure enough.
                let digits: Vec<u8> = (0..2).filter_map(|ahead| self.peek(ahead)).collect();
                if next <= b'3' && digits.len() == 2 && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
                    let byte = self.octal(u32::from(next - b'0'), 2)?;
                    self.literal(byte);
                } else if self.loose {
                    self.at += digits.iter().take_while(|digit| digit.is_ascii_digit()).count();
                    self.out.push_str("(?s:.*)");
                } else {
                    return None;
                }
            }
            b'Q' => {
                let rest = &self.input[self.at..];
                let end = memchr::memmem::find(rest, b"\\E").unwrap_or(rest.len());
                for index in 0..end {
                    let byte = self.input[self.at + index];
                    self.literal(byte);
                }
                self.at = (self.at + end + 2).min(self.input.len());
            }
            b'E' => {}
            _ if next.is_ascii_alphanumeric() => return None,
            _ => self.literal(next),
        }
        Some(())
    }

    fn hex_escape(&mut self) -> Option<u8> {
        if self.peek(0) == Some(b'{') {
            let end = memchr::memchr(b'}', &self.input[self.at..])?;
            let digits = std::str::from_utf8(&self.input[self.at + 1..self.at + end]).ok()?;
            let value = u8::from_str_radix(digits, 16).ok()?;
            self.at += end + 1;
            return Some(value);
        }
        let mut value = 0;
        for _ in 0..2 {
            match self.peek(0).and_then(crate::http::hex_value) {
                Some(digit) => {
                    value = value * 16 + digit;
                    self.at += 1;
                }
                None => break,
            }
        }
        Some(value)
    }

    fn octal(&mut self, first: u32, more: usize) -> Option<u8> {
        let mut value = first;
        for _ in 0..more {
            match self.peek(0) {
                Some(digit @ b'0'..=b'7') => {
                    value = value * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                _ => break,
            }
        }
        u8::try_from(value).ok()
    }

    fn class(&mut self) -> Option<()> {
        self.out.push('[');
        self.at += 1;
        if self.peek(0) == Some(b'^') {
            self.out.push('^');
            self.at += 1;
        }
        let mut first = true;
        // Whether a `-` now could begin a range: only after a single byte.
        let mut after_single = false;
        loop {
            let byte = self.peek(0)?;
            match byte {
                b']' if !first => {
                    self.out.push(']');
                    self.at += 1;
                    return Some(());
                }
                b'[' if matches!(self.peek(1), Some(b':')) => {
                    let end = memchr::memmem::find(&self.input[self.at..], b":]");
                    match end {
                        Some(end) if end < 14 => {
                            let name = std::str::from_utf8(&self.input[self.at..self.at + end + 2]).ok()?;
                            self.out.push_str(name);
                            self.at += end + 2;
                        }
                        _ => {
                            self.literal(b'[');
                            self.at += 1;
                        }
                    }
                    after_single = false;
                }
                b'\\' => {
                    let single = !matches!(
                        self.peek(1)?,
                        b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'h' | b'H' | b'v' | b'V' | b'R' | b'N' | b'Q' | b'E'
                    );
                    self.escape(true)?;
                    after_single = single;
                }
                b'-' => {
                    let ends = self.peek(1) == Some(b']');
                    let class_follows = self.peek(1) == Some(b'\\')
                        && matches!(self.peek(2), Some(b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'h' | b'v'));
                    self.at += 1;
                    if after_single && !ends && !class_follows && !first {
                        self.out.push('-');
                    } else {
                        self.literal(b'-');
                    }
                    after_single = false;
                }
                _ => {
                    self.literal(byte);
                    self.at += 1;
                    after_single = !self.out.ends_with('-') && !self.range_just_closed();
                }
            }
            first = false;
        }
    }

    /// After `a-z` a further `-` is literal.
    fn range_just_closed(&self) -> bool {
        let text = self.out.as_bytes();
        let unit = if text.len() >= 4 && text[text.len() - 4..].starts_with(b"\\x") { 4 } else { 1 };
        let before = text.len().saturating_sub(unit);
        before > 0 && text[before - 1] == b'-'
    }
}
