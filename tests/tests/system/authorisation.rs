//! Who may call what: every documented operation, called as everybody. The result is `docs/authorisation.txt`.
//!
//! `UPDATE_DOCS=1` writes it anew; otherwise it has to be what was committed, so a new operation needs a new row.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use daybook_tests::http_documents::{Operation, operations};
use daybook_tests::people::MAIN;
use daybook_tests::{Client, Server, Store, both_stores, data, eventually};
use serde_json::{Value, json};

/// The roles that come with the program, in the file's order.
const ROLES: [&str; 6] = ["owner", "admin", "compliance", "analyst", "viewer", "auditor"];

both_stores!(every_operation_answers_every_role_as_documented);

/// One caller of the matrix.
struct Column {
    name: String,
    client: Client,
}

async fn every_operation_answers_every_role_as_documented(store: &Store) {
    let server = Server::start(store).await;
    let mut columns = Vec::new();
    for role in ROLES {
        columns.push(Column { name: role.to_owned(), client: server.person(MAIN, role).await.client });
    }
    columns.push(Column { name: "operator".to_owned(), client: server.client() });
    columns.push(Column { name: "anonymous".to_owned(), client: server.stranger() });
    columns.push(Column { name: "expired".to_owned(), client: expired_key(&server).await });
    columns.push(Column { name: "revoked".to_owned(), client: revoked_session(&server).await });
    server.organization("elsewhere").await;
    let elsewhere = server.person("elsewhere", "owner").await.client;
    let ours = server.person(MAIN, "owner").await;
    let ids = resources(&ours.client, &ours.id, &server.person(MAIN, "viewer").await.id).await;

    let document = server.stranger().get("/openapi.json").await.expect(200).json();
    let operations = operations(&document);
    let mut cells: BTreeMap<(usize, usize), String> = BTreeMap::new();
    // Whoever logs out is nobody afterwards: that comes last.
    let ends_session = |operation: &Operation| operation.path.ends_with("/logout");
    for last in [false, true] {
        for (row, operation) in operations.iter().enumerate().filter(|(_, operation)| ends_session(operation) == last) {
            for (column, caller) in columns.iter().enumerate() {
                if last && column < ROLES.len() {
                    // Each has one session; the second way of logging out would meet a session that has ended.
                    cells.insert((row, column), "yes".to_owned());
                    continue;
                }
                cells.insert((row, column), cell(&caller.client, operation).await);
            }
        }
    }
    held_against_roles(&server, &operations, &columns, &cells).await;
    for (row, operation) in operations.iter().enumerate() {
        cells.insert((row, columns.len()), cell_elsewhere(&elsewhere, operation, &ids).await);
    }
    columns.push(Column { name: "elsewhere".to_owned(), client: elsewhere });
    let text = written(&operations, &columns, &cells);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/authorisation.txt");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text == committed, "docs/authorisation.txt is not what the program does; UPDATE_DOCS=1 writes it:\n{text}");
}

/// Calls an operation with ids that name nothing and a body that says nothing: only who calls matters.
async fn cell(client: &Client, operation: &Operation) -> String {
    let path =
        operation.filled(|name| if name == "ledger_id" { MAIN.to_owned() } else { "nothing-of-this-name".to_owned() });
    let mut request = client.request(&operation.method, &path);
    if operation.has_body {
        request = request.json(&json!({}));
    }
    // Only the head: a live stream has no end.
    let response = request.send().await.expect("the server answers");
    match response.status().as_u16() {
        401 => {
            let problem: Value = response.json().await.unwrap_or_default();
            // Refusing what was sent to log in is no refusal of the caller.
            if problem["code"].as_str().is_some_and(|code| code.starts_with("auth.")) { "yes" } else { "401" }
                .to_owned()
        }
        403 => {
            let problem: Value = response.json().await.unwrap_or_default();
            let detail = problem["detail"].as_str().unwrap_or_default();
            match problem["code"].as_str() {
                Some("permission.denied") => format!("- {}", permission_in(detail)),
                _ => "yes".to_owned(),
            }
        }
        500 => panic!("{} {path}: 500", operation.method),
        _ => "yes".to_owned(),
    }
}

