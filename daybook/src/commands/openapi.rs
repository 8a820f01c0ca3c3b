//! `daybook openapi`: the document of the whole API.

use std::collections::HashSet;

use utoipa::openapi::OpenApi;

use crate::commands::Outcome;
use crate::output;

/// Queries, commands and people in one document.
pub fn document() -> OpenApi {
    let mut document = daybook_query_api::openapi();
    document.merge(daybook_write_api::openapi());
    document.merge(daybook_identity_api::openapi());
    // They describe the tags that they share; the first description stands.
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
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::Value;

    use super::*;

    fn components(document: &OpenApi, kind: &str) -> serde_json::Map<String, Value> {
        let document = serde_json::to_value(document).unwrap();
        document["components"][kind].as_object().unwrap().clone()
    }

    fn parts() -> [OpenApi; 3] {
        [daybook_query_api::openapi(), daybook_write_api::openapi(), daybook_identity_api::openapi()]
    }

    #[test]
    fn one_name_is_one_schema() {
        let mut all = serde_json::Map::new();
        let (mut shared, mut different) = (0, Vec::new());
        for part in parts() {
            for (name, schema) in components(&part, "schemas") {
                match all.get(&name) {
                    Some(other) if *other == schema => shared += 1,
                    Some(_) => different.push(name),
                    None => drop(all.insert(name, schema)),
                }
            }
        }
        assert_eq!(different, Vec::<String>::new(), "names of two different schemas");
        assert!(shared >= 4, "problems at least are described by all");
    }

    #[test]
    fn each_way_to_authenticate_is_described_once_and_the_same_by_all() {
        let together = components(&document(), "securitySchemes");
        for part in parts() {
            assert_eq!(components(&part, "securitySchemes"), together);
        }
        let part_of = |scheme: &Value, part: &str| scheme.get(part).cloned();
        let distinct: HashSet<_> = together
            .values()
            .map(|scheme| ["name", "scheme", "bearerFormat"].map(|part| part_of(scheme, part)))
            .map(|parts| format!("{parts:?}"))
            .collect();
        assert_eq!(distinct.len(), together.len());
        let document = serde_json::to_value(document()).unwrap();
        for requirement in document["security"].as_array().unwrap() {
            assert!(requirement.as_object().unwrap().keys().all(|name| together.contains_key(name)), "{requirement}");
        }
    }

    #[test]
    fn no_operation_is_described_twice() {
        let mut seen = HashSet::new();
        for part in parts() {
            let part = serde_json::to_value(part).unwrap();
            for (path, item) in part["paths"].as_object().unwrap() {
                for method in item.as_object().unwrap().keys().filter(|name| *name != "parameters") {
                    assert!(seen.insert(format!("{method} {path}")), "{method} {path} is described by two");
                }
            }
        }
    }

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
