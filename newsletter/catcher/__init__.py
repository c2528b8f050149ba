"""The local mail catcher: a relay that keeps every message to itself, and an inbox to look at them. For trying out."""
