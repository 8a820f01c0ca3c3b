-- What was changed about transactions: corrected fields, status changes, notes.
create table {table} (
    ledger_id text not null,
    position bigint not null,
    ordinal bigint not null,
    transaction_id text not null,
    kind text not null,
    field text,
    old_value text,
    new_value text,
    reason text,
    note_id text,
    actor_kind text not null,
    actor_id text not null,
    recorded_at bigint not null,
    primary key (ledger_id, position, ordinal)
);
create index {table}_by_transaction on {table} (ledger_id, transaction_id, position);
