// SPDX-License-Identifier: Apache-2.0
//! One request from its first byte to its last: parsing and framing here, what the rules say of it in `judging`.

mod judging;

use std::sync::Arc;

use crate::http::decoder::{Decoder, Oddities};
use crate::http::{begins_as_request, Body, BodyState, Buffers, Content, Head, HeadState};
use crate::lines::Lines;
use crate::matcher::{PartState, Status};
use crate::packet::{self, PacketFacts};
use crate::ruleset::RuleSet;
use crate::state::{FlowBits, Peer, RuleState};
use crate::{number, Buffer, Limits, Match, Protocol, RuleId};

use judging::{Candidate, PARTS};

/// Rules that wait for bits which others set in the same request are asked so many times.
const STATE_ROUNDS: usize = 8;

/// What a thread reuses from request to request.
#[derive(Debug, Default)]
pub struct Scratch {
    /// One bit for each rule that is a candidate already; zero between calls.
    seen: Vec<u64>,
    packet_candidates: Vec<u32>,
}

impl Scratch {
    pub(crate) fn packet_candidates(&mut self) -> &mut Vec<u32> {
        &mut self.packet_candidates
    }
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The request is not complete yet.
    NeedMore,
    /// The request occupies `data[..consumed]` and has been judged; what follows is the next one.
    Done { consumed: usize },
    /// All of `data` has been taken, the body goes on beyond the inspection depth: [`Transaction::skip_body`].
    BodyTooDeep,
    /// No HTTP, or no end that could be told. All of `data` has been judged by the rules on raw bytes; go on with
    /// [`Transaction::advance`] (and [`Transaction::forget`]) to the end of the connection.
    Tunnel,
}

/// Parts of a request for events; empty where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestSummary<'a> {
    pub method: &'a [u8],
    /// As sent.
    pub uri: &'a [u8],
    /// The Host header as sent.
    pub host: &'a [u8],
    pub protocol: &'a [u8],
    pub user_agent: &'a [u8],
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// The client asks to change the protocol.
    pub upgrade: bool,
}

/// State of one request. [`Transaction::advance`] is called with all its bytes so far whenever there are more; what
/// it reports does not depend on how the request was cut.
#[derive(Debug, Default)]
pub struct Transaction {
    head: Head,
    buffers: Buffers,
    body: Body,
    /// Of the body as sent, in `data`: followed up to here.
    body_at: usize,
    has_body: bool,
    /// Whether the body begins as a request does.
    begin_known: bool,
    /// Once a request had a body.
    content: Option<Box<Content>>,
    framed: bool,
    deep: bool,
    line_ready: bool,
    head_ready: bool,
    line_scanned: bool,
    head_scanned: bool,
    raw_scanned: usize,
    body_scanned: usize,
    decoded_scanned: usize,
    trailer_scanned: bool,
    /// Of the buffers that parts of a body have: value and place in it.
    parts_scanned: [(usize, usize); PARTS.len()],
    /// The body percent-decoded, when a rule wants it so, and how much of the body that is.
    decoded: Vec<u8>,
    decoded_to: usize,
    /// Everything has been judged as it will stay.
    settled: bool,
    always_added: bool,
    /// Length of a stream's part that the caller has dropped.
    forgotten: usize,
    generation: u64,
    candidates: Vec<Candidate>,
    states: Vec<PartState>,
    /// Bits of [`Decoder`]: found, and of these reported.
    found: Oddities,
    reported: Oddities,
    /// Of the connection: the only thing besides `source` that outlives a request.
    flow_bits: FlowBits,
    source: Option<(Arc<RuleState>, u128)>,
    /// Candidates that wait for state, in the order in which they are asked.
    waiting: Vec<u32>,
    /// Units of work that judging has taken and calls that did some; see [`crate::matcher::WORK`].
    spent: u64,
    calls: u64,
    /// The work was used up: nothing more is asked about this request.
    overworked: bool,
    stateless: bool,
    lines: Option<Box<Lines>>,
    /// A rule lets this request through: others say nothing of it.
    passed: bool,
}

