// SPDX-License-Identifier: Apache-2.0
//! What no rule can match: tables by which the kernel tells it without the matcher.
//!
//! A request that is *plain* (its bytes as sent are what every buffer of every rule shows, see [`grammar`]) and holds for
//! no rule the one content that the rule cannot match without ([`needs`]) matches nothing. Both questions are one
//! finite automaton over the request's bytes ([`automaton`]), a table that XDP walks (`bpf/clear.h`);
//! [`Tables::judge`] is the same walk in Rust, the reference for it. A rule without such a content may ask for what a
//! segment's headers show ([`guards`]), or for bits of the connection, which only another rule's match sets; else it
//! is *open*: as long as one is loaded, nothing is cleared.
//!
//! Errors are on one side: a request may be given to the matcher in vain, never the other way round.

mod automaton;
mod grammar;
mod guards;
pub(crate) mod literals;
mod needs;
mod text;

pub use automaton::{Clearing, Refused, Tables, Verdict, Why, FLAG_BITS, HOST_SEEN, STATE_MASK};
pub use guards::{Test, TESTS};
pub(crate) use needs::Need;
pub use needs::FLAGS;
