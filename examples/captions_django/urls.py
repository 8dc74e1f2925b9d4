"""The page, its WebSocket, and its server-sent events."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from captions_page import SOCKET_OPTIONS, STATIC, STREAM_HEADERS, Talks
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.static import serve
from simple_websocket import Server

talks = Talks()


def page(request: HttpRequest) -> HttpResponseBase:
    return serve(request, "page.html", document_root=STATIC)


def speak(request: HttpRequest) -> HttpResponseBase:
    speaker = Server.accept(request.environ, **SOCKET_OPTIONS)
    talks.speak(speaker, request.environ)
    return StreamingHttpResponse(no_answer())


def read(request: HttpRequest) -> HttpResponseBase:
    seen = request.headers.get("Last-Event-ID") or request.GET.get("seen", "")
    events = talks.read(request.GET.get("talk", ""), seen)
    return StreamingHttpResponse(events, content_type="text/event-stream", headers=STREAM_HEADERS)


def no_answer() -> Iterator[bytes]:
    """Tell the web server, in the one way that it takes calmly, that there is nothing to answer."""
    raise OSError(errno.ENOTCONN, "this connection was a WebSocket, and is closed")
    yield b""


urlpatterns = [
    path("", page),
    path("speak", speak),
    path("read", read),
    path("static/<path:path>", serve, {"document_root": STATIC}),
]
