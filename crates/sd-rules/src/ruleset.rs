// SPDX-License-Identifier: Apache-2.0
//! Compiles a rule document into the form that the matcher runs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crate::bytes::{ByteOption, Names};
use crate::clearing::{Need, Refused, Tables};
use crate::dataset::{Datasets, Lookup};
use crate::document::{
    self, Action, Collection, Comparison, Dialect, Document, Operator, Protocol, RuleOption, Scope, Service,
};
use crate::expressions::{Compiling, Expressions};
use crate::http::decoder::{self, Decoder, Oddities};
use crate::http::Profile;
use crate::matcher::{Absence, Content, Part, PartOption};
use crate::packet::{FlagsTest, PacketTest};
use crate::prefilter::{frequency, Prefilter, PrefilterBuilder};
use crate::standing::Standing;
use crate::state::{name_of, Bits, Int, StateOptions, Which};
use crate::transform::{untransformed, Transforms};
use crate::view::{Networks, ViewTest};
use crate::{Buffer, Match, RuleId};

/// Options of one rule; real rules have up to thirty.
const MAX_OPTIONS: usize = 200;

/// What events say about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMeta {
    pub gid: u32,
    pub sid: u32,
    pub rev: u32,
    pub msg: String,
    pub classtype: String,
    pub category: String,
    pub priority: u8,
    pub action: Action,
    pub file: String,
    pub line: u32,
    /// Of a built-in rule: what it tells of.
    pub decoder: Option<Decoder>,
}

impl RuleMeta {
    fn of_list(list: document::Listed) -> RuleMeta {
        RuleMeta {
            gid: list.gid,
            sid: list.sid,
            rev: list.rev,
            msg: list.msg,
            classtype: list.classtype,
            category: list.category,
            priority: list.priority,
            action: list.action,
            file: list.file,
            line: list.line,
            decoder: None,
        }
    }
}

/// The document as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the rule document is not valid JSON of the expected form: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the rule document has version {0}, this program reads version {version}", version = document::VERSION)]
    Version(u32),
    #[error("the collection of rule documents has version {0}, this program reads version {version}",
        version = document::COLLECTION_VERSION)]
    Collection(u32),
    #[error("there is no rule document {0}")]
    Missing(usize),
}

/// Figures about a compiled set, for status output and benchmarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSetStats {
    pub rules: usize,
    /// Different literals that the prefilter looks for.
    pub patterns: usize,
    /// Rules without a literal to look for: evaluated for every request.
    pub always: usize,
    /// Rules judged on single segments.
    pub packet: usize,
    /// Rules that let through what they match.
    pub pass: usize,
    /// Expressions that need the backtracking engine.
    pub backtracking: usize,
}

/// A compiled set of rules; shared by all threads.
pub struct RuleSet {
    /// Different for each set that was ever compiled: requests in progress notice a reload by it.
    pub(crate) generation: u64,
    service: Service,
    /// Of the loaded rules, then of the built-in ones.
    meta: Vec<RuleMeta>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) prefilters: [Prefilter; Buffer::COUNT],
    pub(crate) packet_prefilter: Prefilter,
    /// Rules that every request is a candidate for, and likewise every segment.
    pub(crate) always: Vec<u32>,
    pub(crate) packet_always: Vec<u32>,
    /// All rules of scope `packet`.
    pub(crate) packet_rules: Vec<u32>,
    /// Buffers that some rule looks at.
    pub(crate) used: [bool; Buffer::COUNT],
    /// What the built-in rules do, by [`Decoder`].
    decoders: Box<[Option<Action>]>,
    /// Buffers of the head that have a prefilter.
    pub(crate) head_filters: Vec<Buffer>,
    /// Lists of addresses, which XDP looks at; by sid.
    listed: HashMap<u32, RuleMeta>,
    /// What each rule cannot match without.
    needs: Vec<Need>,
    asks_for_segments: bool,
    pub(crate) expressions: Expressions,
    datasets: Datasets,
    stats: RuleSetStats,
}

pub(crate) struct Rule {
    /// One for each buffer, in the order in which the rule names them.
    pub parts: Vec<Part>,
    pub ports: Option<Ports>,
    /// Index of the part that holds the first positive content or pcre.
    pub place: usize,
    pub tests: Vec<PacketTest>,
    pub state: Option<Box<StateOptions>>,
    /// The client's ports.
    pub client_ports: Option<Box<Ports>>,
    pub clients: Option<Box<Networks>>,
    /// For captures.
    pub view: Option<Box<ViewTest>>,
    /// What it matches is let through.
    pub pass: bool,
    /// Without this it only scores.
    pub standing: Option<Box<Standing>>,
    /// Of each of these the decoder has to have found one.
    pub oddities: Box<[Oddities]>,
}

