"""One WebSocket connection: any thread can send on it and abort it.

The only room that imports ``websocket``; knows no protocol, no audio and no session.
"""
