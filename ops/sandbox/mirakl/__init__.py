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
goods.py       an offer, its prices, files on their way  offers.py        put on sale, sold from, changed, taken away
imports.py     what runs the files of sellers            csv_files.py     how they are read
stock.py       what a stock file does                    pricing.py       what a price file does; prices.py, what applies when
extracts.py    offers and the ledger in files            offer_shapes.py  offers as the JSON and CSV that is answered
finance.py     the marketplace's books on a seller       bookkeeping.py   how a line gets into them, and how it may change
ledger.py      what orders do to them                    charges.py       penalties, fees, manual documents, the reserve
cycles.py      billing, paying out                       summary.py       what a cycle adds up to, and what is invoiced
statement.py   TL02: lines asked for and told            invoices.py      SBC11, IV01, IV02
terms.py       what is configured about offers and money seek.py          pages by token
account.py     A01, with its balances                    scorecard.py     A21
settings.py    PC01, carriers, methods                   lists.py         reasons, zones, currencies, taxes, charges
ceilings.py    how often each operation may be called    contract.py      requests checked against the OpenAPI
conformity.py  whether an answer is a published one      remarks.py       what the seller writes on an order
operations.py  every change by its name, with a table of what customers and the operator can do, and what falls due by itself
shapes.py      orders as the JSON that is answered       api.py           the HTTP answer; answers/ has a file a family of operations
"""
