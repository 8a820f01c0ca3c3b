-- How many transactions, and their exact sum, by day of their own time, present status and currency.
create table {table} (
    ledger_id text not null,
    -- `day|status|currency`
    cell text not null,
    day text not null,
    status text not null,
    currency text not null,
    count bigint not null,
    amount_sum text not null,
    primary key (ledger_id, cell)
);
create index {table}_by_day on {table} (ledger_id, day);