/// Whether the growing parts are judged in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Not yet.
    Later,
    /// As far as they are known.
    Now,
    /// Nothing more will come.
    End,
}

impl Transaction {
    /// Makes the value ready for the next request, keeping its memory.
    pub fn reset(&mut self) {
        // Each field by its name: a new one is not forgotten, and nothing is moved for each request.
        let Transaction {
            head,
            buffers,
            body,
            body_at,
            has_body,
            begin_known,
            content,
            framed,
            deep,
            line_ready,
            head_ready,
            line_scanned,
            head_scanned,
            raw_scanned,
            body_scanned,
            decoded_scanned,
            trailer_scanned,
            parts_scanned,
            decoded,
            decoded_to,
            settled,
            always_added,
            forgotten,
            generation,
            candidates,
            states,
            found,
            reported,
            flow_bits: _,
            source: _,
            waiting,
            spent,
            calls,
            overworked,
            stateless,
            lines,
            passed,
        } = self;
        head.reset();
        buffers.reset();
        if let Some(content) = content {
            content.reset();
        }
        decoded.clear();
        decoded.shrink_to(8 << 10);
        candidates.clear();
        candidates.shrink_to(256);
        states.clear();
        states.shrink_to(512);
        waiting.clear();
        *body = Body::default();
        *lines = None;
        (*found, *reported) = (0, 0);
        (*spent, *calls, *generation) = (0, 0, 0);
        (*body_at, *raw_scanned, *body_scanned, *decoded_scanned, *decoded_to, *forgotten) = (0, 0, 0, 0, 0, 0);
        *parts_scanned = Default::default();
        for flag in [
            has_body,
            begin_known,
            framed,
            deep,
            line_ready,
            head_ready,
            line_scanned,
            head_scanned,
            trailer_scanned,
            settled,
            always_added,
            overworked,
            stateless,
            passed,
        ] {
            *flag = false;
        }
    }

    /// From whom the requests come, and what is remembered of all sources. Once for a connection; a value that is used for
    /// another connection is a new one.
    pub fn set_source(&mut self, state: &Arc<RuleState>, address: u128) {
        self.source = Some((Arc::clone(state), address));
    }

    /// A bit or a number of the connection is set: rules that wait for one may match whatever comes.
    pub fn has_bits(&self) -> bool {
        !self.flow_bits.is_empty()
    }

    /// Judges one segment of the connection by the rules that ask for single segments; appends each that matches once.
    pub fn judge_packet(
        &mut self,
        rules: &RuleSet,
        scratch: &mut Scratch,
        facts: &PacketFacts<'_>,
        out: &mut Vec<Match>,
    ) {
        if !rules.has_packet_rules() {
            return;
        }
        let (mut waiting, first) = (Vec::new(), out.len());
        let source = self.source.as_ref().map(|(_, address)| *address);
        let bounds = packet::matching(rules, scratch, facts, source, |found| {
            if rules.rules[found.rule.0 as usize].state.is_some() {
                waiting.push(found);
            } else {
                out.push(found);
            }
        });
        if !waiting.is_empty() {
            let (source, destination) = facts.view.map_or((0, 0), |v| (number(v.source), number(v.destination)));
            let peer = Peer {
                flow: self.flow_bits.id(),
                state: self.source.as_ref().map(|(state, _)| &**state),
                source: if source == 0 { self.source.as_ref().map_or(0, |(_, address)| *address) } else { source },
                destination,
                ports: (facts.src_port, facts.dst_port),
            };
            let flow = &mut self.flow_bits;
            let mut more = true;
            for _ in 0..STATE_ROUNDS {
                if !std::mem::take(&mut more) {
                    break;
                }
                waiting.retain(|found| {
                    let state = rules.rules[found.rule.0 as usize].state.as_ref().expect("these have state");
                    let Some(counted) = state.apply(flow, &peer) else { return true };
                    more |= state.sets();
                    if counted && !state.silent {
                        out.push(*found);
                    }
                    false
                });
            }
        }
        rules.push_decoders(bounds, out);
        // In a capture the one who asks wants to know.
        if facts.view.is_none() && out[first..].iter().any(|found| rules.rules[found.rule.0 as usize].pass) {
            out.truncate(first);
        }
    }

