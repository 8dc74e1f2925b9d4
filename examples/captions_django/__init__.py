"""Speak into a page, and read; others read along. With Django and simple-websocket.

    cd examples
    python -m captions_django                   # with an embedded server, if there is no key
    gunicorn --threads 100 captions_django.wsgi

A talk lives in one process: one worker with a thread for each speaker and reader. Django's own
``runserver`` hands no WebSocket on.
"""
