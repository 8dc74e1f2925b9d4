"""The transcript: what is made of a session's results, and how it is written and shown.

Knows the values of ``_model``; no session, no protocol and no connection.
"""
