"""A self-hosted event collector that stores everything it acknowledged, exactly once."""

__version__ = "0.1.0"
