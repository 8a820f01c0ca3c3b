-- What only one process does at a time. Both stores; run at every start.
create table if not exists leases (
    ledger_id text not null,
    -- What it is that is done.
    name text not null,
    -- Who does it; another one each time that it is taken.
    holder text not null,
    -- Larger with each new holder: the fence.
    token bigint not null,
    -- Until when nobody else may take it (microseconds).
    expires_at bigint not null,
    primary key (ledger_id, name)
);
