"""Current rows by key: what this instance wrote, what waits in the spool, what the store has."""
