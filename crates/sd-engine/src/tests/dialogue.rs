// SPDX-License-Identifier: Apache-2.0
//! Services that are not HTTP: the client's stream judged as it comes, and what can be handed over of it.

use super::*;
use serde_json::json;

fn content(text: &str, more: &serde_json::Value) -> serde_json::Value {
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    let mut option = json!({"kind": "content", "buffer": "raw", "nocase": true, "bytes": hex});
    for (key, value) in more.as_object().unwrap() {
        option[key] = value.clone();
    }
    option
}

fn mail_rules() -> Arc<RuleSet> {
    let rule = |sid: u32, options: serde_json::Value| json!({"sid": sid, "action": "divert", "scope": "http", "dialect": "snort2", "options": options});
    let document = json!({"version": 1, "service": {"name": "mail", "port": 80, "protocol": "tcp"}, "rules": [
        rule(1, json!([content("expn root", &json!({}))])),
        rule(2, json!([content("etrn ", &json!({"offset": 0, "depth": 5})),
                       content("\n", &json!({"negated": true, "within": 100}))])),
        rule(3, json!([content("rcpt to:", &json!({})), content("\n", &json!({"negated": true, "within": 60}))])),
        rule(4, json!([content("mode ", &json!({})), content(" b", &json!({"negated": true}))])),
    ]});
    let (set, refused) = RuleSet::from_json(&serde_json::to_vec(&document).unwrap()).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    Arc::new(set)
}

impl Bench {
    fn mail() -> Bench {
        let mut b = Bench::new();
        b.restart_mail();
        b
    }

    fn restart_mail(&mut self) {
        self.engine = Engine::new(config(Method::Adopt), vec![mail_rules()]);
    }

    /// Each line in the segments that `cuts` makes of it, answered by the server after each.
    fn says(&mut self, at: &mut u32, text: &[u8], cuts: usize) {
        for piece in text.chunks(cuts) {
            self.segment(*at, piece, ACK);
            *at += piece.len() as u32;
        }
        self.pass_time(1);
        let ack = self.template.ack + 30;
        self.client_acks(ack);
    }

    fn silent(&self) -> bool {
        self.world.flows[&FLOW].owner.get() & flag::SILENT != 0
    }
}

#[test]
fn what_no_rule_describes_passes_at_once() {
    for cuts in [1, 3, 1000] {
        let (mut b, mut at) = (Bench::mail(), 0);
        let mut all = Vec::new();
        for line in [&b"EHLO client\r\n"[..], b"MODE B\r\n", b"ETRN x\r\n", b"RCPT TO:<a@b>\r\n", b"\r\n", b"QUIT\r\n"]
        {
            b.says(&mut at, line, cuts);
            all.extend_from_slice(line);
            assert_eq!(b.world.received(SERVER), all, "the answer is awaited");
        }
        assert!(b.world.events.is_empty(), "{:?}", b.world.events);
    }
}

#[test]
fn the_segment_that_completes_a_match_does_not_pass() {
    let overflow = [&b"RCPT TO:"[..], &[b'a'; 70], b"\r\n"].concat();
    let restart = [&b"ETRN "[..], &[b'a'; 120], b"\r\n"].concat();
    for (attack, sid) in [(&b"EXPN root\r\n"[..], 1), (&overflow, 3), (&restart, 2), (b"MODE x\r\n", 4)] {
        for cuts in [1, 4, 1000] {
            let (mut b, mut at) = (Bench::mail(), 0);
            b.says(&mut at, b"HELO client\r\n", 1000);
            b.says(&mut at, attack, cuts);
            b.pass_time(20);
            let diverted = b.world.diversions();
            let [Event::Diversion { reason: Reason::Rule(rule), method: "classic", adopted: false, .. }] = diverted[..]
            else {
                panic!("{sid} {cuts}: {diverted:?}")
            };
            assert_eq!(rule.sid, sid);
            assert!(b.world.received(SERVER).len() < 13 + attack.len(), "{sid} {cuts}");
            assert!(b.silent() && b.world.received(HONEYPOT).is_empty());
            assert!(b.world.sent.iter().any(|(to, _, flags, ..)| *to == SERVER && flags & RST != 0));
            let proof = b.world.flows[&FLOW].owner.get() & flag::PROVE;
            assert!(proof != 0 && b.world.marked.is_empty(), "the source is marked once it has answered");
        }
    }
}

