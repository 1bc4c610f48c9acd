-- An erased subject stays known as erased: the row of its key outlives the key, so that nothing is ever sealed for it again.

set local role crossdock_owner;

-- Null: the key is destroyed.
alter table crossdock.keys
    alter column wrapped drop not null,
    add column erased_at timestamptz,
    add constraint keys_erased check ((wrapped is null) = (erased_at is not null));

-- A destroyed key stands on its page until that is vacuumed and used again. One is enough to begin; nothing else changes in this table.
alter table crossdock.keys set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 0);

-- An erasure cannot be taken back: that takes a row away.
revoke delete on crossdock.keys from crossdock_engine;

-- What was asked and done for the sake of privacy, in a log that may be long. With the stream: else whoever looks for one stream's goes
-- through all of them, since a planner without statistics takes a partial index for an empty one.
create index events_privacy on crossdock.events (tenant, type, stream)
where type in ('subject_erased', 'privacy_asked', 'privacy_answered');
