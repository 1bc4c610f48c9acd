"""A Shopify and a Mirakl marketplace to try things against: plain state machines, and an HTTP face that can misbehave on demand.

The rooms, from the inside out:

    chance.py, agenda.py, money.py   draws from a seed, what falls due when, amounts: pure
    shopify/, mirakl/                the two systems; no I/O, no clock: every operation is told its input and the time
    plan.py, scenario.py             what a world starts with and what happens in it, and the files that say so; scenarios/ come along
    catalogue.py, people.py          the goods; who buys and where they live
    past.py                          what had happened before the world began
    scene.py, actors.py              whose turn it is: buyers.py, warehouse.py, office.py
    world.py, journal.py             both systems and the people; every change is a journalled operation, so a killed world comes back
    calls.py, history.py             who called for what; what quantities were of late
    truth.py, referee/               the whole of both as plain data, and the judge who reads it
    wire.py, systems.py              requests and replies as values; both systems behind their addresses
    faults.py                        what goes wrong, by name; distort.py, what it makes of a reply, and retell.py, of what a reply says
    face.py, server.py, levers.py    aiohttp: the rooms with a network; steps.py, a clock that is moved by hand
    page/                            what a person sees of it in a browser, and does
    soak.py, measure.py              many small worlds, to see that all of it holds; a large one, to see how fast it is

Nothing here knows anything of the engine's events or its adapters: another connector can be tried against it as well.
"""