    /// Goes on with `data`: all bytes of this request so far, from its first byte on.
    ///
    /// With `judge_now` everything that these bytes can match is judged, complete or not, as the caller is about to
    /// forward them; without, rules are judged when the head is complete and when the request is. Each rule that
    /// matches is appended to `out` once per request. After a change of `rules` the request is judged anew.
    pub fn advance(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        scratch: &mut Scratch,
        data: &[u8],
        judge_now: bool,
        out: &mut Vec<Match>,
    ) -> Step {
        self.use_rules(rules);
        if rules.service().protocol == Protocol::Tcp {
            return self.advance_stream(rules, limits, scratch, data, When::Now, out);
        }
        let mut found: Oddities = 0;
        self.head.parse(data, limits, &mut |event| found |= event.bit());
        self.found |= found;
        let step = match self.head.state {
            HeadState::Blank => Step::NeedMore,
            HeadState::RequestLine | HeadState::Headers => {
                if judge_now {
                    self.judge_data(rules, limits, scratch, data, When::Now, out);
                }
                Step::NeedMore
            }
            HeadState::NotHttp => {
                self.judge_data(rules, limits, scratch, data, When::Now, out);
                Step::Tunnel
            }
            HeadState::Complete => {
                if let Some(end) = self.head.late_headers_end(data, limits, false) {
                    self.advance_body(rules, limits, scratch, &data[..end], judge_now, out);
                    self.read_headers_anew(data, limits, end);
                }
                self.advance_body(rules, limits, scratch, data, judge_now, out)
            }
        };
        self.report_decoders(rules, out);
        step
    }

    /// Of a service that is not HTTP there is nothing but the stream, and its lines.
    fn advance_stream(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        scratch: &mut Scratch,
        data: &[u8],
        when: When,
        out: &mut Vec<Match>,
    ) -> Step {
        self.head.state = HeadState::NotHttp;
        let before = out.len();
        self.judge_data(rules, limits, scratch, data, when, out);
        let mut lines = self.lines.take().unwrap_or_default();
        // Each rule is reported once, whether the stream or one of its lines has matched it.
        let mut at = before;
        while let Some(found) = out.get(at) {
            if lines.has_reported(found.rule) {
                out.swap_remove(at);
            } else {
                at += 1;
            }
        }
        let known = |id: RuleId| self.candidates.iter().any(|c| c.rule == id.0 && c.status == Status::Matched);
        lines.advance(rules, limits, scratch, data, when == When::End, &known, out);
        self.lines = Some(lines);
        self.report_decoders(rules, out);
        Step::Tunnel
    }

    /// One line of such a stream, without the state that the stream itself asks and changes.
    pub(crate) fn judge_line(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        scratch: &mut Scratch,
        line: &[u8],
        when: When,
        out: &mut Vec<Match>,
    ) {
        self.use_rules(rules);
        self.stateless = true;
        self.head.state = HeadState::NotHttp;
        self.judge_data(rules, limits, scratch, line, when, out);
        self.report_decoders(rules, out);
    }

    fn advance_body(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        scratch: &mut Scratch,
        data: &[u8],
        judge_now: bool,
        out: &mut Vec<Match>,
    ) -> Step {
        self.frame(data);
        self.follow_body(limits, data);
        let step = match self.body.state {
            BodyState::Done => Step::Done { consumed: self.body_at },
            BodyState::Unframed if !self.deep => Step::Tunnel,
            _ if self.deep => Step::BodyTooDeep,
            _ => Step::NeedMore,
        };
        if !self.settled {
            let when = match step {
                Step::Done { .. } | Step::BodyTooDeep => When::End,
                Step::Tunnel => When::Now,
                Step::NeedMore if judge_now => When::Now,
                Step::NeedMore => When::Later,
            };
            self.judge_data(rules, limits, scratch, data, when, out);
            self.settled = when == When::End;
        }
        if self.deep && self.body.state == BodyState::Unframed {
            self.become_tunnel(self.body_at);
            self.judge_data(rules, limits, scratch, data, When::Now, out);
            return Step::Tunnel;
        }
        step
    }

