"""The places that speak a marketplace's language: its payloads into events, our commands into calls."""
