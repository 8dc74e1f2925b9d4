"""Deadlines, threads, waiting for sockets, cancellation, and one thread that many sessions share.

The only room that starts threads; knows no speech, no sessions and no protocol.
"""
