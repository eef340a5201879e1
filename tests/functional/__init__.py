"""The calls of the README made to a running server, and its rows looked at: `make test-functional-all`."""