impl Rule {
    /// What the header says of a connection; `source`: the client's address, as [`crate::Transaction`] was told it.
    pub fn allows(&self, client: u16, service: u16, source: Option<u128>) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.allow(service))
            && self.client_ports.as_ref().is_none_or(|ports| ports.allow(client))
            && self
                .clients
                .as_ref()
                .is_none_or(|clients| source.is_some_and(|source| clients.hold(address(source), None)))
    }
}

/// IPv4 addresses are told as their 32 bits, others as they are.
fn address(source: u128) -> IpAddr {
    match u32::try_from(source) {
        Ok(v4) => IpAddr::V4(v4.into()),
        Err(_) => IpAddr::V6(source.into()),
    }
}

pub(crate) struct Ports {
    ranges: Vec<(u16, u16)>,
    negated: bool,
}

impl Ports {
    pub fn allow(&self, port: u16) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&port)) != self.negated
    }
}

impl RuleSet {
    /// Compiles `doc`. Rules that cannot be compiled are left out and named with their index and the reason.
    pub fn from_json(doc: &[u8]) -> Result<(RuleSet, Vec<(usize, String)>), LoadError> {
        RuleSet::from_json_beside(doc, &[])
    }

    /// `others`: sets whose expressions need not be compiled again.
    pub fn from_json_beside(doc: &[u8], others: &[Arc<RuleSet>]) -> Result<(RuleSet, Vec<(usize, String)>), LoadError> {
        let document: Document = serde_json::from_slice(doc)?;
        if document.version != document::VERSION {
            return Err(LoadError::Version(document.version));
        }
        let mut refused = Vec::new();
        let mut compiler = Compiler::beside(others);
        compiler.datasets = Datasets::new(document.datasets, others.iter().map(|set| &set.datasets));
        for (index, text) in document.rules.iter().enumerate() {
            let added = serde_json::from_str::<document::Rule>(text.get())
                .map_err(|error| format!("not a rule: {error}"))
                .and_then(|rule| compiler.add(rule));
            if let Err(reason) = added {
                refused.push((index, reason));
            }
        }
        let mut set = compiler.finish(document.service);
        for (sid, action) in document.builtin {
            set.set_decoder(sid, action);
        }
        set.listed = document.reputation.into_iter().map(|list| (list.sid, RuleMeta::of_list(list))).collect();
        Ok((set, refused))
    }

    /// A set without rules for which every buffer is made: for showing what rules would see.
    pub fn looking(profile: Profile) -> RuleSet {
        let mut set = Compiler::beside(&[]).finish(Service { profile, ..Service::default() });
        set.used = [true; Buffer::COUNT];
        set
    }

    /// The server whose reading of requests counts.
    pub fn profile(&self) -> Profile {
        self.service.profile
    }

    /// Gives the built-in rule `sid` another action; None: it is not reported.
    fn set_decoder(&mut self, sid: u32, action: Option<Action>) {
        let Some(decoder) = Decoder::of_sid(sid) else { return };
        self.decoders[decoder as usize] = action;
        if let Some(action) = action {
            self.meta[self.rules.len() + decoder as usize].action = action;
        }
    }

    /// Compiles a collection of documents, one for each service; null stands for the one that is at this place of `valid`.
    /// All of them or none: the first that cannot be used is the error. Rules that cannot be compiled are left out and
    /// counted.
    pub fn collection(doc: &[u8], valid: &[Arc<RuleSet>]) -> Result<(Vec<Arc<RuleSet>>, usize), LoadError> {
        let collection: Collection = serde_json::from_slice(doc)?;
        if collection.version != document::COLLECTION_VERSION {
            return Err(LoadError::Collection(collection.version));
        }
        let mut left_out = 0;
        let mut sets = Vec::with_capacity(collection.documents.len());
        let mut compiled = valid.to_vec();
        for (place, text) in collection.documents.into_iter().enumerate() {
            if text.get() == "null" {
                sets.push(valid.get(place).ok_or(LoadError::Missing(place))?.clone());
                continue;
            }
            let (set, refused) = RuleSet::from_json_beside(text.get().as_bytes(), &compiled)?;
            left_out += refused.len();
            sets.push(Arc::new(set));
            compiled.extend(sets.last().cloned());
        }
        Ok((sets, left_out))
    }

