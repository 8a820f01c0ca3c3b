//! The operations of an OpenAPI document.

use serde_json::Value;

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `GET`, `POST` …
    pub method: String,
    /// Path with `{parameters}`.
    pub path: String,
    /// Tags.
    pub tags: Vec<String>,
    /// True where it can be called without credentials.
    pub is_public: bool,
    /// True where it takes a body.
    pub has_body: bool,
}

impl Operation {
    /// The path with every parameter replaced by what `fill` says for its name.
    pub fn filled(&self, fill: impl Fn(&str) -> String) -> String {
        let mut parts = self.path.split('{');
        let mut path = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').expect("a closed parameter");
            path.push_str(&fill(name));
            path.push_str(rest);
        }
        path
    }
}

/// All operations of a document, in its order.
pub fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            if !["get", "put", "post", "delete", "patch"].contains(&method.as_str()) {
                continue;
            }
            let security = operation["security"].as_array();
            let tags = operation["tags"].as_array().into_iter().flatten();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                tags: tags.filter_map(Value::as_str).map(str::to_owned).collect(),
                is_public: security.is_some_and(|schemes| {
                    schemes.is_empty()
                        || schemes.iter().any(|scheme| scheme.as_object().is_some_and(serde_json::Map::is_empty))
                }),
                has_body: operation["requestBody"].is_object(),
            });
        }
    }
    assert!(!operations.is_empty(), "the document has no operations");
    operations
}
