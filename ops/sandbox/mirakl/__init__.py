"""Mirakl as a state machine.

state.py       what a seller account holds               sale.py          an order and what belongs to it
switches.py    what an operator configures               registry.py      carriers, methods, reasons: what the operator has registered
book.py        where an order is found                   search.py        the filters of OR11 and OR13
buying.py      how an order comes to be                  orders.py        accepted, debited, shipped, received, closed
amounts.py     parts of a line, in either tax mode       carriers.py      who carries a parcel
refunds.py     money that goes back                      cancelations.py  what will not be shipped nor paid
shipments.py   parcels, where there may be several       returns.py       goods that come back
incidents.py   lines that somebody is not content with   inbox.py         what people write to each other
documents.py   files of an order                         exports.py       orders in files
stock.py       offers, and imports that set quantities   settings.py      the answers that do not change: A01, PC01
ceilings.py    how often each operation may be called    contract.py      requests checked against the OpenAPI
operations.py  every change by its name, with a table of what customers and the operator can do, and what falls due by itself
shapes.py      orders as the JSON that is answered       api.py           the HTTP answer; answers/ has a file a family of operations
"""
