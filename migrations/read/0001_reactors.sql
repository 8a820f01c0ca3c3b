-- How far each reactor has looked at each ledger. Both stores; run at every start.
create table if not exists reactor_positions (
    reactor text not null,
    ledger_id text not null,
    -- Number of entries looked at, which is the position of the next one.
    position bigint not null,
    -- When it last got on (microseconds).
    updated_at bigint not null,
    -- Why it stands still.
    error text,
    primary key (reactor, ledger_id)
);
