//! Accounts of people, from the directory. Names and addresses are opened only where their columns are asked for.

use std::sync::Arc;

use daybook_exports::kinds::ColumnDeclaration;
use daybook_exports::{Cell, Row};
use daybook_identity::directory::{DirectoryState, UserRecord, UserStatus};
use daybook_identity::personal::{Personal, PersonalData};

use super::{Filters, Pages, Reading, ReadingError, Sources};

/// Accounts of a page.
const PAGE: usize = 500;
/// Fields that are sealed, by column.
const SEALED: [(&str, &str); 2] = [("email", "user.email"), ("full_name", "user.full_name")];

/// Waits for the directory, and begins to read what it holds then.
pub(super) async fn open(
    sources: &Sources,
    columns: Vec<&'static ColumnDeclaration>,
    filters: Filters,
    size: u64,
) -> Result<Reading, ReadingError> {
    sources.directory.at_least(size, sources.patience).await;
    let state = sources.directory.now();
    // Grants end by themselves: what holds at this moment is what the rows say.
    let now = (sources.clock)();
    if state.position < size {
        return Err(ReadingError::Behind { reader: "the directory", seen: state.position, needed: size });
    }
    let (position, personal) = (state.position, sources.personal.clone());
    Reading::begin(&columns.clone(), position, |pages| read(state, now, personal, columns, filters, pages))
}

async fn read(
    state: Arc<DirectoryState>,
    now: i64,
    personal: PersonalData,
    columns: Vec<&'static ColumnDeclaration>,
    filters: Filters,
    pages: Pages,
) -> Result<(), ReadingError> {
    let users: Vec<&Arc<UserRecord>> = state.users.values().filter(|user| matches(user, &filters, now)).collect();
    for chunk in users.chunks(PAGE) {
        let mut rows: Vec<Row> = chunk.iter().map(|user| row(user, &columns, now)).collect();
        open_sealed(chunk, &columns, &personal, &mut rows).await?;
        if pages.send(Ok(rows)).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn matches(user: &UserRecord, filters: &Filters, now: i64) -> bool {
    let has_role = filters
        .text("role")
        .is_none_or(|role| user.grants.iter().any(|grant| grant.role == role && grant.is_current(now)));
    let is_active = user.status == UserStatus::Active;
    has_role
        && filters.boolean("is_active").is_none_or(|wanted| wanted == is_active)
        && filters.is_within(user.place.created_at)
}

fn row(user: &UserRecord, columns: &[&'static ColumnDeclaration], now: i64) -> Row {
    let time = |time: Option<i64>| time.map_or(Cell::Null, Cell::Time);
    let count = |count: usize| Cell::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    let cell = |name: &str| match name {
        "user_id" => Cell::Text(user.user_id.clone()),
        "status" => Cell::Text(user.status.to_string()),
        "roles" => Cell::Text(roles(user, now)),
        "origin" => user.origin.clone().map_or(Cell::Null, Cell::Text),
        "second_factors" => count(user.second_factors.len()),
        "last_login_at" => time(user.last_login_at),
        "password_changed_at" => time(user.password_changed_at),
        "created_at" => Cell::Time(user.place.created_at),
        "updated_at" => Cell::Time(user.place.changed_at),
        "version" => Cell::Integer(i64::try_from(user.place.version).unwrap_or(i64::MAX)),
        _ => Cell::Null,
    };
    columns.iter().map(|column| cell(column.source)).collect()
}

/// Every role that holds at `now`, with the department that it is for: `admin`, `analyst@dep_1`, separated by commas.
fn roles(user: &UserRecord, now: i64) -> String {
    let role = |grant: &daybook_identity::directory::Grant| match &grant.department_id {
        Some(department) => format!("{}@{department}", grant.role),
        None => grant.role.clone(),
    };
    user.grants.iter().filter(|grant| grant.is_current(now)).map(role).collect::<Vec<_>>().join(",")
}

/// Puts what the sealed fields say in its place: the text, or the word that stands for an erased or unreadable one.
async fn open_sealed(
    users: &[&Arc<UserRecord>],
    columns: &[&'static ColumnDeclaration],
    personal: &PersonalData,
    rows: &mut [Row],
) -> Result<(), ReadingError> {
    for (index, column) in columns.iter().enumerate() {
        let Some((_, field)) = SEALED.iter().find(|(name, _)| *name == column.source) else { continue };
        let value = |user: &&&Arc<UserRecord>| -> Option<Personal> {
            if column.source == "email" { user.email.clone() } else { user.full_name.clone() }
        };
        let sealed: Vec<Option<Personal>> = users.iter().map(|user| value(&user)).collect();
        let present: Vec<(&Personal, &str)> = sealed.iter().flatten().map(|value| (value, *field)).collect();
        let mut opened = personal.open_many(&present).await?.into_iter();
        for (row, value) in rows.iter_mut().zip(&sealed) {
            let text = value.as_ref().and_then(|_| opened.next());
            if let (Some(cell), Some(text)) = (row.get_mut(index), text) {
                *cell = Cell::Text(text.into_shown());
            }
        }
    }
    Ok(())
}
