"""Where all meets: the `crossdock` command, the service it runs, and what surrounds it."""
