//! What answers have in common: content types and the header that says how far the answer reaches.

use actix_web::HttpResponseBuilder;
use daybook_http_kit::position::POSITION;

/// One JSON value a line.
pub const NDJSON: &str = "application/x-ndjson";
/// Server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";

/// Says up to which position an answer takes the ledger into account.
pub trait AnswerAt {
    /// Sets `Daybook-Position` to the last of the first `size` positions; nothing where there is none.
    fn position(&mut self, size: u64) -> &mut Self;
}

impl AnswerAt for HttpResponseBuilder {
    fn position(&mut self, size: u64) -> &mut Self {
        match size.checked_sub(1) {
            Some(last) => self.insert_header((POSITION, last)),
            None => self,
        }
    }
}
