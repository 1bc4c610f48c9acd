-- The short way into the log, for one event that was never heard of, whose lease holds and whose stream is where it was expected. So it is
-- nearly always, and then the round trip is what counts: one statement, whose parts no array had to carry.

set local role crossdock_owner;

-- The position and the stream's version; null where anything is not so: nothing was added, and append_events tells what is the matter.
-- What is locked, and for how long, is append_events' word.
create function crossdock.append_one(
    p_tenant text,
    p_recorded_at timestamptz,
    p_stream text,
    p_expected bigint,  -- null: wherever it is
    p_lease text,  -- null: none asked
    p_epoch bigint,
    p_event_id uuid,
    p_type text,
    p_schema_version integer,
    p_data text,
    p_subject text,
    p_sealed bytea,
    p_occurred_at timestamptz,
    p_correlation_id uuid,  -- null: the event begins a story, and this is its own id
    p_causation_id uuid,
    p_actor text
)
returns bigint[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_place bigint[];
    v_held boolean := pg_advisory_xact_lock(hashtextextended(p_tenant, 0)) is not null;
begin
    if p_lease is not null then
        v_held := p_epoch is not distinct from (
            select l.epoch from crossdock.leases l where l.tenant = p_tenant and l.name = p_lease for share
        );
    end if;
    with head as (
        update crossdock.heads h
        set position = h.position + 1,
            hash = sha256(h.hash || int8send(h.position + 1) || int8send(s.version + 1) || sha256(crossdock.content(
                p_recorded_at, p_occurred_at, p_schema_version, p_event_id, coalesce(p_correlation_id, p_event_id),
                p_causation_id, p_tenant, p_stream, p_type, p_actor, p_subject, p_data, p_sealed
            )))
        from (
            select coalesce((
                select e.version from crossdock.events e
                where e.tenant = p_tenant and e.stream = p_stream
                order by e.version desc limit 1
            ), 0) as version
            offset 0
        ) s
        where h.tenant = p_tenant
            and v_held
            and s.version = coalesce(p_expected, s.version)
            and (select e.position from crossdock.events e where e.tenant = p_tenant and e.event_id = p_event_id) is null
        returning h.position, h.hash, s.version + 1 as version
    )
    insert into crossdock.events as e (
        tenant, position, stream, version, event_id, type, schema_version, data, subject, sealed,
        occurred_at, recorded_at, correlation_id, causation_id, actor, hash
    )
    select
        p_tenant, h.position, p_stream, h.version, p_event_id, p_type, p_schema_version, p_data::json, p_subject, p_sealed,
        p_occurred_at, p_recorded_at, coalesce(p_correlation_id, p_event_id), p_causation_id, p_actor, h.hash
    from head h
    returning array[e.position, e.version], pg_notify('crossdock', e.position || ' ' || p_tenant) is not null into v_place, v_held;
    return v_place;
end
$$;

revoke execute on function crossdock.append_one from public;
grant execute on function crossdock.append_one to crossdock_engine;
