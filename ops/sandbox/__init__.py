"""A Shopify and a Mirakl marketplace to try things against: plain state machines, and an HTTP face that can misbehave on demand.

The rooms, from the inside out:

    chance.py, agenda.py, money.py   draws from a seed, what falls due when, amounts: pure
    shopify/, mirakl/                the two systems; no I/O, no clock: every operation is told its input and the time
    plan.py, catalogue.py            what a world starts with and what is going to happen in it
    people.py, actors.py             who buys and where they live; the warehouse that ships
    world.py, journal.py             both systems and the actors; every change is a journalled operation, so a killed world comes back
    truth.py                         the whole of both as plain data, for whoever compares
    wire.py, faults.py, face.py      requests and replies as values; what goes wrong on demand; aiohttp, the one room with a network

Nothing here knows anything of the engine, its events or its adapters: another connector can be tried against it as well.
"""
