// SPDX-License-Identifier: Apache-2.0
//! What a request is at this moment, asked of the rules: candidates, their parts, and the state they wait for.

use super::{sent_body, Scratch, Transaction, When, STATE_ROUNDS};
use crate::http::{hex_value, BodyState, Content, HeadState};
use crate::matcher::{Absence, Budget, Part, PartState, Status, WORK, WORK_PER_BYTE, WORK_PER_CALL};
use crate::packet::{PacketFacts, Segment};
use crate::prefilter::Found;
use crate::ruleset::{Rule, RuleSet};
use crate::standing::Asked;
use crate::state::Peer;
use crate::{number, Action, Buffer, Limits, Match, Protocol, RuleId};

#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) rule: u32,
    /// Its first entry of `Transaction::states`.
    states: u32,
    pub(super) status: Status,
    /// Addresses, ports and the like are the rule's.
    ours: bool,
}

impl Candidate {
    /// As before anything was asked, but for what has matched. It stays a candidate: the prefilter takes the rules that wait
    /// for a pattern as known together.
    pub(super) fn ask_anew(&mut self) {
        if self.status != Status::Matched {
            self.status = if self.ours { Status::Running } else { Status::Failed };
        }
    }
}

/// Collects candidates.
struct Adder<'a> {
    rules: &'a RuleSet,
    limits: &'a Limits,
    source: Option<u128>,
    seen: &'a mut [u64],
    candidates: &'a mut Vec<Candidate>,
    states: &'a mut Vec<PartState>,
}

impl Found for Adder<'_> {
    fn knows(&self, rule: u32) -> bool {
        self.seen[rule as usize / 64] & 1 << (rule % 64) != 0
    }

    fn found(&mut self, id: u32) {
        if self.knows(id) {
            return;
        }
        self.seen[id as usize / 64] |= 1 << (id % 64);
        let rule = &self.rules.rules[id as usize];
        let view = self.limits.view.as_ref();
        let ours = rule.allows(self.limits.src_port, self.limits.dst_port, self.source)
            && rule.view.as_ref().is_none_or(|test| view.is_some_and(|view| test.admits(view)));
        let status = if ours { Status::Running } else { Status::Failed };
        self.candidates.push(Candidate { rule: id, states: self.states.len() as u32, status, ours });
        self.states.resize(self.states.len() + rule.parts.len(), PartState::default());
    }
}

/// A buffer as it is now.
enum Available<'a> {
    NotYet,
    Absent,
    Bytes(&'a [u8], bool),
}

/// The growing parts of a request that may be judged in a call.
struct Judged<'a> {
    raw: &'a [u8],
    body: &'a [u8],
    decoded: &'a [u8],
    content: Option<&'a Content>,
    when: When,
}

impl Judged<'_> {
    fn ready(&self) -> bool {
        self.when != When::Later
    }

    fn complete(&self) -> bool {
        self.when == When::End
    }
}

impl Transaction {
    pub(super) fn judge_data(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        scratch: &mut Scratch,
        data: &[u8],
        when: When,
        out: &mut Vec<Match>,
    ) {
        self.make_buffers(rules, data);
        let framed = self.framed && self.head.state == HeadState::Complete;
        let unframed = !framed || self.body.state == BodyState::Unframed && !self.deep;
        let depth = self.head.end.saturating_add(limits.depth);
        let end = match self.body.state {
            _ if unframed => data.len(),
            BodyState::Done => self.body_at.min(depth),
            _ => data.len().min(depth),
        };
        let content = self.content.take();
        let shown = content.as_deref().filter(|_| framed && self.has_body);
        let body = shown.map_or(&[][..], |content| {
            content.body(sent_body(&self.head, self.body.state, self.deep, self.body_at, limits, data))
        });
        let mut decoded = std::mem::take(&mut self.decoded);
        if rules.used[Buffer::HttpClientBodySnort3 as usize] && when != When::Later {
            self.decoded_to += decode_form(&body[self.decoded_to.min(body.len())..], when == When::End, &mut decoded);
        }
        let raw = data.get(self.head.start..end).unwrap_or_default();
        let judged = Judged { raw, body, decoded: &decoded, content: shown, when };
        self.judge(rules, limits, scratch, data, &judged, out);
        self.decoded = decoded;
        self.content = content;
    }

