// SPDX-License-Identifier: Apache-2.0
//! The inspector's counters. They live in a shared map, so they outlive the process.

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter { $($(#[$doc])* $variant,)* }

        /// Names by index; a dropped segment is counted in exactly one `drop_*`.
        pub const NAMES: &[&str] = &[$($name,)*];
    };
}

counters! {
    /// Requests that were judged to their end, or to the rule that diverted them.
    RequestsInspected => "requests_inspected",
    ConnectionsDiverted => "connections_diverted",
    /// Handed over because their source was marked on another connection.
    ConnectionsMarked => "connections_marked",
    ConnectionsReset => "connections_reset",
    /// Requests that would have been diverted were this not only observed.
    WouldDivert => "would_divert",
    AlertsRaised => "alerts",
    AnomaliesFound => "anomalies",
    Segments => "segments_inspected",
    Bytes => "bytes_inspected",
    /// Requests that were too long or too slow to be held back whole.
    RequestsStreamed => "requests_streamed",
    /// Bodies that went on beyond the inspection depth.
    DepthReached => "depth_reached",
    Retransmissions => "retransmissions",
    AdoptionsConfirmed => "adoptions_confirmed",
    AdoptionsUnconfirmed => "adoptions_unconfirmed",
    EventsLost => "events_lost",
    /// The kernel refused to send; clients repeat what was lost.
    SendErrors => "send_errors",
    /// The attackers map was full.
    MarksRefused => "marks_refused",
    /// The receive ring was full or had no frames: the inspector was stopped or too slow.
    DropBusy => "drop_inspector_busy",
    DropMalformed => "drop_inspector_malformed",
    DropChecksum => "drop_inspector_checksum",
    DropTcpOption => "drop_inspector_tcp_option",
    DropStaleFlow => "drop_stale_flow",
    DropOutOfWindow => "drop_out_of_window",
    DropReassemblyFull => "drop_reassembly_full",
    DropUnverifiable => "drop_unverifiable_retransmission",
    DropMemory => "drop_inspector_memory",
    DropClosed => "drop_closed_flow",
    DropNoRoom => "drop_transmit_full",
    /// Requests by the time from their first byte's arrival to their leaving: up to so long.
    Held10 => "held_10us",
    Held20 => "held_20us",
    Held50 => "held_50us",
    Held100 => "held_100us",
    Held200 => "held_200us",
    Held500 => "held_500us",
    Held1000 => "held_1000us",
    Held2000 => "held_2000us",
    Held5000 => "held_5000us",
    Held10000 => "held_10000us",
    Held20000 => "held_20000us",
    Held50000 => "held_50000us",
    HeldLonger => "held_longer",
}

/// The counter of requests that were held so many nanoseconds.
pub fn held(ns: u64) -> Counter {
    const STEPS: [(u64, Counter); 12] = [
        (10, Counter::Held10),
        (20, Counter::Held20),
        (50, Counter::Held50),
        (100, Counter::Held100),
        (200, Counter::Held200),
        (500, Counter::Held500),
        (1_000, Counter::Held1000),
        (2_000, Counter::Held2000),
        (5_000, Counter::Held5000),
        (10_000, Counter::Held10000),
        (20_000, Counter::Held20000),
        (50_000, Counter::Held50000),
    ];
    STEPS.iter().find(|(us, _)| ns <= us * 1000).map_or(Counter::HeldLonger, |step| step.1)
}
