"""A Django application that returns the transcript of a request's body.

gunicorn --chdir examples --threads 8 upload_django
curl --data-binary @examples/audio/demo.wav http://127.0.0.1:8000/transcribe
"""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from speechmatics_sync import AudioError, Client, SpeechmaticsError

if not settings.configured:  # a project has these in its settings.py
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"])


@csrf_exempt  # it takes no cookie: nobody's session can be ridden
def transcribe(request: HttpRequest) -> JsonResponse:
    size = int(request.META.get("CONTENT_LENGTH") or 0)  # a browser that is gone sends less
    try:
        with Client() as client:
            transcript = client.transcribe(request, expected_bytes=size, timeout=300)
    except AudioError as error:
        return JsonResponse({"error": error.message}, status=400)
    except SpeechmaticsError as error:
        return JsonResponse({"error": "The service failed.", "id": error.request_id}, status=503)
    return JsonResponse({"text": transcript.text})


urlpatterns = [path("transcribe", transcribe)]
application = get_wsgi_application()
