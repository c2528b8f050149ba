"""Bytes to relays: mailings, deliveries, chunks, and the engine that sends and accounts for each of them."""
