// SPDX-License-Identifier: Apache-2.0
//! Mirror of bpf/sd_consts.h and bpf/sd_structs.h. A test compares it with the type information in the compiled object.
//!
//! Byte order: fields named `*_be` are in network order, everything else is in the host's.

use std::mem::{offset_of, size_of};

/// Value of `sd_config.abi_version`.
pub const ABI_VERSION: u32 = 7;

/// Flows in one bucket of the flow table.
pub const WAYS: u32 = 8;
/// Entries of the backend table.
pub const MAX_BACKENDS: usize = 256;
/// Entries of the slot tables.
pub const SLOTS: usize = 256;
/// Services of the virtual address.
pub const SERVICES: usize = 64;
/// TCP ports.
pub const PORTS: usize = 65_536;

/// `sd_flow.owner` is \[count:32\]\[generation:16\]\[flags:16\].
pub const COUNT_ONE: u64 = 1 << 32;
/// Position of the generation in `sd_flow.owner`.
pub const GEN_SHIFT: u32 = 16;
/// The flags in `sd_flow.owner`.
pub const FLAG_MASK: u64 = 0xffff;
/// The client's ACK of the handshake was seen.
pub const FLAG_ESTABLISHED: u64 = 0x0001;
/// FIN or RST at exactly the expected sequence number was seen.
pub const FLAG_CLOSED: u64 = 0x0002;
/// Every packet goes to the honeypot, straight from XDP.
pub const FLAG_DIVERTED: u64 = 0x0004;
/// Packets without payload go to the honeypot, payload still to the inspector.
pub const FLAG_MOVING: u64 = 0x0008;
/// A timestamp echo at or after `proof_base` proves the source.
pub const FLAG_PROVE: u64 = 0x0010;
/// The source has been proved.
pub const FLAG_PROVED: u64 = 0x0020;
/// Classic handoff: everything is dropped, the client must reconnect.
pub const FLAG_SILENT: u64 = 0x0040;
/// A part of an incomplete request has been forwarded.
pub const FLAG_MIDSTREAM: u64 = 0x0080;
/// The source is on the allow list.
pub const FLAG_ALLOWED: u64 = 0x0100;
/// The source is on a rule's list of addresses, and nobody has been told yet.
pub const FLAG_LISTED: u64 = 0x0200;

/// The client's SYN offered selective acknowledgements.
pub const OPT_SACK: u8 = 0x01;
/// ... timestamps.
pub const OPT_TIMESTAMPS: u8 = 0x02;
/// ... window scaling.
pub const OPT_WSCALE: u8 = 0x04;

/// The machine is healthy.
pub const BACKEND_UP: u16 = 0x01;
/// Its MAC address is known.
pub const BACKEND_RESOLVED: u16 = 0x02;
/// It is a honeypot.
pub const BACKEND_HONEYPOT: u16 = 0x04;
/// It runs the adopter.
pub const BACKEND_ADOPT: u16 = 0x08;
/// Its TCP uses selective acknowledgements.
pub const BACKEND_SACK: u16 = 0x10;
/// Its TCP uses timestamps.
pub const BACKEND_TIMESTAMPS: u16 = 0x20;
/// Its TCP uses window scaling.
pub const BACKEND_WSCALE: u16 = 0x40;

/// The configuration is complete.
pub const CONFIG_READY: u32 = 0x01;
/// Payload needs a verdict.
pub const CONFIG_INSPECT: u32 = 0x02;

/// The packet's source is a marked attacker.
pub const META_MARKED: u16 = 0x01;
/// It is a request that XDP did not clear for what it is.
pub const META_JUDGED: u16 = 0x02;
/// Value of `sd_meta.magic`.
pub const META_MAGIC: u16 = 0x5344;

/// Kind of the adopt segment's TCP option (experimental, RFC 6994).
pub const ADOPT_KIND: u8 = 253;
/// Its experiment identifier.
pub const ADOPT_EXID: u16 = 0x5344;
/// Its length.
pub const ADOPT_LEN: usize = 28;

/// Entries of all services' automata together, 4 bytes each.
pub const CLEAR_ENTRIES: usize = 1 << 22;

