"""Shopify as a state machine.

state.py        what a shop holds: goods.py, sales.py; switches.py, where Shopify's own answer is not known
operations.py   every change by its name, the app's and people's, and what falls due by itself

creation.py     orders made          orders.py         changed, edited, deleted      customers.py, metafields.py   what hangs on them
stock.py        quantities, moved    counting.py       counted, set, adjusted        products.py    the catalogue as it changes
routing.py      fulfilment orders    fulfilment.py     parcels
refunds.py      units and money      payments.py       what gateways make of it      totals.py      what an order comes to
returns.py      and their goods      cancellation.py   asked for, done later         admin.py       people's ways to all of it
bulk.py         jobs over all of it  keys.py           idempotency                   privacy.py     private topics, the end of it
webhooks.py     subscriptions, deliveries              bodies/                       what stands in them
index.py        what the search knows, late            search.py, connections.py     its language; pages

graph.py        documents checked, priced, executed    schema.py, execution.py       by what, and how; fields/ is what each field answers
access.py       versions, tokens, scopes               cost.py                       points and their bucket
doors.py        the addresses beside GraphQL
"""
