"""The stores events are written to, one file each behind the contract in base.py."""
