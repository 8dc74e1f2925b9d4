"""Sources whose bytes tell their place."""

from __future__ import annotations

import array

from speechmatics_sync import AudioEncoding, AudioFormat
from support.audio.sources import (
    rereadable_sources_of,
)

COUNTED = array.array("I", range(6400)).tobytes()
"""Audio in which no two places sound the same."""


S16 = AudioFormat(AudioEncoding.PCM_S16LE, 16000)


FILE = AudioFormat()


KINDS = sorted(rereadable_sources_of)
