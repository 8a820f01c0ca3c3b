-- In which cell of incident_stats each incident is counted.
create table {table} (
    ledger_id text not null,
    incident_id text not null,
    day text not null,
    severity text not null,
    status text not null,
    primary key (ledger_id, incident_id)
);
