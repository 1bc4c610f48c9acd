"""How every kind of exception comes about, and how each is ended: for a play, which draws some of them, and for whoever wants to see one.

stage.py      people, buyers and mishaps on demand
orders.py     from the sale into Shopify    parcels.py   out of the door and back to the marketplace
aftercare.py  cancelations, refunds, returns             stock.py     SKUs, counts, files
systems.py    either system as a whole; commands in every outcome
"""

from ops.simulate.provocations import aftercare, orders, parcels, stock, systems
from ops.simulate.provocations.stage import PROVOCATIONS, NotReachedError, Provocation, Stage, configured, laid_out

__all__ = [
    "PROVOCATIONS",
    "NotReachedError",
    "Provocation",
    "Stage",
    "aftercare",
    "configured",
    "laid_out",
    "orders",
    "parcels",
    "stock",
    "systems",
]
