"""Transcribe files with Celery workers over Redis; whoever listens gets the text as it is spoken.

    redis-server &
    cd examples
    SPEECHMATICS_API_KEY=… celery -A celery_tasks worker --concurrency 4          # processes
    SPEECHMATICS_API_KEY=… celery -A celery_tasks worker --pool threads --concurrency 50
    python celery_tasks.py call.wav                # anywhere: hands it over, and shows the text

The workers see the files under the same names, and have the key: no task has one in it. A worker
that is killed loses nothing: its files are transcribed by another one, from their beginning.
``CELERY_REDIS_URL`` says where Redis is. It needs ``pip install celery redis``.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import uuid
from pathlib import Path
from typing import Any

import redis
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded

from speechmatics_sync import Client, ConnectionError, TimeoutError, TranscriptionConfig

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"
REDIS = os.environ.get("CELERY_REDIS_URL", "redis://127.0.0.1:6379/0")
LONGEST = float(os.environ.get("LONGEST_TASK_SECONDS", 4 * 3600))
"""Seconds that a task may take. Then it gives what it has. The same for whoever hands files over:
a task takes its limit along."""
VISIBILITY = float(os.environ.get("CELERY_VISIBILITY_SECONDS", LONGEST + 600))

app = Celery("transcription", broker=REDIS, backend=REDIS)
app.conf.update(
    # A task leaves the queue when it is done, not when a worker takes it …
    task_acks_late=True,
    # … also if the process of a worker dies under it …
    task_reject_on_worker_lost=True,
    # … and if the whole worker dies: this long after it was taken, another one gets it. So no task
    # may take longer, or it is done twice. Workers look for such tasks every ten seconds.
    broker_transport_options={
        "visibility_timeout": VISIBILITY,
        "unacked_restore_interval": min(10.0, VISIBILITY),
        "unacked_restore_throttle": 1,
    },
    worker_prefetch_multiplier=1,  # what waits stays in the queue, for whichever is free first
    worker_cancel_long_running_tasks_on_connection_loss=True,  # another one does them anyway
    broker_connection_retry_on_startup=True,
    result_expires=24 * 3600,
)


def channel_of(task_id: str) -> str:
    """Where the text of a task is published while it is spoken."""
    return f"transcript:{task_id}"


@app.task(
    bind=True,
    name="transcribe",  # the same whether this file is imported or run
    soft_time_limit=LONGEST,  # raises SoftTimeLimitExceeded here; with processes only
    time_limit=LONGEST + 60,  # kills the process
    autoretry_for=(ConnectionError,),
    retry_backoff=5,
    max_retries=10,
)
def transcribe(task: Any, path: str, language: str = "en") -> dict[str, Any]:
    """Transcribe a file; return its transcript as the API's JSON, and whether it is complete."""
    listeners = redis.Redis.from_url(REDIS)

    def publish(**event: Any) -> None:
        listeners.publish(channel_of(task.request.id), json.dumps(event))

    # Made here: a client with a session does not survive the fork of a worker's processes.
    with listeners, Client() as client:
        # Again, if a worker died: listeners drop the lines that they have.
        publish(event="begun", host=socket.gethostname(), pid=os.getpid())
        config = TranscriptionConfig(language=language, enable_partials=True)
        complete = True
        try:
            # With threads, no signal can interrupt a task: there the timeout ends it.
            with client.stream(path, transcription_config=config, timeout=LONGEST + 2) as stream:
                for line in stream.lines():
                    publish(event="line", **line.to_dict())
        except (SoftTimeLimitExceeded, TimeoutError):
            complete = False
        publish(event="ended", complete=complete)
        return {"complete": complete, "transcript": client.transcript.to_dict()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Have a Celery worker transcribe a file.")
    parser.add_argument("file", nargs="?", default=SAMPLE, help="default: a sample of speech")
    args = parser.parse_args()
    task_id = str(uuid.uuid4())
    with redis.Redis.from_url(REDIS).pubsub() as events:
        events.subscribe(channel_of(task_id))  # before the task can begin
        transcribe.apply_async([os.path.abspath(args.file)], task_id=task_id)
        result = app.AsyncResult(task_id)
        told: dict[str, Any] = {}
        while told.get("event") != "ended":
            event = events.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if event is None and result.ready():
                break  # it failed, and said nothing
            told = json.loads(event["data"]) if event else {}
            if told.get("event") == "line":
                end = "\n" if told["is_final"] else "\r"
                print(told["text"], end=end, flush=True)
    if not result.get()["complete"]:
        sys.exit("It took too long: this is not all.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
