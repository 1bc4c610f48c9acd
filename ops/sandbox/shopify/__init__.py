"""Shopify as a state machine.

state.py       what a shop holds
stock.py       quantities and how they move          orders.py       orders made, found and cancelled
fulfilment.py  routing, parcels, tracking            webhooks.py     subscriptions and deliveries; bodies.py, what is in them
operations.py  every change by its name, and what falls due by itself
fields.py      what a GraphQL field answers          connections.py  pages; search.py, the query language
graph.py       documents checked, priced, executed: the HTTP answer
"""
