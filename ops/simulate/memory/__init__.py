"""A database in memory behind the port `Db`: it answers every statement of the product as Postgres does, and takes no time over it.

database.py   the server: tables, locks, sessions      connection.py   asyncpg's connections and pools to it; MemoryDb, the port
session.py    statements, transactions, waits, cuts    transaction.py  what one transaction sees, locks and writes
registry.py   which function answers which statement   answers/        those functions, by the file that asks
append.py     crossdock.append_events                  faults.py       what may befall a statement
"""

from ops.simulate.memory import answers
from ops.simulate.memory.connection import MemoryDb
from ops.simulate.memory.database import Database
from ops.simulate.memory.faults import Asked, Strike, Weather
from ops.simulate.memory.store import MemoryStore

__all__ = ["Asked", "Database", "MemoryDb", "MemoryStore", "Strike", "Weather", "answers"]
