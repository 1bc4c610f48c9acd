"""What must hold of a run, whatever happens in it: a table of invariants, each with the checks that would see it broken.

table.py      the table: what must hold, and where it is seen
evidence.py   what the checks look at, and how a run is watched
log.py        E1-E4, E9, E10, C2, C5, C7: of the log alone, with every event
calls.py      C1, C3, E10, L4: between the calls that reached a system and the log that asked for them
orders.py     O4, O5, F1; what the referee sees from outside; and that what it cannot settle does not go unsaid
stock.py      I1, I3, I4, I6: of every file of quantities
engine.py     E5, E6, L1, L2, L5, P1, X1: of the engine as a whole
"""