    /// The framing broke where nothing is judged any more: what comes after is a stream of its own that begins at
    /// `start` of the data. What has been reported is not reported again.
    fn become_tunnel(&mut self, start: usize) {
        let (candidates, states) = (std::mem::take(&mut self.candidates), std::mem::take(&mut self.states));
        let (found, done, generation) = (self.found, self.reported, self.generation);
        self.reset();
        (self.candidates, self.states) = (candidates, states);
        self.ask_anew();
        (self.found, self.reported, self.generation) = (found, done, generation);
        self.head.state = HeadState::NotHttp;
        self.head.start = start;
    }

    fn ask_anew(&mut self) {
        self.candidates.iter_mut().for_each(Candidate::ask_anew);
        self.states.fill(PartState::default());
    }

    /// Lines that one server takes for headers and another does not are there now: judged again with them. Up to their end
    /// it was judged without, and what has matched has been reported. The body begins behind them.
    fn read_headers_anew(&mut self, data: &[u8], limits: &Limits, end: usize) {
        self.head.read_late_headers(data, limits, end);
        self.ask_anew();
        self.framed = false;
        self.body = Body::default();
        if let Some(content) = &mut self.content {
            content.reset();
        }
        self.decoded.clear();
        self.decoded_to = 0;
        self.buffers.reset();
        (self.line_ready, self.head_ready, self.line_scanned, self.head_scanned) = (false, false, false, false);
        (self.raw_scanned, self.body_scanned, self.decoded_scanned) = (0, 0, 0);
        (self.trailer_scanned, self.always_added) = (false, false);
        self.parts_scanned = Default::default();
    }

    /// Of a request without a version, lines that may be headers are still to come: pass what follows, too.
    pub fn awaits_headers(&self) -> bool {
        self.head.awaits_headers()
    }

    /// Once the head is complete: where the body will end.
    fn frame(&mut self, data: &[u8]) {
        if self.framed {
            return;
        }
        self.framed = true;
        let mut found = 0;
        self.body.state = self.head.framing(data, &mut |event| found |= event.bit());
        if self.body.state != BodyState::Done {
            let content = self.content.get_or_insert_default();
            content.start(&self.head, data, self.body.state, &mut |event| found |= event.bit());
        }
        self.found |= found;
        self.body_at = self.head.end;
        self.has_body = self.body.state != BodyState::Done;
    }

    fn follow_body(&mut self, limits: &Limits, data: &[u8]) {
        let mut found = 0;
        let mut event = |event: Decoder| found |= event.bit();
        let depth = self.head.end.saturating_add(limits.depth);
        if self.body_at < depth {
            let input = &data[self.body_at.min(data.len())..depth.min(data.len())];
            let taken = match &mut self.content {
                Some(content) => content.follow(&mut self.body, input, &mut event),
                None => 0,
            };
            self.body_at += taken;
        }
        if self.body_at >= depth && !matches!(self.body.state, BodyState::Done | BodyState::Unframed) {
            self.deep = true;
            event(Decoder::DepthReached);
        }
        if !self.settled {
            let sent = sent_body(&self.head, self.body.state, self.deep, self.body_at, limits, data);
            let end = self.body.state == BodyState::Done;
            if let Some(content) = &mut self.content {
                content.advance(sent, limits.depth, end && !self.deep, &mut event);
            }
        }
        if self.has_body && !self.begin_known && matches!(self.head.method.of(data), b"GET" | b"HEAD") {
            let begins = begins_as_request(data.get(self.head.end..self.body_at).unwrap_or_default());
            self.begin_known = begins.is_some();
            if begins == Some(true) {
                event(Decoder::RequestInBody);
            }
        }
        if self.deep && self.body_at < data.len() {
            self.body_at += self.body.follow(&data[self.body_at..], |_, _| {}, &mut event);
        }
        self.found |= found;
    }

