"""From accepted rows to delivered batches: spool, strategies, delivery, and what keeps a sick sink at bay."""
