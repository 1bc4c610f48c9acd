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
--   tenant, stream, type, actor, subject          UTF-8
--   sha256(data), sha256(sealed)                  32 each; the last may be null
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
    select '\x00000008'::bytea || timestamptz_send(p_recorded_at)
        || '\x00000008'::bytea || timestamptz_send(p_occurred_at)
        || '\x00000004'::bytea || int4send(p_schema_version)
        || '\x00000010'::bytea || uuid_send(p_event_id)
        || '\x00000010'::bytea || uuid_send(p_correlation_id)
        || coalesce('\x00000010'::bytea || uuid_send(p_causation_id), '\xffffffff'::bytea)
        || int4send(octet_length(p_tenant)) || convert_to(p_tenant, 'UTF8')
        || int4send(octet_length(p_stream)) || convert_to(p_stream, 'UTF8')
        || int4send(octet_length(p_type)) || convert_to(p_type, 'UTF8')
        || int4send(octet_length(p_actor)) || convert_to(p_actor, 'UTF8')
        || int4send(octet_length(p_subject)) || convert_to(p_subject, 'UTF8')
        || '\x00000020'::bytea || sha256(convert_to(p_data, 'UTF8'))
        || coalesce('\x00000020'::bytea || sha256(p_sealed), '\xffffffff'::bytea)
$$;

-- ---------------------------------------------------------------- the only way in

