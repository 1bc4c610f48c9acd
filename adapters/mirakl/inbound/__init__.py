"""What Mirakl shows, into the log."""
