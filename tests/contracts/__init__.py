"""What every implementation of a contract must do, as suites that each of them runs."""
