"""The helper pages in a real browser; `make browser-test` runs it."""