    fn make_buffers(&mut self, rules: &RuleSet, data: &[u8]) {
        let mut found = 0;
        if !self.line_ready && self.head.has_line {
            self.line_ready = true;
            self.buffers
                .request_line(data, &self.head, &rules.used, rules.profile(), &mut |event| found |= event.bit());
        }
        if !self.head_ready && self.head.state == HeadState::Complete {
            self.head_ready = true;
            self.buffers.headers(data, &self.head, &rules.used, &mut |event| found |= event.bit());
        }
        self.found |= found;
    }

    fn judge(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        scratch: &mut Scratch,
        data: &[u8],
        judged: &Judged<'_>,
        out: &mut Vec<Match>,
    ) {
        if self.overworked {
            return;
        }
        self.find_candidates(rules, limits, scratch, data, judged);
        if self.candidates.is_empty() {
            return;
        }
        self.calls += 1;
        let bytes = (self.forgotten + data.len()) as u64;
        let may = WORK + WORK_PER_BYTE * bytes + WORK_PER_CALL * self.calls;
        let mut left = may.saturating_sub(self.spent).max(1);
        let first = out.len();
        let mut candidates = std::mem::take(&mut self.candidates);
        let mut states = std::mem::take(&mut self.states);
        for (index, candidate) in candidates.iter_mut().enumerate() {
            if candidate.status != Status::Running {
                continue;
            }
            let rule = &rules.rules[candidate.rule as usize];
            let states = &mut states[candidate.states as usize..][..rule.parts.len()];
            let mut budget = Budget::new(judged.raw.len(), self.forgotten, left);
            match self.evaluate(rule, states, data, judged, &mut budget) {
                Status::Running => {}
                // Another segment may come.
                Status::Matched if !sent_so(rule, limits) => {}
                Status::Failed => candidate.status = Status::Failed,
                // What bits say is known when all rules that set some have been asked.
                Status::Matched if rule.state.is_some() && self.stateless => candidate.status = Status::Failed,
                Status::Matched if rule.state.is_some() => self.waiting.push(index as u32),
                Status::Matched => {
                    candidate.status = Status::Matched;
                    out.push(self.matched(rules, candidate.rule, states, (data, judged), &mut budget));
                }
            }
            if budget.exhausted {
                self.found |= budget.bound().bit();
            }
            left = budget.left();
            if left == 0 {
                self.overworked = true;
                break;
            }
        }
        self.spent = may.saturating_sub(left);
        if !self.waiting.is_empty() {
            self.ask_state(rules, limits, &mut candidates, &states, (data, judged), out);
        }
        if rules.has_pass_rules() && limits.view.is_none() {
            self.passed |= out[first..].iter().any(|found| rules.rules[found.rule.0 as usize].pass);
            if self.passed {
                out.truncate(first);
            }
        }
        self.candidates = candidates;
        self.states = states;
    }

