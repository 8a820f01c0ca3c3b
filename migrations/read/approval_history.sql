-- What happened to requests for approval, one row an entry.
create table {table} (
    ledger_id text not null,
    position bigint not null,
    approval_id text not null,
    event_type text not null,
    actor_id text not null,
    actor_kind text not null,
    from_status text,
    to_status text not null,
    comment text,
    meta text not null,
    timestamp bigint not null,
    primary key (ledger_id, position)
);
create index {table}_by_approval on {table} (ledger_id, approval_id, position);
