// SPDX-License-Identifier: Apache-2.0
//! Numbers that a rule reads from a buffer: byte_test, byte_jump, byte_extract, byte_math, and base64_decode's text.

use std::collections::HashMap;

use crate::document::{self, Base, ByteOperator, Dialect, Endian, MathOperator, Number};

/// Values that one rule can take from a request.
pub const VARIABLES: usize = 8;

pub type Variables = [i64; VARIABLES];

/// The names of a rule's variables.
#[derive(Default)]
pub struct Names(HashMap<String, u8>);

impl Names {
    pub fn define(&mut self, name: &str) -> Result<u8, String> {
        let next = self.0.len();
        let slot = *self.0.entry(name.to_ascii_lowercase()).or_insert(next as u8);
        if usize::from(slot) >= VARIABLES {
            return Err(format!("more than {VARIABLES} values taken from the request"));
        }
        Ok(slot)
    }

    pub fn value(&self, number: &Number) -> Result<Value, String> {
        match number {
            Number::Fixed(value) => Ok(Value::Fixed(*value)),
            Number::Name(name) => match self.0.get(&name.to_ascii_lowercase()) {
                Some(slot) => Ok(Value::Variable(*slot)),
                None => Err(format!("{name:?} has no value: it is taken from another buffer, later, or not at all")),
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Fixed(i64),
    Variable(u8),
}

impl Value {
    pub fn get(self, variables: &Variables) -> i64 {
        match self {
            Value::Fixed(value) => value,
            Value::Variable(slot) => variables[usize::from(slot)],
        }
    }

    pub fn varies(self) -> bool {
        matches!(self, Value::Variable(_))
    }
}

/// Where a number stands and how it is written.
pub struct Field {
    bytes: Value,
    offset: Value,
    pub relative: bool,
    little: bool,
    base: Option<u32>,
    /// All bytes have to be there, digits or not (Suricata).
    whole: bool,
    mask: u64,
    shift: u32,
}

pub enum Read {
    /// The number and where it ends.
    Number(u64, usize),
    /// Behind the end of what is known.
    Behind,
    /// No number, or in front of the buffer.
    Nothing,
}

impl Field {
    pub fn new(field: &document::Field, dialect: Dialect, names: &Names) -> Result<Field, String> {
        let bytes = names.value(&field.bytes)?;
        if let Value::Fixed(count) = bytes {
            let most = if field.base.is_some() { 23 } else { 8 };
            if !(0..=most).contains(&count) {
                return Err(format!("a number of {count} bytes"));
            }
        }
        let mask = field.bitmask.unwrap_or(u64::MAX);
        Ok(Field {
            bytes,
            offset: names.value(&field.offset)?,
            relative: field.relative,
            little: field.endian == Endian::Little,
            base: field.base.map(|base| match base {
                Base::Dec => 10,
                Base::Hex => 16,
                Base::Oct => 8,
            }),
            whole: dialect == Dialect::Suricata,
            mask,
            // A masked number is moved down to its lowest bit.
            shift: if field.bitmask.is_some() { mask.trailing_zeros().min(63) } else { 0 },
        })
    }

    pub fn varies(&self) -> bool {
        self.bytes.varies() || self.offset.varies()
    }

    pub fn read(&self, buffer: &[u8], cursor: usize, variables: &Variables) -> Read {
        let begin = self.offset.get(variables).saturating_add(if self.relative { cursor as i64 } else { 0 });
        let Ok(begin) = usize::try_from(begin) else { return Read::Nothing };
        let count = usize::try_from(self.bytes.get(variables)).unwrap_or(usize::MAX).min(23);
        let (number, end) = match self.base {
            Some(base) => {
                if self.whole && begin + count > buffer.len() {
                    return Read::Behind;
                }
                let count = if count == 0 { 23 } else { count };
                let Some(text) = buffer.get(begin..buffer.len().min(begin + count)) else { return Read::Behind };
                let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
                let prefix = if base == 16 && text[blanks..].to_ascii_lowercase().starts_with(b"0x") { 2 } else { 0 };
                let digits: Vec<u32> =
                    text[blanks + prefix..].iter().map_while(|byte| char::from(*byte).to_digit(base)).collect();
                if digits.is_empty() {
                    return if text.len() == blanks + prefix { Read::Behind } else { Read::Nothing };
                }
                let number = digits
                    .iter()
                    .fold(0u64, |sum, digit| sum.saturating_mul(u64::from(base)).saturating_add(u64::from(*digit)));
                (number, begin + blanks + prefix + digits.len())
            }
            None => {
                let Some(bytes) = begin.checked_add(count).and_then(|end| buffer.get(begin..end)) else {
                    return Read::Behind;
                };
                let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
                let number = if self.little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) };
                (number, begin + count)
            }
        };
        Read::Number((number & self.mask) >> self.shift, end)
    }
}

pub enum ByteOption {
    Test {
        field: Field,
        operator: ByteOperator,
        negated: bool,
        value: Value,
    },
    Jump(Box<Jump>),
    /// Also byte_math: `number operator operand`.
    Extract {
        field: Field,
        slot: u8,
        multiplier: i64,
        align: i64,
        math: Option<(MathOperator, Value)>,
        /// Of the result, not of what was read (Suricata).
        mask: Option<(u64, u32)>,
    },
}

pub struct Jump {
    field: Field,
    multiplier: i64,
    align: i64,
    from: document::JumpFrom,
    post_offset: Value,
    /// A jump in front of the buffer goes to its beginning (Suricata) or fails.
    clamp: bool,
}

/// What an option comes to.
pub enum Came {
    /// It holds; the cursor is here.
    To(usize),
    Not,
    /// Bytes that are not known yet decide.
    Behind,
}

impl ByteOption {
    pub fn test(option: &document::ByteTest, dialect: Dialect, names: &Names) -> Result<ByteOption, String> {
        Ok(ByteOption::Test {
            field: Field::new(&option.field, dialect, names)?,
            operator: option.op,
            negated: option.negated,
            value: names.value(&option.value)?,
        })
    }

