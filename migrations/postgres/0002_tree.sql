-- The tree's complete tiles, written with the entries that complete them, and the checkpoints that were signed.
create table ledger_tiles (
    ledger_id text   not null,
    level     bigint not null,
    tile      bigint not null,
    root      bytea  not null,
    hashes    bytea  not null,
    constraint ledger_tiles_pkey primary key (ledger_id, level, tile)
);
-- Hashes do not compress; kept apart from the row, its root is read without them.
alter table ledger_tiles alter column hashes set storage external;

create table ledger_checkpoints (
    ledger_id text   not null,
    size      bigint not null,
    root      bytea  not null,
    note      text   not null,
    signed_at bigint not null,
    constraint ledger_checkpoints_pkey primary key (ledger_id, size)
);
