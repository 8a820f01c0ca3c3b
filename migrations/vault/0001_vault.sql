-- Credentials and keys: what must be kept and must not be in a ledger. One text for SQLite and PostgreSQL: digests are
-- hexadecimal text, wrapped and sealed values base64url text, times microseconds since the epoch.

-- Values of the vault itself: the check of the master key, and the count of destroyed subject keys.
create table vault_values (
    name text not null primary key,
    value text not null
);

create table vault_organizations (
    ledger_id text not null primary key,
    status text not null,
    created_at bigint not null,
    constraint vault_organization_status check (status in ('active', 'closed'))
);

-- `completed_at` is set once the ledger has the fact; until then nobody logs in and a repeat may take the row over.
create table vault_accounts (
    ledger_id text not null,
    user_id text not null,
    email_digest text not null,
    password_hash text,
    password_changed_at bigint,
    created_at bigint not null,
    completed_at bigint,
    primary key (ledger_id, user_id),
    constraint vault_account_email unique (ledger_id, email_digest)
);

-- Logins at other providers.
create table vault_identities (
    ledger_id text not null,
    provider text not null,
    subject_digest text not null,
    user_id text not null,
    linked_at bigint not null,
    primary key (ledger_id, provider, subject_digest)
);
create index vault_identities_by_user on vault_identities (ledger_id, user_id);

create table vault_sessions (
    ledger_id text not null,
    session_id text not null,
    user_id text not null,
    started_at bigint not null,
    last_used_at bigint not null,
    expires_at bigint not null,
    ended_at bigint,
    client text,
    primary key (ledger_id, session_id)
);
create index vault_sessions_by_user on vault_sessions (ledger_id, user_id);
create index vault_sessions_by_expiry on vault_sessions (expires_at);

-- Used ones stay as long as their session, so that a second use is noticed.
create table vault_refresh_tokens (
    token_digest text not null primary key,
    ledger_id text not null,
    session_id text not null,
    issued_at bigint not null,
    expires_at bigint not null,
    used_at bigint
);
create index vault_refresh_tokens_by_session on vault_refresh_tokens (ledger_id, session_id);

create table vault_one_time_tokens (
    token_digest text not null primary key,
    ledger_id text not null,
    purpose text not null,
    user_id text,
    payload text not null,
    created_at bigint not null,
    expires_at bigint not null
);
create index vault_one_time_tokens_by_user on vault_one_time_tokens (ledger_id, user_id);
create index vault_one_time_tokens_by_expiry on vault_one_time_tokens (expires_at);

-- At most one confirmed and one unconfirmed a person.
create table vault_totp (
    ledger_id text not null,
    user_id text not null,
    factor_id text not null,
    secret text not null,
    last_used_step bigint not null,
    created_at bigint not null,
    confirmed_at bigint,
    primary key (ledger_id, user_id, factor_id)
);

create table vault_recovery_codes (
    ledger_id text not null,
    user_id text not null,
    code_digest text not null,
    created_at bigint not null,
    primary key (ledger_id, user_id, code_digest)
);

create table vault_passkeys (
    ledger_id text not null,
    credential_id text not null,
    user_id text not null,
    factor_id text not null,
    public_key text not null,
    sign_count bigint not null,
    created_at bigint not null,
    last_used_at bigint,
    primary key (ledger_id, credential_id)
);
create index vault_passkeys_by_user on vault_passkeys (ledger_id, user_id);

create table vault_api_keys (
    key_id text not null primary key,
    ledger_id text not null,
    created_at bigint not null,
    expires_at bigint,
    last_used_at bigint
);
create index vault_api_keys_by_ledger on vault_api_keys (ledger_id);

-- More than one while a rotation overlaps. version: that of the key's stream when the secret was made, so that the
-- directory, which knows of rotations first, can refuse older ones.
create table vault_api_key_digests (
    key_id text not null,
    digest text not null,
    version bigint not null,
    valid_until bigint,
    primary key (key_id, digest)
);

create table vault_subject_keys (
    ledger_id text not null,
    subject text not null,
    wrapped_key text not null,
    created_at bigint not null,
    primary key (ledger_id, subject)
);

-- Subjects whose key was destroyed and is never made again.
create table vault_destroyed_subjects (
    ledger_id text not null,
    subject text not null,
    destroyed_at bigint not null,
    primary key (ledger_id, subject)
);

create table vault_jwt_keys (
    kid text not null primary key,
    private_key text not null,
    created_at bigint not null,
    retired_at bigint
);

create table vault_throttle (
    key_digest text not null primary key,
    failures bigint not null,
    window_started_at bigint not null,
    lockouts bigint not null,
    locked_until bigint,
    updated_at bigint not null
);
create index vault_throttle_by_age on vault_throttle (updated_at);

create table vault_directory_snapshots (
    ledger_id text not null,
    version bigint not null,
    position bigint not null,
    snapshot text not null,
    saved_at bigint not null,
    primary key (ledger_id, version)
);
