"""Our language: values, events and commands. Imports nothing of ours."""
