-- The turn of a command (0002) counts from when it first falls due, not from when it was issued: a reminder set three weeks ahead has not
-- waited for three weeks. What was put before this gets its turn by the same rule; of what was never claimed, due_at is that moment still.

set local role crossdock_owner;

update crossdock.outbox set turn = turn + (due_at - issued_at) where attempt = 0 and due_at > issued_at;