    /// The rules that all but state has matched: those that set bits first, and again as long as one more matches. One
    /// that does not match now is asked again with the next call.
    fn ask_state(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        candidates: &mut [Candidate],
        states: &[PartState],
        (data, judged): (&[u8], &Judged<'_>),
        out: &mut Vec<Match>,
    ) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let state_of = |candidate: &Candidate| rules.rules[candidate.rule as usize].state.as_ref();
        waiting.sort_by_key(|index| !state_of(&candidates[*index as usize]).is_some_and(|state| state.sets()));
        let peer = Peer {
            flow: self.flow_bits.id(),
            state: self.source.as_ref().map(|(state, _)| &**state),
            source: self.source.as_ref().map_or(0, |(_, address)| *address),
            destination: limits.view.map_or(0, |view| number(view.destination)),
            ports: (limits.src_port, limits.dst_port),
        };
        let mut flow = std::mem::take(&mut self.flow_bits);
        let mut rounds = STATE_ROUNDS;
        let mut more = true;
        while more && rounds > 0 {
            (more, rounds) = (false, rounds - 1);
            for index in &waiting {
                let candidate = &mut candidates[*index as usize];
                let rule = &rules.rules[candidate.rule as usize];
                let Some(state) = &rule.state else { continue };
                if candidate.status != Status::Running {
                    continue;
                }
                let Some(counted) = state.apply(&mut flow, &peer) else { continue };
                // A request counts once.
                candidate.status = if counted { Status::Matched } else { Status::Failed };
                more |= state.sets();
                if counted && !state.silent {
                    let states = &states[candidate.states as usize..];
                    let mut budget = Budget::new(judged.raw.len(), self.forgotten, WORK);
                    out.push(self.matched(rules, candidate.rule, states, (data, judged), &mut budget));
                }
            }
        }
        waiting.clear();
        self.waiting = waiting;
        self.flow_bits = flow;
    }

    fn find_candidates(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        scratch: &mut Scratch,
        data: &[u8],
        judged: &Judged<'_>,
    ) {
        let words = rules.rules.len() / 64 + 1;
        if scratch.seen.len() < words {
            scratch.seen.resize(words, 0);
        }
        for candidate in &self.candidates {
            scratch.seen[candidate.rule as usize / 64] |= 1 << (candidate.rule % 64);
        }
        let mut add = Adder {
            rules,
            limits,
            source: self.source.as_ref().map(|(_, address)| *address),
            seen: &mut scratch.seen,
            candidates: &mut self.candidates,
            states: &mut self.states,
        };
        if !self.always_added {
            self.always_added = true;
            rules.always.iter().for_each(|rule| add.found(*rule));
        }
        let line = self.line_ready && !self.line_scanned;
        let head = self.head_ready && !self.head_scanned;
        if line || head {
            for &buffer in &rules.head_filters {
                if !(if of_request_line(buffer) { line } else { head }) {
                    continue;
                }
                for form in 0..self.buffers.forms(buffer) {
                    if let Some(bytes) = self.buffers.get(data, buffer, form) {
                        rules.prefilters[buffer as usize].scan(bytes, 0, &mut add);
                    }
                }
            }
            if head {
                // What contents of this buffer are looked for with is that of the stream.
                if let Some(bytes) = self.buffers.made_start() {
                    rules.prefilters[Buffer::Raw as usize].scan(bytes, 0, &mut add);
                }
            }
            self.line_scanned |= line;
            self.head_scanned |= head;
        }
        if judged.ready() {
            rules.prefilters[Buffer::Raw as usize].scan(judged.raw, self.raw_scanned, &mut add);
            self.raw_scanned = judged.raw.len();
            rules.prefilters[Buffer::HttpClientBody as usize].scan(judged.body, self.body_scanned, &mut add);
            self.body_scanned = judged.body.len();
            let filter = &rules.prefilters[Buffer::HttpClientBodySnort3 as usize];
            filter.scan(judged.decoded, self.decoded_scanned, &mut add);
            self.decoded_scanned = judged.decoded.len();
            if let Some(content) = judged.content {
                if judged.complete() && !self.trailer_scanned {
                    self.trailer_scanned = true;
                    rules.prefilters[Buffer::HttpTrailer as usize].scan(content.trailer(), 0, &mut add);
                }
                if content.has_parts() {
                    for (buffer, (value, done)) in PARTS.into_iter().zip(&mut self.parts_scanned) {
                        let values = content.values(buffer, judged.body, || self.buffers.path(data));
                        while let Some((bytes, complete)) = values.get(*value) {
                            rules.prefilters[buffer as usize].scan(bytes, *done, &mut add);
                            (*value, *done) = if complete { (*value + 1, 0) } else { (*value, bytes.len()) };
                            if !complete {
                                break;
                            }
                        }
                    }
                }
            }
        }
        for candidate in &self.candidates {
            scratch.seen[candidate.rule as usize / 64] = 0;
        }
    }

