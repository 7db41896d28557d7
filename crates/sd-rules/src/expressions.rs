// SPDX-License-Identifier: Apache-2.0
//! The expressions of a set of rules, each once however many rules have it. Those of other sets are taken over with all that
//! was built of them: a reload compiles what is new in it, and the old set's memory is not taken twice.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clearing::literals;
use crate::document::{Pcre, PcreFlags};
use crate::pcre::Expression;
use crate::RuleSet;

#[derive(Clone)]
pub(crate) struct Known {
    pub expression: Arc<Expression>,
    /// As [`literals::required`] tells them.
    pub required: Option<Arc<[Vec<u8>]>>,
    /// As [`literals::in_line`].
    pub in_line: Option<Arc<(usize, Vec<Vec<u8>>)>>,
}

/// By the bytes between the slashes.
pub(crate) type Expressions = HashMap<(Vec<u8>, PcreFlags), Known>;

/// Those of a set that is being compiled.
pub(crate) struct Compiling<'a> {
    pub expressions: Expressions,
    others: &'a [Arc<RuleSet>],
}

impl<'a> Compiling<'a> {
    pub fn beside(others: &'a [Arc<RuleSet>]) -> Compiling<'a> {
        Compiling { expressions: HashMap::new(), others }
    }

    pub fn get(&mut self, pcre: &Pcre) -> Result<Known, String> {
        let key = (pcre.pattern.clone(), pcre.flags);
        if let Some(known) = self.expressions.get(&key) {
            return Ok(known.clone());
        }
        let known = match self.others.iter().find_map(|set| set.expressions.get(&key)) {
            Some(known) => known.clone(),
            None => Known {
                expression: Arc::new(Expression::new(&pcre.pattern, pcre.flags)?),
                required: literals::required(&pcre.pattern, pcre.flags).map(Arc::from),
                in_line: literals::in_line(&pcre.pattern, pcre.flags).map(Arc::new),
            },
        };
        self.expressions.insert(key, known.clone());
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(patterns: &[(&str, bool)]) -> String {
        let rule = |(place, (pattern, nocase)): (usize, &(&str, bool))| {
            let pattern: String = pattern.bytes().map(|byte| format!("{byte:02x}")).collect();
            let options =
                serde_json::json!([{"kind": "pcre", "buffer": "http_uri", "pattern": pattern, "nocase": nocase}]);
            serde_json::json!({"sid": place + 1, "action": "alert", "scope": "http", "options": options}).to_string()
        };
        let rules: Vec<String> = patterns.iter().enumerate().map(rule).collect();
        format!(r#"{{"version":1,"rules":[{}]}}"#, rules.join(","))
    }

    fn compile(documents: &[String], valid: &[Arc<RuleSet>]) -> Vec<Arc<RuleSet>> {
        let collection = format!(r#"{{"version":2,"documents":[{}]}}"#, documents.join(","));
        let (sets, left_out) = RuleSet::collection(collection.as_bytes(), valid).unwrap();
        assert_eq!(left_out, documents.iter().filter(|document| document.contains("\"2862\"")).count());
        sets
    }

    fn of<'a>(set: &'a RuleSet, pattern: &str, nocase: bool) -> Option<&'a Known> {
        set.expressions.get(&(pattern.as_bytes().to_vec(), PcreFlags { nocase, ..PcreFlags::default() }))
    }

    #[test]
    fn what_a_set_has_is_taken_over_and_nothing_else_is_kept() {
        let first = document(&[("/a+b", false), ("/a+b", false), ("/old", false), ("(b", false)]);
        let second = document(&[("/a+b", true), ("/new", false), ("/a+b", false)]);
        let old = compile(&[first.clone(), second.clone()], &[]);
        let same = |a: &RuleSet, b: &RuleSet, pattern, nocase| {
            Arc::ptr_eq(&of(a, pattern, nocase).unwrap().expression, &of(b, pattern, nocase).unwrap().expression)
        };
        assert_eq!((old[0].len(), old[0].expressions.len()), (3, 2));
        assert!(same(&old[0], &old[1], "/a+b", false), "by other services, too");
        let new = compile(&[second.clone(), second], &old);
        for set in &new {
            assert_eq!(set.expressions.len(), 3);
            assert!(same(set, &old[0], "/a+b", false) && same(set, &old[1], "/new", false));
            assert!(!Arc::ptr_eq(
                &of(set, "/a+b", true).unwrap().expression,
                &of(set, "/a+b", false).unwrap().expression
            ));
            assert!(of(set, "/old", false).is_none());
        }
        let gone = Arc::downgrade(&of(&old[0], "/old", false).unwrap().expression);
        drop(old);
        assert!(gone.upgrade().is_none());
        assert_eq!(compile(&[first], &new)[0].len(), 3, "one that was refused is refused again");
    }
}
