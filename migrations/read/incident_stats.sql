-- How many incidents, by day of opening, present severity and status.
create table {table} (
    ledger_id text not null,
    -- `day|severity|status`
    cell text not null,
    day text not null,
    severity text not null,
    status text not null,
    count bigint not null,
    primary key (ledger_id, cell)
);
create index {table}_by_day on {table} (ledger_id, day);
