-- The two ways into the log. What append_events does is as before (0001), with fewer steps, which saves a small group a tenth: single events
-- have a way of their own, the caller says whether anything comes twice, and an event is hashed when its place is known.

set local role crossdock_owner;

-- ---------------------------------------------------------------- one event

-- Nearly always it was never heard of, its lease holds and its stream is where it was expected. Then the round trip is what counts: one
-- statement, whose parts no array had to carry.
--
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

-- ---------------------------------------------------------------- many

drop function crossdock.append_events;

-- Appends a group of appends, each all or nothing and each with a verdict of its own, in the order given; a later one sees what an
-- earlier one added. An append is a run of `p_counts` events for one stream; null: one event each.
--
--   appended   first_position .. last_position of what was new in it; stream_version after it
--   duplicate  every event of it is in the log already; the positions of its first and last; nothing was added
--   mismatch   known_event is in the log at first_position with another body, known_data; nothing was added
--   conflict   the stream is at stream_version, not at p_expected (null: any); nothing was added
--   fenced     the lease is no longer at p_epochs (null lease: none asked); nothing was added
--
-- The answer is one row of columns with an element for each append. Where all were appended whole, verdicts and all columns but
-- stream_versions are null; reached is the position of the last event.
--
-- Events that are known already are left out one by one, and p_expected holds for what remains. Known means the same event_id; its body
-- is type, data and sealed. A stored body of an older schema_version is the same fact told the old way, and one sealed under a
-- key since destroyed cannot be compared: both count as the same.
--
-- From here to commit the tenant's log is locked, and the rows of the leases that were asked for: take other row locks before appending,
-- never after, and append nowhere where a lease's row was changed. Readers are not held up.
create function crossdock.append_events(
    p_tenant text,
    p_recorded_at timestamptz,
    -- one element an append
    p_streams text[],
    p_counts integer[],
    p_expected bigint[],
    p_leases text[],
    p_epochs bigint[],
    -- one element an event, append by append
    p_event_ids uuid[],
    p_types text[],
    p_schema_versions integer[],  -- null: 1
    p_data text[],
    p_subjects text[],  -- null: ''
    p_sealed bytea[],
    p_occurred_at timestamptz[],
    p_correlation_ids uuid[],  -- null, as a whole or one by one: the event begins a story, and this is its own id
    p_causation_ids uuid[],
    p_actors text[],  -- null: engine
    -- no id and no stream comes twice: as the caller knows; the keys of the log refuse it where that is not so
    p_plain boolean,
    -- the answer
    out reached bigint,  -- position of the last event appended; null: none was
    out verdicts text[],
    out first_positions bigint[],
    out last_positions bigint[],
    out stream_versions bigint[],
    out known_events uuid[],
    out known_data text[]
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- planning these statements takes longer than running them
set enable_seqscan = off  -- and a plan made while the log was empty must be right when it is long: see the look-ups below
as $$
declare
    c_appends constant integer := cardinality(p_streams);
    c_events constant integer := cardinality(p_event_ids);
    v_locked boolean;
    v_head bigint;
    v_hash bytea;
    v_owners integer[];  -- event -> its append; null: the same
    v_places integer[];  -- event -> its place in that append; null: 1
    v_before bigint[];  -- append -> the version of its stream before any of this
    v_fenced boolean[];  -- append -> its lease is lost; null where no append asks for a lease
    v_familiar boolean;  -- some id is in the log already
    v_same integer[];  -- event -> the first event here with the same id
    v_position bigint[];  -- that first event -> where the id is in the log so far
    v_matches boolean[];  -- event -> the log has it with this body; null: the log has not got it
    v_twin integer[];  -- that first event -> the one of its id that was taken here
    v_first integer[];  -- append -> the first append here for the same stream
    v_version bigint[];  -- that first append -> the version of the stream so far
    v_taken integer[];  -- place in the log, after the head -> event; null: all, in their order
    v_versions bigint[] := '{}';  -- place -> version
    v_hashes bytea[] := '{}';  -- place -> hash
    v_place integer := 0;  -- how many were taken
    v_mark integer;  -- of them, before this append
    v_event integer := 0;  -- the last event of the append before this one; then, the one whose turn it is
    v_stream integer;
    v_id integer;
begin
    if c_events = 0 then
        return;
    end if;

    -- What can be done before it is our turn.
    if p_counts is not null then
        select array_agg(a order by a, n), array_agg(n order by a, n)
        into v_owners, v_places
        from generate_series(1, c_appends) a, generate_series(1, p_counts[a]) n;
    end if;
    if coalesce(cardinality(v_owners), c_appends) <> c_events then
        raise exception 'the counts of events do not add up' using errcode = 'invalid_parameter_value';
    end if;

    -- Alone with this tenant's log until commit. Whatever is read from here on is as the last holder left it: each statement takes a
    -- snapshot of its own. An advisory lock is given in the order of asking; a row's is not.
    v_locked := pg_advisory_xact_lock(hashtextextended(p_tenant, 0)) is not null;

    -- What the verdicts rest on. Each look-up is a subquery for one row that a unique index names whole, for then no other plan is as
    -- cheap, whatever the planner believes about the table.
    if p_leases is not null then  -- the lease rows then stay as they are until commit
        v_fenced := array(
            select p_leases[a] is not null and p_epochs[a] is distinct from (
                select l.epoch from crossdock.leases l where l.tenant = p_tenant and l.name = p_leases[a] for share
            )
            from generate_series(1, c_appends) a
            order by a
        );
    end if;
    select
        h.position,
        h.hash,
        array(
            select coalesce((
                select e.version from crossdock.events e
                where e.tenant = p_tenant and e.stream = p_streams[a]
                order by e.version desc limit 1
            ), 0)
            from generate_series(1, c_appends) a
            order by a
        ),
        exists (
            select from unnest(p_event_ids) i
            where (select e.position from crossdock.events e where e.tenant = p_tenant and e.event_id = i) is not null
        )
    into v_head, v_hash, v_before, v_familiar
    from (select) here left join crossdock.heads h on h.tenant = p_tenant;
    if v_head is null then
        v_head := 0;
        v_hash := decode(repeat('00', 32), 'hex');
        insert into crossdock.heads (tenant, position, hash) values (p_tenant, v_head, v_hash);
    end if;

    if p_plain and not v_familiar and (p_expected is null or p_expected = v_before) and true <> all(coalesce(v_fenced, '{}')) then
        -- All of it.
        v_place := c_events;
    else
        -- One verdict after the other.
        first_positions := array_fill(null::bigint, array[c_appends]);
        last_positions := first_positions;
        known_events := array_fill(null::uuid, array[c_appends]);
        known_data := array_fill(null::text, array[c_appends]);
        v_first := array(select min(a) over (partition by p_streams[a] collate "C") from generate_series(1, c_appends) a order by a);
        v_version := v_before;
        v_twin := array_fill(null::integer, array[c_events]);
        v_taken := '{}';
        select array_agg(x.same order by x.i), array_agg(x.position order by x.i), array_agg(x.matches order by x.i)
        into v_same, v_position, v_matches
        from (
            select
                i,
                min(i) over (partition by p_event_ids[i]) as same,
                e.position,
                e.type = p_types[i] and (
                    e.schema_version < coalesce(p_schema_versions[i], 1)
                    or e.data::text = p_data[i] and (
                        e.sealed is not distinct from p_sealed[i]
                        or substring(e.sealed for 8) <> substring(p_sealed[i] for 8)
                    )
                ) as matches
            from generate_series(1, c_events) i
            left join lateral (
                select * from crossdock.events e where e.tenant = p_tenant and e.event_id = p_event_ids[i] limit 1
            ) e on true
        ) x;
        for a in 1 .. c_appends loop
            verdicts[a] := 'appended';
            v_stream := v_first[a];
            v_mark := v_place;
            if v_fenced[a] then
                verdicts[a] := 'fenced';
            else
                for i in v_event + 1 .. v_event + coalesce(p_counts[a], 1) loop
                    v_id := v_same[i];
                    if v_position[v_id] is not null then
                        continue when case
                            when v_twin[v_id] is null then v_matches[i]
                            else p_types[i] = p_types[v_twin[v_id]] and p_data[i] = p_data[v_twin[v_id]]
                                and p_sealed[i] is not distinct from p_sealed[v_twin[v_id]]
                        end;
                        verdicts[a] := 'mismatch';
                        known_events[a] := p_event_ids[i];
                        first_positions[a] := v_position[v_id];
                        known_data[a] := coalesce(p_data[v_twin[v_id]], (
                            select e.data::text from crossdock.events e where e.tenant = p_tenant and e.position = v_position[v_id]
                        ));
                        exit;
                    end if;
                    v_place := v_place + 1;
                    v_position[v_id] := v_head + v_place;
                    v_twin[v_id] := i;
                    v_taken[v_place] := i;
                    v_versions[v_place] := v_version[v_stream] + v_place - v_mark;
                end loop;
                if verdicts[a] = 'appended' and v_place = v_mark then
                    verdicts[a] := 'duplicate';
                    first_positions[a] := v_position[v_same[v_event + 1]];
                    last_positions[a] := v_position[v_same[v_event + coalesce(p_counts[a], 1)]];
                elsif verdicts[a] = 'appended' and p_expected[a] <> v_version[v_stream] then
                    verdicts[a] := 'conflict';
                end if;
            end if;
            if verdicts[a] = 'appended' then
                first_positions[a] := v_head + v_mark + 1;
                last_positions[a] := v_head + v_place;
                v_version[v_stream] := v_version[v_stream] + v_place - v_mark;
            else
                for n in v_mark + 1 .. v_place loop
                    v_position[v_same[v_taken[n]]] := null;
                    v_twin[v_same[v_taken[n]]] := null;
                end loop;
                v_place := v_mark;
            end if;
            stream_versions[a] := v_version[v_stream];
            v_event := v_event + coalesce(p_counts[a], 1);
        end loop;
        if v_place = 0 then
            return;
        end if;
    end if;

    for n in 1 .. v_place loop
        v_event := coalesce(v_taken[n], n);
        v_versions[n] := coalesce(v_versions[n], v_before[coalesce(v_owners[v_event], v_event)] + coalesce(v_places[v_event], 1));
        v_hash := sha256(v_hash || int8send(v_head + n) || int8send(v_versions[n]) || sha256(crossdock.content(
            p_recorded_at, p_occurred_at[v_event], coalesce(p_schema_versions[v_event], 1), p_event_ids[v_event],
            coalesce(p_correlation_ids[v_event], p_event_ids[v_event]), p_causation_ids[v_event], p_tenant,
            p_streams[coalesce(v_owners[v_event], v_event)], p_types[v_event], coalesce(p_actors[v_event], 'engine'),
            coalesce(p_subjects[v_event], ''), p_data[v_event], p_sealed[v_event]
        )));
        v_hashes[n] := v_hash;
    end loop;
    if stream_versions is null then
        stream_versions := v_versions;
        if p_counts is not null then
            stream_versions := array(select v_before[a] + p_counts[a] from generate_series(1, c_appends) a order by a);
        end if;
    end if;

    reached := v_head + v_place;
    insert into crossdock.events (
        tenant, position, stream, version, event_id, type, schema_version, data, subject, sealed,
        occurred_at, recorded_at, correlation_id, causation_id, actor, hash
    )
    select
        p_tenant, v_head + n, p_streams[coalesce(v_owners[i], i)], v_versions[n], p_event_ids[i], p_types[i], coalesce(p_schema_versions[i], 1),
        p_data[i]::json, coalesce(p_subjects[i], ''), p_sealed[i], p_occurred_at[i], p_recorded_at, coalesce(p_correlation_ids[i], p_event_ids[i]),
        p_causation_ids[i], coalesce(p_actors[i], 'engine'), v_hashes[n]
    from (select n, coalesce(v_taken[n], n) as i from generate_series(1, v_place) n offset 0) taken;
    update crossdock.heads h set position = reached, hash = v_hash where h.tenant = p_tenant;
    v_locked := pg_notify('crossdock', reached || ' ' || p_tenant) is not null;
end
$$;

revoke execute on function crossdock.append_one, crossdock.append_events from public;
grant execute on function crossdock.append_one, crossdock.append_events to crossdock_engine;
