-- The ledger: entries, heads, and what the sequencer keeps beside them. See docs/ledger-format.md.
create table ledger_entries (
    ledger_id      text    not null,
    position       integer not null,
    event_id       blob    not null,
    stream_type    text    not null,
    stream_id      text    not null,
    version        integer not null,
    event_type     text    not null,
    schema_version integer not null,
    recorded_at    integer not null,
    actor_kind     text    not null,
    actor_id       text    not null,
    metadata       blob    not null,
    payload        blob,
    payload_digest blob    not null,
    previous_hash  blob    not null,
    hash           blob    not null,
    constraint ledger_entries_pkey primary key (ledger_id, position)
);
create unique index ledger_entries_stream_version on ledger_entries (ledger_id, stream_type, stream_id, version);
create unique index ledger_entries_event_id on ledger_entries (ledger_id, event_id);

create table ledger_heads (
    ledger_id   text    not null primary key,
    size        integer not null,
    hash        blob    not null,
    root        blob    not null,
    frontier    blob    not null,
    recorded_at integer not null
);

-- Command ids that were used, so that a repeat returns the first outcome. Each is also in its entries' metadata.
create table ledger_commands (
    ledger_id      text    not null,
    command_id     text    not null,
    digest         blob    not null,
    stream_type    text    not null,
    stream_id      text    not null,
    first_position integer not null,
    last_position  integer not null,
    version        integer not null,
    hash           blob    not null,
    recorded_at    integer not null,
    primary key (ledger_id, command_id)
) without rowid;

-- A cache of folded streams; every row is checked against the entry it was taken at before it is used.
create table ledger_snapshots (
    ledger_id       text    not null,
    stream_type     text    not null,
    stream_id       text    not null,
    version         integer not null,
    reducer_version integer not null,
    position        integer not null,
    entry_hash      blob    not null,
    state           text    not null,
    primary key (ledger_id, stream_type, stream_id)
) without rowid;

-- These stop accidents. Verification is what catches a database administrator.
create trigger ledger_entries_refuse_delete before delete on ledger_entries
begin
    select raise(abort, 'ledger entries are never deleted');
end;
create trigger ledger_entries_refuse_update before update on ledger_entries
begin
    select raise(abort, 'ledger entries are never updated');
end;
create trigger ledger_heads_refuse_delete before delete on ledger_heads
begin
    select raise(abort, 'ledger heads are never deleted');
end;
