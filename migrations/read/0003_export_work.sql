-- What the driver of exports keeps beside the ledger. Both stores; run at every start. All of it can be made again from the ledger.

-- Exports that may have something left to do.
create table if not exists export_work (
    ledger_id text not null,
    export_id text not null,
    primary key (ledger_id, export_id)
);

-- How many rows an export that is being generated has written so far. The row goes with the end of the generation.
create table if not exists export_progress (
    ledger_id text not null,
    export_id text not null,
    rows bigint not null,
    -- Microseconds.
    updated_at bigint not null,
    primary key (ledger_id, export_id)
);
