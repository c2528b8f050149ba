"""Feed digests by e-mail for news sites."""

__version__ = "0.1.0"
