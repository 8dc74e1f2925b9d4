"""The Realtime protocol as values in and values out.

Knows no socket, no thread, no clock and no ``_concurrency``.
"""
