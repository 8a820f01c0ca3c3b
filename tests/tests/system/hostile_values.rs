//! Values that were made to break things: amounts are exact or refused, text is text, ids are what ids can be.

use daybook_tests::{Server, Store, both_stores, data};
use serde_json::{Value, json};

use crate::hostile::{REFUSED, check};

both_stores!(amounts_are_exact_or_refused);

async fn amounts_are_exact_or_refused(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    let digits = "9".repeat(10_000);
    let ten_to_the_forty = format!("1{}", "0".repeat(40));
    let refused = [
        "1e40",
        "\"1e40\"",
        "1e400",
        "\"1e999999999999\"",
        "1e-40",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-inf\"",
        "\"\"",
        "\" 1\"",
        "\"1 \"",
        "\"1,000.00\"",
        "\"0x10\"",
        "\"1_000\"",
        "\"٣\"",
        "\"１\"",
        "\"$5\"",
        "\"1.\"",
        "\".5\"",
        "\"+5\"",
        "\"--5\"",
        "null",
        "true",
        "[]",
        "{}",
        "[1]",
        "\"1e\"",
        "\"1.0.0\"",
        "1000000000000000000",
        "0.000000001",
        "\"999999999999999999.999999999\"",
        "\"1\\u0000\"",
        &digits,
        &format!("\"{digits}\""),
        &ten_to_the_forty,
        &format!("\"{ten_to_the_forty}\""),
        &format!("0.{digits}"),
    ];
    for (number, amount) in refused.iter().enumerate() {
        let body = format!("{{\"transaction_id\":\"amount-{number}\",\"amount\":{amount},\"currency\":\"EUR\"}}");
        let request = client.request("POST", "/v1/transactions").header("content-type", "application/json").body(body);
        let answer = client.send(request).await;
        check(&answer, REFUSED, &format!("amount {amount:.60}"));
    }
    assert_eq!(client.ledger_size().await, 0);
    // What is written exactly comes back exactly, and is what the ledger has.
    let kept = [
        ("0.10", "0.10"),
        ("\"0.10\"", "0.10"),
        ("999999999999999999.99999999", "999999999999999999.99999999"),
        ("-12.5", "-12.5"),
        ("0.1", "0.1"),
        ("1234567.89", "1234567.89"),
        ("\"0.00000001\"", "0.00000001"),
        ("9007199254740993", "9007199254740993"),
        ("0.30000000000000004e0", ""),
    ];
    for (number, (amount, exact)) in kept.iter().enumerate() {
        let body = format!("{{\"transaction_id\":\"kept-{number}\",\"amount\":{amount},\"currency\":\"EUR\"}}");
        let request = client.request("POST", "/v1/transactions").header("content-type", "application/json").body(body);
        let answer = client.send(request).await;
        if exact.is_empty() {
            check(&answer, REFUSED, amount);
            continue;
        }
        let answer = answer.expect(201);
        assert_eq!(answer.json()["amount"], *exact, "{amount}");
        let position = answer.receipt().0;
        let read = client.get_at_least(&format!("/v1/transactions/kept-{number}"), position).await.expect(200);
        assert_eq!(read.json()["amount"], *exact, "{amount}");
        let entry = client.get(&format!("/v1/ledgers/main/entries/{position}")).await.expect(200).json();
        assert_eq!(entry["payload"]["amount"], *exact, "{amount}");
    }
}

both_stores!(sql_in_strings_is_text_like_any_other);

