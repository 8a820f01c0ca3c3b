//! `audit_trail`: what is told of approvals, their policies, delegations, exports and schedules.

use daybook_ledger::Draft;
use daybook_read_models::audit_trail;
use serde_json::json;

use crate::support::{World, on_every_store};

on_every_store! {
    decisions_and_exports_are_told_by_ids_and_without_what_anybody_wrote
}

/// The tags and the sentence of every example of the catalogue that is about a decision or an export, in its order.
const TOLD: &[(&str, &str)] = &[
    ("SEC_17a4 FINRA_4511", "Approval policy of export.transactions set to version 2 (2 rules)"),
    ("SEC_17a4 FINRA_4511", "Approval policy of export.transactions retired (version 3): the built-in one holds"),
    (
        "SEC_17a4 FINRA_4511",
        "Delegation dlg_1: usr_c7d8e9f00112233445566778 stands in for usr_0b1c2d3e4f5061728394a5b6 in \
         export.transactions from 2026-11-21T00:00:00.000000Z until 2026-12-05T00:00:00.000000Z",
    ),
    ("SEC_17a4 FINRA_4511", "Delegation dlg_1 accepted by usr_c7d8e9f00112233445566778"),
    ("SEC_17a4 FINRA_4511", "Delegation dlg_1 ended by usr_0b1c2d3e4f5061728394a5b6"),
    ("FINRA_4511", "Approval apr_1 of export.transactions for transaction_export exp_1 requested by key_0123456789ab"),
    ("FINRA_4511", "Approval apr_1 submitted; to be decided by 2026-11-24T10:00:00.000000Z"),
    ("FINRA_4511", "Approval apr_1 revised by usr_5f0c2a9d3b7e41866a1d0c42 (revision 2): its votes are void"),
    ("SEC_17a4 FINRA_4511", "usr_0b1c2d3e4f5061728394a5b6 voted to approve approval apr_1 (step 1, signed)"),
    ("SEC_17a4 FINRA_4511", "usr_0b1c2d3e4f5061728394a5b6 took back the vote on approval apr_1 (step 1)"),
    (
        "SEC_17a4 FINRA_4511",
        "Approval apr_1 granted by usr_0b1c2d3e4f5061728394a5b6, until 2026-11-22T10:05:00.000000Z",
    ),
    ("SEC_17a4 FINRA_4511", "Approval apr_1 rejected by usr_0b1c2d3e4f5061728394a5b6 (step 1)"),
    ("FINRA_4511", "Comment of usr_0b1c2d3e4f5061728394a5b6 on approval apr_1"),
    ("FINRA_4511", "Approval apr_1 assigned to usr_0b1c2d3e4f5061728394a5b6"),
    ("SEC_17a4", "Approval apr_1 escalated for want of a decision to role owner, role admin (level 1)"),
    ("FINRA_4511", "Approval apr_1 withdrawn by usr_5f0c2a9d3b7e41866a1d0c42"),
    ("SEC_17a4 FINRA_4511", "Approval apr_1 expired: nobody decided in time"),
    ("SEC_17a4 FINRA_4511", "Approval apr_1 used for exp_1 by system"),
    ("SEC_17a4 FINRA_4511", "Approval apr_1 voided: policy changed"),
    (
        "SEC_17a4 FINRA_4511",
        "GLASS BROKEN: usr_5f0c2a9d3b7e41866a1d0c42 granted approval apr_1 alone, until \
         2026-11-21T11:05:00.000000Z; to be reviewed by 2026-11-24T10:05:00.000000Z",
    ),
    (
        "SEC_17a4 FINRA_4511",
        "usr_c7d8e9f00112233445566778 for usr_0b1c2d3e4f5061728394a5b6 voted to approve the broken glass of \
         approval apr_1 (step 1)",
    ),
    ("SEC_17a4 FINRA_4511", "Review of the broken glass of approval apr_1: accepted"),
    (
        "SEC_17a4 FINRA_4511",
        "Review of the broken glass of approval apr_1 is overdue since 2026-11-24T10:05:00.000000Z",
    ),
    ("SEC_17a4", "Export exp_1 of transactions as csv requested for archive (apr_1)"),
    ("SEC_17a4", "Export exp_1 may be made: approved by usr_0b1c2d3e4f5061728394a5b6 (apr_1)"),
    ("SEC_17a4", "Export exp_1 may not be made: its approval apr_1 was rejected"),
    ("SEC_17a4", "Export exp_1 is being made (attempt 1)"),
    (
        "SEC_17a4",
        "Export exp_1 made: 312 rows, 18204 bytes, SHA-256 \
         0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0, signed by key d2fe0d70",
    ),
    ("SEC_17a4", "Export exp_1 could not be made in attempt 1: it will be tried again"),
    ("SEC_17a4", "Export exp_1 is to be delivered to archive (dlv_1)"),
    ("SEC_17a4", "Export exp_1 not yet delivered to archive (attempt 1, dlv_1)"),
    ("SEC_17a4", "Export exp_1 tampered with: the file is not what was recorded (findings: 1)"),
    ("SEC_17a4", "Export exp_1 handed out to key_0123456789ab"),
    ("SEC_17a4", "Export exp_1 cancelled by usr_5f0c2a9d3b7e41866a1d0c42"),
    ("SEC_17a4", "File of export exp_1 removed by usr_5f0c2a9d3b7e41866a1d0c42"),
    (
        "SEC_17a4",
        "Schedule sch_1 made: transactions as csv for archive, at 0 6 * * MON-FRI in Europe/Zurich \
         (usr_5f0c2a9d3b7e41866a1d0c42)",
    ),
    (
        "SEC_17a4",
        "Schedule sch_1 changed by usr_5f0c2a9d3b7e41866a1d0c42: transactions as csv for archive, at 30 6 * * * in \
         Europe/Zurich",
    ),
    ("SEC_17a4", "Schedule sch_1 paused by usr_0b1c2d3e4f5061728394a5b6"),
    ("SEC_17a4", "Schedule sch_1 resumed by usr_0b1c2d3e4f5061728394a5b6"),
    ("SEC_17a4", "Schedule sch_1 ended by usr_5f0c2a9d3b7e41866a1d0c42"),
    ("SEC_17a4", "Standing approval of schedule sch_1 until 2027-11-21T00:00:00.000000Z asked for (apr_1)"),
    (
        "SEC_17a4",
        "Runs of schedule sch_1 need no further approval until 2027-11-21T00:00:00.000000Z: approved by \
         usr_0b1c2d3e4f5061728394a5b6 (apr_1)",
    ),
    ("SEC_17a4", "Standing approval apr_1 of schedule sch_1 ended: policy changed"),
    (
        "SEC_17a4",
        "Run 8 of schedule sch_1: export exp_8b1f0d25b7e48966a3c1f0d25b7e4896 (due at 2026-12-02T05:00:00.000000Z, 1 missed \
         before; standing approval apr_1)",
    ),
];

async fn decisions_and_exports_are_told_by_ids_and_without_what_anybody_wrote(world: World) {
    for event in daybook_domain::catalogue() {
        let id = match event.stream_type {
            "approval_policy" => "export.transactions",
            "delegation" => "dlg_1",
            "approval" => "apr_1",
            "export" => "exp_1",
            "export_schedule" => "sch_1",
            _ => continue,
        };
        let mut append = world.prepare(event.stream_type, id, &[("any", json!({}))]);
        append.events = vec![Draft::new(event.event_type, 1, event.example.to_owned())];
        world.ledger.append(append).await.unwrap();
    }
    world.projections().catch_up().await.unwrap();
    let mut told = Vec::new();
    for position in 0.. {
        let Some(row) = audit_trail::get(&world.db, "main", position).await.unwrap() else { break };
        told.push((row.regulation_tags.join(" "), row.summary));
    }
    let told: Vec<(&str, &str)> = told.iter().map(|(tags, summary)| (tags.as_str(), summary.as_str())).collect();
    assert_eq!(told, TOLD);
    world.assert_folding_anew_gives_the_same().await;
}
