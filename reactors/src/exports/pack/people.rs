//! Who people are: opened only where that was asked for, which takes a permission of its own.

use std::collections::{BTreeMap, BTreeSet};

use daybook_exports::pack::{self as page, Report};
use daybook_identity::personal::Personal;

use super::fold::{Remark, SEALED};
use super::writing::{Spool, Zip};
use super::{Pack, PackError};

/// Accounts whose names are opened at once.
const PAGE: usize = 500;
/// Most people that the report lists.
const MAX_LISTED: usize = 1_000;
/// Where names and addresses stand.
const FIELDS: [&str; 2] = ["user.full_name", "user.email"];

/// Names and addresses by id; empty where nobody asked for them.
pub(super) struct Names {
    are_open: bool,
    people: BTreeMap<String, Person>,
}

#[derive(Default)]
struct Person {
    name: String,
    email: String,
}

impl Names {
    /// Those of the accounts that acted, where they were asked for.
    pub(super) async fn open(pack: &Pack<'_>, ids: &BTreeSet<String>) -> Result<Self, PackError> {
        let mut names = Self { are_open: pack.query.people, people: BTreeMap::new() };
        if !names.are_open {
            return Ok(names);
        }
        let all: Vec<&String> = ids.iter().collect();
        for chunk in all.chunks(PAGE) {
            let users = chunk.iter().filter_map(|id| pack.directory.users.get(id.as_str()));
            let sealed: Vec<(&str, usize, &Personal)> = users
                .flat_map(|user| {
                    [(0, &user.full_name), (1, &user.email)]
                        .into_iter()
                        .filter_map(|(field, value)| Some((user.user_id.as_str(), field, value.as_ref()?)))
                })
                .collect();
            let values: Vec<(&Personal, &str)> = sealed
                .iter()
                .map(|(_, field, value)| (*value, FIELDS.get(*field).copied().unwrap_or_default()))
                .collect();
            let opened = pack.driver.sources.personal.open_many(&values).await?;
            for ((id, field, _), text) in sealed.into_iter().zip(opened) {
                let person = names.people.entry(id.to_owned()).or_default();
                let slot = if field == 0 { &mut person.name } else { &mut person.email };
                *slot = text.into_shown();
            }
        }
        Ok(names)
    }

    /// Somebody as the report names them.
    pub(super) fn of(&self, id: &str) -> String {
        match self.people.get(id) {
            Some(person) if !person.name.is_empty() => format!("{} ({id})", person.name),
            _ => id.to_owned(),
        }
    }

    /// A remark as it may be read.
    pub(super) async fn remark(&self, pack: &Pack<'_>, remark: &Remark) -> Result<String, PackError> {
        match remark {
            Remark::Clear(text) => Ok(text.clone()),
            Remark::Sealed(_, _) if !self.are_open => Ok(SEALED.to_owned()),
            Remark::Sealed(sealed, field) => Ok(pack.driver.sources.personal.open(sealed, field).await?.into_shown()),
        }
    }

    /// `people.csv`, where it was asked for, and its place in the report.
    pub(super) async fn write(&self, pack: &Pack<'_>, zip: &mut Zip, report: &mut Report) -> Result<(), PackError> {
        if !self.are_open {
            return Ok(());
        }
        let mut file = Spool::create(zip.folder())?;
        file.write(&page::csv_line(["user_id", "status", "full_name", "email"].map(Some)))?;
        for (id, person) in &self.people {
            let status = pack.directory.users.get(id.as_str()).map(|user| user.status.to_string());
            file.write(&page::csv_line([
                Some(id.as_str()),
                status.as_deref(),
                Some(&person.name),
                Some(&person.email),
            ]))?;
        }
        let listed = self.people.iter().take(MAX_LISTED);
        report.people =
            Some(listed.map(|(id, person)| (id.clone(), person.name.clone(), person.email.clone())).collect());
        zip.take_in("people.csv", file).await
    }
}
