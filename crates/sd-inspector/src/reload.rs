// SPDX-License-Identifier: Apache-2.0
//! New rules for a running inspector: the supervisor sends them over a stream socket, all queues judge by them from then on.
//!
//! A message is its length (8 bytes, little endian) and a collection of rule documents, one for each service, null for one
//! that has not changed; the answer is one line of JSON, `{"ok": true, ...}`
//! or `{"ok": false, "error": ...}`. Rules that are refused change nothing. Nothing here opens files or makes threads, so
//! that it works in the sandbox.

use crate::clearing;
use crate::travelled::Known;
use sd_io::clearing::SharedClearing;
use sd_rules::RuleSet;
use serde_json::{json, Value};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A document longer than this is none of ours (all of ET has some 30 MB).
const DOCUMENT_MAX: u64 = 1 << 30;

/// Of each service, in their order.
pub type Sets = Vec<Arc<RuleSet>>;

/// The rules that are valid now. Queues look at the number, and take the rules when it has changed.
pub struct Slot {
    generation: AtomicU64,
    rules: Mutex<Sets>,
    known: Mutex<Arc<Known>>,
}

impl Slot {
    pub fn new(rules: Sets) -> Slot {
        Slot { generation: AtomicU64::new(1), rules: Mutex::new(rules), known: Mutex::default() }
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The rules and a number that they have at least.
    pub fn current(&self) -> (u64, Sets) {
        let number = self.generation();
        (number, self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// By what the kernel clears.
    pub fn known(&self) -> Arc<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn know(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    fn replace(&self, new: Sets) {
        let old = std::mem::replace(&mut *self.rules.lock().unwrap_or_else(PoisonError::into_inner), new);
        self.generation.fetch_add(1, Ordering::Release);
        // Freed here when no queue uses it any more; else by the last queue that lets go of it.
        drop(old);
    }
}

/// Take documents until the other end is closed (the supervisor has gone; judging goes on).
pub fn serve(mut socket: UnixStream, slot: &Slot, tables: Option<&SharedClearing>) {
    while let Some(document) = receive(&mut socket) {
        let mut answer = accept(document, slot, tables).to_string();
        answer.push('\n');
        let told = socket.write_all(answer.as_bytes());
        // Requests are judged meanwhile; one that needs an expression that is not built yet builds it.
        slot.current().1.iter().for_each(|rules| rules.warm());
        sd_io::give_back_memory();
        if told.is_err() {
            return;
        }
    }
}

fn receive(socket: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 8];
    socket.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > DOCUMENT_MAX {
        return None;
    }
    let mut document = Vec::new();
    socket.take(length).read_to_end(&mut document).ok()?;
    (document.len() as u64 == length).then_some(document)
}

/// An error unless there is a set of rules for each service, in their order.
pub fn fits(rules: &[Arc<RuleSet>], ports: &[u16]) -> Result<(), String> {
    let given: Vec<u16> = rules.iter().map(|rules| rules.service().port).collect();
    if given == ports {
        return Ok(());
    }
    Err(format!("the documents are for the ports {given:?}, the services have {ports:?}"))
}

fn accept(document: Vec<u8>, slot: &Slot, tables: Option<&SharedClearing>) -> Value {
    let began = Instant::now();
    let valid = slot.current().1;
    let ports: Vec<u16> = valid.iter().map(|rules| rules.service().port).collect();
    let read = RuleSet::collection(&document, &valid).map_err(|error| error.to_string());
    drop(document);
    match read.and_then(|(rules, left_out)| fits(&rules, &ports).map(|()| (rules, left_out))) {
        Ok((rules, left_out)) => {
            let count: usize = rules.iter().map(|rules| rules.len()).sum();
            let tables = tables.map(|tables| (tables, clearing::build(&rules, &slot.known())));
            // Nothing is cleared by rules that are not the queues'.
            if let Some((tables, _)) = &tables {
                tables.install(&[]);
            }
            slot.replace(rules);
            let cleared = tables.map(|(tables, built)| clearing::install(tables, slot, built));
            json!({"ok": true, "rules": count, "left_out": left_out, "clearing": cleared, "ms": began.elapsed().as_millis() as u64})
        }
        Err(error) => json!({"ok": false, "error": error}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &[u8] = br#"{"version":2,"documents":[{"version":1,"rules":[]},
        {"version":1,"service":{"name":"mail","port":25,"protocol":"tcp"},"rules":[]}]}"#;
    const ONE_WRONG: &[u8] = br#"{"version":2,"documents":[{"version":1,"rules":[]},
        {"version":7,"service":{"name":"mail","port":25,"protocol":"tcp"},"rules":[]}]}"#;
    const MAIL_IS_THE_SAME: &[u8] = br#"{"version":2,"documents":[{"version":1,"rules":[]},null]}"#;
    const ANOTHER_PORT: &[u8] = br#"{"version":2,"documents":[{"version":1,"rules":[]}]}"#;

    fn ask(socket: &mut UnixStream, document: &[u8]) -> Value {
        socket.write_all(&(document.len() as u64).to_le_bytes()).unwrap();
        socket.write_all(document).unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') {
            socket.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn tables_of_rules_that_stay_are_made_once() {
        let sets = |json: &[u8], valid: &[Arc<RuleSet>]| RuleSet::collection(json, valid).unwrap().0;
        let first = sets(NONE, &[]);
        let slot = Slot::new(first.clone());
        let built = clearing::build(&first, &slot.known());
        assert!(built[0].is_ok() && built[1].is_err(), "nobody clears mail");
        slot.know(built.iter().cloned().zip(first.clone()).map(|(tables, set)| Some((tables.ok()?, set))).collect());
        let again = |sets: &Sets| clearing::build(sets, &slot.known()).swap_remove(0).unwrap();
        let made = built[0].as_ref().unwrap();
        assert!(!Arc::ptr_eq(&again(&sets(MAIL_IS_THE_SAME, &first)), made));
        assert!(Arc::ptr_eq(&again(&sets(br#"{"version":2,"documents":[null,null]}"#, &first)), made));
    }

    #[test]
    fn good_rules_are_taken_and_bad_ones_change_nothing() {
        let slot = Arc::new(Slot::new(RuleSet::collection(NONE, &[]).unwrap().0));
        let (mut here, there) = UnixStream::pair().unwrap();
        let served = {
            let slot = slot.clone();
            std::thread::spawn(move || serve(there, &slot, None))
        };
        let first = Arc::downgrade(&slot.current().1[1]);
        for refused in [b"no rules", ONE_WRONG, ANOTHER_PORT] {
            assert_eq!(ask(&mut here, refused)["ok"], false);
        }
        assert_eq!(slot.generation(), 1);
        assert!(first.upgrade().is_some());
        assert_eq!(ask(&mut here, NONE)["ok"], true);
        assert_eq!(slot.generation(), 2);
        assert!(first.upgrade().is_none(), "the old rules are gone");
        let [web, mail] = [0, 1].map(|service| Arc::as_ptr(&slot.current().1[service]));
        assert_eq!(ask(&mut here, MAIL_IS_THE_SAME)["ok"], true);
        assert_ne!(web, Arc::as_ptr(&slot.current().1[0]));
        assert_eq!(mail, Arc::as_ptr(&slot.current().1[1]), "not compiled once more");
        assert_eq!(ask(&mut here, br#"{"version":2,"documents":[null,null,null]}"#)["ok"], false);
        drop(here);
        served.join().unwrap();
    }
}
