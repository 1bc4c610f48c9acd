-- The Merkle tree over the log, as engine/tiles.py keeps it. It can be made again from the log, and is believed only as far as it agrees with
-- a signed checkpoint.

set local role crossdock_owner;

-- Hashes of 2 ** (8 * level) leaves each, up to 256 of them in a row, 32 bytes each. The last row of a level grows.
create table crossdock.tiles (
    tenant text not null,
    level smallint not null,
    nth bigint not null,  -- of its level, from 0
    hashes bytea not null,
    primary key (tenant, level, nth)
);
alter table crossdock.tiles alter column hashes set storage external;  -- hashes do not compress

grant select, insert, update, delete on crossdock.tiles to crossdock_engine;
