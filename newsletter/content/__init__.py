"""What there is to read: sources, articles, categories."""
