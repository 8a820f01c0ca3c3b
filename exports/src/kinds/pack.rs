//! What an evidence pack can be asked for with: a matter, a period, and what it is about.

use std::collections::BTreeMap;

use daybook_domain::names::HoldId;
use daybook_domain::text::{Line, SubjectId};
use daybook_ledger::StreamKey;

use super::filters::{FilterValue, value_of};
use super::{FilterDeclaration, FilterKind, InvalidQuery, KindDeclaration, Test};

/// Most entries of a pack.
pub const MAX_PACK_ENTRIES: u64 = 1_000_000;
/// The filter that says whether names, addresses and sealed remarks are opened.
pub(super) const PEOPLE: &str = "people";

const fn by_source(name: &'static str, kind: FilterKind) -> FilterDeclaration {
    FilterDeclaration { name, source: name, kind, test: Test::BySource }
}

/// It is no table: it has no columns.
pub(super) const EVIDENCE_PACK: KindDeclaration = KindDeclaration {
    columns: &[],
    filters: &[
        by_source("matter", FilterKind::Text),
        by_source("hold", FilterKind::Text),
        by_source("streams", FilterKind::Texts),
        by_source("subjects", FilterKind::Texts),
        by_source("start", FilterKind::TimeFrom),
        by_source("end", FilterKind::TimeTo),
        by_source(PEOPLE, FilterKind::Boolean),
    ],
};

/// What a pack is asked for with, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackQuery {
    /// The matter, for people.
    pub matter: String,
    /// What this legal hold covers is in it.
    pub hold: Option<String>,
    /// These streams are in it.
    pub streams: Vec<StreamKey>,
    /// What these did, and what was done on their behalf, is in it.
    pub subjects: Vec<String>,
    /// First microsecond of the period.
    pub start: i64,
    /// Last microsecond of the period.
    pub end: i64,
    /// Whether names, addresses and sealed remarks are opened.
    pub people: bool,
}

impl PackQuery {
    /// Reads the filters as they are recorded.
    pub fn read(recorded: &BTreeMap<String, String>) -> Result<Self, InvalidQuery> {
        let value = |name: &str| -> Result<Option<FilterValue>, InvalidQuery> {
            let declared = EVIDENCE_PACK.filters.iter().find(|filter| filter.name == name);
            let (Some(filter), Some(text)) = (declared, recorded.get(name)) else { return Ok(None) };
            value_of(filter.kind, text).map(Some).map_err(|why| fault(name, why))
        };
        let required = |name: &str| value(name)?.ok_or_else(|| fault(name, "is needed for an evidence pack"));
        let time = |name: &str| match required(name)? {
            FilterValue::Time(micros) => Ok(micros),
            _ => Err(fault(name, "must be a time")),
        };
        let texts = |name: &str| match value(name)? {
            Some(FilterValue::Texts(texts)) => Ok(texts),
            _ => Ok(Vec::new()),
        };
        let matter = required("matter")?.to_string();
        // A line that people read in the request for approval and in the report.
        Line::parse("", matter.as_str()).map_err(|error| fault("matter", error.detail))?;
        let hold = value("hold")?.map(|hold| hold.to_string());
        if let Some(hold) = &hold {
            HoldId::parse("", hold.as_str()).map_err(|error| fault("hold", error.detail))?;
        }
        let mut streams = Vec::new();
        for text in texts("streams")? {
            let (stream_type, stream_id) = text
                .split_once('/')
                .ok_or_else(|| fault("streams", format!("{text:?} is not type/id, such as transaction/TX-1")))?;
            let key = StreamKey::new(stream_type, stream_id)
                .map_err(|error| fault("streams", format!("{text:?} is no stream: {error}")))?;
            if streams.contains(&key) {
                return Err(fault("streams", format!("{text:?} is there twice")));
            }
            streams.push(key);
        }
        let subjects = texts("subjects")?;
        for subject in &subjects {
            SubjectId::parse("", subject.as_str())
                .map_err(|error| fault("subjects", format!("{subject:?} {}", error.detail)))?;
        }
        let people = matches!(value(PEOPLE)?, Some(FilterValue::Boolean(true)));
        Ok(Self { matter, hold, streams, subjects, start: time("start")?, end: time("end")?, people })
    }

    /// Whether everything in the period is in it: nothing says what it is about.
    pub fn is_of_everything(&self) -> bool {
        self.hold.is_none() && self.streams.is_empty() && self.subjects.is_empty()
    }
}

fn fault(name: &str, why: impl Into<String>) -> InvalidQuery {
    InvalidQuery::new(format!("filters.{name}"), why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use daybook_domain::export::ExportKind;

    use super::super::{columns, filters, permissions_of_filters};
    use super::*;

    fn asked(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let base = [("matter", "Case 7"), ("start", "2026-11-01"), ("end", "2026-11-30")];
        base.iter().chain(more).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn matter_and_period_are_needed_and_the_rest_is_read() {
        let recorded =
            filters(ExportKind::EvidencePack, &asked(&[("streams", r#"["transaction/TX/1"]"#), ("people", "TRUE")]))
                .unwrap();
        assert_eq!(filters(ExportKind::EvidencePack, &recorded).unwrap(), recorded);
        let query = PackQuery::read(&recorded).unwrap();
        assert_eq!(query.streams, [StreamKey::new("transaction", "TX/1").unwrap()]);
        assert!(query.people && !query.is_of_everything() && query.end > query.start);
        assert_eq!(permissions_of_filters(ExportKind::EvidencePack, &recorded), ["audit:read", "user:read_contact"]);
        for name in ["matter", "start", "end"] {
            let mut without = asked(&[]);
            without.remove(name);
            assert_eq!(filters(ExportKind::EvidencePack, &without).unwrap_err().field, format!("filters.{name}"));
        }
        assert!(columns(ExportKind::EvidencePack, &["position".to_owned()]).is_err());
        assert!(columns(ExportKind::EvidencePack, &[]).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (name, text) in [
            ("streams", r#"["transaction"]"#),
            ("streams", r#"["transaction/a","transaction/a"]"#),
            ("streams", "transaction/a"),
            ("hold", "Case 7"),
            ("subjects", r#"[""]"#),
            ("people", "perhaps"),
            ("matter", "two\nlines"),
            ("matter", "back\u{202e}wards"),
        ] {
            let refused = filters(ExportKind::EvidencePack, &asked(&[(name, text)])).unwrap_err();
            assert_eq!(refused.field, format!("filters.{name}"), "{text}");
        }
        let backwards = asked(&[("end", "2026-10-01")]);
        assert_eq!(filters(ExportKind::EvidencePack, &backwards).unwrap_err().field, "filters.end");
    }
}