    /// Follows the framing of a body beyond the inspection depth. `chunk`: the bytes after those seen so far.
    ///
    /// NeedMore, or Done with the part of `chunk` that still belongs to this request. Tunnel: the framing broke; then
    /// `chunk` is the beginning of a new `data` for [`Transaction::advance`].
    pub fn skip_body(&mut self, chunk: &[u8]) -> Step {
        let mut found = 0;
        let taken = self.body.follow(chunk, |_, _| {}, &mut |event| found |= event.bit());
        self.found |= found;
        match self.body.state {
            BodyState::Done => Step::Done { consumed: taken },
            BodyState::Unframed => {
                self.become_tunnel(taken);
                Step::Tunnel
            }
            _ => Step::NeedMore,
        }
    }

    /// Appends the built-in rules that [`Transaction::skip_body`] has found since the last report: call it after that.
    pub fn report_skipped(&mut self, rules: &RuleSet, out: &mut Vec<Match>) {
        self.report_decoders(rules, out);
    }

    /// True when the head is complete and more than `n` body bytes are certain to follow.
    pub fn expects_more_than(&self, n: usize) -> bool {
        self.framed && self.body.expects_more_than(n)
    }

    /// The head is complete (its rules have been judged by the call that saw its end).
    pub fn head_complete(&self) -> bool {
        self.head.state == HeadState::Complete
    }

    /// In a tunnel, the caller has dropped the first `bytes` of its data: later calls pass what is left and what follows.
    /// Keep the last 4 KiB; only rules whose parts lie further apart can be missed.
    pub fn forget(&mut self, bytes: usize) {
        if let Some(lines) = &mut self.lines {
            lines.forget(bytes);
        }
        self.forgotten += bytes - bytes.min(self.head.start);
        let shift = bytes.saturating_sub(self.head.start);
        self.head.state = HeadState::NotHttp;
        self.head.start = self.head.start.saturating_sub(bytes);
        // The buffers of a head refer to the data.
        self.head.has_line = false;
        self.line_ready = false;
        self.buffers.reset();
        self.raw_scanned = self.raw_scanned.saturating_sub(shift);
        for state in &mut self.states {
            state.shift(shift);
        }
    }

    /// The client has closed: judges what waited for the end of the request, which will not come.
    pub fn finish(
        &mut self,
        rules: &RuleSet,
        limits: &Limits,
        scratch: &mut Scratch,
        data: &[u8],
        out: &mut Vec<Match>,
    ) {
        self.use_rules(rules);
        if !self.settled {
            self.settled = true;
            if rules.service().protocol == Protocol::Tcp {
                self.advance_stream(rules, limits, scratch, data, When::End, out);
                return;
            }
            self.judge_data(rules, limits, scratch, data, When::End, out);
            if let Some(end) = self.head.late_headers_end(data, limits, true) {
                self.read_headers_anew(data, limits, end);
                self.frame(data);
                self.follow_body(limits, data);
                self.judge_data(rules, limits, scratch, data, When::End, out);
            }
        }
        self.report_decoders(rules, out);
    }

    /// Bytes of memory that grow with what the client sends, besides the data itself.
    pub fn memory(&self) -> usize {
        let lines = self.lines.as_ref().map_or(0, |lines| lines.memory());
        self.content.as_ref().map_or(0, |content| content.memory())
            + self.buffers.memory()
            + self.decoded.capacity()
            + size_of_val(&self.head.headers[..])
            + self.candidates.capacity() * size_of::<Candidate>()
            + self.states.capacity() * size_of::<PartState>()
            + lines
    }

