"""Thought: folds and policies. No I/O, no clock, no chance."""
