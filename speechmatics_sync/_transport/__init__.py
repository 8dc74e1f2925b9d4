"""One WebSocket connection, which any thread can send on and abort.

The only room that imports ``websocket``; knows no protocol, no audio and no session.
"""
