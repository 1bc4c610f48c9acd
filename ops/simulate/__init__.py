"""Plays: the whole of it in virtual time, and whether what must hold held."""
