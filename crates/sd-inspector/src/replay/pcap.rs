// SPDX-License-Identifier: Apache-2.0
//! Reads capture files, pcap and pcapng, record by record, in bounded memory.

use std::io::Read;

const RECORD_MAX: usize = 256 * 1024;
/// Interfaces of a pcapng section.
const INTERFACES_MAX: usize = 1024;

/// What is known of a file besides its records.
pub struct Format {
    big: bool,
    kind: Kind,
}

enum Kind {
    Pcap {
        /// Nanoseconds of one unit of the stamps' fraction.
        fraction: u64,
        link: u32,
    },
    /// Link type of each interface, and units of its stamps in a second.
    Pcapng { interfaces: Vec<(u32, u64)> },
}

pub enum Next {
    /// When, in ns since the epoch, and the link type.
    Record(u64, u32),
    End,
    Cut,
}

impl Format {
    pub fn read(capture: &mut impl Read) -> Result<Format, String> {
        let mut head = [0u8; 24];
        if fill(capture, &mut head)? < head.len() {
            return Err("this is no pcap file: it is too short".into());
        }
        let (big, fraction) = match head[..4] {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1000),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                let big = head[8..12] == [0x1a, 0x2b, 0x3c, 0x4d];
                let format = Format { big, kind: Kind::Pcapng { interfaces: Vec::new() } };
                let length = format.word(&head, 4) as usize;
                if length < head.len() || !skip(capture, length - head.len())? {
                    return Err("a section's header goes on behind the end: the file is damaged".into());
                }
                return Ok(format);
            }
            _ => return Err("this is no pcap file".into()),
        };
        let mut format = Format { big, kind: Kind::Pcap { fraction, link: 0 } };
        // The upper bits tell of a frame check sequence.
        let link = known(format.word(&head, 20) & 0xffff)?;
        format.kind = Kind::Pcap { fraction, link };
        Ok(format)
    }

    fn word(&self, bytes: &[u8], at: usize) -> u32 {
        let word = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        }
    }

    /// The next packet's bytes into `record`.
    pub fn next(&mut self, capture: &mut impl Read, record: &mut Vec<u8>) -> Result<Next, String> {
        let Kind::Pcap { fraction, link } = self.kind else { return self.next_block(capture, record) };
        let mut head = [0u8; 16];
        match fill(capture, &mut head)? {
            0 => return Ok(Next::End),
            16 => {}
            _ => return Ok(Next::Cut),
        }
        if !self.bytes(capture, record, self.word(&head, 8) as usize)? {
            return Ok(Next::Cut);
        }
        let fraction = u64::from(self.word(&head, 4)) * fraction;
        Ok(Next::Record(u64::from(self.word(&head, 0)) * 1_000_000_000 + fraction, link))
    }

    /// False: the file ends before them.
    fn bytes(&self, capture: &mut impl Read, record: &mut Vec<u8>, length: usize) -> Result<bool, String> {
        if length > RECORD_MAX {
            return Err(format!("a record of {length} bytes: the file is damaged"));
        }
        record.resize(length, 0);
        Ok(fill(capture, record)? == length)
    }

    fn next_block(&mut self, capture: &mut impl Read, record: &mut Vec<u8>) -> Result<Next, String> {
        loop {
            let mut head = [0u8; 8];
            match fill(capture, &mut head)? {
                0 => return Ok(Next::End),
                8 => {}
                _ => return Ok(Next::Cut),
            }
            // A new section may have the other byte order; its type reads the same in both.
            if head[..4] == [0x0a, 0x0d, 0x0d, 0x0a] {
                let mut magic = [0u8; 4];
                if fill(capture, &mut magic)? < 4 {
                    return Ok(Next::Cut);
                }
                self.big = magic == [0x1a, 0x2b, 0x3c, 0x4d];
                self.kind = Kind::Pcapng { interfaces: Vec::new() };
                if !skip(capture, (self.word(&head, 4) as usize).saturating_sub(12))? {
                    return Ok(Next::Cut);
                }
                continue;
            }
            let (kind, length) = (self.word(&head, 0), self.word(&head, 4) as usize);
            let Some(length) = length.checked_sub(8).filter(|rest| *rest >= 4) else {
                return Err("a block without a length: the file is damaged".into());
            };
            if !matches!(kind, 1 | 3 | 6) {
                if !skip(capture, length)? {
                    return Ok(Next::Cut);
                }
                continue;
            }
            if !self.bytes(capture, record, length)? {
                return Ok(Next::Cut);
            }
            record.truncate(length - 4);
            if let Some(next) = self.block(kind, record)? {
                return Ok(next);
            }
        }
    }

    /// An interface is noted; of a packet, `record` keeps the bytes.
    fn block(&mut self, kind: u32, record: &mut Vec<u8>) -> Result<Option<Next>, String> {
        let damaged = || "a block is too short: the file is damaged".to_owned();
        if kind == 1 {
            if record.len() < 8 {
                return Err(damaged());
            }
            let half = [record[0], record[1]];
            let link = known(u32::from(if self.big { u16::from_be_bytes(half) } else { u16::from_le_bytes(half) }))?;
            let resolution = resolution(&record[8..], self.big);
            if let Kind::Pcapng { interfaces } = &mut self.kind {
                if interfaces.len() >= INTERFACES_MAX {
                    return Err("more interfaces than a capture has".into());
                }
                interfaces.push((link, resolution));
            }
            return Ok(None);
        }
        let head = if kind == 6 { 20 } else { 4 };
        if record.len() < head {
            return Err(damaged());
        }
        let interface = if kind == 6 { self.word(record, 0) as usize } else { 0 };
        let Kind::Pcapng { interfaces } = &self.kind else { return Ok(None) };
        let &(link, resolution) = interfaces.get(interface).ok_or("a packet of an interface that is not there")?;
        let (at, length) = if kind == 6 {
            let stamp = u64::from(self.word(record, 4)) << 32 | u64::from(self.word(record, 8));
            let second = u128::from(stamp) * 1_000_000_000 / u128::from(resolution);
            (u64::try_from(second).unwrap_or(u64::MAX >> 1), self.word(record, 12) as usize)
        } else {
            (0, self.word(record, 0) as usize)
        };
        record.drain(..head);
        record.truncate(length);
        Ok(Some(Next::Record(at, link)))
    }
}

