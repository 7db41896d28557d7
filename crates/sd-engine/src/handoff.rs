// SPDX-License-Identifier: Apache-2.0
//! The adopt segment's option: what the honeypot's stack must know to continue a connection, sealed with a shared key.
//!
//! Layout: struct sd_adopt_option in bpf/sd_structs.h; read by bpf/adopt.bpf.c.

use crate::packet::Template;
use siphasher::sip::SipHasher24;
use std::hash::Hasher;

pub const ADOPT_LENGTH: usize = 28;
const KIND: u8 = 253;
const EXID: u16 = 0x5344;

/// What both ends had agreed on, as the honeypot needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The client's newest TSval; the TSval that the honeypot begins with.
    pub tsval: u32,
    pub tsecr: u32,
    pub mss: u16,
    pub client_wscale: u8,
    pub own_wscale: u8,
    /// `host::OPT_*`
    pub options: u8,
}

pub fn adopt_option(key: &[u8; 16], template: &Template, seq: u32, agreed: &Agreed) -> [u8; ADOPT_LENGTH] {
    let scales = agreed.client_wscale << 4 | agreed.own_wscale & 15;
    let (sport, dport) = template.ports();
    let words: [u64; 5] = [
        u64::from(u32::from_be_bytes(template.client())) << 32 | u64::from(u32::from_be_bytes(template.vip())),
        u64::from(sport) << 48 | u64::from(dport) << 32 | u64::from(seq),
        u64::from(template.ack) << 32 | u64::from(agreed.tsval),
        u64::from(agreed.tsecr) << 32
            | u64::from(agreed.mss) << 16
            | u64::from(scales) << 8
            | u64::from(agreed.options),
        u64::from(KIND) << 8 | ADOPT_LENGTH as u64,
    ];
    let mut hasher = SipHasher24::new_with_key(key);
    for word in words {
        hasher.write(&word.to_le_bytes());
    }
    let mut option = [0u8; ADOPT_LENGTH];
    option[0] = KIND;
    option[1] = ADOPT_LENGTH as u8;
    option[2..4].copy_from_slice(&EXID.to_be_bytes());
    option[4..8].copy_from_slice(&agreed.tsval.to_be_bytes());
    option[8..12].copy_from_slice(&agreed.tsecr.to_be_bytes());
    option[12..14].copy_from_slice(&agreed.mss.to_be_bytes());
    option[14] = scales;
    option[15] = agreed.options;
    option[20..].copy_from_slice(&hasher.finish().to_le_bytes());
    option
}
