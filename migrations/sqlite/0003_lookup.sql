-- The one writer checks versions and command ids itself, with the lookup file beside this one: an index on random ids
-- would cost most of the time of every append. See docs/ledger-format.md.
drop index ledger_entries_stream_version;
drop index ledger_entries_event_id;

-- In the order in which they were used. `number` is the command's place in this table, from 1.
alter table ledger_commands rename to ledger_commands_by_id;
create table ledger_commands (
    number         integer not null primary key,
    ledger_id      text    not null,
    command_id     text    not null,
    digest         blob    not null,
    stream_type    text    not null,
    stream_id      text    not null,
    first_position integer not null,
    last_position  integer not null,
    version        integer not null,
    hash           blob    not null,
    recorded_at    integer not null
);
insert into ledger_commands (ledger_id, command_id, digest, stream_type, stream_id, first_position, last_position,
                             version, hash, recorded_at)
select ledger_id, command_id, digest, stream_type, stream_id, first_position, last_position, version, hash, recorded_at
from ledger_commands_by_id order by recorded_at, ledger_id, last_position, command_id;
drop table ledger_commands_by_id;
