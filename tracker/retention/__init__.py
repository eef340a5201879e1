"""How long rows stay in the stores, and what becomes of them then."""