/// Bytes of the longest request that is cleared.
pub const CLEAR_LONGEST: usize = 2048;
/// Reasons that are counted.
pub const TRAVELLED: usize = 256;
/// What is asked of a segment's headers, for each service.
pub const GUARDS: usize = 256;
/// Sources whose proof is outstanding stand in a table of so many places, as a power of two.
pub const HELD_BITS: u32 = 12;
/// Bytes that its hash takes at a time.
pub const CLEAR_STRIDE: usize = 32;

/// `struct sd_clearing`
#[repr(C)]
#[allow(missing_docs)]
pub struct Clearing {
    pub sequence: u64,
    pub held_until: u64,
    pub begin: [Begin; SERVICES],
    pub classes: [[u8; 256]; SERVICES],
    pub seal_mix: u64,
    pub seal_key: [u64; CLEAR_LONGEST / 8],
    pub travelled: [[u64; 2]; TRAVELLED],
    pub held: [u64; 1 << HELD_BITS],
    pub guards: [[Guard; GUARDS]; SERVICES],
}

/// `struct sd_begin`
#[repr(C)]
#[allow(missing_docs)]
pub struct Begin {
    pub start: u32,
    pub line: u32,
    pub guards: u32,
    pub pad: u32,
}

/// `struct sd_guard`
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Guard {
    pub low: u32,
    pub span: u32,
    pub field: u16,
    pub hit: u16,
    pub miss: u16,
    pub pad: u16,
}

/// `struct sd_service`
#[repr(C)]
#[allow(missing_docs)]
pub struct Service {
    pub round_robin: u32,
    pub n_servers: u32,
    pub n_honeypots: u32,
    pub pad: u32,
    pub servers: [u8; SLOTS],
    pub honeypots: [u8; SLOTS],
}

/// `struct sd_config`
#[repr(C)]
#[allow(missing_docs)]
pub struct Config {
    pub abi_version: u32,
    pub flags: u32,
    pub vip: u32,
    pub pad: u16,
    pub mac: [u8; 6],
    pub flow_timeout_ns: u64,
    pub closed_timeout_ns: u64,
    pub attacker_expiry_ns: u64,
    pub hash_key: [u64; 2],
    pub services: [Service; SERVICES],
    pub service_of: [u8; PORTS],
}

/// `struct sd_backend`
#[repr(C)]
#[allow(missing_docs)]
pub struct Backend {
    pub mac: [u8; 6],
    pub flags: u16,
    pub address: u32,
    pub mss: u16,
    pub wscale: u8,
    pub pad: u8,
}

/// `struct sd_flow`
#[repr(C)]
#[allow(missing_docs)]
pub struct Flow {
    pub owner: u64,
    pub stream: u64,
    pub saddr: [u8; 16],
    pub daddr: [u8; 16],
    pub sport: u16,
    pub dport: u16,
    pub server: u16,
    pub honeypot: u16,
    pub last_seen: u64,
    pub created: u64,
    pub client_isn: u32,
    pub last_ack: u32,
    pub ack_time: u64,
    pub proof_base: u32,
    pub rtt_us: u32,
    pub mss: u16,
    pub wscale: u8,
    pub options: u8,
    pub attack_sid: u32,
    pub seal: u64,
    pub diverted_at: u64,
    pub returned: u32,
    pub cleared_ack: u32,
}

/// `struct sd_bucket`
#[repr(C)]
#[allow(missing_docs)]
pub struct Bucket {
    pub tag: [u32; WAYS as usize],
    pub first_ack: [u32; WAYS as usize],
    pub way: [Flow; WAYS as usize],
}

/// `struct sd_meta`: in front of a packet that XDP gives to the inspector.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Index in the flow table.
    pub flow: u32,
    /// Owner's count including this packet.
    pub count: u32,
    /// Owner's generation.
    pub generation: u16,
    /// `META_*`
    pub flags: u16,
    /// `META_MAGIC`
    pub magic: u16,
    /// Unused.
    pub pad: u16,
}

impl Meta {
    /// From the 16 bytes in front of a packet; `None` when the director did not write them.
    pub fn parse(raw: [u8; 16]) -> Option<Self> {
        let u16_at = |at: usize| u16::from_ne_bytes([raw[at], raw[at + 1]]);
        let u32_at = |at: usize| u32::from_ne_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        let meta = Self {
            flow: u32_at(0),
            count: u32_at(4),
            generation: u16_at(8),
            flags: u16_at(10),
            magic: u16_at(12),
            pad: u16_at(14),
        };
        (meta.magic == META_MAGIC).then_some(meta)
    }
}