    /// Whose requests this set judges.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Build all expressions now, so that no request waits for one: some 0.1 ms each, beside the work.
    pub fn warm(&self) {
        self.expressions.values().for_each(|known| known.expression.warm());
    }

    /// Number of loaded rules, without the built-in ones.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// # Panics
    /// When `id` is not of this set.
    pub fn rule(&self, id: RuleId) -> &RuleMeta {
        &self.meta[id.0 as usize]
    }

    /// The rule of this sid that is a list of addresses.
    pub fn listed(&self, sid: u32) -> Option<&RuleMeta> {
        self.listed.get(&sid)
    }

    pub fn has_packet_rules(&self) -> bool {
        self.stats.packet > 0
    }

    /// Rules on requests ask for what only a segment has, too: [`Limits::segment`](crate::Limits).
    pub fn asks_for_segments(&self) -> bool {
        self.asks_for_segments
    }

    pub(crate) fn has_pass_rules(&self) -> bool {
        self.stats.pass > 0
    }

    pub fn stats(&self) -> RuleSetStats {
        self.stats
    }

    fn view(&self, id: RuleId) -> Option<&ViewTest> {
        self.rules.get(id.0 as usize)?.view.as_deref()
    }

    /// For captures: it ends what it matches.
    pub fn drops(&self, id: RuleId) -> bool {
        self.view(id).is_some_and(|view| view.drop)
    }

    /// For captures: it acts without being told.
    pub fn is_silent(&self, id: RuleId) -> bool {
        self.view(id).is_some_and(|view| view.silent)
    }

    /// For captures: what it matches says something of the whole connection.
    pub fn of_connection(&self, id: RuleId) -> bool {
        self.view(id).is_some_and(ViewTest::of_connection)
    }

    /// Tables of at most `limit` entries by which requests that match nothing are told, or why there are none.
    pub fn clearing(&self, limit: usize) -> Result<Tables, Refused> {
        if self.service.protocol != Protocol::Http {
            return Err(Refused::NotHttp);
        }
        let port = self.service.port;
        let ours = |id: u32| self.rules[id as usize].ports.as_ref().is_none_or(|ports| ports.allow(port));
        Tables::build(&self.needs, ours, !self.used[Buffer::HttpHeaderSnort3 as usize], limit)
    }

    /// The built-in rule of `decoder`; None when it is not reported.
    pub fn decoder_rule(&self, decoder: Decoder) -> Option<RuleId> {
        self.decoders[decoder as usize]?;
        Some(RuleId((self.rules.len() + decoder as usize) as u32))
    }
}

impl RuleSet {
    /// Appends the built-in rules of `found`, of [`Decoder`], that are reported.
    pub(crate) fn push_decoders(&self, found: Oddities, out: &mut Vec<Match>) {
        let mut left = found;
        while left != 0 {
            let (decoder, ..) = Decoder::TABLE[left.trailing_zeros() as usize];
            left &= left - 1;
            if let Some(rule) = self.decoder_rule(decoder) {
                let action = self.rule(rule).action;
                out.push(Match { rule, buffer: Buffer::Raw, offset: 0, len: 0, action });
            }
        }
    }
}

struct Compiler<'a> {
    meta: Vec<RuleMeta>,
    rules: Vec<Rule>,
    filters: [PrefilterBuilder; Buffer::COUNT],
    packet_filter: PrefilterBuilder,
    always: Vec<u32>,
    packet_always: Vec<u32>,
    packet_rules: Vec<u32>,
    used: [bool; Buffer::COUNT],
    needs: Vec<Need>,
    asks_for_segments: bool,
    compiling: Compiling<'a>,
    datasets: Datasets,
    stats: RuleSetStats,
}