    /// Units of work that judging has taken so far; see [`crate::matcher::WORK`].
    pub fn work(&self) -> u64 {
        self.spent
    }

    /// The oddities found so far, reported or not.
    pub fn oddities(&self) -> Vec<Decoder> {
        Decoder::TABLE.iter().map(|row| row.0).filter(|decoder| self.found & decoder.bit() != 0).collect()
    }

    /// What rules see in `buffer`: its readings, or the values of the parts of a body; `data` as in the last call.
    pub fn readings(&self, limits: &Limits, data: &[u8], buffer: Buffer) -> Vec<Vec<u8>> {
        let sent = sent_body(&self.head, self.body.state, self.deep, self.body_at, limits, data);
        let framed = self.framed && self.has_body && self.head.state == HeadState::Complete;
        let content = self.content.as_deref().filter(|_| framed);
        let body = content.map_or(&[][..], |content| content.body(sent));
        let one = |bytes: &[u8]| if bytes.is_empty() { Vec::new() } else { vec![bytes.to_vec()] };
        match buffer {
            Buffer::Raw => one(data.get(self.head.start..).unwrap_or_default()),
            Buffer::HttpClientBody => one(body),
            Buffer::HttpClientBodySnort3 => one(&self.decoded),
            Buffer::HttpTrailer => one(content.map_or(&[], |content| content.trailer())),
            buffer if buffer.is_of_parts() => {
                let values = content.map(|content| content.values(buffer, body, || self.buffers.path(data)));
                (0..).map_while(|index| values.as_ref()?.get(index)).map(|(bytes, _)| bytes.to_vec()).collect()
            }
            buffer => (0..self.buffers.forms(buffer))
                .filter_map(|form| self.buffers.get(data, buffer, form))
                .map(<[u8]>::to_vec)
                .collect(),
        }
    }

    /// For events; `data` as in the last call.
    pub fn summary<'a>(&self, data: &'a [u8]) -> RequestSummary<'a> {
        if !self.head.has_line {
            return RequestSummary::default();
        }
        use crate::http::Name;
        let header = |name| {
            let found = self.head.headers.iter().find(|header| header.known == name);
            found.map_or(&data[..0], |header| header.value.of(data))
        };
        RequestSummary {
            method: self.head.method.of(data),
            uri: self.head.uri.of(data),
            host: header(Name::Host),
            protocol: self.head.protocol.of(data),
            user_agent: header(Name::UserAgent),
            expects_continue: self.head.expect_continue,
            upgrade: self.head.upgrade,
        }
    }

    /// After a reload nothing of the old rules' progress means anything.
    fn use_rules(&mut self, rules: &RuleSet) {
        if self.generation == rules.generation {
            return;
        }
        if self.generation != 0 {
            self.candidates.clear();
            self.states.clear();
            self.buffers.reset();
            self.line_ready = false;
            self.head_ready = false;
            self.line_scanned = false;
            self.head_scanned = false;
            self.always_added = false;
            self.raw_scanned = 0;
            self.body_scanned = 0;
            self.decoded_scanned = 0;
            self.trailer_scanned = false;
            self.parts_scanned = Default::default();
            self.settled = false;
            (self.spent, self.calls, self.overworked) = (0, 0, false);
        }
        self.generation = rules.generation;
    }

    fn report_decoders(&mut self, rules: &RuleSet, out: &mut Vec<Match>) {
        let new = self.found & !self.reported;
        self.reported |= new;
        rules.push_decoders(new, out);
    }
}

/// A body that is not chunked, as sent and as far as it is judged.
fn sent_body<'a>(
    head: &Head,
    state: BodyState,
    deep: bool,
    body_at: usize,
    limits: &Limits,
    data: &'a [u8],
) -> &'a [u8] {
    let depth = head.end.saturating_add(limits.depth);
    let end = match state {
        BodyState::Unframed if !deep => data.len(),
        _ => body_at.min(depth),
    };
    data.get(head.end..end.min(data.len())).unwrap_or_default()
}
