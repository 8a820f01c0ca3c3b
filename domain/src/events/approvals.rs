//! The catalogue's part about who agrees to what: policies, delegations, requests for approval.

use super::{EventDescription, describe};

pub(super) const APPROVALS: &[EventDescription] = &[
    describe!(
        "approval_policy",
        "approval_policy.defined",
        "Who must approve what is another from this version on; the first rule that fits holds.",
        r#"{"action":"export.transactions","version":2,"rules":[{"amount_at_least":{"amount":"1000000","currency":"USD"},"label":"production","terms":{"steps":[{"name":"Compliance","clauses":[{"votes":1,"from":[{"role":"compliance"}]}]},{"name":"Two of the desk and an owner","clauses":[{"votes":2,"from":[{"department":"dep_rates"},{"person":"usr_0b1c2d3e4f5061728394a5b6"}]},{"votes":1,"from":[{"role":"owner"}]}]}],"distinct_persons":true,"decide_within_seconds":86400,"grant_seconds":3600,"escalation":[{"after_seconds":43200,"to":[{"role":"admin"}],"repeat_from":2}]}},{"terms":{"steps":[{"clauses":[{"votes":1,"from":[{"role":"owner"},{"role":"admin"},{"role":"compliance"}]}]}],"distinct_persons":true,"decide_within_seconds":259200,"grant_seconds":86400,"escalation":[{"after_seconds":86400,"to":[{"role":"owner"},{"role":"admin"}]}],"break_glass":{"who":[{"role":"owner"}],"grant_seconds":3600,"review_within_seconds":259200}}}],"by":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"Large exports need the desk","approval_id":"apr_7"}"#
    ),
    describe!(
        "approval_policy",
        "approval_policy.retired",
        "The built-in rules hold again.",
        r#"{"version":3,"by":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"Back to what is usual","approval_id":"apr_8"}"#
    ),
    describe!(
        "delegation",
        "delegation.given",
        "Somebody is to vote in another person's place for a time.",
        r#"{"delegation_id":"dlg_1","from":"usr_0b1c2d3e4f5061728394a5b6","to":"usr_c7d8e9f00112233445566778","starts_at":"2026-11-21T00:00:00.000000Z","ends_at":"2026-12-05T00:00:00.000000Z","actions":["export.transactions"],"reason":"On leave","by":"usr_0b1c2d3e4f5061728394a5b6"}"#
    ),
    describe!(
        "delegation",
        "delegation.accepted",
        "Whoever is to vote in another person's place agreed to; from then on the delegation has effect.",
        r#"{"by":"usr_c7d8e9f00112233445566778","at":"2026-11-21T09:30:00.000000Z"}"#
    ),
    describe!(
        "delegation",
        "delegation.ended",
        "A delegation ended before its time.",
        r#"{"by":"usr_0b1c2d3e4f5061728394a5b6","at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.requested",
        "Somebody wants to do something that others have to agree to: exactly this, which its digest stands for.",
        r#"{"approval_id":"apr_1","action":{"action":"export.transactions","resource_type":"transaction_export","resource_id":"exp_1","parameters":{"currency":"USD","format":"csv"},"summary":"All transactions in USD as CSV"},"digest":"54141a65c61d0c741bdfd8cd8ce9e4bdc3e06937a104ff81490a64aa4a6c4056","requester":{"actor":"key_0123456789ab","person":"usr_5f0c2a9d3b7e41866a1d0c42","required_permissions":[{"name":"transaction:read"}]},"reason":"Asked for by the auditor","policy":{"version":2,"rule":1,"terms":{"steps":[{"clauses":[{"votes":1,"from":[{"role":"owner"},{"role":"admin"},{"role":"compliance"}]}]}],"distinct_persons":true,"decide_within_seconds":259200,"grant_seconds":86400,"escalation":[{"after_seconds":86400,"to":[{"role":"owner"},{"role":"admin"}]}],"break_glass":{"who":[{"role":"owner"}],"grant_seconds":3600,"review_within_seconds":259200}}},"at":"2026-11-21T10:00:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.submitted",
        "A request is to be decided.",
        r#"{"decide_by":"2026-11-24T10:00:00.000000Z","at":"2026-11-21T10:00:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.revised",
        "A request is about another action now; votes on the one before are void.",
        r#"{"revision":2,"action":{"action":"export.transactions","resource_type":"transaction_export","resource_id":"exp_1","parameters":{"currency":"USD","format":"csv"},"summary":"All transactions in USD as CSV"},"digest":"54141a65c61d0c741bdfd8cd8ce9e4bdc3e06937a104ff81490a64aa4a6c4056","policy":{"version":2,"rule":1,"terms":{"steps":[{"clauses":[{"votes":1,"from":[{"role":"owner"},{"role":"admin"},{"role":"compliance"}]}]}],"distinct_persons":true,"decide_within_seconds":259200,"grant_seconds":86400,"escalation":[{"after_seconds":86400,"to":[{"role":"owner"},{"role":"admin"}]}],"break_glass":{"who":[{"role":"owner"}],"grant_seconds":3600,"review_within_seconds":259200}}},"by":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"Only dollars","decide_by":"2026-11-24T10:05:00.000000Z","at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.voted",
        "Somebody voted on a request; a vote may carry its voter's signature.",
        r#"{"revision":2,"digest":"54141a65c61d0c741bdfd8cd8ce9e4bdc3e06937a104ff81490a64aa4a6c4056","vote":{"actor":"usr_0b1c2d3e4f5061728394a5b6","person":"usr_0b1c2d3e4f5061728394a5b6","step":1,"clauses":[1],"decision":"approve","reason":"As agreed with the auditor","signature":{"algorithm":"ES256","public_key":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==","signature":"MEUCIQDSPhvEw/bOjzqkRdWgWyLQ2p9k9ME8zXcUjVZ8x1jY8QIgV5hYhO2o2cQ7m8r2l0Z8c9n8a2g0k6w3q1d7x5s9v4U="},"at":"2026-11-21T10:05:00.000000Z"}}"#
    ),
    describe!(
        "approval",
        "approval.vote_withdrawn",
        "Somebody took a vote back; votes of later steps are void with it.",
        r#"{"person":"usr_0b1c2d3e4f5061728394a5b6","step":1,"at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.approved",
        "Every step has its votes: the action may be done once, until then.",
        r#"{"revision":2,"digest":"54141a65c61d0c741bdfd8cd8ce9e4bdc3e06937a104ff81490a64aa4a6c4056","policy_version":2,"approved_by":["usr_0b1c2d3e4f5061728394a5b6"],"grant_expires_at":"2026-11-22T10:05:00.000000Z","at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.rejected",
        "Somebody who may decide did not agree. It ends here.",
        r#"{"revision":2,"rejected_by":"usr_0b1c2d3e4f5061728394a5b6","step":1,"reason":"Not without the contract","at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.commented",
        "Somebody commented on a request; what a person wrote is sealed.",
        r#"{"comment_id":"cmt_1","by":"usr_0b1c2d3e4f5061728394a5b6","text":{"subject":"usr_0b1c2d3e4f5061728394a5b6","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"}}"#
    ),
    describe!(
        "approval",
        "approval.assigned",
        "Somebody is to look after a request; that gives no right to decide.",
        r#"{"assignee":"usr_0b1c2d3e4f5061728394a5b6","by":"usr_5f0c2a9d3b7e41866a1d0c42","at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.escalated",
        "More people may decide on a request, by the clock or because somebody who may decide called them; or somebody called for attention.",
        r#"{"level":1,"automatic":true,"to":[{"role":"owner"},{"role":"admin"}],"widens":true,"from_step":1,"at":"2026-11-22T10:00:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.withdrawn",
        "Whoever asked does not want it any more.",
        r#"{"by":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"Not needed","at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.expired",
        "The time to submit a draft, to decide, or to do what was approved, is over.",
        r#"{"what":"decision","at":"2026-11-24T10:00:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.consumed",
        "What was approved was done, once: the approval cannot be used again.",
        r#"{"execution_id":"exp_1","by":"system","digest":"54141a65c61d0c741bdfd8cd8ce9e4bdc3e06937a104ff81490a64aa4a6c4056","policy_version":2,"at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.voided",
        "What was asked for cannot be done as it was approved.",
        r#"{"why":"policy_changed","at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.glass_broken",
        "Somebody granted a request alone, in an emergency; it stays open until others reviewed that.",
        r#"{"actor":"usr_5f0c2a9d3b7e41866a1d0c42","person":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"The regulator waits at the door","grant_expires_at":"2026-11-21T11:05:00.000000Z","review_by":"2026-11-24T10:05:00.000000Z","at":"2026-11-21T10:05:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.reviewed",
        "Somebody voted on whether an emergency was one.",
        r#"{"revision":2,"digest":"54141a65c61d0c741bdfd8cd8ce9e4bdc3e06937a104ff81490a64aa4a6c4056","vote":{"actor":"usr_c7d8e9f00112233445566778","person":"usr_c7d8e9f00112233445566778","on_behalf_of":"usr_0b1c2d3e4f5061728394a5b6","delegation_id":"dlg_1","step":1,"clauses":[1],"decision":"approve","at":"2026-11-21T11:00:00.000000Z"}}"#
    ),
    describe!(
        "approval",
        "approval.review_closed",
        "It is known whether an emergency was one.",
        r#"{"outcome":"accepted","at":"2026-11-21T11:00:00.000000Z"}"#
    ),
    describe!(
        "approval",
        "approval.review_overdue",
        "Nobody decided in time whether an emergency was one; the review stays open.",
        r#"{"review_by":"2026-11-24T10:05:00.000000Z","at":"2026-11-24T10:05:01.000000Z"}"#
    ),
];
