"""What every room stands on: settings, clock, errors, database, tokens, links, the way out, the queue. Knows no domain."""
