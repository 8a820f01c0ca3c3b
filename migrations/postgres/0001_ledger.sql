-- The ledger: entries, heads, and what the sequencer keeps beside them. See docs/ledger-format.md.
create table ledger_entries (
    ledger_id      text   not null,
    position       bigint not null,
    event_id       uuid   not null,
    stream_type    text   not null,
    stream_id      text   not null,
    version        bigint not null,
    event_type     text   not null,
    schema_version bigint not null,
    recorded_at    bigint not null,
    actor_kind     text   not null,
    actor_id       text   not null,
    metadata       bytea  not null,
    payload        bytea,
    payload_digest bytea  not null,
    previous_hash  bytea  not null,
    hash           bytea  not null,
    constraint ledger_entries_pkey primary key (ledger_id, position),
    constraint ledger_entries_stream_version unique (ledger_id, stream_type, stream_id, version),
    constraint ledger_entries_event_id unique (ledger_id, event_id)
);

create table ledger_heads (
    ledger_id   text   not null constraint ledger_heads_pkey primary key,
    size        bigint not null,
    hash        bytea  not null,
    root        bytea  not null,
    frontier    bytea  not null,
    recorded_at bigint not null
);

-- Command ids that were used, so that a repeat returns the first outcome. Each is also in its entries' metadata.
create table ledger_commands (
    ledger_id      text   not null,
    command_id     text   not null,
    digest         bytea  not null,
    stream_type    text   not null,
    stream_id      text   not null,
    first_position bigint not null,
    last_position  bigint not null,
    version        bigint not null,
    hash           bytea  not null,
    recorded_at    bigint not null,
    constraint ledger_commands_pkey primary key (ledger_id, command_id)
);

-- A cache of folded streams; every row is checked against the entry it was taken at before it is used.
create table ledger_snapshots (
    ledger_id       text   not null,
    stream_type     text   not null,
    stream_id       text   not null,
    version         bigint not null,
    reducer_version bigint not null,
    position        bigint not null,
    entry_hash      bytea  not null,
    state           text   not null,
    constraint ledger_snapshots_pkey primary key (ledger_id, stream_type, stream_id)
);

-- These stop accidents. Verification is what catches a database administrator.
create function ledger_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'ledger rows are never changed: % on % refused', tg_op, tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$;
create trigger ledger_entries_refuse_change before update or delete on ledger_entries
    for each row execute function ledger_refuse();
create trigger ledger_entries_refuse_truncate before truncate on ledger_entries
    for each statement execute function ledger_refuse();
create trigger ledger_heads_refuse_delete before delete on ledger_heads
    for each row execute function ledger_refuse();
create trigger ledger_heads_refuse_truncate before truncate on ledger_heads
    for each statement execute function ledger_refuse();
