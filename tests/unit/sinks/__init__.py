"""Facts about the sinks, one file per module or theme."""
