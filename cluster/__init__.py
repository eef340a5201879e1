"""A ClickHouse cluster from one small description: its configuration files, and starting and stopping it.

Needs nothing but Python's standard library and knows the tracker only by its commands.
"""