async fn sql_in_strings_is_text_like_any_other(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    let texts = [
        "Robert'); DROP TABLE ledger_entries;--",
        "' OR '1'='1",
        "\"; delete from transactions; --",
        "1; select pg_sleep(10)",
        "%' or 1=1 --",
        "$1",
        "?1",
        ":name",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "<script>alert(1)</script>",
        "a\\b\\",
        "_%_",
        "😀 ﷽ Ω≈ç",
        "../../etc/passwd",
        "null",
        "\u{202e}txt",
    ];
    for (number, text) in texts.iter().enumerate() {
        let mut transaction = data::transaction(text);
        transaction["counterparty"] = json!(text);
        transaction["meta"] = json!({"k": text, *text: number});
        let answer = client.post("/v1/transactions", &transaction).await;
        // Characters that hide or turn text may be refused; anything else is text.
        if answer.status != 201 {
            assert!(text.contains('\u{202e}'), "{text}: {}", answer.body);
            check(&answer, REFUSED, text);
            continue;
        }
        let (position, _) = answer.receipt();
        for body in [
            answer.json(),
            client.get_at_least(&format!("/v1/transactions/{}", encoded(text)), position).await.expect(200).json(),
        ] {
            assert_eq!(body["transaction_id"], *text);
            assert_eq!(body["counterparty"], *text);
            assert_eq!(body["meta"]["k"], *text);
            assert_eq!(body["meta"][*text], number);
        }
        for path in [
            format!("/v1/transactions?counterparty={}&count=true", encoded(text)),
            format!("/v1/transactions?q={}&count=true", encoded(text)),
        ] {
            let found = client.get_at_least(&path, position).await.expect(200).json();
            assert_eq!(found["total"], 1, "{path} {found}");
            assert_eq!(found["items"][0]["transaction_id"], *text);
        }
        let location = answer.header("location");
        assert_eq!(client.get(location).await.expect(200).json()["transaction_id"], *text, "{location}");
    }
    for path in ["/v1/transactions", "/v1/incidents", "/v1/audit-trail"] {
        let found = client.get(&format!("{path}?q={}", encoded("zzz' or 1=1 --"))).await.expect(200).json();
        assert_eq!(found["items"], json!([]), "{path}");
    }
}

both_stores!(ids_that_nobody_should_have_are_refused);

async fn ids_that_nobody_should_have_are_refused(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    let long = "x".repeat(201);
    for id in
        ["", " ", "\u{0}", "a\nb", "a\u{7f}b", "\u{85}", "a\tb", " padded ", &long, &"é".repeat(101), "a\u{2028}b"]
    {
        let answer = client.post("/v1/transactions", &data::transaction(id)).await;
        check(&answer, REFUSED, &format!("transaction id {id:?}"));
        let mut incident = data::incident("Id");
        incident["incident_id"] = json!(id);
        let answer = client.post("/v1/incidents", &incident).await;
        check(&answer, REFUSED, &format!("incident id {id:?}"));
    }
    for (field, value) in [
        ("currency", json!("eur")),
        ("currency", json!("XXXX")),
        ("currency", json!("E\u{0}R")),
        ("currency", json!("")),
        ("status", json!("done")),
        ("timestamp", json!("yesterday")),
        ("timestamp", json!("2026-13-01T00:00:00Z")),
        ("timestamp", json!("99999-01-01T00:00:00Z")),
        ("timestamp", json!(1_700_000_000)),
        ("type", json!("a\nb")),
        ("account", json!("a\nb")),
        ("account", json!("x".repeat(5_000))),
        ("meta", json!([])),
        ("meta", json!("text")),
        ("meta", json!({"k": "x".repeat(40_000)})),
        ("meta", (0..40).fold(json!({}), |inner, _| json!({"a": inner}))),
        ("meta", json!({"k": "a\u{0}b"})),
    ] {
        let mut transaction = data::transaction("field");
        transaction[field] = value.clone();
        let answer = client.post("/v1/transactions", &transaction).await;
        check(&answer, REFUSED, &format!("{field} = {:.60}", value.to_string()));
        let pointer = answer.json()["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned();
        assert!(pointer.starts_with(&format!("/{field}")), "{field}: {}", answer.body);
    }
    assert_eq!(client.ledger_size().await, 0);
}

/// Percent-encoded, everything but letters and digits.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[test]
fn encoding_is_one_segment() {
    assert_eq!(encoded("a/é"), "a%2F%C3%A9");
    assert_eq!(Value::from(encoded("%")), "%25");
}
