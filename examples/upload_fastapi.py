"""A FastAPI application that returns the transcript of an uploaded file.

    uvicorn --app-dir examples upload_fastapi:app
    curl -F audio=@examples/audio/demo.wav http://127.0.0.1:8000/transcribe

``def``, not ``async def``: FastAPI runs it in a thread. In an ``async def`` the call would block
the event loop, and with it every other request, until the transcript is there.
"""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, UploadFile

from speechmatics_sync import AudioError, Client, SpeechmaticsError

app = FastAPI()


@app.post("/transcribe")
def transcribe(audio: UploadFile) -> dict[str, str]:
    try:
        with Client() as client:
            transcript = client.transcribe(audio.file, expected_bytes=audio.size, timeout=300)
    except AudioError as error:
        raise HTTPException(400, error.message) from error
    except SpeechmaticsError as error:
        raise HTTPException(503, f"The service failed ({error.request_id}).") from error
    return {"text": transcript.text}
