"""Judges what a connector has made of two systems, from outside: from the sandbox's truth alone, whoever wrote the connector.

case.py     the truth, put in order: which Shopify order belongs to which marketplace order, and who called for what
orders.py   O1-O6, F1-F4   refunds.py  R1-R4   stock.py  I2, I4, I5, I7   money.py  L1-L5   calls.py  C4
rules.py    all of them    ask.py      the command
"""
