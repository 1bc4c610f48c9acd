"""Everything that is claimed, tried."""
