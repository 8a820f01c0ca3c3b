//! Payloads that hold sealed values, and which of them say nothing any more.
//!
//! A value about a person is `{"subject":"…","sealed":"dbs1.…"}` somewhere in a payload. An entry `erasure.performed` says
//! that the key of a subject was destroyed: from then on the payloads that hold values sealed for that subject are *erased*.
//! Their bytes are there, their digests are right, and nobody can read those values. The entry comes after the payloads, so
//! payloads are counted by subject while they are read, and judged when all have been.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::cell::Fields;
use crate::hashing::{Checked, Look};
use crate::report::PayloadCounts;

/// What every payload with a sealed value holds. In a text of somebody's it cannot stand: there, quotation marks are escaped.
const MARK: &[u8] = br#""sealed":"dbs1."#;
/// What a sealed value begins with.
const SEALED_PREFIX: &str = "dbs1.";
/// Stream type and event type of the entry that says that a key was destroyed.
const PERFORMED: (&str, &str) = ("erasure", "erasure.performed");
/// Most subjects of one payload that are told apart.
const MOST_OF_ONE: usize = 1_000;
/// Most subjects of one ledger: some 100 MB.
const MOST_SUBJECTS: usize = 1_000_000;

/// A subject in short: 128 bits of the BLAKE3 of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject([u8; 16]);

impl Subject {
    fn of(id: &str) -> Self {
        Self(blake3::hash(id.as_bytes()).as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// What an entry has to do with erasing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trace {
    /// It holds values sealed for these: ascending, each once, at least one.
    Sealed(Vec<Subject>),
    /// It holds values sealed for more subjects than are told apart.
    TooMany,
    /// It says that this one's key was destroyed.
    Performed(Subject),
}

/// Looks for the traces. Payloads without a sealed value cost one search for a few bytes.
#[derive(Debug)]
pub(crate) struct Scan(Finder<'static>);

impl Default for Scan {
    fn default() -> Self {
        Self(Finder::new(MARK))
    }
}

impl Scan {
    pub(crate) fn trace(&self, fields: &Fields<'_>) -> Option<Trace> {
        let payload = fields.payload?;
        if (fields.stream_type, fields.event_type) == PERFORMED {
            return performed(payload).map(Trace::Performed);
        }
        self.0.find(payload)?;
        match subjects_of(payload)? {
            subjects if subjects.len() > MOST_OF_ONE => Some(Trace::TooMany),
            subjects if subjects.is_empty() => None,
            subjects => Some(Trace::Sealed(subjects)),
        }
    }
}

fn performed(payload: &[u8]) -> Option<Subject> {
    #[derive(Deserialize)]
    struct Performed<'a> {
        #[serde(borrow)]
        subject: Cow<'a, str>,
    }
    serde_json::from_slice::<Performed<'_>>(payload).ok().map(|performed| Subject::of(&performed.subject))
}

/// The subjects that values in a payload are sealed for, ascending, a few more than are told apart at most. None where it is
/// no JSON.
pub(crate) fn subjects_of(payload: &[u8]) -> Option<Vec<Subject>> {
    let mut subjects = BTreeSet::new();
    let mut json = serde_json::Deserializer::from_slice(payload);
    Walk(&mut subjects).deserialize(&mut json).ok()?;
    Some(subjects.into_iter().collect())
}

/// Goes through a value of any shape, keeps the subjects of sealed values in it, and answers its text where it is one.
struct Walk<'a>(&'a mut BTreeSet<Subject>);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        while values.next_element_seed(Walk(&mut *self.0))?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut subject, mut is_sealed) = (None, false);
        while let Some(name) = members.next_key_seed(Walk(&mut BTreeSet::new()))? {
            let name = name.ok_or_else(|| A::Error::custom("a member without a name"))?;
            let value = members.next_value_seed(Walk(&mut *self.0))?;
            match (name.as_ref(), value) {
                ("subject", value) => subject = value,
                ("sealed", value) => is_sealed = value.is_some_and(|text| text.starts_with(SEALED_PREFIX)),
                _ => {}
            }
        }
        // Beyond the bound, that there are too many is all that matters.
        if let Some(subject) = subject.filter(|_| is_sealed && self.0.len() <= MOST_OF_ONE) {
            self.0.insert(Subject::of(&subject));
        }
        Ok(None)
    }
}

/// Subjects whose keys were destroyed, as the entries say that were shown.
#[derive(Debug, Default)]
pub struct Erasures {
    subjects: HashSet<Subject>,
    left_out: u64,
}

impl Erasures {
    /// Notes one. Beyond a million they are counted only.
    pub fn add(&mut self, subject: Subject) {
        if self.subjects.len() < MOST_SUBJECTS || self.subjects.contains(&subject) {
            self.subjects.insert(subject);
        } else {
            self.left_out += 1;
        }
    }

    /// Whether one of these was erased.
    pub fn cover(&self, subjects: &[Subject]) -> bool {
        subjects.iter().any(|subject| self.subjects.contains(subject))
    }

    /// How many were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// Counts the payloads of one ledger by the subjects of their sealed values, in bounded memory.
#[derive(Debug)]
pub(crate) struct SealedPayloads {
    counts: HashMap<Box<[Subject]>, u64>,
    /// Subjects in the keys of `counts`.
    kept: usize,
    most: usize,
    uncounted: u64,
    erasures: Erasures,
}

impl Default for SealedPayloads {
    fn default() -> Self {
        Self::bounded(MOST_SUBJECTS)
    }
}

impl SealedPayloads {
    fn bounded(most: usize) -> Self {
        Self { counts: HashMap::new(), kept: 0, most, uncounted: 0, erasures: Erasures::default() }
    }

