//! The catalogue's part about who asked for what, what must be kept, and what must go.

use super::{EventDescription, describe};

pub(super) const KEEPING: &[EventDescription] = &[
    describe!(
        "access",
        "access.denied",
        "Somebody who is known asked for what that person or program may not do.",
        r#"{"actor_id":"usr_5f0c2a9d3b7e41866a1d0c42","permission":"incident:close","method":"POST","route":"/v1/incidents/{incident_id}/close","count":3,"request_id":"req_7"}"#
    ),
    describe!(
        "access",
        "access.refused",
        "Credentials came that are none, or none any more.",
        r#"{"reason":"token.wrong_algorithm","method":"GET","route":"/v1/incidents","count":1,"request_id":"req_8"}"#
    ),
    describe!(
        "access",
        "access.login_failed",
        "Somebody tried to log in and could not.",
        r#"{"reason":"auth.wrong_credentials","user_id":"usr_5f0c2a9d3b7e41866a1d0c42","count":2}"#
    ),
    describe!(
        "access",
        "access.throttled",
        "Somebody tried too often and has to wait.",
        r#"{"what":"login","count":1,"user_id":"usr_5f0c2a9d3b7e41866a1d0c42"}"#
    ),
    describe!(
        "access",
        "access.read",
        "A person looked at these things; several reads of one person are one entry.",
        r#"{"actor_id":"usr_5f0c2a9d3b7e41866a1d0c42","reads":[{"at":"2026-11-21T10:00:00.000000Z","route":"/v1/transactions","status":200,"query":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"},"request_id":"req_9"}]}"#
    ),
    describe!(
        "legal_hold",
        "legal_hold.placed",
        "What a legal hold covers must not be erased while its matter is open.",
        r#"{"hold_id":"hld_1","matter":"2026-114 Acme","reason":"Litigation is expected","covers":[{"kind":"subject","id":"usr_5f0c2a9d3b7e41866a1d0c42"},{"kind":"stream","stream_type":"transaction","stream_id":"tx-1001"}]}"#
    ),
    describe!(
        "legal_hold",
        "legal_hold.extended",
        "A legal hold covers more.",
        r#"{"covers":[{"kind":"stream","stream_type":"incident","stream_id":"inc_1"}]}"#
    ),
    describe!(
        "legal_hold",
        "legal_hold.released",
        "A legal hold covers nothing any more.",
        r#"{"reason":"The matter is closed"}"#
    ),
    describe!(
        "erasure",
        "erasure.requested",
        "Somebody asked that what is known about a person be erased.",
        r#"{"erasure_id":"era_1","subject":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"The person asked for it","requested_by":"usr_0b1c2d3e4f5061728394a5b6"}"#
    ),
    describe!(
        "erasure",
        "erasure.approved",
        "An erasure was approved: the approval was used up for it, and it can be performed.",
        r#"{"approved_by":"usr_c7d8e9f00112233445566778","reason":"Nothing obliges us to keep it","approval_id":"apr_1"}"#
    ),
    describe!(
        "erasure",
        "erasure.rejected",
        "Somebody else did not agree to an erasure, or it ended with its request for approval, or because the person became an owner, or is none any more, after it was agreed to.",
        r#"{"rejected_by":"usr_c7d8e9f00112233445566778","reason":"Records must be kept until 2031"}"#
    ),
    describe!(
        "erasure",
        "erasure.refused",
        "An erasure could not be performed: a legal hold stands in the way, or records in which the person acted are kept with their names.",
        r#"{"holds":["hld_1"],"retained":[{"record_type":"transaction","years":7,"until":"2033-11-21T10:00:00.000000Z"}],"detail":"covered by hld_1 (2026-114 Acme)"}"#
    ),
    describe!(
        "erasure",
        "erasure.performed",
        "The key of what is known about a person was destroyed: sealed values cannot be read any more, and every entry still verifies.",
        r#"{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","approved_by":"usr_c7d8e9f00112233445566778","key_destroyed_at":"2026-11-21T10:00:00.000000Z"}"#
    ),
    describe!(
        "retention_rule",
        "retention_rule.set",
        "Records of a type are kept so many years after their last entry; no later rule keeps them for less.",
        r#"{"record_type":"transaction","version":1,"class":"seven_years","years":7,"keeps_identities":true,"by":"usr_5f0c2a9d3b7e41866a1d0c42","reason":"Records of the audit","approval_id":"apr_1"}"#
    ),
];
