"""The Realtime protocol as values in and values out.

Knows no socket, no thread and no clock.
"""