    fn evaluate(
        &self,
        rule: &Rule,
        states: &mut [PartState],
        data: &[u8],
        judged: &Judged<'_>,
        budget: &mut Budget,
    ) -> Status {
        let mut status = Status::Matched;
        for (part, state) in rule.parts.iter().zip(states) {
            if state.status == Status::Running {
                budget.look();
            }
            if state.status == Status::Running && part.buffer.is_of_parts() {
                self.evaluate_parts(part, state, (data, judged), budget);
            } else if state.status == Status::Running {
                match self.available(data, part.buffer, judged) {
                    Available::NotYet => {}
                    Available::Absent if part.absence == Absence::Fails => state.status = Status::Failed,
                    Available::Absent => state.status = Status::Matched,
                    // A body that holds nothing by its end is none.
                    Available::Bytes([], false) if part.absence == Absence::Wanted => {}
                    Available::Bytes(..) if part.absence == Absence::Wanted => state.status = Status::Failed,
                    Available::Bytes(bytes, complete) => part.advance(state, bytes, complete, budget),
                }
                if state.status == Status::Failed && !budget.exhausted && part.absence != Absence::Wanted {
                    for form in 1..self.buffers.forms(part.buffer) {
                        let Some(bytes) = self.buffers.get(data, part.buffer, form) else {
                            continue;
                        };
                        *state = PartState::default();
                        part.advance(state, bytes, true, budget);
                        if state.status == Status::Matched {
                            break;
                        }
                    }
                }
            }
            match state.status {
                Status::Failed => return Status::Failed,
                Status::Running => status = Status::Running,
                Status::Matched => {}
            }
        }
        // The rest of the request may still be odd.
        if rule.oddities.iter().any(|wanted| self.found & wanted == 0) {
            status = Status::Running;
        }
        status
    }

