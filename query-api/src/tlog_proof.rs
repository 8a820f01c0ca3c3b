//! One entry's proof as a file (C2SP `tlog-proof`), over HTTP.

pub use daybook_exports::bundle::{TlogProofError, newest_checkpoint, root_along, tlog_proof};
use daybook_http_kit::Problem;
use daybook_ledger::TreeError;

use crate::ledgers::failed;

/// Content type of a proof and of a checkpoint.
pub const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// What a client is told when the tree cannot answer.
pub fn tree_failed(error: TreeError) -> Problem {
    match error {
        TreeError::OutOfRange(detail) => Problem::not_found("ledger.not_that_long", detail),
        TreeError::Store(error) => failed(error),
        other => Problem::internal(&other),
    }
}