/// Units of an interface's stamps in a second: option 9 of its block.
fn resolution(mut options: &[u8], big: bool) -> u64 {
    let half = |bytes: &[u8]| {
        let pair = [bytes[0], bytes[1]];
        usize::from(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    };
    while options.len() >= 4 {
        let (code, length) = (half(options), half(&options[2..]));
        if let (9, Some(value)) = (code, options.get(4)) {
            let power = u32::from(value & 0x7f);
            let base: u64 = if value & 0x80 != 0 { 2 } else { 10 };
            return base.checked_pow(power).unwrap_or(1_000_000);
        }
        options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
    }
    1_000_000
}

fn known(link: u32) -> Result<u32, String> {
    match link {
        0 | 1 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276 => Ok(link),
        _ => Err(format!("link type {link} is not known (Ethernet, raw IP, Linux cooked and loopback are)")),
    }
}

/// Like read_exact, but says how much there was.
fn fill(capture: &mut impl Read, buffer: &mut [u8]) -> Result<usize, String> {
    let mut done = 0;
    while done < buffer.len() {
        match capture.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("cannot read the capture: {e}")),
        }
    }
    Ok(done)
}

/// False: the file ends before.
fn skip(capture: &mut impl Read, length: usize) -> Result<bool, String> {
    let mut rest = [0u8; 4096];
    let mut left = length;
    while left > 0 {
        let part = left.min(rest.len());
        if fill(capture, &mut rest[..part])? < part {
            return Ok(false);
        }
        left -= part;
    }
    Ok(true)
}
