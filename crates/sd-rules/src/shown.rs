// SPDX-License-Identifier: Apache-2.0
//! What the rules see of a request, for people and for comparisons with other programs.

use crate::http::Profile;
use crate::{Buffer, Decoder, Limits, RuleSet, Scratch, Step, Transaction};

/// One request as its buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Those that there are, with each of their readings (or values, where several parts of a body have one).
    pub buffers: Vec<(Buffer, Vec<Vec<u8>>)>,
    pub oddities: Vec<Decoder>,
    pub step: Step,
}

/// Reads the first request of `data`, after which its client closes, as a server of `profile` may.
pub fn show(profile: Profile, limits: &Limits, data: &[u8]) -> Shown {
    let rules = RuleSet::looking(profile);
    let (mut transaction, mut scratch, mut out) = (Transaction::default(), Scratch::default(), Vec::new());
    let step = transaction.advance(&rules, limits, &mut scratch, data, true, &mut out);
    if matches!(step, Step::NeedMore | Step::Tunnel) {
        transaction.finish(&rules, limits, &mut scratch, data, &mut out);
    }
    let buffers = Buffer::ALL
        .into_iter()
        .map(|buffer| (buffer, transaction.readings(limits, data, buffer)))
        .filter(|(_, readings)| !readings.is_empty())
        .collect();
    Shown { buffers, oddities: transaction.oddities(), step }
}
