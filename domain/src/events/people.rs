//! The catalogue's part about people, and what they may do.

use super::{EventDescription, describe};

pub(super) const PEOPLE: &[EventDescription] = &[
    describe!(
        "organization",
        "organization.created",
        "An organization came into being; its ledger has its id.",
        r#"{"name":"Acme Capital","tier":"free"}"#
    ),
    describe!(
        "organization",
        "organization.renamed",
        "An organization is called something else.",
        r#"{"from":"Acme Capital","to":"Acme Capital Partners"}"#
    ),
    describe!(
        "organization",
        "organization.settings_changed",
        "Settings of an organization have other values; the old ones stand beside them.",
        r#"{"changes":[{"field":"open_registration","old":false,"new":true},{"field":"session_hours","old":168,"new":12}]}"#
    ),
    describe!(
        "department",
        "department.created",
        "A department came into being.",
        r#"{"department_id":"dep_rates","name":"Rates","description":"Government bonds and swaps.","parent_department_id":"dep_markets"}"#
    ),
    describe!(
        "department",
        "department.changed",
        "What is known about a department changed; the old values stand beside the new ones.",
        r#"{"changes":[{"field":"name","old":"Rates","new":"Rates and credit"},{"field":"parent_department_id","old":"dep_markets","new":null}]}"#
    ),
    describe!(
        "department",
        "department.closed",
        "A department is no more; what was granted within it holds nowhere.",
        r#"{"reason":"Merged with credit"}"#
    ),
    describe!(
        "role",
        "role.created",
        "An organization made a role: permissions, and roles whose permissions it has as well.",
        r#"{"name":"desk-head","display_name":"Head of a desk","description":"Handles what comes up on a desk.","inherits":["analyst"],"permissions":["incident:assign","incident:escalate"]}"#
    ),
    describe!(
        "role",
        "role.changed",
        "What is known about a role, or what it inherits, changed; the old values stand beside the new ones.",
        r#"{"changes":[{"field":"inherits","old":["analyst"],"new":["analyst","reviewer"]}]}"#
    ),
    describe!(
        "role",
        "role.permission_granted",
        "A role has one more permission.",
        r#"{"permission":"incident:close"}"#
    ),
    describe!(
        "role",
        "role.permission_withdrawn",
        "A role has one permission less.",
        r#"{"permission":"incident:assign"}"#
    ),
    describe!(
        "role",
        "role.retired",
        "A role is no more; whoever was granted it has nothing of it.",
        r#"{"reason":"Replaced by desk-lead"}"#
    ),
    describe!(
        "permission",
        "permission.defined",
        "An organization defined a permission for its own programs.",
        r#"{"name":"document:download","display_name":"Download documents","description":"Save a document outside.","resource":"document","action":"download","conditions":{"max_classification":"internal"}}"#
    ),
    describe!(
        "user",
        "user.invited",
        "Somebody was asked to join, or asked again on other terms.",
        r#"{"email":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"},"role":"auditor","department_id":"dep_rates","expires_at":"2026-11-28T10:00:00.000000Z","role_expires_at":"2027-03-31T00:00:00.000000Z"}"#
    ),
    describe!(
        "user",
        "user.registered",
        "A person's account came into being; the role that comes with it is an event of its own.",
        r#"{"email":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"},"full_name":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"},"origin":"invitation"}"#
    ),
    describe!(
        "user",
        "user.profile_changed",
        "What is known about a person changed.",
        r#"{"full_name":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"},"about":null,"picture_url":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"}}"#
    ),
    describe!(
        "user",
        "user.password_changed",
        "A person's password is another; neither is anywhere in the ledger.",
        r#"{"by":"self"}"#
    ),
    describe!("user", "user.password_reset_requested", "A one-time token for a new password was asked for.", r#"{}"#),
    describe!(
        "user",
        "user.role_granted",
        "A person has a role, or has it until another time.",
        r#"{"role":"compliance","department_id":"dep_rates","expires_at":"2027-03-31T00:00:00.000000Z","reason":"Covers for a colleague"}"#
    ),
    describe!(
        "user",
        "user.role_revoked",
        "A person does not have a role any more.",
        r#"{"role":"compliance","department_id":"dep_rates","reason":"The colleague is back"}"#
    ),
    describe!(
        "user",
        "user.deactivated",
        "A person cannot get in, and has nothing of the roles that stay.",
        r#"{"reason":"Left the firm"}"#
    ),
    describe!("user", "user.reactivated", "A person can get in again.", r#"{"reason":"Came back"}"#),
    describe!(
        "user",
        "user.second_factor_enabled",
        "A person has a second factor more, which was shown to work.",
        r#"{"kind":"passkey","factor_id":"fac_1","label":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"}}"#
    ),
    describe!(
        "user",
        "user.second_factor_removed",
        "A second factor of a person counts no more.",
        r#"{"kind":"passkey","factor_id":"fac_1","by":"self"}"#
    ),
    describe!(
        "user",
        "user.identity_linked",
        "A provider of identities vouches for a person from now on.",
        r#"{"provider":"corporate"}"#
    ),
    describe!(
        "user",
        "user.same_person_declared",
        "An account was found to be the same person's as another one; they count as one person for ever.",
        r#"{"person":"usr_0b1c2d3e4f5061728394a5b6","by":"usr_c7d8e9f00112233445566778","reason":"Two contracts, one person"}"#
    ),
    describe!(
        "user",
        "user.erased",
        "The key of what is known about a person is destroyed; the account is for nobody.",
        r#"{"erasure_id":"era_1"}"#
    ),
    describe!(
        "session",
        "session.started",
        "A person got in.",
        r#"{"user_id":"usr_5f0c2a9d3b7e41866a1d0c42","methods":["password","totp"],"client":{"subject":"usr_5f0c2a9d3b7e41866a1d0c42","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXYv1hQ0mXq7n3m5cTt0kWl2pD9rXs"}}"#
    ),
    describe!("session", "session.ended", "A session is over: its tokens open nothing.", r#"{"reason":"logout"}"#),
    describe!(
        "api_key",
        "api_key.created",
        "An API key was made and shown once; its digest is kept outside the ledger.",
        r#"{"name":"Settlement feed","description":"Records what the clearing house sends.","scopes":["read","transaction:create"],"expires_at":"2027-11-21T10:00:00.000000Z","created_by":"usr_0b1c2d3e4f5061728394a5b6"}"#
    ),
    describe!(
        "api_key",
        "api_key.changed",
        "What is known about an API key, or what it may do, changed; the old values stand beside the new ones.",
        r#"{"changes":[{"field":"scopes","old":["read","transaction:create"],"new":["transaction:create"]}]}"#
    ),
    describe!(
        "api_key",
        "api_key.rotated",
        "An API key has another secret; the one before opens for a while longer.",
        r#"{"old_valid_until":"2026-11-22T10:00:00.000000Z"}"#
    ),
    describe!("api_key", "api_key.revoked", "An API key opens nothing any more.", r#"{"reason":"Found in a log"}"#),
];
