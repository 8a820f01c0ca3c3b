//! `daybook openapi`: the document of the whole API.

use std::collections::HashSet;

use utoipa::openapi::OpenApi;

use crate::commands::Outcome;
use crate::output;

/// Queries and commands in one document.
pub fn document() -> OpenApi {
    let mut document = daybook_query_api::openapi();
    document.merge(daybook_write_api::openapi());
    // Both describe the tags they share; the first description stands.
    let mut seen = HashSet::new();
    if let Some(tags) = &mut document.tags {
        tags.retain(|tag| seen.insert(tag.name.clone()));
    }
    // The derive writes an empty licence where the package names none.
    document.info.license = None;
    document
}

/// Prints it.
pub fn run() -> anyhow::Result<Outcome> {
    output::json(&document())?;
    Ok(Outcome::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_queries_on_one_path_are_both_there() {
        let document = document();
        let transactions = document.paths.paths.get("/v1/transactions");
        assert!(transactions.is_some_and(|item| item.get.is_some() && item.post.is_some()));
    }

    #[test]
    fn each_tag_is_described_once() {
        let tags = document().tags.unwrap_or_default();
        let names: HashSet<_> = tags.iter().map(|tag| tag.name.clone()).collect();
        assert_eq!(names.len(), tags.len());
    }
}
