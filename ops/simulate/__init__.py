"""`crossdock simulate`: the engine and the sandbox, unchanged, in virtual time, with everything going wrong that can.

loop.py     the event loop: virtual time, a seeded order, processes that can be killed
net.py      the network between processes                  bridge.py  real asyncpg on a real Postgres inside the loop
store.py    where a play keeps its database                server.py  a Postgres for plays
memory/     a database in memory: tier 1
play.py     one play: a world, engines, a chaos phase, a heal phase, the verdict
"""
