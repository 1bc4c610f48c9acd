"""Mirakl's payloads into our facts, our commands into Mirakl's payloads. Pure."""
