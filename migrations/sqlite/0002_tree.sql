-- The tree's complete tiles, written with the entries that complete them, and the checkpoints that were signed.
create table ledger_tiles (
    ledger_id text    not null,
    level     integer not null,
    tile      integer not null,
    root      blob    not null,
    hashes    blob    not null,
    primary key (ledger_id, level, tile)
) without rowid;

create table ledger_checkpoints (
    ledger_id text    not null,
    size      integer not null,
    root      blob    not null,
    note      text    not null,
    signed_at integer not null,
    primary key (ledger_id, size)
) without rowid;
