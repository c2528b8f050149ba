"""Benchmarks: what the service does per second and what it takes, each figure beside a peer or limit of the same run.

`python -m bench` measures; nothing here is part of the product, and everything it starts or stores is gone afterwards.
"""
