"""The machine: log, projections, outbox, dispatch. Knows no marketplace and no SKU."""
