"""Pure steps from a Hit to the rows it becomes; no I/O, no clock, no state."""
