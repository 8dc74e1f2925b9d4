"""Applications whose response is a session without end: a browser has to leave, and be noticed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import flask
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from speechmatics_sync import AudioEncoding, AudioFormat, Client, Stream

RAW = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000)
TYPE = "text/event-stream"


def microphone() -> Iterator[bytes]:
    """Sound, and then nothing, for ever."""
    yield bytes(3200)
    threading.Event().wait()


def session() -> Stream:
    return Client().stream(microphone(), audio_format=RAW)


def events() -> Iterator[str]:
    return session().events(keep_alive=0.2)


flask_app = flask.Flask(__name__)
flask_app.add_url_rule("/", view_func=lambda: flask.Response(events(), mimetype=TYPE))


def view(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(events(), content_type=TYPE)


settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"])
urlpatterns = [path("", view)]
django_app = get_wsgi_application()

fastapi_app = FastAPI()


@fastapi_app.get("/")
def endless() -> StreamingResponse:
    stream = session()
    return StreamingResponse(
        stream.events(keep_alive=0.2), media_type=TYPE, background=BackgroundTask(stream.close)
    )
