-- Each incident as it is now.
create table {table} (
    ledger_id text not null,
    incident_id text not null,
    title text not null,
    description text,
    severity text not null,
    status text not null,
    incident_type text not null,
    priority bigint not null,
    desk text,
    trader text,
    root_cause text,
    recommended_action text,
    source_event_id text,
    last_event_timestamp bigint,
    source text,
    detection_method text not null,
    rule_name text,
    rule_version bigint,
    meta text not null,
    assigned_to text,
    escalation_level bigint not null,
    escalated_to text,
    escalated_at bigint,
    resolution text,
    created_at bigint not null,
    updated_at bigint not null,
    acknowledged_at bigint,
    resolved_at bigint,
    closed_at bigint,
    reopened_count bigint not null,
    comment_count bigint not null,
    first_position bigint not null,
    last_position bigint not null,
    version bigint not null,
    search_text text not null,
    primary key (ledger_id, incident_id)
);
create index {table}_by_position on {table} (ledger_id, first_position);
create index {table}_by_status on {table} (ledger_id, status, first_position);
create index {table}_by_severity on {table} (ledger_id, severity, first_position);
create index {table}_by_assignee on {table} (ledger_id, assigned_to, first_position);
create index {table}_by_source_event on {table} (ledger_id, source_event_id, first_position);
create index {table}_by_creation on {table} (ledger_id, created_at);