    /// A rule's options on a buffer of which each part of the body has one: one of them has to match.
    fn evaluate_parts(
        &self,
        part: &Part,
        state: &mut PartState,
        (data, judged): (&[u8], &Judged<'_>),
        budget: &mut Budget,
    ) {
        let content = judged.content.filter(|_| judged.ready());
        let values = content.map(|content| content.values(part.buffer, judged.body, || self.buffers.path(data)));
        while let Some((bytes, complete)) = values.as_ref().and_then(|values| values.get(state.value as usize)) {
            let complete = complete || judged.complete();
            part.advance(state, bytes, complete, budget);
            if state.status != Status::Failed || budget.exhausted {
                return;
            }
            *state = state.next_value();
        }
        if judged.complete() || self.framed && values.is_some_and(|values| !values.goes_on) {
            state.status = Status::Failed;
        }
    }

    /// The match of a rule whose parts are in `states`. Without work left, where it stands is not asked: the rule's action
    /// holds.
    fn matched(
        &self,
        rules: &RuleSet,
        id: u32,
        states: &[PartState],
        (data, judged): (&[u8], &Judged<'_>),
        budget: &mut Budget,
    ) -> Match {
        let (rule, meta) = (&rules.rules[id as usize], rules.rule(RuleId(id)));
        let buffer = rule.parts.get(rule.place).map_or(Buffer::Raw, |part| part.buffer);
        let place = states.get(rule.place).filter(|_| !rule.parts.is_empty()).map_or((0, 0), |state| state.place);
        let stands = rule.standing.as_ref().is_none_or(|standing| {
            let sent = self.buffers.get(data, Buffer::HttpRawUri, 0).unwrap_or_default();
            let mut holds = |form: &[u8]| standing.holds(&Asked { sent, form }, |bytes| budget.pass(bytes));
            match standing.buffer {
                Buffer::Raw => rules.service().protocol == Protocol::Http && self.forgotten == 0 && holds(judged.raw),
                buffer => {
                    (0..self.buffers.forms(buffer)).filter_map(|form| self.buffers.get(data, buffer, form)).any(holds)
                }
            }
        });
        let action = if stands { meta.action } else { Action::Score };
        Match { rule: RuleId(id), buffer, offset: place.0, len: place.1, action }
    }

    fn available<'a>(&'a self, data: &'a [u8], buffer: Buffer, judged: &Judged<'a>) -> Available<'a> {
        match buffer {
            Buffer::Raw if judged.ready() => Available::Bytes(judged.raw, judged.complete()),
            Buffer::HttpClientBody | Buffer::HttpClientBodySnort3 if self.head_ready && !self.has_body => {
                Available::Absent
            }
            Buffer::HttpClientBody | Buffer::HttpClientBodySnort3 if judged.complete() && judged.body.is_empty() => {
                Available::Absent
            }
            Buffer::HttpClientBody if judged.ready() && self.head_ready => {
                Available::Bytes(judged.body, judged.complete())
            }
            Buffer::HttpClientBodySnort3 if judged.ready() && self.head_ready => {
                Available::Bytes(judged.decoded, judged.complete())
            }
            Buffer::HttpTrailer => match judged.content.map(Content::trailer) {
                _ if !judged.complete() => Available::NotYet,
                Some(lines) if !lines.is_empty() => Available::Bytes(lines, true),
                _ => Available::Absent,
            },
            Buffer::Raw | Buffer::HttpClientBody | Buffer::HttpClientBodySnort3 => Available::NotYet,
            _ => {
                let there = if of_request_line(buffer) { self.line_ready } else { self.head_ready };
                match self.buffers.get(data, buffer, 0) {
                    // What is not there at the end will never be.
                    _ if !there && judged.complete() => Available::Absent,
                    _ if !there => Available::NotYet,
                    None => Available::Absent,
                    Some(bytes) => Available::Bytes(bytes, true),
                }
            }
        }
    }
}

/// Whether the rule's tests of the connection, and of the segment that has come last, hold.
fn sent_so(rule: &Rule, limits: &Limits) -> bool {
    rule.tests.is_empty() || {
        let facts = limits.segment.as_ref().map(Segment::facts);
        let known = facts.is_some();
        let facts = PacketFacts { sent: limits.sent, flow: limits.flow, ..facts.unwrap_or_default() };
        rule.tests.iter().all(|test| (known || test.is_of_connection()) && test.holds(&facts))
    }
}

/// The buffers that each part of a body has.
pub(super) const PARTS: [Buffer; 3] = [Buffer::HttpPartName, Buffer::HttpFileName, Buffer::HttpFileData];

/// Appends `body` as a form's values are read to `out` and returns how much of it that was: without `complete`, an
/// escape at its end waits for the rest.
fn decode_form(body: &[u8], complete: bool, out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        let escape = || Some(hex_value(*body.get(at + 1)?)? << 4 | hex_value(*body.get(at + 2)?)?);
        match (byte, escape()) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
            }
            (b'%', None) if !complete && at + 3 > body.len() => break,
            _ => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    at
}

/// Buffers that are known with the end of the request line.
fn of_request_line(buffer: Buffer) -> bool {
    matches!(
        buffer,
        Buffer::HttpUri
            | Buffer::HttpUriSnort2
            | Buffer::HttpUriSnort3
            | Buffer::HttpRawUri
            | Buffer::HttpMethod
            | Buffer::HttpRequestLine
            | Buffer::HttpProtocol
    )
}
