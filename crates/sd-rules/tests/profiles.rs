// SPDX-License-Identifier: Apache-2.0
//! The readings of a URI by profile. Those of Apache and nginx are what Apache 2.4 and nginx 1.22 answered (docs/http.md).

mod common;

use common::{document, judge, pcre, rule};
use sd_rules::{show, Buffer, Decoder, Limits, Profile, RuleSet};
use serde_json::json;

const ALL: [Profile; 4] = [Profile::Generic, Profile::Apache, Profile::Nginx, Profile::Iis];

fn readings(profile: Profile, uri: &[u8]) -> Vec<String> {
    let request = [b"GET ", uri, b" HTTP/1.1\r\nHost: example.test\r\n\r\n"].concat();
    let shown = show(profile, &Limits::default(), &request);
    let found = shown.buffers.into_iter().find(|(buffer, _)| *buffer == Buffer::HttpUri);
    found.unwrap().1.iter().map(|reading| reading.escape_ascii().to_string()).collect()
}

fn oddities(profile: Profile, uri: &[u8]) -> Vec<Decoder> {
    let request = [b"GET ", uri, b" HTTP/1.1\r\nHost: example.test\r\n\r\n"].concat();
    show(profile, &Limits::default(), &request).oddities
}

#[test]
fn readings_by_profile() {
    // For generic, apache, nginx, iis.
    let cases: &[(&[u8], [&[&str]; 4])] = &[
        (b"/a/b?c=d", [&["/a/b?c=d"]; 4]),
        (b"/a/%62?c=%64", [&["/a/b?c=d"]; 4]),
        (b"/a%20b/../c?d", [&["/a b/../c?d", "/c?d"]; 4]),
        (b"/a?%2e%2e/../b//c", [&["/a?../../b//c"]; 4]),
        (b"/a%2fb", [&["/a/b", "/a%2fb"], &["/a/b", "/a%2fb"], &["/a/b"], &["/a/b"]]),
        (
            b"/x%2f..%2fb",
            [
                &["/x/../b", "/b", "/x%2f..%2fb"],
                &["/x/../b", "/b", "/x%2f..%2fb"],
                &["/x/../b", "/b"],
                &["/x/../b", "/b"],
            ],
        ),
        (b"/a\\b", [&["/a\\\\b", "/a/b"], &["/a\\\\b"], &["/a\\\\b"], &["/a\\\\b", "/a/b"]]),
        (
            b"/x/../a%5cb",
            [
                &["/x/../a\\\\b", "/a/b", "/a\\\\b"],
                &["/x/../a\\\\b", "/a\\\\b"],
                &["/x/../a\\\\b", "/a\\\\b"],
                &["/x/../a\\\\b", "/a/b"],
            ],
        ),
        (b"/%2541", [&["/%41", "/A"], &["/%41"], &["/%41"], &["/%41", "/A"]]),
        (b"/%25%34%31", [&["/%41", "/A"], &["/%41"], &["/%41"], &["/%41", "/A"]]),
        (b"/%252541", [&["/%2541", "/%41", "/A"], &["/%2541"], &["/%2541"], &["/%2541", "/%41", "/A"]]),
        (b"/%u0041", [&["/%u0041", "/A"], &["/%u0041"], &["/%u0041"], &["/%u0041", "/A"]]),
        (
            b"/a/%c0%ae%c0%ae/b",
            [
                &["/a/\\xc0\\xae\\xc0\\xae/b", "/a/../b", "/b"],
                &["/a/\\xc0\\xae\\xc0\\xae/b"],
                &["/a/\\xc0\\xae\\xc0\\xae/b"],
                &["/a/\\xc0\\xae\\xc0\\xae/b", "/a/../b", "/b"],
            ],
        ),
        (b"/a/%3fb/../c?d", [&["/a/?b/../c?d", "/a/c?d"]; 4]),
        (
            b"/a#b/../c",
            [&["/a#b/../c", "/c", "/a"], &["/a#b/../c", "/c"], &["/a#b/../c", "/c", "/a"], &["/a#b/../c", "/c"]],
        ),
        (b"/a/..;x/b", [&["/a/..;x/b", "/b"], &["/a/..;x/b"], &["/a/..;x/b"], &["/a/..;x/b"]]),
        (b"//a/./b//", [&["//a/./b//", "/a/b/"]; 4]),
        (b"http:/a", [&["/a"]; 4]),
        (b"http://u@h:80/a?b", [&["/a?b"]; 4]),
    ];
    for (uri, expected) in cases {
        for (profile, expected) in ALL.into_iter().zip(expected) {
            assert_eq!(readings(profile, uri), *expected, "{profile:?}: {}", uri.escape_ascii());
        }
    }
}

