"""What users call: the clients, the stream, event handlers and progress.

Knows sessions and configuration; knows no socket and no frame.
"""
