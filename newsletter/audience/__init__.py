"""Who reads: subscribers, what they agreed to, what they asked for, and who must never be mailed."""