#[test]
fn a_dialogue_whose_server_has_said_nothing_is_taken_over_whole() {
    let mut b = Bench::mail();
    b.segment(0, b"EXPN ", ACK);
    assert_eq!(b.world.received(SERVER), b"EXPN ");
    b.segment(5, b"root\r\n", ACK);
    b.pass_time(50);
    assert_eq!(b.world.received(SERVER), b"EXPN ");
    assert_eq!(b.world.received(HONEYPOT), b"EXPN root\r\n");
    assert!(!b.silent());
}

#[test]
fn an_inspector_goes_on_where_a_line_begins_and_never_guesses_in_one() {
    let (mut b, mut at) = (Bench::mail(), 0);
    b.says(&mut at, b"HELO client\r\n", 1000);
    b.restart_mail();
    b.says(&mut at, b"EXPN root\r\n", 1000);
    b.pass_time(20);
    assert_eq!(b.world.received(SERVER), b"HELO client\r\n");
    assert_eq!(b.world.diversions().len(), 1);

    let (mut b, mut at) = (Bench::mail(), 0);
    b.says(&mut at, b"HELO client\r\nEXPN", 1000);
    b.restart_mail();
    b.says(&mut at, b" root\r\n", 1000);
    assert_eq!(b.world.received(SERVER), b"HELO client\r\nEXPN");
    assert!(b.silent() && b.world.counter(Counter::ConnectionsReset) == 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However it is cut: the same verdict, and never the last byte of the attack at the server.
    #[test]
    fn the_verdict_does_not_depend_on_the_segments(cuts in proptest::collection::vec(1usize..12, 1..60)) {
        const SAID: &[u8] = b"HELO client\r\nMAIL FROM:<a@b>\r\nNOOP expn roo\r\nEXPN ROOT\r\nQUIT\r\n";
        let mut b = Bench::mail();
        let (mut at, mut left) = (0, SAID);
        for cut in cuts.iter().cycle() {
            let n = (*cut).min(left.len());
            b.segment(at, &left[..n], ACK);
            at += n as u32;
            left = &left[n..];
            if left.is_empty() {
                break;
            }
        }
        b.pass_time(1500);
        prop_assert_eq!(b.world.diversions().len(), 1);
        let got = b.world.received(SERVER);
        prop_assert!(SAID.starts_with(&got));
        prop_assert!(!got.windows(9).any(|w| w.eq_ignore_ascii_case(b"expn root")));
    }
}

#[test]
fn a_connection_is_judged_by_the_rules_and_the_ways_of_its_service() {
    let mail = Service { port: 25, method: Method::Classic, observe: true };
    let web = config(Method::Adopt).services[0];
    for (services, rules, diverted) in [
        (vec![mail, web], vec![mail_rules(), rules()], 1),
        (vec![mail, Service { observe: true, ..web }], vec![mail_rules(), rules()], 0),
        (vec![web, mail], vec![mail_rules(), rules()], 0),
        (vec![mail], vec![rules()], 0),
    ] {
        let mut b = Bench::new();
        let known = services.iter().any(|service| service.port == 80);
        b.engine = Engine::new(Config { services, ..config(Method::Adopt) }, rules);
        b.segment(0, EVIL, ACK);
        b.pass_time(1500);
        assert_eq!(b.world.diversions().len(), diverted);
        assert_eq!(b.world.received(SERVER).is_empty(), diverted == 1 || !known);
        assert_eq!(b.world.counter(Counter::DropStaleFlow), u64::from(!known));
    }
}
