-- What seldom happens in a stream that may be long, and is looked for by its kind: the mode that a channel is in, among all its files, and
-- what could not be read, among all that hints at it. Where it never happened, the whole stream would be gone through to say so.

set local role crossdock_owner;

create index events_seldom on crossdock.events (tenant, stream, type, version)
where type in ('stock_mode_set', 'exception_opened', 'exception_closed', 'exception_resolved');
