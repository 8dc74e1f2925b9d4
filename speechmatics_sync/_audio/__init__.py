"""Sources: whatever a user passes as audio becomes chunks.

Knows no session, no protocol and no connection.
"""
