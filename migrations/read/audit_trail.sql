-- Every entry of the ledger as an auditor reads it.
create table {table} (
    ledger_id text not null,
    position bigint not null,
    recorded_at bigint not null,
    event_type text not null,
    entity_type text not null,
    entity_id text not null,
    version bigint not null,
    actor_kind text not null,
    actor_id text not null,
    on_behalf_of text,
    correlation_id text,
    causation_id text,
    summary text not null,
    -- With a comma before, between and after the tags.
    regulation_tags text not null,
    hash text not null,
    search_text text not null,
    primary key (ledger_id, position)
);
create index {table}_by_entity on {table} (ledger_id, entity_type, entity_id, position);
create index {table}_by_event_type on {table} (ledger_id, event_type, position);
create index {table}_by_actor on {table} (ledger_id, actor_id, position);
create index {table}_by_correlation on {table} (ledger_id, correlation_id, position);
create index {table}_by_time on {table} (ledger_id, recorded_at);
