"""Sources: what callers pass as audio, as chunks to send.

Knows no session, no protocol and no connection.
"""
