//! Exactly what of an export is approved: whoever opens the request for approval and whoever makes the file build it here,
//! so that nothing leaves the house but what was looked at.

use std::collections::BTreeMap;

use super::event::Requested;
use super::words::{ExportFormat, ExportKind};
use crate::approval::{Action, ActionType};
use crate::names::{DestinationName, ExportId, Word};
use crate::text::{InvalidField, Line};

impl Requested {
    /// What was approved, if it was approved: to be compared with the digest of the approval when the file is made.
    pub fn action(&self) -> Result<Action, InvalidField> {
        let Self { export_id, kind, format, filters, columns, deliver_to, collect, .. } = self;
        export_action(export_id, *kind, *format, filters, columns, deliver_to, *collect)
    }
}

/// The action of an export: everything that decides what is in the file and where it goes is a parameter, and so part of the
/// digest. Fails where it is too long to be looked at.
pub fn export_action(
    export_id: &ExportId,
    kind: ExportKind,
    format: ExportFormat,
    filters: &BTreeMap<String, String>,
    columns: &[String],
    deliver_to: &[DestinationName],
    collect: bool,
) -> Result<Action, InvalidField> {
    let action = ActionType::parse("/kind", kind.action())?;
    let resource_type = Word::parse("/kind", action.resource_type())?;
    let resource_id = Line::parse("/export_id", export_id.as_str())?;
    let names: Vec<&str> = deliver_to.iter().map(DestinationName::as_str).collect();
    let mut parameters = BTreeMap::new();
    parameters.insert("kind".to_owned(), kind.to_string());
    parameters.insert("format".to_owned(), format.to_string());
    parameters.insert("columns".to_owned(), columns.join(","));
    parameters.insert("deliver_to".to_owned(), names.join(","));
    parameters.insert("collect".to_owned(), collect.to_string());
    for (name, value) in filters {
        parameters.insert(format!("filter.{name}"), value.clone());
    }
    let summary = summary(kind, format, filters, deliver_to);
    Action::new(action, resource_type, resource_id, parameters, Vec::new(), summary, None, None)
}

/// One line for people. What does not fit is in the parameters.
fn summary(
    kind: ExportKind,
    format: ExportFormat,
    filters: &BTreeMap<String, String>,
    deliver_to: &[DestinationName],
) -> Line {
    let mut text = format!("Export {} as {}", kind.as_str().replace('_', " "), format.as_str());
    for (index, name) in deliver_to.iter().enumerate() {
        text.push_str(if index == 0 { " to " } else { " and " });
        text.push_str(name.as_str());
    }
    for (index, (name, value)) in filters.iter().enumerate() {
        text.push_str(if index == 0 { " where " } else { ", " });
        text.push_str(&format!("{name} is {value}"));
    }
    // Filters may have whatever texts may have; a line has less.
    Line::lenient(&text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn id(text: &str) -> ExportId {
        ExportId::parse("", text).unwrap()
    }

    fn filters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn whatever_decides_what_leaves_the_house_is_in_the_digest() {
        let (one, csv) = (id("exp_1"), ExportFormat::Csv);
        let pending = filters(&[("status", "pending")]);
        let columns = ["amount".to_owned(), "currency".to_owned()];
        let bucket = [DestinationName::parse("", "bucket").unwrap()];
        let kind = ExportKind::Transactions;
        let actions = [
            export_action(&one, kind, csv, &pending, &columns, &[], false),
            export_action(&id("exp_2"), kind, csv, &pending, &columns, &[], false),
            export_action(&one, ExportKind::Incidents, csv, &pending, &columns, &[], false),
            export_action(&one, kind, ExportFormat::Json, &pending, &columns, &[], false),
            export_action(&one, kind, csv, &filters(&[]), &columns, &[], false),
            export_action(&one, kind, csv, &filters(&[("status", "failed")]), &columns, &[], false),
            export_action(&one, kind, csv, &pending, &columns[..1], &[], false),
            export_action(&one, kind, csv, &pending, &columns, &bucket, false),
            export_action(&one, kind, csv, &pending, &columns, &[], true),
        ];
        let mut digests: Vec<String> = actions.into_iter().map(|action| action.unwrap().digest().to_string()).collect();
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn summary_is_a_line_whatever_the_filters_say() {
        let nasty = filters(&[("q", "a\u{202e}b\n\u{2028}c"), ("source", &"x".repeat(900))]);
        let kind = ExportKind::AuditTrail;
        let action = export_action(&id("exp_1"), kind, ExportFormat::Csv, &nasty, &[], &[], false).unwrap();
        assert!(action.summary.as_str().starts_with("Export audit trail as csv where q is abc, source is xxx"));
        assert_eq!(action.parameters["filter.q"], "a\u{202e}b\n\u{2028}c");
        assert_eq!(action.resource_type.as_str(), "audit_export");
    }
}
