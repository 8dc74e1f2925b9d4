"""Deadlines, threads, waiting and cancellation.

The only room that starts threads; knows nothing of speech.
"""
