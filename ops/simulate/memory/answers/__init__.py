"""What each statement of the product is answered: a function for each constant, under the name of the file that asks."""

from ops.simulate.memory.answers import chain, leases, log, outbox, plays, projections, questions, server, stock, vault

__all__ = ["chain", "leases", "log", "outbox", "plays", "projections", "questions", "server", "stock", "vault"]