#[test]
fn what_a_profile_refuses() {
    let cases: &[(&[u8], [bool; 3])] = &[
        (b"/a%zz", [true, true, true]),
        (b"/a?%zz", [false, false, false]),
        (b"/%u0041", [true, true, false]),
        (b"/a%00b", [true, true, true]),
        (b"/a\x01", [true, true, true]),
        (b"/a/../../b", [true, true, false]),
        (b"/a#b", [true, false, false]),
        (b"/a%2fb", [false, false, false]),
        (b"/%c0%af", [false, false, false]),
    ];
    for (uri, expected) in cases {
        for (profile, expected) in ALL[1..].iter().zip(expected) {
            let found = oddities(*profile, uri).contains(&Decoder::Refused);
            assert_eq!(found, *expected, "{profile:?}: {}", uri.escape_ascii());
        }
        assert!(!oddities(Profile::Generic, uri).contains(&Decoder::Refused), "generic refuses nothing");
    }
}

#[test]
fn every_profile_sees_every_oddity() {
    for (uri, oddity) in [
        (b"/%61".as_slice(), Decoder::EncodedPlain),
        (b"/%2541", Decoder::DoubleEncoding),
        (b"/%zz", Decoder::InvalidPercent),
        (b"/%u0041", Decoder::UnicodePercent),
        (b"/%c0%af", Decoder::OverlongUtf8),
        (b"/%e0%80%af", Decoder::OverlongUtf8),
        (b"/../a", Decoder::AboveRoot),
        (b"/a//b", Decoder::RepeatedSlash),
        (b"/a/./b", Decoder::DotSegment),
        (b"/a\\b", Decoder::Backslash),
        (b"/a/..;/b", Decoder::DotParameter),
        (b"/a#b", Decoder::Fragment),
        (b"/a\x7f", Decoder::ControlInUri),
        (b"/a%00", Decoder::EncodedNul),
    ] {
        for profile in ALL {
            assert!(oddities(profile, uri).contains(&oddity), "{profile:?}: {}", uri.escape_ascii());
        }
    }
}

#[test]
fn a_document_names_its_profile() {
    for (name, profile) in [("generic", Profile::Generic), ("apache", Profile::Apache), ("iis", Profile::Iis)] {
        let text = json!({"version": 1, "service": {"profile": name}, "rules": []}).to_string();
        assert_eq!(RuleSet::from_json(text.as_bytes()).unwrap().0.profile(), profile);
        assert_eq!(Profile::from_name(name), Some(profile));
    }
    assert_eq!(RuleSet::from_json(&document(vec![])).unwrap().0.profile(), Profile::Generic);
    let wrong = json!({"version": 1, "service": {"profile": "tomcat"}, "rules": []}).to_string();
    assert!(RuleSet::from_json(wrong.as_bytes()).is_err());
}

#[test]
fn built_in_rules_are_overridden_by_sid() {
    let with = |builtin: serde_json::Value| {
        let text = json!({"version": 1, "builtin": builtin, "rules": []}).to_string();
        RuleSet::from_json(text.as_bytes()).unwrap().0
    };
    let request = b"GET /%zz/../.. HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    let sids = |set: &RuleSet| judge(set, request).into_iter().map(|(_, sid)| sid).collect::<Vec<_>>();
    assert_eq!(sids(&with(json!({}))), [11, 30]);
    let set = with(json!({"27": "divert", "30": null, "11": "alert", "9999": "divert"}));
    assert_eq!(sids(&set), [11, 27]);
    let action = |decoder| set.rule(set.decoder_rule(decoder).unwrap()).action;
    assert_eq!(action(Decoder::InvalidPercent), sd_rules::Action::Divert);
    assert_eq!(action(Decoder::HostConflict), sd_rules::Action::Alert);
    assert_eq!(set.decoder_rule(Decoder::AboveRoot), None);
}

#[test]
fn a_uri_of_very_many_readings_is_ambiguous() {
    let mut uri = b"/\\x/../..;/%252e%c0%ae#".to_vec();
    uri.extend(b"%252541\\/./+".repeat(4000));
    let set = common::compile(vec![rule(1, vec![pcre("http_uri", b"nothing$", json!({}))])]);
    let found = judge(&set, &common::get(std::str::from_utf8(&uri).unwrap()));
    assert!(!found.contains(&(1_000_000, 12)), "{found:?}");
    let rules = ["snort2", "snort3"].map(|dialect| {
        let mut one = rule(1, vec![pcre("http_uri", b"nothing$", json!({}))]);
        one["dialect"] = json!(dialect);
        one
    });
    let text = json!({"version": 1, "rules": rules});
    let set = RuleSet::from_json(text.to_string().as_bytes()).unwrap().0;
    let found = judge(&set, &common::get(std::str::from_utf8(&uri).unwrap()));
    assert!(found.contains(&(1_000_000, 12)), "{found:?}");
}
