"""One session: its threads, its queues, and its connections one after another.

Carries values between the protocol and the transport; knows no frame and no JSON, and decides
nothing about the protocol.
"""
