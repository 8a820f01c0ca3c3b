-- Each request for approval as it is now. `state` is the request as the domain folds it; the other columns are drawn from
-- it, so that it can be listed, filtered and counted.
create table {table} (
    ledger_id text not null,
    approval_id text not null,
    action text not null,
    resource_type text not null,
    resource_id text not null,
    summary text not null,
    digest text not null,
    requested_by text not null,
    requester_person text not null,
    reason text,
    status text not null,
    -- `approved` or `rejected` by vote, `broken_glass`; null while nobody has decided
    decision text,
    escalation_level bigint not null,
    assignee text,
    revision bigint not null,
    current_step bigint,
    policy_version bigint not null,
    decide_by bigint,
    grant_expires_at bigint,
    -- From when on it is overdue; null where nothing is outstanding
    overdue_at bigint,
    decided_at bigint,
    decided_by text,
    decision_reason text,
    -- Microseconds from submission to decision
    decided_after bigint,
    consumed_at bigint,
    execution_id text,
    created_at bigint not null,
    submitted_at bigint,
    updated_at bigint not null,
    escalated_at bigint,
    comment_count bigint not null,
    first_position bigint not null,
    last_position bigint not null,
    version bigint not null,
    state text not null,
    primary key (ledger_id, approval_id)
);
create index {table}_by_position on {table} (ledger_id, first_position);
create index {table}_by_status on {table} (ledger_id, status, first_position);
create index {table}_by_action on {table} (ledger_id, action, first_position);
create index {table}_by_resource on {table} (ledger_id, resource_type, resource_id, first_position);
create index {table}_by_requester on {table} (ledger_id, requested_by, first_position);
create index {table}_by_assignee on {table} (ledger_id, assignee, first_position);
create index {table}_by_decider on {table} (ledger_id, decided_by, first_position);
create index {table}_by_overdue on {table} (ledger_id, overdue_at);
create index {table}_by_time_to_decide on {table} (ledger_id, decided_after);
