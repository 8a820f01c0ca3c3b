-- Each export as it is now. `state` is the export as the domain folds it; the other columns are drawn from it and from
-- when its events were recorded, so that it can be listed and filtered.
create table {table} (
    ledger_id text not null,
    export_id text not null,
    kind text not null,
    format text not null,
    filters text not null,
    columns_chosen text not null,
    status text not null,
    delivery_status text not null,
    verification_status text not null,
    requested_by text not null,
    requester_person text not null,
    reason text,
    approval_id text not null,
    execution_id text,
    approved_by text not null,
    policy_version bigint,
    deliver_to text not null,
    collect bigint not null,
    -- The schedule that it is a run of, and which; null where somebody asked for it
    schedule_id text,
    schedule_run bigint,
    digest text not null,
    attempt bigint not null,
    -- Why it was rejected, cancelled, removed, or failed last
    why text,
    -- What was generated: names, digests, signature, range; null before
    generated text,
    file text,
    bytes bigint,
    row_count bigint,
    findings text not null,
    created_at bigint not null,
    updated_at bigint not null,
    approved_at bigint,
    started_at bigint,
    generated_at bigint,
    delivered_at bigint,
    verified_at bigint,
    verified_by text,
    collected_at bigint,
    ended_at bigint,
    first_position bigint not null,
    last_position bigint not null,
    version bigint not null,
    state text not null,
    primary key (ledger_id, export_id)
);
create index {table}_by_position on {table} (ledger_id, first_position);
create index {table}_by_status on {table} (ledger_id, status, first_position);
create index {table}_by_kind on {table} (ledger_id, kind, first_position);
create index {table}_by_delivery on {table} (ledger_id, delivery_status, first_position);
create index {table}_by_verification on {table} (ledger_id, verification_status, first_position);
create index {table}_by_requester on {table} (ledger_id, requested_by, first_position);
create index {table}_by_approval on {table} (ledger_id, approval_id);
create index {table}_by_schedule on {table} (ledger_id, schedule_id, first_position);
create index {table}_by_creation on {table} (ledger_id, created_at);
