-- Every version of every approval policy that somebody has set.
create table {table} (
    ledger_id text not null,
    position bigint not null,
    action text not null,
    policy_version bigint not null,
    -- null where the policy was retired: from then on the built-in terms hold
    rules text,
    changed_by text not null,
    reason text,
    approval_id text,
    changed_at bigint not null,
    primary key (ledger_id, position)
);
create index {table}_by_action on {table} (ledger_id, action, position);
