"""The engine played against a simulated world: same seed, same story."""