-- Appends a group of appends, each all or nothing and each with a verdict of its own, in the order given; a later one sees what an
-- earlier one added. An append is a run of `p_counts` events for one stream.
--
--   appended   first_position .. last_position of what was new in it; stream_version after it
--   duplicate  every event of it is in the log already; the positions of its first and last; nothing was added
--   mismatch   known_event is in the log at first_position with another body, known_data; nothing was added
--   conflict   the stream is at stream_version, not at p_expected (null: any); nothing was added
--   fenced     the lease is no longer at p_epochs (null lease: none asked); nothing was added
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
    p_schema_versions integer[],
    p_data text[],
    p_subjects text[],
    p_sealed bytea[],
    p_occurred_at timestamptz[],
    p_correlation_ids uuid[],
    p_causation_ids uuid[],
    p_actors text[]
)
returns table (
    append integer,  -- 1, 2, 3
    verdict text,
    first_position bigint,
    last_position bigint,
    stream_version bigint,
    known_event uuid,
    known_data text
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
    v_head bigint;
    v_hash bytea;
    v_fenced boolean[];  -- append -> its lease is lost; null where no append asks for a lease
    v_first integer[];  -- append -> the first append here for the same stream
    v_version bigint[];  -- that first append -> the version of the stream so far
    v_familiar boolean;  -- some id is in the log already, or comes twice
    v_same integer[];  -- event -> the first event here with the same id
    v_position bigint[];  -- that first event -> where the id is in the log so far
    v_matches boolean[];  -- event -> the log has it with this body; null: the log has not got it
    v_twin integer[];  -- that first event -> the one of its id that was taken here
    v_taken integer[] := '{}';  -- place -> event
    v_owners integer[] := '{}';  -- event -> its append
    v_versions bigint[] := '{}';  -- place -> version
    v_place integer := 0;  -- how many were taken
    v_mark integer;  -- of them, before this append
    v_event integer := 0;  -- the last event of the append before this one
    v_stream integer;
    v_id integer;
    v_contents bytea[] := '{}';  -- event -> sha256(content)
    v_data json[];  -- event -> its data
    v_hashes bytea[] := '{}';  -- place -> hash
begin
    if c_events = 0 then
        return;
    end if;

    -- The short way, for one event that was never heard of and whose stream is where it was expected. So it is nearly always, and then the
    -- round trip is what counts. Whatever is not so goes the long way, from the beginning.
    if c_events = 1 and p_leases is null then
        v_hash := sha256(crossdock.content(
            p_recorded_at, p_occurred_at[1], p_schema_versions[1], p_event_ids[1], p_correlation_ids[1], p_causation_ids[1], p_tenant,
            p_streams[1], p_types[1], p_actors[1], p_subjects[1], p_data[1], p_sealed[1]
        ));
        perform pg_advisory_xact_lock(hashtextextended(p_tenant, 0));
        select
            h.position + 1, s.version + 1, sha256(h.hash || int8send(h.position + 1) || int8send(s.version + 1) || v_hash)
        into first_position, stream_version, v_hash
        from crossdock.heads h
        cross join lateral (
            select coalesce((
                select e.version from crossdock.events e
                where e.tenant = p_tenant and e.stream = p_streams[1]
                order by e.version desc limit 1
            ), 0) as version
            offset 0
        ) s
        where h.tenant = p_tenant
            and s.version = coalesce(p_expected[1], s.version)
            and (select e.position from crossdock.events e where e.tenant = p_tenant and e.event_id = p_event_ids[1]) is null;
        if found then
            insert into crossdock.events (
                tenant, position, stream, version, event_id, type, schema_version, data, subject, sealed,
                occurred_at, recorded_at, correlation_id, causation_id, actor, hash
            )
            values (
                p_tenant, first_position, p_streams[1], stream_version, p_event_ids[1], p_types[1], p_schema_versions[1],
                p_data[1]::json, p_subjects[1], p_sealed[1], p_occurred_at[1], p_recorded_at, p_correlation_ids[1],
                p_causation_ids[1], p_actors[1], v_hash
            );
            update crossdock.heads h set position = first_position, hash = v_hash where h.tenant = p_tenant;
            perform pg_notify('crossdock', first_position || ' ' || p_tenant);
            append := 1;
            verdict := 'appended';
            last_position := first_position;
            return next;
            return;
        end if;
    end if;

    -- What can be done before it is our turn.
    v_data := p_data::json[];
    for a in 1 .. c_appends loop
        for i in v_event + 1 .. v_event + p_counts[a] loop
            v_owners[i] := a;
            v_contents[i] := sha256(crossdock.content(
                p_recorded_at, p_occurred_at[i], p_schema_versions[i], p_event_ids[i], p_correlation_ids[i], p_causation_ids[i], p_tenant,
                p_streams[a], p_types[i], p_actors[i], p_subjects[i], p_data[i], p_sealed[i]
            ));
        end loop;
        v_event := v_event + p_counts[a];
    end loop;
    if v_event <> c_events then
        raise exception 'the counts of events do not add up' using errcode = 'invalid_parameter_value';
    end if;
    v_event := 0;

    -- Alone with this tenant's log until commit. Whatever is read from here on is as the last holder left it: each statement takes a
    -- snapshot of its own. An advisory lock is given in the order of asking; a row's is not.
    perform pg_advisory_xact_lock(hashtextextended(p_tenant, 0));

    -- What the verdicts rest on. Each look-up is a subquery for one row that a unique index names whole, for then no other plan is as
    -- cheap, whatever the planner believes about the table.
    select
        h.position,
        h.hash,
        x.first,
        x.version,
        (select count(distinct i) from unnest(p_event_ids) i) < c_events or exists (
            select from unnest(p_event_ids) i
            where (select e.position from crossdock.events e where e.tenant = p_tenant and e.event_id = i) is not null
        )
    into v_head, v_hash, v_first, v_version, v_familiar
    from (
        select array_agg(s.first order by s.a) as first, array_agg(s.version order by s.a) as version
        from (
            select
                a,
                (min(a) over (partition by p_streams[a]))::integer as first,
                coalesce((
                    select e.version from crossdock.events e
                    where e.tenant = p_tenant and e.stream = p_streams[a]
                    order by e.version desc limit 1
                ), 0) as version
            from generate_series(1, c_appends) a
        ) s
    ) x
    left join crossdock.heads h on h.tenant = p_tenant;
    if v_familiar then
        select array_agg(x.same order by x.i), array_agg(x.position order by x.i), array_agg(x.matches order by x.i)
        into v_same, v_position, v_matches
        from (
            select
                i,
                (min(i) over (partition by p_event_ids[i]))::integer as same,
                e.position,
                e.type = p_types[i] and (
                    e.schema_version < p_schema_versions[i]
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
        v_twin := array_fill(null::integer, array[c_events]);
    end if;
    if p_leases is not null then  -- the lease rows then stay as they are until commit
        v_fenced := array(
            select p_leases[a] is not null and p_epochs[a] is distinct from (
                select l.epoch from crossdock.leases l where l.tenant = p_tenant and l.name = p_leases[a] for share
            )
            from generate_series(1, c_appends) a
            order by a
        );
    end if;
    if v_head is null then
        v_head := 0;
        v_hash := decode(repeat('00', 32), 'hex');
        insert into crossdock.heads (tenant, position, hash) values (p_tenant, v_head, v_hash);
    end if;

    -- One verdict after the other.
    for a in 1 .. c_appends loop
        append := a;
        verdict := 'appended';
        first_position := null;
        last_position := null;
        known_event := null;
        known_data := null;
        v_stream := v_first[a];
        v_mark := v_place;
        if v_fenced[a] then
            verdict := 'fenced';
        else
            for i in v_event + 1 .. v_event + p_counts[a] loop
                if v_familiar then
                    v_id := v_same[i];
                    if v_position[v_id] is not null then
                        continue when case
                            when v_twin[v_id] is null then v_matches[i]
                            else p_types[i] = p_types[v_twin[v_id]] and p_data[i] = p_data[v_twin[v_id]]
                                and p_sealed[i] is not distinct from p_sealed[v_twin[v_id]]
                        end;
                        verdict := 'mismatch';
                        known_event := p_event_ids[i];
                        first_position := v_position[v_id];
                        known_data := coalesce(p_data[v_twin[v_id]], (
                            select e.data::text from crossdock.events e where e.tenant = p_tenant and e.position = first_position
                        ));
                        exit;
                    end if;
                    v_position[v_id] := v_head + v_place + 1;
                    v_twin[v_id] := i;
                end if;
                v_place := v_place + 1;
                v_taken[v_place] := i;
                v_versions[v_place] := v_version[v_stream] + v_place - v_mark;
            end loop;
            if verdict = 'appended' and v_place = v_mark then
                verdict := 'duplicate';
                first_position := v_position[v_same[v_event + 1]];
                last_position := v_position[v_same[v_event + p_counts[a]]];
            elsif verdict = 'appended' and p_expected[a] <> v_version[v_stream] then
                verdict := 'conflict';
            end if;
        end if;
        if verdict = 'appended' then
            first_position := v_head + v_mark + 1;
            last_position := v_head + v_place;
            v_version[v_stream] := v_version[v_stream] + v_place - v_mark;
        else
            for n in v_mark + 1 .. v_place loop
                exit when not v_familiar;
                v_position[v_same[v_taken[n]]] := null;
                v_twin[v_same[v_taken[n]]] := null;
            end loop;
            v_place := v_mark;
        end if;
        stream_version := v_version[v_stream];
        v_event := v_event + p_counts[a];
        return next;
    end loop;
    if v_place = 0 then
        return;
    end if;

    for n in 1 .. v_place loop
        v_hash := sha256(v_hash || int8send(v_head + n) || int8send(v_versions[n]) || v_contents[v_taken[n]]);
        v_hashes[n] := v_hash;
    end loop;
    insert into crossdock.events (
        tenant, position, stream, version, event_id, type, schema_version, data, subject, sealed,
        occurred_at, recorded_at, correlation_id, causation_id, actor, hash
    )
    select
        p_tenant, v_head + n, p_streams[v_owners[i]], v_versions[n], p_event_ids[i], p_types[i], p_schema_versions[i], v_data[i],
        p_subjects[i], p_sealed[i], p_occurred_at[i], p_recorded_at, p_correlation_ids[i], p_causation_ids[i], p_actors[i], v_hashes[n]
    from unnest(v_taken) with ordinality t (i, n)
    where n <= v_place;
    update crossdock.heads h set position = v_head + v_place, hash = v_hash where h.tenant = p_tenant;
    perform pg_notify('crossdock', v_head + v_place || ' ' || p_tenant);
end
$$;

revoke execute on function crossdock.append_events, crossdock.content from public;
grant execute on function crossdock.append_events to crossdock_engine;
