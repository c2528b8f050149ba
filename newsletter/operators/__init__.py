"""The people who run it: accounts, passwords, sessions."""
