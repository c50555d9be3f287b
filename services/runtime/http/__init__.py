"""Serving HTTP: guarded connections, a server that ends with its process, and problem details."""
