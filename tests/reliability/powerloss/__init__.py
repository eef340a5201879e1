"""Power cuts, simulated: writes and syncs are recorded, and the files built as a cut would leave them."""
