"""What the tests share: servers as processes, a client that sees every byte, and the probed applications."""
