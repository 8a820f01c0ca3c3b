-- The steps of incidents, one row an entry.
create table {table} (
    ledger_id text not null,
    position bigint not null,
    incident_id text not null,
    event_type text not null,
    user_id text not null,
    actor_kind text not null,
    old_value text,
    new_value text,
    comment text,
    meta text not null,
    timestamp bigint not null,
    primary key (ledger_id, position)
);
create index {table}_by_incident on {table} (ledger_id, incident_id, position);
