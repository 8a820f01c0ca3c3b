-- Each delivery of an export to a destination, and how its attempts went.
create table {table} (
    ledger_id text not null,
    delivery_id text not null,
    export_id text not null,
    destination text not null,
    why text not null,
    -- `pending`, `delivered`, `failed` (it is tried again) or `dead` (it is given up)
    status text not null,
    attempts bigint not null,
    detail text,
    scheduled_at bigint not null,
    attempted_at bigint,
    retry_at bigint,
    delivered_at bigint,
    -- Every attempt, as a JSON array
    history text not null,
    first_position bigint not null,
    last_position bigint not null,
    primary key (ledger_id, delivery_id)
);
create index {table}_by_export on {table} (ledger_id, export_id, first_position);
create index {table}_by_status on {table} (ledger_id, status, first_position);