/// What the owner of another organisation gets, with ids of this one.
async fn cell_elsewhere(client: &Client, operation: &Operation, ids: &BTreeMap<&'static str, String>) -> String {
    let real = operation.filled(|name| real_id(ids, &operation.path, name).cloned().unwrap_or_else(|| "1".to_owned()));
    if operation.is_public {
        return "yes".to_owned();
    }
    if real == operation.filled(|_| "1".to_owned()) {
        return "own".to_owned();
    }
    let (status, body) = call(client, operation, &real).await;
    if body.contains(r#""total":0"#) { "empty".to_owned() } else { status.to_string() }
}

/// The permission that a denial names.
fn permission_in(detail: &str) -> String {
    let is_name = |word: &&str| word.contains(':') && !word.ends_with(':');
    let mut words = detail.split(|c: char| !(c.is_ascii_alphanumeric() || ":._-".contains(c)));
    words.rfind(is_name).unwrap_or_else(|| panic!("no permission in {detail:?}")).trim_end_matches('.').to_owned()
}

/// Where some are refused for want of a permission, exactly those who hold it are let through.
async fn held_against_roles(
    server: &Server,
    operations: &[Operation],
    columns: &[Column],
    cells: &BTreeMap<(usize, usize), String>,
) {
    let roles = server.stranger().get("/v1/auth/roles").await.expect(200).json();
    for (row, operation) in operations.iter().enumerate() {
        let missing: BTreeSet<_> =
            (0..columns.len()).filter_map(|column| cells[&(row, column)].strip_prefix("- ")).collect();
        for (column, role) in ROLES.iter().enumerate() {
            let held = roles[role]["permissions"].as_array().unwrap();
            let holds = |permission: &&str| held.iter().any(|held| held == permission);
            let cell = &cells[&(row, column)];
            let what = format!("{} {} as {role}: {cell}, of {missing:?}", operation.method, operation.path);
            assert_eq!(missing.iter().all(holds), cell == "yes", "{what}");
            assert!(cell.strip_prefix("- ").is_none_or(|named| !holds(&named)), "{what}");
        }
        for (column, caller) in columns.iter().enumerate() {
            let cell = &cells[&(row, column)];
            match caller.name.as_str() {
                "operator" => assert_eq!(cell, "yes", "{} {} as operator", operation.method, operation.path),
                "anonymous" | "expired" | "revoked" if !operation.is_public => {
                    assert_eq!(cell, "401", "{} {} as {}", operation.method, operation.path, caller.name);
                }
                _ => {}
            }
        }
    }
}

fn written(operations: &[Operation], columns: &[Column], cells: &BTreeMap<(usize, usize), String>) -> String {
    let mut text = String::from(
        "Who may call what. Made by calling every operation as everybody (tests/tests/system/authorisation.rs); held by that test.\n\n\
         yes: let through. -: refused with 403; the last column names the permission that is missing. 401: refused as unknown. An operation\n\
         that needs no credentials lets everybody through. `expired` is an API key past its time, `revoked` an ended session. Organisations\n\
         have custom roles beside these; a permission given in one department only is not shown. `elsewhere` is the owner of another\n\
         organisation, with ids of this one: `own` where the operation names nothing and answers about the caller's organisation.\n\n",
    );
    let widest = operations.iter().map(|operation| operation.method.len() + operation.path.len() + 1).max().unwrap();
    let _ = write!(text, "{:widest$}", "operation");
    for column in columns {
        let _ = write!(text, "  {:10}", column.name);
    }
    text.push_str("  permission\n");
    for (row, operation) in operations.iter().enumerate() {
        let _ = write!(text, "{:widest$}", format!("{} {}", operation.method, operation.path));
        let mut permissions = BTreeSet::new();
        for column in 0..columns.len() {
            let cell = cells[&(row, column)].as_str();
            let shown = cell.strip_prefix("- ").map_or(cell, |name| {
                permissions.insert(name);
                "-"
            });
            let _ = write!(text, "  {shown:10}");
        }
        let _ = writeln!(text, "  {}", permissions.into_iter().collect::<Vec<_>>().join(" and "));
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A client with an API key whose time is over.
async fn expired_key(server: &Server) -> Client {
    let soon = chrono::Utc::now() + chrono::Duration::milliseconds(1_500);
    let soon = soon.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let key = json!({"name": "soon over", "scopes": ["read"], "expires_at": soon});
    let created = server.client().post("/v1/api-keys", &key).await.expect(201).json();
    let client = Client::new(server.url(), created["key_value"].as_str());
    client.get("/v1/transactions").await.expect(200);
    eventually("the key's time is over", async || (client.get("/v1/transactions").await.status == 401).then_some(()))
        .await;
    client
}

/// A client whose session has ended.
async fn revoked_session(server: &Server) -> Client {
    let person = server.person(MAIN, "admin").await;
    person.client.get("/v1/auth/me").await.expect(200);
    let out = person.client.post("/v1/auth/logout", &json!({})).await;
    assert!((200..300).contains(&out.status), "{} {}", out.status, out.body);
    person.client
}

both_stores!(ids_of_another_organisation_are_answered_as_unknown_ones);

async fn ids_of_another_organisation_are_answered_as_unknown_ones(store: &Store) {
    let server = Server::start(store).await;
    server.organization("elsewhere").await;
    let ours = server.person(MAIN, "owner").await;
    let theirs = server.person("elsewhere", "owner").await;
    let ids = resources(&ours.client, &ours.id, &server.person(MAIN, "viewer").await.id).await;
    let document = server.stranger().get("/openapi.json").await.expect(200).json();
    let before = server.client().ledger_size().await;
    let mut asked = 0;
    for operation in
        operations(&document).iter().filter(|operation| !operation.is_public && operation.path.contains('{'))
    {
        let id_of = |name: &str| real_id(&ids, &operation.path, name);
        let real = operation.filled(|name| id_of(name).cloned().unwrap_or_else(|| "1".to_owned()));
        if real == operation.filled(|_| "1".to_owned()) {
            continue;
        }
        let unknown = operation.filled(|name| match name {
            "ledger_id" => "nowhere".to_owned(),
            name => id_of(name).map_or_else(|| "1".to_owned(), |id| format!("{id}0")),
        });
        let (of_ours, of_nobody) =
            (call(&theirs.client, operation, &real).await, call(&theirs.client, operation, &unknown).await);
        // A timeline is empty where nobody used the id: then so is that of ours.
        let is_empty = of_ours.1.contains(r#""total":0"#);
        assert!(
            !(200..300).contains(&of_ours.0) || is_empty,
            "{} {real}: {} {}",
            operation.method,
            of_ours.0,
            of_ours.1
        );
        assert_eq!(of_ours, of_nobody, "{} {real}", operation.method);
        asked += 1;
    }
    assert!(asked > 60, "{asked}");
    assert_eq!(server.client().ledger_size().await, before, "strangers wrote into the ledger of main");
}

/// Status, and code of the problem, or the body where there is none.
async fn call(client: &Client, operation: &Operation, path: &str) -> (u16, String) {
    let mut request = client.request(&operation.method, path);
    if operation.has_body {
        request = request.json(&json!({}));
    }
    let response = request.send().await.expect("the server answers");
    let status = response.status().as_u16();
    if (200..300).contains(&status) {
        return (status, response.text().await.unwrap_or_default());
    }
    let problem: Value = response.json().await.unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

/// One of everything: by the name that paths give it, or by the path where that name is `id`.
async fn resources(client: &Client, owner: &str, another: &str) -> BTreeMap<&'static str, String> {
    let made = async |path: &str, body: Value, id: &str| {
        let answer = client.post(path, &body).await;
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
        answer.json()[id].as_str().unwrap_or_else(|| panic!("{path}: no {id} in {}", answer.body)).to_owned()
    };
    client.post("/v1/transactions", &data::transaction("TX-OURS")).await.expect(201);
    let incident = made("/v1/incidents", data::incident("Ours"), "incident_id").await;
    let role = made("/v1/rbac/roles", json!({"name": "our_role", "permissions": ["transaction:read"]}), "name").await;
    let department = made("/v1/rbac/departments", json!({"name": "Ours"}), "id").await;
    let key = made("/v1/api-keys", json!({"name": "ours", "scopes": ["read"]}), "id").await;
    let invited = made("/v1/users/invite", json!({"email": "leaving@people.example", "role": "viewer"}), "id").await;
    let erasure = made("/v1/erasures", json!({"subject": invited, "reason": "asked for it"}), "id").await;
    let covers = json!([{"kind": "subject", "id": owner}]);
    let hold = json!({"matter": "ours", "reason": "ours", "covers": covers});
    let hold = made("/v1/legal-holds", hold, "id").await;
    let wish = json!({"resource_type": "agentic_triage", "resource_id": "ours", "reason": "ours"});
    let approval = made("/v1/approvals", wish, "approval_id").await;
    let exported = client.post("/v1/exports", &json!({"kind": "incidents", "format": "csv", "reason": "ours"})).await;
    let exported = exported.expect(202).json()["export"]["export_id"].as_str().expect("an export").to_owned();
    let schedule = json!({"name": "Ours", "kind": "incidents", "cron": "0 6 1 * *"});
    let schedule = made("/v1/export-schedules", schedule, "schedule_id").await;
    let ends = chrono::Utc::now() + chrono::Duration::days(1);
    let delegation = json!({"to": another, "reason": "ours",
        "ends_at": ends.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)});
    let delegation = made("/v1/delegations", delegation, "delegation_id").await;
    let session = client.get("/v1/auth/sessions").await.expect(200).json();
    let session = session["items"][0]["session_id"].as_str();
    BTreeMap::from([
        ("ledger_id", MAIN.to_owned()),
        ("transaction_id", "TX-OURS".to_owned()),
        ("record_type", "transaction".to_owned()),
        ("stream_type", "transaction".to_owned()),
        ("stream_id", "TX-OURS".to_owned()),
        ("incident_id", incident.clone()),
        ("user", owner.to_owned()),
        ("role", role),
        ("/v1/transactions", "TX-OURS".to_owned()),
        ("/v1/incidents", incident),
        ("/v1/rbac/departments", department),
        ("/v1/api-keys", key.clone()),
        ("/v1/api/admin/api-keys", key),
        ("approval_id", approval.clone()),
        ("action_id", approval.clone()),
        ("/v1/approval", approval.clone()),
        ("/v1/approvals", approval.clone()),
        ("/v1/agent/actions", approval.clone()),
        ("/v1/agent/ops/actions", approval),
        ("export_id", exported.clone()),
        ("/v1/exports", exported),
        ("schedule_id", schedule.clone()),
        ("/v1/export-schedules", schedule),
        ("/v1/delegations", delegation),
        ("/v1/erasures", erasure),
        ("/v1/legal-holds", hold),
        ("/v1/auth/sessions", session.expect("a session").to_owned()),
        ("/v1/users", owner.to_owned()),
        ("/v1/auth/users", owner.to_owned()),
        ("/v1/organizations", MAIN.to_owned()),
        ("/v1/api/organizations", MAIN.to_owned()),
    ])
}

/// The id of ours that stands in a path for `name`.
fn real_id<'a>(ids: &'a BTreeMap<&'static str, String>, path: &str, name: &str) -> Option<&'a String> {
    let collection = path.split("/{").next().unwrap_or_default();
    if name == "id" { ids.get(collection) } else { ids.get(name) }
}
