-- Who stands in for whom, and when.
create table {table} (
    ledger_id text not null,
    delegation_id text not null,
    from_person text not null,
    to_person text not null,
    starts_at bigint not null,
    ends_at bigint not null,
    actions text not null,
    reason text,
    given_by text not null,
    given_at bigint not null,
    accepted_at bigint,
    ended_at bigint,
    ended_by text,
    first_position bigint not null,
    last_position bigint not null,
    version bigint not null,
    primary key (ledger_id, delegation_id)
);
create index {table}_by_position on {table} (ledger_id, first_position);
create index {table}_by_giver on {table} (ledger_id, from_person, first_position);
create index {table}_by_taker on {table} (ledger_id, to_person, first_position);
