//! Who reads exports: whoever may read all of them, and whoever asked for one.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use daybook_exports::kinds::{further_permissions, permissions_of_filters};
use daybook_http_kit::permission::{ExportRead, ExportRequest};
use daybook_http_kit::{Principal, Problem, record_read};
use daybook_read_models::exports::ExportRow;
use serde_json::Value;

/// The kind whose records belong to desks.
const INCIDENTS: &str = "incidents";

/// A caller that may read exports. Extracting it answers 401 to the unknown and 403 to those who hold neither
/// `export:read` nor `export:request`. What it reads is recorded.
#[derive(Debug)]
pub struct ExportReader {
    principal: Principal,
}

impl ExportReader {
    /// The account whose exports alone are in reach; `None` where all are.
    pub fn own_only(&self) -> Option<String> {
        (!self.principal.access.allows::<ExportRead>()).then(|| self.principal.actor.id.clone())
    }

    /// Whether an export is in reach.
    pub fn may_see(&self, row: &ExportRow) -> bool {
        self.own_only().is_none_or(|own| own == row.requested_by)
    }

    /// A 403 that names the permission to read what is in the export, where the caller lacks it: whoever may see that
    /// there is an export need not be allowed to see everybody's address. Whoever may read the incidents of some desks only
    /// opens what he asked for of those.
    pub fn may_open(&self, row: &ExportRow) -> Result<(), Problem> {
        let unknown = || {
            tracing::error!(export_id = row.export_id, kind = row.kind, "an export is of a kind that is not known");
            Problem::unavailable("export.unknown_kind", "this process does not know what is in the export", 60)
        };
        let kind = row.kind.parse().ok().ok_or_else(unknown)?;
        let columns: Vec<String> =
            row.columns.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let mut further = further_permissions(kind, &columns);
        let filters = row.filters.as_object().into_iter().flatten();
        let filters = filters.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        further.extend(permissions_of_filters(kind, &filters));
        let read = kind.required_permission();
        if !self.principal.holds(read) && !self.has_all_desks_of(row, read) {
            return Err(Problem::forbidden(read));
        }
        let lacking = further.into_iter().find(|name| !self.principal.holds(name));
        lacking.map_or(Ok(()), |name| Err(Problem::forbidden(name)))
    }

    /// Whether it is the caller's own export of incidents of desks that are all within his departments, now.
    fn has_all_desks_of(&self, row: &ExportRow, read: &str) -> bool {
        if row.kind != INCIDENTS || row.requested_by != self.principal.actor.id {
            return false;
        }
        let recorded = row.filters.get("desks").and_then(Value::as_str);
        let desks: Vec<String> = recorded.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let may_read = |desk: &String| {
            let mut within = self.principal.access.departments.iter();
            within.any(|department| {
                department.permissions.contains_name(read) && department.name.to_lowercase() == desk.to_lowercase()
            })
        };
        !desks.is_empty() && desks.iter().all(may_read)
    }
}

impl FromRequest for ExportReader {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Principal::of(request).and_then(|principal| {
            // Either will do; whoever has neither is told of the one that takes less.
            if !principal.access.allows::<ExportRead>() {
                principal.require::<ExportRequest>()?;
            }
            record_read(request);
            Ok(Self { principal })
        }))
    }
}
