"""Whose mail it is: the publication's identity in pages and mails, and its affiliates by name."""