    pub fn jump(option: &document::ByteJump, dialect: Dialect, names: &Names) -> Result<ByteOption, String> {
        Ok(ByteOption::Jump(Box::new(Jump {
            field: Field::new(&option.field, dialect, names)?,
            multiplier: option.multiplier.unwrap_or(1),
            align: option.align.unwrap_or(0),
            from: option.from,
            post_offset: option.post_offset.as_ref().map_or(Ok(Value::Fixed(0)), |offset| names.value(offset))?,
            clamp: dialect == Dialect::Suricata,
        })))
    }

    pub fn extract(option: &document::ByteExtract, dialect: Dialect, names: &mut Names) -> Result<ByteOption, String> {
        let mut field = Field::new(&option.field, dialect, names)?;
        let math = match &option.math {
            Some(math) => Some((math.op, names.value(&math.value)?)),
            None => None,
        };
        let slot = names.define(&option.name)?;
        let (multiplier, align) = (option.multiplier.unwrap_or(1), option.align.unwrap_or(0));
        let mask = (math.is_some() && dialect == Dialect::Suricata).then(|| {
            let mask = (field.mask, field.shift);
            (field.mask, field.shift) = (u64::MAX, 0);
            mask
        });
        Ok(ByteOption::Extract { field, slot, multiplier, align, math, mask })
    }

    pub fn is_relative(&self) -> bool {
        match self {
            ByteOption::Test { field, .. } | ByteOption::Extract { field, .. } => field.relative,
            ByteOption::Jump(jump) => jump.field.relative,
        }
    }

    /// Moves the cursor, or needs a value that an option before it took.
    pub fn in_order(&self) -> bool {
        match self {
            ByteOption::Test { field, value, .. } => field.varies() || value.varies(),
            _ => true,
        }
    }

