"""What `python -m tracker COMMAND` does: each asks the running server, or opens the files when none runs."""
