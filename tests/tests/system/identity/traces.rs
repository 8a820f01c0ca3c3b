//! Looking for a text in everything that a store keeps.

use std::path::PathBuf;

use daybook_tests::Store;
use daybook_tests::files::files_below;
use sqlx::{Connection, PgConnection, Row};

/// Where `text` occurs, in any letter case: files of the data folder, and tables of the database.
pub async fn traces_of(store: &Store, text: &str) -> Vec<String> {
    let files = files_below(store.folder());
    assert!(!files.is_empty(), "a store has files");
    let has_it = |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| occurs(&bytes, text));
    let mut found: Vec<String> =
        files.iter().filter(|path| has_it(path)).map(|path| path.display().to_string()).collect();
    if let Some(url) = store.database_url() {
        found.extend(traces_in_tables(url, text).await);
    }
    found
}

fn occurs(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(&bytes.to_ascii_lowercase(), text.to_lowercase().as_bytes()).is_some()
}

async fn traces_in_tables(url: &str, text: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.expect("the database answers");
    let columns = sqlx::query(
        "select table_name::text, column_name::text, data_type::text from information_schema.columns \
         where table_schema = current_schema()",
    )
    .fetch_all(&mut connection)
    .await
    .expect("columns");
    assert!(columns.len() > 50, "{}", columns.len());
    let mut found = Vec::new();
    for column in columns {
        let (table, name, kind): (String, String, String) = (column.get(0), column.get(1), column.get(2));
        // Escaped, what is a letter stays one.
        let value = match kind.as_str() {
            "bytea" => format!("encode({name}, 'escape')"),
            _ => format!("{name}::text"),
        };
        let statement = format!("select count(*) from {table} where strpos(lower({value}), lower($1)) > 0");
        let count: i64 = sqlx::query_scalar(&statement)
            .bind(text)
            .fetch_one(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{table}.{name}: {error}"));
        if count > 0 {
            found.push(format!("{table}.{name}"));
        }
    }
    found
}
