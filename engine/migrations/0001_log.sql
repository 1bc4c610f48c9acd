-- The log: every event of a tenant in the order it was committed. The one thing here that cannot be made again from something else.
-- What may be done to it is decided here and nowhere else: the engine may execute append_events and read.

-- ---------------------------------------------------------------- who

do $$
begin
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception 'the database must be encoded in UTF8' using hint = 'create it with: encoding UTF8 template template0';
    end if;
end
$$;

-- Two roles of the server: one owns, one works. All databases share them, so another migration may be making them at this moment.
-- Whoever migrates becomes a member of both, to make what they own; it takes no superuser.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['crossdock_owner nologin', 'crossdock_engine login'] loop  -- no password: the server's people give one
        begin
            if not exists (select from pg_roles where rolname = split_part(v_role, ' ', 1)) then
                execute 'create role ' || v_role;
            end if;
            if not pg_has_role(current_user, split_part(v_role, ' ', 1), 'member') then
                execute format('grant %I to %I', split_part(v_role, ' ', 1), current_user);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

create schema crossdock authorization crossdock_owner;
set local role crossdock_owner;
grant usage on schema crossdock to crossdock_engine;

-- ---------------------------------------------------------------- what

create table crossdock.migrations (
    name text primary key,  -- of the file
    sha256 text not null,  -- of its bytes; an applied file is never altered
    applied_at timestamptz not null
);

create table crossdock.events (
    tenant text not null,
    position bigint not null,  -- place in the tenant's log, gapless from 1; commit order
    stream text not null,
    version bigint not null,  -- place in its stream, gapless from 1
    event_id uuid not null,  -- the same for the same fact, however often it is heard
    type text not null,
    schema_version integer not null,
    data json not null,  -- json, not jsonb: it keeps the very text that was hashed
    subject text not null,  -- whose key seals `sealed`; '' where nothing is sealed
    sealed bytea,  -- the first 8 bytes name the key, the rest is ciphertext
    occurred_at timestamptz not null,  -- their clock, where they told us
    recorded_at timestamptz not null,  -- our clock
    correlation_id uuid not null,  -- the first event of the story
    causation_id uuid,  -- the event that caused this one
    actor text not null,
    hash bytea not null,  -- of the previous event's hash and all of the above: see append_events
    primary key (tenant, position),
    unique (tenant, stream, version),
    unique (tenant, event_id)
);
alter table crossdock.events alter column sealed set storage external;  -- ciphertext does not compress

-- Where each log ends. One row a tenant, rewritten by every append: room beside it keeps that off the index.
create table crossdock.heads (
    tenant text primary key,
    position bigint not null,
    hash bytea not null
) with (fillfactor = 50);

-- Who may act for one outside system. The epoch counts elections; a challenger watches `beat` stand still on its own clock.
create table crossdock.leases (
    tenant text not null,
    name text not null,
    epoch bigint not null,
    holder uuid,  -- null: given back
    beat bigint not null,
    primary key (tenant, name)
) with (fillfactor = 50);

-- How far a poll or a reader has got; committed with the events it stands for.
create table crossdock.cursors (
    tenant text not null,
    name text not null,
    cursor text not null,
    committed_at timestamptz not null,
    primary key (tenant, name)
) with (fillfactor = 50);

-- The keys of what is sealed, each wrapped by the master key, which is not in this database. A row deleted is a subject erased: keep no
-- long-lived backup of this table.
create table crossdock.keys (
    tenant text not null,
    subject text not null,
    wrapped bytea not null,
    created_at timestamptz not null,
    primary key (tenant, subject)
);

grant select on crossdock.migrations, crossdock.events, crossdock.heads to crossdock_engine;
grant select, insert, update, delete on crossdock.leases, crossdock.cursors, crossdock.keys to crossdock_engine;

-- ---------------------------------------------------------------- the chain

-- hash = sha256(hash of the previous event || position || version || sha256(content)), the predecessor of the first being 32 zero bytes, and
-- position and version 8 bytes each, big-endian. content is these fields in this order, each as the binary format of COPY writes it: its
-- length in 4 bytes, big-endian (for null -1, and nothing after it), then its bytes:
--   recorded_at, occurred_at                      8 bytes each: microseconds since 2000-01-01 00:00 UTC
--   schema_version                                4
--   event_id, correlation_id, causation_id        16 each; the last may be null
--   tenant, stream, type, actor, subject, data    UTF-8
--   sealed                                        as it is; may be null
create function crossdock.content(
    p_recorded_at timestamptz,
    p_occurred_at timestamptz,
    p_schema_version integer,
    p_event_id uuid,
    p_correlation_id uuid,
    p_causation_id uuid,
    p_tenant text,
    p_stream text,
    p_type text,
    p_actor text,
    p_subject text,
    p_data text,
    p_sealed bytea
)
returns bytea
language sql
stable
as $$
    -- The binary format of an array is 20 bytes, then its elements as COPY writes them: fewer steps than field by field.
    select substring(array_send(array[p_recorded_at, p_occurred_at]) from 21)
        || '\x00000004'::bytea || int4send(p_schema_version)
        || substring(array_send(array[p_event_id, p_correlation_id, p_causation_id]) from 21)
        || substring(array_send(array[
            convert_to(p_tenant, 'UTF8'), convert_to(p_stream, 'UTF8'), convert_to(p_type, 'UTF8'), convert_to(p_actor, 'UTF8'),
            convert_to(p_subject, 'UTF8'), convert_to(p_data, 'UTF8'), p_sealed
        ]) from 21)