    /// Takes what the hashing threads found. What stands in an odd row means nothing.
    pub(crate) fn take(&mut self, checked: &Checked) {
        for (row, trace) in &checked.traces {
            match (checked.looks.get(*row), trace) {
                (None | Some(Look::Odd), _) => {}
                (_, Trace::Performed(subject)) => self.erasures.add(*subject),
                (_, Trace::TooMany) => self.uncounted += 1,
                (_, Trace::Sealed(subjects)) => self.count(subjects),
            }
        }
    }

    fn count(&mut self, subjects: &[Subject]) {
        if let Some(count) = self.counts.get_mut(subjects) {
            *count += 1;
        } else if self.kept + subjects.len() <= self.most {
            self.kept += subjects.len();
            self.counts.insert(subjects.into(), 1);
        } else {
            self.uncounted += 1;
        }
    }

    /// Moves the payloads of erased subjects from the present ones to the erased ones.
    pub(crate) fn finish(self, payloads: &mut PayloadCounts, not_evaluated: &mut Vec<String>) {
        let erased = self.counts.iter().filter(|(subjects, _)| self.erasures.cover(subjects)).map(|(_, count)| count);
        let erased = erased.sum::<u64>().min(payloads.present);
        payloads.present -= erased;
        payloads.erased += erased;
        if self.uncounted > 0 {
            not_evaluated.push(format!(
                "whether {} payloads are erased, which count as present: more than {} subjects have sealed values",
                self.uncounted, self.most
            ));
        }
        if self.erasures.left_out > 0 {
            not_evaluated.push(format!("{} erasures, beyond a million", self.erasures.left_out));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(subject: &str) -> String {
        format!(r#"{{"subject":"{subject}","sealed":"dbs1.AAECAwQF"}}"#)
    }

    fn subjects(ids: &[&str]) -> Vec<Subject> {
        let mut subjects: Vec<Subject> = ids.iter().map(|id| Subject::of(id)).collect();
        subjects.sort_unstable();
        subjects
    }

    #[test]
    fn subjects_are_found_wherever_their_values_stand() {
        let (one, other) = (sealed("usr_1"), sealed("us\\u0072_2"));
        for (payload, found) in [
            (one.clone(), &["usr_1"][..]),
            (format!(r#"{{"nonce":"00","email":{one},"full_name":{one}}}"#), &["usr_1"]),
            (format!(r#"{{"reads":[{{"query":{one}}},[1.5,null,true,-3,{other}]]}}"#), &["usr_1", "usr_2"]),
            // Not a sealed value: no subject, another version, a number, a text that holds one.
            (r#"{"sealed":"dbs1.AA"}"#.to_owned(), &[]),
            (r#"{"subject":"usr_1","sealed":"dbs2.AA"}"#.to_owned(), &[]),
            (r#"{"subject":7,"sealed":"dbs1.AA"}"#.to_owned(), &[]),
            (format!(r#"{{"text":{}}}"#, serde_json::json!(one)), &[]),
        ] {
            assert_eq!(subjects_of(payload.as_bytes()), Some(subjects(found)), "{payload}");
        }
        assert_eq!(subjects_of(br#"{"sealed":"dbs1."#), None);
        let deep = "[".repeat(100_000);
        assert_eq!(subjects_of(deep.as_bytes()), None);
    }

    #[test]
    fn a_payload_without_the_mark_is_not_read() {
        let finder = Scan::default().0;
        assert!(finder.find(sealed("usr_1").as_bytes()).is_some());
        let quoted = serde_json::json!({ "text": sealed("usr_1") }).to_string();
        assert!(finder.find(quoted.as_bytes()).is_none(), "{quoted}");
    }

    #[test]
    fn a_payload_is_erased_once_if_any_of_its_subjects_is() {
        let mut counted = SealedPayloads::default();
        for ids in [&["a"][..], &["a"], &["b"], &["a", "b"], &["b", "c"], &["c"]] {
            counted.count(&subjects(ids));
        }
        counted.erasures.add(Subject::of("a"));
        counted.erasures.add(Subject::of("c"));
        counted.erasures.add(Subject::of("c"));
        counted.erasures.add(Subject::of("nobody"));
        let (mut payloads, mut left_out) = (PayloadCounts { present: 10, ..PayloadCounts::default() }, Vec::new());
        counted.finish(&mut payloads, &mut left_out);
        assert_eq!((payloads.present, payloads.erased, left_out.len()), (5, 5, 0));
    }

    #[test]
    fn beyond_the_bound_payloads_are_said_to_be_uncounted() {
        let mut counted = SealedPayloads::bounded(2);
        for ids in [&["a"][..], &["b", "c"], &["b"], &["c"], &["a"]] {
            counted.count(&subjects(ids));
        }
        counted.erasures.add(Subject::of("a"));
        let (mut payloads, mut left_out) = (PayloadCounts { present: 5, ..PayloadCounts::default() }, Vec::new());
        counted.finish(&mut payloads, &mut left_out);
        assert_eq!((payloads.present, payloads.erased), (3, 2));
        assert!(left_out[0].starts_with("whether 2 payloads are erased"), "{left_out:?}");
    }

    #[test]
    fn one_payload_of_very_many_subjects_is_not_told_apart() {
        let values: Vec<String> = (0..2_000).map(|number| sealed(&format!("usr_{number}"))).collect();
        let found = subjects_of(format!("[{}]", values.join(",")).as_bytes()).unwrap();
        assert_eq!(found.len(), MOST_OF_ONE + 1);
    }
}
