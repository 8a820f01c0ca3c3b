//! Lists out of the directory: pages of what is in memory anyway, in the order of their keys.

use actix_web::HttpResponse;
use daybook_http_kit::page::{Start, encode_cursor};
use daybook_http_kit::{Listing, PageParameters, Problem, with_position};
use serde::Serialize;

/// A page, and the position of the directory that it was taken from.
pub(crate) struct Paged<T> {
    pub(crate) listing: Listing<T>,
    position: u64,
}

impl<T> Paged<T> {
    /// The same page of something else.
    pub(crate) fn map<U>(self, convert: impl FnMut(T) -> U) -> Paged<U> {
        let Listing { items, next_cursor, total } = self.listing;
        let items = items.into_iter().map(convert).collect();
        Paged { listing: Listing { items, next_cursor, total }, position: self.position }
    }

    /// Puts what became of the items into their place; `items` has one for each.
    pub(crate) fn with_items<U>(self, items: Vec<U>) -> Paged<U> {
        let Listing { next_cursor, total, .. } = self.listing;
        Paged { listing: Listing { items, next_cursor, total }, position: self.position }
    }
}

impl<T: Serialize> Paged<T> {
    pub(crate) fn respond(self) -> HttpResponse {
        let position = self.position.checked_sub(1);
        with_position(HttpResponse::Ok().json(&self.listing), position)
    }
}

/// A page of `items`. `key` is what tells them apart; a cursor names the last one of the page before, so that what comes
/// and goes in between moves nothing else.
pub(crate) fn page_of<T>(
    parameters: &PageParameters,
    position: u64,
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
) -> Result<Paged<T>, Problem> {
    let page = parameters.page()?;
    let mut rest: Vec<T> = items.into_iter().collect();
    let total = rest.len();
    let skipped = match (&page.start, page.cursor::<(u64, String)>()?) {
        (Start::Offset(offset), _) => usize::try_from(*offset).unwrap_or(usize::MAX),
        // Where the item itself is gone, its place in the list is.
        (Start::Cursor(_), Some((place, last))) => match rest.iter().position(|item| key(item) == last) {
            Some(index) => index + 1,
            None => usize::try_from(place).unwrap_or(usize::MAX),
        },
        (Start::Cursor(_), None) => 0,
    };
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut items: Vec<T> = rest.drain(skipped.min(total)..).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = match items.last().filter(|_| more) {
        Some(last) => {
            let place = u64::try_from(skipped + items.len()).unwrap_or(u64::MAX);
            Some(encode_cursor(&(place, key(last)))?)
        }
        None => None,
    };
    // Everything is at hand: counting costs nothing.
    let total = u64::try_from(total).ok();
    Ok(Paged { listing: Listing { items, next_cursor, total }, position })
}

/// One thing, with the position of the directory that it was taken from.
pub(crate) fn one(position: u64, view: &impl Serialize) -> HttpResponse {
    with_position(HttpResponse::Ok().json(view), position.checked_sub(1))
}