$$;

-- ---------------------------------------------------------------- the only way in

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
    v_content bytea;
    v_contents bytea[];  -- event -> sha256(content)
    v_owners integer[];  -- event -> its append; null: the same
    v_places integer[];  -- event -> its place in that append; null: 1
    v_plain boolean;  -- no id and no stream comes twice
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
    v_event integer := 0;  -- the last event of the append before this one
    v_stream integer;
    v_id integer;
begin
    if c_events = 0 then
        return;
    end if;

    -- The short way, for one event that was never heard of, whose lease holds and whose stream is where it was expected. So it is nearly
    -- always, and then the round trip is what counts. Whatever is not so goes the long way, from the beginning.
    if c_events = 1 and c_appends = 1 then
        v_content := sha256(crossdock.content(
            p_recorded_at, p_occurred_at[1], coalesce(p_schema_versions[1], 1), p_event_ids[1], coalesce(p_correlation_ids[1], p_event_ids[1]),
            p_causation_ids[1], p_tenant, p_streams[1], p_types[1], coalesce(p_actors[1], 'engine'), coalesce(p_subjects[1], ''), p_data[1], p_sealed[1]
        ));
        v_locked := pg_advisory_xact_lock(hashtextextended(p_tenant, 0)) is not null;
        if p_leases is not null then
            v_locked := p_leases[1] is null or p_epochs[1] is not distinct from (
                select l.epoch from crossdock.leases l where l.tenant = p_tenant and l.name = p_leases[1] for share
            );
        end if;
        if v_locked then
            with head as (
                update crossdock.heads h
                set position = h.position + 1,
                    hash = sha256(h.hash || int8send(h.position + 1) || int8send(s.version + 1) || v_content)
                from (
                    select coalesce((
                        select e.version from crossdock.events e
                        where e.tenant = p_tenant and e.stream = p_streams[1]
                        order by e.version desc limit 1
                    ), 0) as version
                    offset 0
                ) s
                where h.tenant = p_tenant
                    and s.version = coalesce(p_expected[1], s.version)
                    and (select e.position from crossdock.events e where e.tenant = p_tenant and e.event_id = p_event_ids[1]) is null
                returning h.position, h.hash, s.version + 1 as version
            )
            insert into crossdock.events as e (
                tenant, position, stream, version, event_id, type, schema_version, data, subject, sealed,
                occurred_at, recorded_at, correlation_id, causation_id, actor, hash
            )
            select
                p_tenant, h.position, p_streams[1], h.version, p_event_ids[1], p_types[1], coalesce(p_schema_versions[1], 1), p_data[1]::json,
                coalesce(p_subjects[1], ''), p_sealed[1], p_occurred_at[1], p_recorded_at, coalesce(p_correlation_ids[1], p_event_ids[1]),
                p_causation_ids[1], coalesce(p_actors[1], 'engine'), h.hash
            from head h
            returning e.position, array[e.version] into reached, stream_versions;
            if found then
                v_locked := pg_notify('crossdock', reached || ' ' || p_tenant) is not null;
                return;
            end if;
        end if;
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
    select
        array_agg(sha256(crossdock.content(
            p_recorded_at, p_occurred_at[i], coalesce(p_schema_versions[i], 1), p_event_ids[i], coalesce(p_correlation_ids[i], p_event_ids[i]),
            p_causation_ids[i], p_tenant, p_streams[coalesce(v_owners[i], i)], p_types[i], coalesce(p_actors[i], 'engine'),
            coalesce(p_subjects[i], ''), p_data[i], p_sealed[i]
        )) order by i),
        (select count(*) from (select distinct i from unnest(p_event_ids) i) ids) = c_events
            and (select count(*) from (select distinct s collate "C" from unnest(p_streams) s) streams) = c_appends
    into v_contents, v_plain
    from generate_series(1, c_events) i;

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

    if v_plain and not v_familiar and (p_expected is null or p_expected = v_before) and true <> all(coalesce(v_fenced, '{}')) then
        -- All of it.
        v_place := c_events;
        for i in 1 .. c_events loop
            v_versions[i] := v_before[coalesce(v_owners[i], i)] + coalesce(v_places[i], 1);
            v_hash := sha256(v_hash || int8send(v_head + i) || int8send(v_versions[i]) || v_contents[i]);
            v_hashes[i] := v_hash;
        end loop;
        stream_versions := v_versions;
        if p_counts is not null then
            stream_versions := array(select v_before[a] + p_counts[a] from generate_series(1, c_appends) a order by a);
        end if;
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
        for n in 1 .. v_place loop
            v_hash := sha256(v_hash || int8send(v_head + n) || int8send(v_versions[n]) || v_contents[v_taken[n]]);
            v_hashes[n] := v_hash;
        end loop;
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

revoke execute on function crossdock.append_events, crossdock.content from public;
grant execute on function crossdock.append_events to crossdock_engine;
