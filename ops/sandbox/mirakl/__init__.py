"""Mirakl as a state machine.

state.py       what a seller account holds             orders.py    placed, accepted, tracked, shipped; what follows by itself
stock.py       offers, and imports that set quantities  ceilings.py  how often each operation may be called
operations.py  every change by its name, and what falls due by itself
shapes.py      state as the JSON that is answered       settings.py  the answers that do not change: A01, PC01, carriers, reasons
contract.py    requests checked against the OpenAPI     api.py       the HTTP answer
"""
