-- Bookkeeping of the projector engine. Both stores; run at every start.

-- One row for each projector's set of read tables.
create table if not exists projector_tables (
    projector text not null primary key,
    -- Version of the projector code that folded the tables.
    reducer_version bigint not null,
    -- Highest generation number ever used for tables built beside the live ones.
    generation bigint not null,
    -- Generation of the rebuild under way, and when it last gave a sign of life (microseconds).
    rebuild_generation bigint,
    rebuild_seen_at bigint
);

-- How far each projector has folded each ledger. Changes in the same transaction as the read tables.
create table if not exists projector_positions (
    projector text not null,
    ledger_id text not null,
    -- The same as in projector_tables: here it is read under this row's lock.
    reducer_version bigint not null,
    -- Number of entries folded, which is the position of the next one.
    position bigint not null,
    -- When something was last folded (microseconds).
    updated_at bigint,
    -- Why it stands still.
    error text,
    rebuild_position bigint,
    rebuild_target bigint,
    primary key (projector, ledger_id)
);
