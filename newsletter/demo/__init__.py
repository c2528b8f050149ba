"""The demo: the whole service at work on one machine, and a story that is played through its front doors alone.

Readers fill in forms and press what mails bring them, an operator uses the pages and the command; no table is touched.
So what it counts at the end was counted by a stranger.
"""
