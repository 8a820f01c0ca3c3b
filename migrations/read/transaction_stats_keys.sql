-- In which cell of transaction_stats each transaction is counted, and with what amount.
create table {table} (
    ledger_id text not null,
    transaction_id text not null,
    day text not null,
    status text not null,
    currency text not null,
    amount text not null,
    primary key (ledger_id, transaction_id)
);
