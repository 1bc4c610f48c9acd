"""What each statement of the product is answered: a function for each constant, under the name of the file that asks."""

from ops.simulate.memory.answers import (
    chain,
    evidence,
    invariants,
    leases,
    log,
    outbox,
    plays,
    privacy,
    projections,
    questions,
    server,
    stock,
    vault,
)

__all__ = [
    "chain",
    "evidence",
    "invariants",
    "leases",
    "log",
    "outbox",
    "plays",
    "privacy",
    "projections",
    "questions",
    "server",
    "stock",
    "vault",
]
