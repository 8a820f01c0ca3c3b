-- Each transaction as it is now.
create table {table} (
    ledger_id text not null,
    transaction_id text not null,
    amount text not null,
    amount_key text not null,
    currency text not null,
    timestamp bigint not null,
    timestamp_source text not null,
    status text not null,
    account text,
    counterparty text,
    transaction_type text,
    meta text not null,
    source text,
    first_position bigint not null,
    last_position bigint not null,
    version bigint not null,
    recorded_at bigint not null,
    updated_at bigint not null,
    correction_count bigint not null,
    note_count bigint not null,
    search_text text not null,
    primary key (ledger_id, transaction_id)
);
create index {table}_by_position on {table} (ledger_id, first_position);
create index {table}_by_status on {table} (ledger_id, status, first_position);
create index {table}_by_account on {table} (ledger_id, account, first_position);
create index {table}_by_counterparty on {table} (ledger_id, counterparty, first_position);
create index {table}_by_timestamp on {table} (ledger_id, timestamp);
