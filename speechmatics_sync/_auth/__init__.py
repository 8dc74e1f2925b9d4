"""API keys and temporary keys: where they come from, and where they may be sent.

Knows no session and no protocol.
"""
