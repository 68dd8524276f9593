"""Helpers of the tests: servers as processes, a client that sees every byte, and applications with probes."""