/// `struct sd_attacker`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Attacker {
    pub since: u64,
    pub expires: u64,
    pub connections: u64,
    pub sid: u32,
    pub pad: u32,
}

/// `struct sd_allow_key`
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct AllowKey {
    pub prefix_length: u32,
    pub address: [u8; 16],
}

const _: () = {
    assert!(size_of::<Service>() == 528);
    assert!(size_of::<Config>() == 64 + SERVICES * 528 + PORTS);
    assert!(size_of::<Backend>() == 16);
    assert!(size_of::<Flow>() == 128);
    assert!(size_of::<Bucket>() == 1088);
    assert!(size_of::<Meta>() == 16);
    assert!(size_of::<Attacker>() == 32);
    assert!(size_of::<AllowKey>() == 20);
    // Written or read as one 64-bit word.
    assert!(offset_of!(Backend, mac) == 0 && offset_of!(Backend, flags) == 6);
    assert!(offset_of!(Config, vip) == 8 && offset_of!(Config, mac) == 14);
    assert!(offset_of!(Flow, sport) == 48 && offset_of!(Flow, server) == 52);
};

/// Names of the director's counters, in the order of `enum sd_counter`.
pub const COUNTERS: [&str; 35] = [
    "arp_replies",
    "new_flows",
    "new_flows_honeypot",
    "new_flows_listed",
    "forwarded",
    "forwarded_honeypot",
    "to_inspector",
    "sources_proved",
    "flows_evicted",
    "resets_sent",
    "cleared",
    "cleared_again",
    "travel_off",
    "travel_flow",
    "travel_segment",
    "travel_pipelined",
    "travel_request",
    "travel_header",
    "drop_malformed",
    "drop_not_service",
    "drop_fragment",
    "drop_ip_options",
    "drop_bad_flags",
    "drop_checksum",
    "drop_tcp_option",
    "drop_syn_data",
    "drop_syn_in_use",
    "drop_no_flow",
    "drop_no_server",
    "drop_no_honeypot",
    "drop_no_inspector",
    "drop_no_metadata",
    "drop_flow_table_full",
    "drop_silenced",
    "drop_vip_conflict",
];

/// IPv4 in the IPv6 form that the tables use.
pub fn mapped(address: [u8; 4]) -> [u8; 16] {
    std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets()
}

#[cfg(test)]
mod tests {
    use super::*;
    use libbpf_rs::btf::types::{MemberAttr, Struct};
    use libbpf_rs::btf::{Btf, HasSize};

    macro_rules! same {
        ($btf:expr, $name:literal, $mirror:ty, $($field:ident),*) => {{
            let theirs = $btf.type_by_name::<Struct<'_>>($name).expect($name);
            assert_eq!(theirs.size(), size_of::<$mirror>(), $name);
            let fields = [$((stringify!($field), offset_of!($mirror, $field))),*];
            assert_eq!(theirs.iter().count(), fields.len(), "number of fields of {}", $name);
            for (member, (name, offset)) in theirs.iter().zip(fields) {
                assert_eq!(member.name.unwrap().to_str(), Some(name), $name);
                let MemberAttr::Normal { offset: bits } = member.attr else { panic!("bit field") };
                assert_eq!(bits as usize, offset * 8, "{}.{name}", $name);
            }
        }};
    }

    #[test]
    fn the_mirror_is_what_the_compiler_of_the_programs_sees() {
        let btf = Btf::from_raw("director", crate::object::DIRECTOR).unwrap().expect("the object has BTF");
        same!(
            btf,
            "sd_config",
            Config,
            abi_version,
            flags,
            vip,
            pad,
            mac,
            flow_timeout_ns,
            closed_timeout_ns,
            attacker_expiry_ns,
            hash_key,
            services,
            service_of
        );
        same!(btf, "sd_service", Service, round_robin, n_servers, n_honeypots, pad, servers, honeypots);
        same!(btf, "sd_backend", Backend, mac, flags, address, mss, wscale, pad);
        same!(
            btf,
            "sd_flow",
            Flow,
            owner,
            stream,
            saddr,
            daddr,
            sport,
            dport,
            server,
            honeypot,
            last_seen,
            created,
            client_isn,
            last_ack,
            ack_time,
            proof_base,
            rtt_us,
            mss,
            wscale,
            options,
            attack_sid,
            seal,
            diverted_at,
            returned,
            cleared_ack
        );
        same!(btf, "sd_bucket", Bucket, tag, first_ack, way);
        same!(btf, "sd_begin", Begin, start, line, guards, pad);
        same!(btf, "sd_guard", Guard, low, span, field, hit, miss, pad);
        same!(
            btf,
            "sd_clearing",
            Clearing,
            sequence,
            held_until,
            begin,
            classes,
            seal_mix,
            seal_key,
            travelled,
            held,
            guards
        );
        same!(btf, "sd_attacker", Attacker, since, expires, connections, sid, pad);
        same!(btf, "sd_allow_key", AllowKey, prefix_length, address);
    }

