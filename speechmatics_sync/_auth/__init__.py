"""Where API keys and temporary keys come from, and where they may be sent.

Knows no session and no protocol.
"""