    pub fn apply(&self, buffer: &[u8], cursor: usize, complete: bool, variables: &mut Variables) -> Came {
        let field = match self {
            ByteOption::Test { field, .. } | ByteOption::Extract { field, .. } => field,
            ByteOption::Jump(jump) => &jump.field,
        };
        let (number, end) = match field.read(buffer, cursor, variables) {
            // More digits may follow.
            Read::Number(_, end) if field.base.is_some() && !complete && end >= buffer.len() => return Came::Behind,
            Read::Number(number, end) => (number, end),
            Read::Behind if !complete => return Came::Behind,
            Read::Behind | Read::Nothing => return Came::Not,
        };
        match self {
            ByteOption::Test { operator, negated, value, .. } => {
                let value = value.get(variables) as u64;
                let holds = match operator {
                    ByteOperator::Less => number < value,
                    ByteOperator::Greater => number > value,
                    ByteOperator::Equal => number == value,
                    ByteOperator::AtMost => number <= value,
                    ByteOperator::AtLeast => number >= value,
                    ByteOperator::And => number & value != 0,
                    ByteOperator::Xor => number ^ value != 0,
                };
                if holds == *negated {
                    Came::Not
                } else {
                    Came::To(cursor)
                }
            }
            ByteOption::Extract { slot, multiplier, align, math, mask, .. } => {
                let mut result = aligned((number as i64).wrapping_mul(*multiplier), *align);
                if let Some((operator, operand)) = math {
                    let operand = operand.get(variables);
                    result = match operator {
                        MathOperator::Add => result.wrapping_add(operand),
                        MathOperator::Subtract => result.wrapping_sub(operand),
                        MathOperator::Multiply => result.wrapping_mul(operand),
                        MathOperator::Divide if operand == 0 => return Came::Not,
                        MathOperator::Divide => result.wrapping_div(operand),
                        MathOperator::Left => result.wrapping_shl(operand.clamp(0, 63) as u32),
                        MathOperator::Right => ((result as u64) >> operand.clamp(0, 63)) as i64,
                    };
                }
                if let Some((mask, shift)) = mask {
                    result = ((result as u64 & mask) >> shift) as i64;
                }
                variables[usize::from(*slot)] = result;
                Came::To(end)
            }
            ByteOption::Jump(jump) => {
                let number = i64::try_from(number).unwrap_or(i64::MAX);
                let distance = aligned(number.saturating_mul(jump.multiplier), jump.align);
                let base = match jump.from {
                    document::JumpFrom::Field => end,
                    document::JumpFrom::Beginning => 0,
                    document::JumpFrom::End if !complete => return Came::Behind,
                    document::JumpFrom::End => buffer.len(),
                };
                let place = (base as i64).saturating_add(distance).saturating_add(jump.post_offset.get(variables));
                let place = if jump.clamp { place.max(0) } else { place };
                match usize::try_from(place) {
                    Ok(place) if place <= buffer.len() => Came::To(place),
                    Ok(_) if !complete => Came::Behind,
                    _ => Came::Not,
                }
            }
        }
    }
}

fn aligned(number: i64, align: i64) -> i64 {
    if align > 1 {
        number.saturating_add(align - 1) / align * align
    } else {
        number
    }
}

/// The bytes that `text` stands for, up to its first byte that is none of base64's; line ends are left out.
pub fn base64(text: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0u32, 0);
    for byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\r' | b'\n' => continue,
            _ => break,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_to_its_end() {
        for (text, bytes) in [
            (b"YWJj".as_slice(), b"abc".as_slice()),
            (b"YWI=rest", b"ab"),
            (b"YW\r\nJj", b"abc"),
            (b"YQ", b"a"),
            (b"", b""),
            (b"!", b""),
            (b"-_-_", b"\xfb\xff\xbf"),
        ] {
            let mut out = Vec::new();
            base64(text, &mut out);
            assert_eq!(out, bytes, "{}", text.escape_ascii());
        }
    }

    /// A field of four bytes behind eight.
    fn field(base: Option<Base>, bitmask: Option<u64>) -> document::Field {
        let (bytes, offset) = (Number::Fixed(4), Number::Fixed(8));
        let (relative, endian) = (false, Endian::Big);
        document::Field { buffer: crate::Buffer::Raw, bytes, offset, relative, endian, base, bitmask }
    }

    #[test]
    fn suricata_asks_for_all_digits() {
        for (dialect, length, there) in
            [(Dialect::Suricata, 11, false), (Dialect::Suricata, 12, true), (Dialect::Snort2, 11, true)]
        {
            let field = Field::new(&field(Some(Base::Dec), None), dialect, &Names::default()).unwrap();
            let read = field.read(&b"aaaaaaaa1234"[..length], 0, &[0; VARIABLES]);
            assert_eq!(matches!(read, Read::Number(..)), there, "{dialect:?} {length}");
        }
    }

    #[test]
    fn a_mask_is_of_what_suricata_computes() {
        for (dialect, result) in [(Dialect::Suricata, 0x74 & 0x0f), (Dialect::Snort3, 0x0f + 5)] {
            let math = Some(document::Math { op: MathOperator::Add, value: Number::Fixed(5) });
            let name = "x".to_owned();
            let option =
                document::ByteExtract { field: field(None, Some(0x0f)), name, multiplier: None, align: None, math };
            let option = ByteOption::extract(&option, dialect, &mut Names::default()).unwrap();
            let mut variables = [0; VARIABLES];
            assert!(matches!(option.apply(b"aaaaaaaa\0\0\0o", 0, true, &mut variables), Came::To(12)));
            assert_eq!(variables[0], result, "{dialect:?}");
        }
    }

    #[test]
    fn a_jump_too_far_is_none() {
        let option = document::ByteJump {
            field: document::Field { bytes: Number::Fixed(8), offset: Number::Fixed(0), ..field(None, None) },
            multiplier: None,
            align: None,
            from: document::JumpFrom::Beginning,
            post_offset: None,
        };
        let jump = ByteOption::jump(&option, Dialect::Suricata, &Names::default()).unwrap();
        assert!(matches!(jump.apply(&[0xff; 12], 0, true, &mut [0; VARIABLES]), Came::Not));
    }

    #[test]
    fn alignment_goes_up() {
        assert_eq!([0, 1, 4, 5].map(|number| aligned(number, 4)), [0, 4, 4, 8]);
        assert_eq!(aligned(5, 0), 5);
    }
}
