"""Mirakl: orders polled, accepted and shipped; stock published."""
