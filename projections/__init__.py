"""Thought: what the log means, and what the world must now be asked. No I/O, no clock, no chance."""
