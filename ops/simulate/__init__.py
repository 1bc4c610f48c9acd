"""`crossdock simulate`: the engine and the sandbox, unchanged, in virtual time, with everything going wrong that can.

loop.py     the event loop: virtual time, processes that can be killed or stopped
net.py      the network between processes                  bridge.py   real asyncpg on a real Postgres inside the loop
direct.py   the same, for plays in memory: HTTP as values
store.py    where a play keeps its database                server.py   a Postgres for plays        memory/  a database in memory
play.py     one play: a world, engines, a course, a verdict
options.py  what a seed draws                              trouble.py  the course with faults, then healing
settled.py  whether all has come to its end                crash.py    the course in which every message is a crash point
command.py  many plays, and what is said of them
invariants/ what must hold, whatever happens               provocations/  how every kind of exception comes about, and ends
seen.py     what has come about, and what has not
"""
