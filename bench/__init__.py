"""Measurements that print ratios against a bare handler in the same run; `python -m bench`."""
