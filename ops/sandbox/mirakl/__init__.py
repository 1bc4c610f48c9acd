"""Mirakl as a state machine.

state.py       what a seller account holds             sale.py       an order and what belongs to it
switches.py    what an operator configures             orders.py     placed, accepted, tracked, shipped; what follows by itself
stock.py       offers, and imports that set quantities ceilings.py   how often each operation may be called
operations.py  every change by its name, and what falls due by itself
shapes.py      orders as the JSON that is answered     settings.py   the answers that do not change: A01, PC01, carriers, reasons
registry.py   carriers, methods, reasons: what the operator has registered
contract.py    requests checked against the OpenAPI    api.py        the HTTP answer; answers/ has a file a family of operations
"""
