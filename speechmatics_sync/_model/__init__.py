"""Plain values: configuration, messages, results and transcripts.

Knows nothing but ``errors``.
"""
