"""What every room stands on: settings, clock, errors, database, tokens, links, the way out. Knows no domain."""
