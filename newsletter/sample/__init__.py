"""The Sample Gazette: a small news site of our own, which the demo, the tests and the curious read their feeds from.

It stands outside the newsletter: it serves pages and feeds over HTTP as any paper's site would, imports nothing of the
product but its clock, and knows of the newsletter only the sign-up box that it is handed. Everything in it, people,
firms and places included, is invented.
"""