    #[test]
    fn counters_have_the_kernel_programs_names() {
        let header = include_str!("../../../bpf/sd_consts.h");
        let names: Vec<String> = header
            .lines()
            .filter_map(|line| line.trim().strip_prefix("SD_C_")?.strip_suffix(',').map(str::to_lowercase))
            .filter(|name| name != "max")
            .collect();
        assert_eq!(names, COUNTERS);
    }

    #[test]
    fn numbers_are_the_headers() {
        let header = include_str!("../../../bpf/sd_consts.h");
        let value = |name: &str| -> u64 {
            let line = header.lines().find(|l| l.starts_with(&format!("#define {name} "))).expect(name);
            let text = line.split_whitespace().nth(2).unwrap();
            let text = text.trim_end_matches("ULL");
            match text.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
                None => text.parse().unwrap(),
            }
        };
        for (name, ours) in [
            ("SD_ABI_VERSION", u64::from(ABI_VERSION)),
            ("SD_WAYS", u64::from(WAYS)),
            ("SD_MAX_BACKENDS", MAX_BACKENDS as u64),
            ("SD_SLOTS", SLOTS as u64),
            ("SD_SERVICES", SERVICES as u64),
            ("SD_PORTS", PORTS as u64),
            ("SD_GEN_SHIFT", u64::from(GEN_SHIFT)),
            ("SD_FLAG_ESTABLISHED", FLAG_ESTABLISHED),
            ("SD_FLAG_CLOSED", FLAG_CLOSED),
            ("SD_FLAG_DIVERTED", FLAG_DIVERTED),
            ("SD_FLAG_MOVING", FLAG_MOVING),
            ("SD_FLAG_PROVE", FLAG_PROVE),
            ("SD_FLAG_PROVED", FLAG_PROVED),
            ("SD_FLAG_SILENT", FLAG_SILENT),
            ("SD_FLAG_MIDSTREAM", FLAG_MIDSTREAM),
            ("SD_FLAG_ALLOWED", FLAG_ALLOWED),
            ("SD_FLAG_LISTED", FLAG_LISTED),
            ("SD_FLAG_MASK", FLAG_MASK),
            ("SD_OPT_SACK", u64::from(OPT_SACK)),
            ("SD_OPT_TIMESTAMPS", u64::from(OPT_TIMESTAMPS)),
            ("SD_OPT_WSCALE", u64::from(OPT_WSCALE)),
            ("SD_BACKEND_UP", u64::from(BACKEND_UP)),
            ("SD_BACKEND_RESOLVED", u64::from(BACKEND_RESOLVED)),
            ("SD_BACKEND_HONEYPOT", u64::from(BACKEND_HONEYPOT)),
            ("SD_BACKEND_ADOPT", u64::from(BACKEND_ADOPT)),
            ("SD_BACKEND_SACK", u64::from(BACKEND_SACK)),
            ("SD_BACKEND_TIMESTAMPS", u64::from(BACKEND_TIMESTAMPS)),
            ("SD_BACKEND_WSCALE", u64::from(BACKEND_WSCALE)),
            ("SD_CONFIG_READY", u64::from(CONFIG_READY)),
            ("SD_CONFIG_INSPECT", u64::from(CONFIG_INSPECT)),
            ("SD_META_MARKED", u64::from(META_MARKED)),
            ("SD_META_JUDGED", u64::from(META_JUDGED)),
            ("SD_META_MAGIC", u64::from(META_MAGIC)),
            ("SD_ADOPT_KIND", u64::from(ADOPT_KIND)),
            ("SD_ADOPT_EXID", u64::from(ADOPT_EXID)),
            ("SD_ADOPT_LEN", ADOPT_LEN as u64),
        ] {
            assert_eq!(value(name), ours, "{name}");
        }
    }
}
