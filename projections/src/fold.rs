//! One step of a projector: a page of entries, folded in the transaction that moves its position.

use daybook_ledger::reader::LedgerReader;
use daybook_read_models::ReadDb;

use crate::bookkeeping;
use crate::error::EngineError;
use crate::projector::{Projector, TableNames, prepare};

/// Entries of one transaction.
pub(crate) const PAGE: usize = 1_000;
/// Entries of one transaction when far behind.
pub(crate) const LARGE_PAGE: usize = 2_000;

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// The ledger has nothing more.
    UpToDate,
    /// Folded up to this position; what comes next cannot be understood, where there is an error.
    Folded(u64, Option<EngineError>),
    /// Another process has folded meanwhile: it is at this position.
    Moved(u64),
}

/// Folds the page from `position` on into the live tables.
pub(crate) async fn step(
    db: &ReadDb,
    reader: &LedgerReader,
    projector: &dyn Projector,
    position: u64,
    limit: usize,
) -> Result<Step, EngineError> {
    let page = reader.entries(position, limit).await?;
    if page.is_empty() {
        return Ok(Step::UpToDate);
    }
    let prepared = prepare(projector, page, position);
    if prepared.end == position {
        return match prepared.stopped_by {
            Some(error) => Err(error),
            None => Ok(Step::UpToDate),
        };
    }
    let ledger_id = reader.id().as_str();
    let mut transaction = db.begin().await?;
    let locked = bookkeeping::lock_position(db, &mut transaction, projector, ledger_id).await?;
    if locked.reducer_version != u64::from(projector.version()) {
        return Err(EngineError::OtherVersion { tables: locked.reducer_version, code: projector.version() });
    }
    if locked.position != position {
        transaction.rollback().await?;
        return Ok(Step::Moved(locked.position));
    }
    if !prepared.batch.is_empty() {
        projector
            .fold(&mut transaction, &TableNames::live(), ledger_id, &prepared.batch)
            .await
            .map_err(|error| EngineError::Fold { position, error })?;
    }
    bookkeeping::set_position(&mut transaction, projector, ledger_id, prepared.end).await?;
    transaction.commit().await?;
    db.announce_folded();
    Ok(Step::Folded(prepared.end, prepared.stopped_by))
}
