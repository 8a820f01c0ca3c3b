//! Exports of what was done, as the predecessors' clients ask for them: only the newest rows, and those that somebody approved.

use daybook_tests::people::MAIN;
use daybook_tests::{Person, Server, Store, both_stores, data, eventually};

use crate::approvals::{requested, vote};

/// The rows of a file that is asked for, agreed to and asked for again; the line with the columns' names is left out.
async fn rows(asker: &Person, other: &Person, path: &str) -> Vec<String> {
    let blocked = asker.client.get(path).await.expect(202).json();
    let approval = blocked["approval_request_id"].as_str().unwrap_or_else(|| panic!("no approval in {blocked}"));
    vote(other, approval, "approve").await.expect(200);
    let file = eventually("the file", async || {
        let answer = asker.client.get(path).await;
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    file.lines().skip(1).map(str::to_owned).collect()
}

both_stores!(audit_trail_with_a_limit_has_the_newest_rows_and_the_newest_first);

async fn audit_trail_with_a_limit_has_the_newest_rows_and_the_newest_first(store: &Store) {
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    for number in 1..=5 {
        let transaction = data::transaction(&format!("TX-{number}"));
        server.client().post("/v1/transactions", &transaction).await.expect(201);
    }
    let path = "/v1/api/audit_trail/export?format=csv&event_type=transaction.recorded";
    let named = |rows: &[String]| -> Vec<usize> {
        let numbers = rows.iter().map(|row| (1..=5).find(|number| row.contains(&format!("TX-{number}"))));
        numbers.map(|number| number.unwrap_or_else(|| panic!("none of them in {rows:?}"))).collect()
    };
    assert_eq!(named(&rows(&asker, &other, &format!("{path}&limit=3")).await), [5, 4, 3]);
    assert_eq!(named(&rows(&asker, &other, path).await), [1, 2, 3, 4, 5]);
    for wrong in ["-1", "three"] {
        asker.client.get(&format!("{path}&limit={wrong}")).await.expect_problem_of(&[400, 422]);
    }
}

both_stores!(actions_of_agents_are_exported_by_whose_vote_approved_them);

async fn actions_of_agents_are_exported_by_whose_vote_approved_them(store: &Store) {
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let third = server.person(MAIN, "compliance").await;
    let mut ids = Vec::new();
    for (number, (voter, decision)) in
        [(&other, "approve"), (&third, "approve"), (&other, "reject"), (&other, "approve")].into_iter().enumerate()
    {
        let id = requested(&asker, "agentic_remediation", &format!("inc_{number}")).await;
        vote(voter, &id, decision).await.expect(200);
        ids.push(id);
    }
    let waiting = requested(&asker, "agentic_remediation", "inc_9").await;
    let path = |who: &Person| format!("/v1/audit/actions/export?format=csv&approved_by={}", who.id);
    for (who, theirs) in [(&other, vec![0, 3]), (&third, vec![1]), (&asker, vec![])] {
        let found = rows(&asker, &third, &path(who)).await;
        // Approved meanwhile by the same people: the exports themselves, which no agent does.
        let found: Vec<&String> = found.iter().filter(|row| row.contains("agent.remediation")).collect();
        let expected: Vec<&String> = theirs.iter().map(|index| &ids[*index]).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(expected.iter().all(|id| found.iter().any(|row| row.contains(id.as_str()))), "{expected:?} {found:?}");
        assert!(!found.iter().any(|row| row.contains(&waiting)), "{found:?}");
    }
}