impl<'a> Compiler<'a> {
    fn beside(others: &'a [Arc<RuleSet>]) -> Compiler<'a> {
        Compiler {
            meta: Vec::new(),
            rules: Vec::new(),
            filters: std::array::from_fn(|_| PrefilterBuilder::default()),
            packet_filter: PrefilterBuilder::default(),
            always: Vec::new(),
            packet_always: Vec::new(),
            packet_rules: Vec::new(),
            used: [false; Buffer::COUNT],
            needs: Vec::new(),
            asks_for_segments: false,
            compiling: Compiling::beside(others),
            datasets: Datasets::default(),
            stats: RuleSetStats::default(),
        }
    }

    fn add(&mut self, rule: document::Rule) -> Result<(), String> {
        // Options are evaluated recursively.
        if rule.options.len() > MAX_OPTIONS {
            return Err(format!("more than {MAX_OPTIONS} options"));
        }
        let need = Need::of(&rule, |pcre| self.compiling.get(pcre).ok());
        let mut texts: Vec<(Buffer, Vec<PartOption>)> = Vec::new();
        let mut tests = Vec::new();
        let mut fast: Option<Fast> = None;
        let mut first_positive = None;
        let mut backtracking = 0;
        let mut state = StateOptions {
            silent: rule.silent,
            rule: name_of("rule", &format!("{}:{}", rule.gid, rule.sid)),
            ..StateOptions::default()
        };
        let mut variables: HashMap<Buffer, Names> = HashMap::new();
        let mut absences: Vec<(Buffer, Absence)> = Vec::new();
        let mut oddities: Vec<Oddities> = Vec::new();
        for option in rule.options {
            if let Some(test) = packet_test(&option)? {
                tests.push(test);
                continue;
            }
            match &option {
                RuleOption::Content(content) if content.bytes.is_empty() => return Err("content: empty".into()),
                RuleOption::Absent { buffer, or_else } => {
                    let buffer = rule.dialect.buffer(*buffer);
                    if buffer == Buffer::Raw || buffer.is_of_parts() {
                        return Err("absent: this buffer cannot be absent".into());
                    }
                    absences.push((buffer, if *or_else { Absence::Matches } else { Absence::Wanted }));
                    if !texts.iter().any(|(of, _)| *of == buffer) {
                        texts.push((buffer, Vec::new()));
                    }
                    continue;
                }
                RuleOption::Oddity { sids } => {
                    let found = sids.iter().map(|sid| Decoder::of_sid(*sid).map(Decoder::bit));
                    let mask = found.sum::<Option<Oddities>>().filter(|mask| *mask != 0);
                    oddities.push(mask.ok_or("oddity: no such built-in rule")?);
                    continue;
                }
                // What may be absent need not be found.
                RuleOption::Content(content)
                    if absences.iter().any(|(of, _)| *of == rule.dialect.buffer(content.buffer)) => {}
                RuleOption::Content(content) if !content.negated => {
                    first_positive.get_or_insert(rule.dialect.buffer(content.buffer));
                    choose(&mut fast, rule.dialect, content);
                }
                RuleOption::Transform { buffer, steps, options } => {
                    first_positive.get_or_insert(rule.dialect.buffer(*buffer));
                    for option in options {
                        if let RuleOption::Content(content) = option {
                            if let Some(content) = untransformed(steps, content) {
                                choose(&mut fast, rule.dialect, &document::Content { buffer: *buffer, ..content });
                            }
                        }
                    }
                }
                RuleOption::Pcre(pcre) if !pcre.negated => {
                    first_positive.get_or_insert(rule.dialect.buffer(pcre.buffer));
                }
                RuleOption::Flowbits { command, bits, any } => {
                    let which = Which::Flow(bits.iter().map(|name| name_of("flow bit", name)).collect());
                    state.bits.push(Bits { command: *command, which, any: *any });
                    continue;
                }
                RuleOption::Xbits { command, name, seconds, track } => {
                    let which = Which::Address(*track, name_of("bit", name), *seconds);
                    state.bits.push(Bits { command: *command, which, any: false });
                    continue;
                }
                RuleOption::Count(count) => {
                    state.counts.push(*count);
                    continue;
                }
                RuleOption::Flowint(option) => {
                    state.ints.push(Int::new(option)?);
                    continue;
                }
                _ => {}
            }
            let buffer = rule.dialect.buffer(buffer_of(&option));
            let option = match option {
                RuleOption::PacketBytes { of, options } => {
                    let options = self.inner(options, rule.dialect, &mut backtracking)?;
                    tests.push(PacketTest::Bytes(of, Box::new(Part::new(Buffer::Raw, options))));
                    continue;
                }
                // Another of its kind: a part of its own.
                RuleOption::Transform { steps, options, .. } if steps.is_empty() => {
                    texts.push((buffer, self.inner(options, rule.dialect, &mut backtracking)?));
                    continue;
                }
                option => option,
            };
            let names = variables.entry(buffer).or_default();
            let mut shared = Shared {
                expressions: &mut self.compiling,
                datasets: &mut self.datasets,
                backtracking: &mut backtracking,
            };
            let option = part_option(option, rule.dialect, names, &mut shared)?;
            match texts.iter_mut().find(|(of, _)| *of == buffer) {
                Some((_, list)) => list.push(option),
                None => texts.push((buffer, vec![option])),
            }
        }
        let mut parts: Vec<Part> = texts.into_iter().map(|(buffer, options)| Part::new(buffer, options)).collect();
        for (buffer, absence) in absences {
            for part in parts.iter_mut().filter(|part| part.buffer == buffer) {
                part.absence = absence;
            }
        }
        let packet = rule.scope == Scope::Packet;
        if packet && parts.iter().any(|part| part.buffer != Buffer::Raw) {
            return Err("a rule on single segments cannot look at HTTP buffers".into());
        }
        let stateful = state.silent || !state.bits.is_empty() || !state.ints.is_empty() || !state.counts.is_empty();
        if packet && !oddities.is_empty() {
            return Err("a rule on single segments cannot ask for what the decoder found".into());
        }
        let empty = parts.is_empty() && tests.is_empty() && oddities.is_empty();
        if empty && state.bits.is_empty() && state.ints.is_empty() && !rule.every {
            return Err("a rule without any condition".into());
        }
        let pass = rule.action == Action::Pass;
        let view = rule.view.map(ViewTest::new).transpose()?.map(Box::new);
        let standing = rule.standing.map(|standing| Standing::new(standing, rule.dialect)).transpose()?.map(Box::new);

        let id = self.rules.len() as u32;
        self.stats.backtracking += backtracking;
        let place = parts.iter().position(|part| Some(part.buffer) == first_positive).unwrap_or(0);
        for part in &parts {
            self.used[part.buffer as usize] = true;
            // A file that is the whole body is called as the address says.
            self.used[Buffer::HttpUri as usize] |= part.buffer == Buffer::HttpFileName;
        }
        match (fast, packet) {
            (Some((_, _, _, bytes, nocase)), true) => self.packet_filter.add(&bytes, nocase, id),
            (Some((_, _, buffer, bytes, nocase)), false) => {
                self.filters[scanned_as(buffer) as usize].add(&bytes, nocase, id);
            }
            (None, true) => self.packet_always.push(id),
            (None, false) => self.always.push(id),
        }
        if packet {
            self.packet_rules.push(id);
        }
        self.needs.push(need);
        self.stats.packet += usize::from(packet);
        self.asks_for_segments |= !packet && !tests.iter().all(PacketTest::is_of_connection);
        self.stats.pass += usize::from(pass);
        self.rules.push(Rule {
            parts,
            ports: rule.dst_ports.map(|ranges| Ports { ranges, negated: rule.dst_ports_negated }),
            place,
            tests,
            state: stateful.then(|| Box::new(state)),
            client_ports: rule.src_ports.map(|ranges| Box::new(Ports { ranges, negated: false })),
            clients: rule.sources.map(Networks::new).transpose()?.map(Box::new),
            view,
            pass,
            standing,
            oddities: oddities.into_boxed_slice(),
        });
        self.meta.push(RuleMeta {
            gid: rule.gid,
            sid: rule.sid,
            rev: rule.rev,
            msg: rule.msg,
            classtype: rule.classtype,
            category: rule.category,
            priority: rule.priority,
            action: rule.action,
            file: rule.file,
            line: rule.line,
            decoder: None,
        });
        Ok(())
    }

    /// Options on bytes of their own.
    fn inner(
        &mut self,
        options: Vec<RuleOption>,
        dialect: Dialect,
        backtracking: &mut usize,
    ) -> Result<Vec<PartOption>, String> {
        let mut shared = Shared { expressions: &mut self.compiling, datasets: &mut self.datasets, backtracking };
        part_options(options, dialect, &mut Names::default(), &mut shared)
    }

    fn finish(mut self, service: Service) -> RuleSet {
        for (decoder, sid, action, msg) in Decoder::TABLE {
            let divert = *action == Some(Action::Divert);
            self.meta.push(RuleMeta {
                gid: decoder::GID,
                sid: *sid,
                rev: 1,
                msg: (*msg).to_owned(),
                classtype: if divert { "ambiguous-request" } else { "protocol-oddity" }.to_owned(),
                category: if divert { "Ambiguous request framing" } else { "Protocol oddity" }.to_owned(),
                priority: if divert { 1 } else { 3 },
                action: action.unwrap_or(Action::Alert),
                file: String::new(),
                line: 0,
                decoder: Some(*decoder),
            });
        }
        let prefilters = self.filters.map(PrefilterBuilder::build);
        let packet_prefilter = self.packet_filter.build();
        self.stats.rules = self.rules.len();
        self.stats.patterns = prefilters.iter().map(Prefilter::patterns).sum::<usize>() + packet_prefilter.patterns();
        self.stats.always = self.always.len() + self.packet_always.len();
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        RuleSet {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            service,
            meta: self.meta,
            rules: self.rules,
            head_filters: Buffer::ALL
                .into_iter()
                .filter(|buffer| !buffer.grows() && !prefilters[*buffer as usize].is_empty())
                .collect(),
            prefilters,
            packet_prefilter,
            always: self.always,
            packet_always: self.packet_always,
            packet_rules: self.packet_rules,
            used: self.used,
            listed: HashMap::new(),
            decoders: Decoder::TABLE.iter().map(|row| row.2).collect(),
            needs: self.needs,
            asks_for_segments: self.asks_for_segments,
            expressions: self.compiling.expressions,
            datasets: self.datasets,
            stats: self.stats,
        }
    }
}

/// What the prefilter looks for: whether the rule asks for it, how rare it is, its buffer, bytes, and whether case does
/// not matter.
type Fast = (bool, i64, Buffer, Vec<u8>, bool);

/// Takes a content instead of the one chosen so far if it is better to look for.
fn choose(fast: &mut Option<Fast>, dialect: Dialect, content: &document::Content) {
    let buffer = dialect.buffer(content.buffer);
    let asked = content.fast_pattern && content.bytes.len() > 1 && !poor(buffer);
    let rarity = frequency::rarity(&content.bytes) + preference(buffer);
    if fast.as_ref().is_none_or(|best| (best.0, best.1) < (asked, rarity)) {
        *fast = Some((asked, rarity, buffer, content.bytes.clone(), content.nocase));
    }
}

fn buffer_of(option: &RuleOption) -> Buffer {
    match option {
        RuleOption::Content(content) => content.buffer,
        RuleOption::Pcre(pcre) => pcre.buffer,
        RuleOption::Urilen(length) | RuleOption::Bsize(length) => length.buffer,
        RuleOption::Isdataat { buffer, .. } => *buffer,
        RuleOption::Base64 { buffer, .. } | RuleOption::Transform { buffer, .. } => *buffer,
        RuleOption::Dataset(lookup) => lookup.buffer,
        RuleOption::ByteTest(option) => option.field.buffer,
        RuleOption::ByteJump(option) => option.field.buffer,
        RuleOption::ByteExtract(option) => option.field.buffer,
        _ => Buffer::Raw,
    }
}

/// What asks for facts of one segment.
fn packet_test(option: &RuleOption) -> Result<Option<PacketTest>, String> {
    Ok(Some(match option {
        RuleOption::Dsize(comparison) => PacketTest::Size(checked(*comparison)?),
        RuleOption::Flags { set, mode, mask } => PacketTest::Flags(FlagsTest::new(set, mode, mask)?),
        RuleOption::Ack { value } => PacketTest::Ack(*value),
        RuleOption::Seq { value } => PacketTest::Seq(*value),
        RuleOption::Header { field, comparison } => PacketTest::Header(*field, checked(*comparison)?),
        RuleOption::Fragbits { set, mode } => PacketTest::FragmentBits(FlagsTest::of_fragments(set, mode)?),
        RuleOption::Ipopts { value } => PacketTest::IpOption(*value),
        RuleOption::Sameip => PacketTest::SameAddress,
        RuleOption::StreamSize { side, comparison } => PacketTest::StreamSize(*side, checked(*comparison)?),
        RuleOption::FlowSize { field, comparison } => PacketTest::FlowSize(*field, checked(*comparison)?),
        _ => return Ok(None),
    }))
}

/// What the compiled options of a rule share with those of others.
struct Shared<'a, 'b> {
    expressions: &'a mut Compiling<'b>,
    datasets: &'a mut Datasets,
    backtracking: &'a mut usize,
}

fn part_options(
    options: Vec<RuleOption>,
    dialect: Dialect,
    names: &mut Names,
    shared: &mut Shared<'_, '_>,
) -> Result<Vec<PartOption>, String> {
    if options.len() > MAX_OPTIONS {
        return Err(format!("more than {MAX_OPTIONS} options"));
    }
    options.into_iter().map(|inner| part_option(inner, dialect, names, shared)).collect()
}

/// An option on a buffer as the matcher evaluates it; `names` are the values that the options before it take there.
fn part_option(
    option: RuleOption,
    dialect: Dialect,
    names: &mut Names,
    shared: &mut Shared<'_, '_>,
) -> Result<PartOption, String> {
    Ok(match option {
        RuleOption::Content(content) => PartOption::Content(Content::new(content, dialect, names)?),
        RuleOption::Pcre(pcre) => {
            let expression = shared.expressions.get(&pcre)?.expression;
            *shared.backtracking += usize::from(expression.backtracks());
            PartOption::Pcre { expression, relative: pcre.relative, negated: pcre.negated }
        }
        RuleOption::Urilen(length) | RuleOption::Bsize(length) => {
            PartOption::Length(checked(length.comparison)?, length.relative)
        }
        RuleOption::Isdataat { value, relative, negated, .. } => {
            let value = names.value(&value)?;
            // A fixed number comes as Suricata counts; Snort asks for one byte more.
            let more = usize::from(relative && value.varies() && dialect != Dialect::Suricata);
            PartOption::DataAt { value, more, relative, negated }
        }
        RuleOption::Dataset(lookup) => PartOption::Dataset(Lookup::new(&lookup, shared.datasets)),
        RuleOption::ByteTest(option) => PartOption::Byte(ByteOption::test(&option, dialect, names)?),
        RuleOption::ByteJump(option) => PartOption::Byte(ByteOption::jump(&option, dialect, names)?),
        RuleOption::ByteExtract(option) => PartOption::Byte(ByteOption::extract(&option, dialect, names)?),
        RuleOption::Base64 { bytes, offset, relative, options, .. } => {
            let options = part_options(options, dialect, names, shared)?.into_boxed_slice();
            PartOption::Base64 {
                bytes: bytes.map_or(usize::MAX, |bytes| bytes as usize),
                offset: offset as usize,
                relative,
                options,
            }
        }
        RuleOption::Transform { steps, options, .. } => {
            if steps.len() > MAX_OPTIONS {
                return Err(format!("more than {MAX_OPTIONS} options"));
            }
            let options = part_options(options, dialect, names, shared)?.into_boxed_slice();
            PartOption::Transform { steps: Transforms::new(steps)?, options }
        }
        _ => return Err("a test of a segment or of state inside another option".into()),
    })
}

fn checked(comparison: Comparison) -> Result<Comparison, String> {
    if comparison.op == Operator::Between && comparison.high.is_none() {
        return Err("\"<>\" needs \"high\"".into());
    }
    Ok(comparison)
}

/// Where a buffer's contents are looked for: what is a part of the request as sent is found by the one pass over that.
fn scanned_as(buffer: Buffer) -> Buffer {
    match buffer {
        Buffer::HttpStart | Buffer::HttpRawHeader | Buffer::HttpRequestLine | Buffer::HttpRawUri => Buffer::Raw,
        Buffer::HttpMethod | Buffer::HttpProtocol => Buffer::Raw,
        _ => buffer,
    }
}

/// Buffers whose contents nearly every request has: looking for those finds candidates without end.
fn poor(buffer: Buffer) -> bool {
    matches!(buffer, Buffer::HttpMethod | Buffer::HttpProtocol)
}

/// Shorter buffers are cheaper to scan; those of every request's same bytes are no use.
fn preference(buffer: Buffer) -> i64 {
    match buffer {
        Buffer::HttpMethod | Buffer::HttpProtocol => -2_000_000,
        Buffer::HttpHeaderNames | Buffer::HttpStart | Buffer::HttpRequestLine | Buffer::HttpRawHeader => -40,
        Buffer::HttpConnection | Buffer::HttpAccept | Buffer::HttpAcceptEnc | Buffer::HttpAcceptLang => -40,
        Buffer::Raw => -24,
        Buffer::HttpHeader | Buffer::HttpHeaderSnort2 | Buffer::HttpHeaderSnort3 => -16,
        _ => 0,
    }
}
