-- What is folded from the log, and what the world must still be asked because of it. All of it but `calls` can be made again from the log.

-- The engine makes a table a projection there, as the code that runs declares them; all are alike:
--   (tenant, key) -> document json, and the position of the event that last changed it.
create schema projections authorization crossdock_engine;

set local role crossdock_owner;

-- How far each projection has folded. Whoever moves it must find it where it was when he read the rows.
create table crossdock.checkpoints (
    tenant text not null,
    name text not null,  -- of the projection
    position bigint not null,  -- of the last event folded; 0: none yet
    swaps integer not null,  -- how often the rows were replaced by rebuilt ones
    primary key (tenant, name)
) with (fillfactor = 50);

-- Commands not yet answered for: queue, lease, fence, retry and dead letter at once. Each has its `command_issued` event in the log. A row
-- goes when its command is confirmed or refused; what came of it is an event then.
create table crossdock.outbox (
    tenant text not null,
    command_id uuid not null,  -- the idempotency key
    target text not null,  -- the outside system to be asked
    tag text not null,  -- which command
    class text not null check (class in ('A', 'B', 'C', 'D')),  -- what may be done when its answer is lost: schemas/commands.py
    lane smallint not null,  -- lower goes first
    turn timestamptz not null,  -- when it was issued, later by so much for each lane: who is due goes in this order
    subject text not null,  -- of its commands, only the oldest may be in flight
    issued_after bigint not null,  -- position of the event that caused it: what its age within the subject is told by
    nth integer not null,  -- which of the commands that this event caused
    body json not null,
    correlation_id uuid not null,
    issued_at timestamptz not null,
    due_at timestamptz not null,  -- not to be claimed before; a claim pushes it past its own end
    attempt integer not null default 0,  -- which claim this is; only ever rises: the fencing token
    epoch bigint not null default 0,  -- of the lease it was last claimed under
    failures integer not null default 0,  -- in a row, that count towards giving up
    halvings smallint not null default 0,  -- how often a batch it was in was refused whole; it travels in smaller ones since
    called_at timestamptz,  -- claimed then, and what came of it is not recorded; null: it is not in anybody's hands
    unknown_since timestamptz,  -- no later than this did a call leave whose answer was lost; null: no call is unanswered
    state text not null default 'waiting' check (state in ('waiting', 'buried')),
    last_error text not null default '',  -- a code or scrubbed words
    primary key (tenant, command_id)
) with (
    -- Rows are rewritten once or twice, then deleted: room for that on the page, and vacuum by count, whatever the size.
    fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
-- Not partial, though only those that wait are looked for: a planner without statistics takes a partial index for an empty one.
create index outbox_turn on crossdock.outbox (tenant, target, turn);
create index outbox_subject on crossdock.outbox (tenant, subject, issued_after);

-- When each slow endpoint was last called, written before the call leaves. The one thing here that the log does not know.
create table crossdock.calls (
    tenant text not null,
    target text not null,
    endpoint text not null,
    last_at timestamptz not null,  -- the call left no later than this
    primary key (tenant, target, endpoint)
) with (fillfactor = 50);

grant select, insert, update, delete on crossdock.checkpoints, crossdock.outbox, crossdock.calls to crossdock_engine;
