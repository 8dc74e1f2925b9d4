"""One session: its threads, its queues, and its connections one after another.

Moves values between the protocol and the transport. Decides nothing about the protocol, and may not
know frames or JSON.
"""
