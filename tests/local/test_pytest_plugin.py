"""The fixtures for `pytest`, in runs of their own, as with the package installed."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.places import ROOT

import speechmatics_sync

pytestmark = pytest.mark.timeout(120)

# Other plugins take longer to load than a test takes, and may load anything.
WITHOUT = [f"-pno:{name}" for name in ("cacheprovider", "xdist", "hypothesispytest", "anyio")]


def installed(place: Path) -> Path:
    """Make a directory in which pytest finds the package's entry point, as if installed."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    told = place / "site" / f"speechmatics_sync-{speechmatics_sync.__version__}.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: speechmatics-sync\nVersion: 0\n")
    points = setup["options.entry_points"]["pytest11"]
    (told / "entry_points.txt").write_text(f"[pytest11]\n{points.strip()}\n")
    tests = place / "tests"
    tests.mkdir()
    (tests / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return tests


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    return installed(tmp_path)


def run(workplace: Path, code: str = "", *options: object, **environment: str) -> str:
    """Run pytest, on a file with this content if there is some, and return its output."""
    if code:
        (workplace / "test_it.py").write_text(textwrap.dedent(code))
    path = os.pathsep.join([str(workplace.parent / "site"), str(ROOT)])
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *WITHOUT, *options],
        cwd=workplace,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    return ran.stdout


USES = {
    "environment": """
        import os
        from speechmatics_sync import AudioEncoding, AudioFormat, Client
        from speechmatics_sync.local import counted_audio

        RAW = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000)

        def test_it(speechmatics_server):
            assert os.environ["SPEECHMATICS_RT_URL"] == speechmatics_server.url
            with Client() as client:
                said = client.transcribe(counted_audio(3), audio_format=RAW)
            assert said.text.rstrip(".") == "w1 w2 w3"
            assert len(speechmatics_server.sessions) == 1

        def test_no_real_key_reaches_it(speechmatics_server):
            assert os.environ["SPEECHMATICS_API_KEY"] not in ("", "a-real-key")

        def test_every_test_has_one_of_its_own(speechmatics_server):
            assert speechmatics_server.sessions == []

        def test_and_leaves_no_trace():
            import threading
            names = ("SPEECHMATICS_RT_URL", "SPEECHMATICS_API_KEY")
            assert [os.environ.get(name) for name in names] == ["elsewhere", "a-real-key"]
            assert not [t for t in threading.enumerate() if "speechmatics" in t.name]
        """,
    "faults": """
        import pytest
        from speechmatics_sync import AuthenticationError, Client
        from speechmatics_sync.local import Refuse

        def test_it(speechmatics_server, speechmatics_faults):
            speechmatics_faults.add(Refuse(403))
            with Client(reconnect=None) as client, pytest.raises(AuthenticationError):
                client.start_session()
            assert speechmatics_faults.wait(0)

        def test_that_were_added_for_one_test_are_gone_in_the_next(speechmatics_faults):
            assert speechmatics_faults.happened == ()
        """,
    "recognizer": """
        import pytest
        from speechmatics_sync import AudioEncoding, AudioFormat, Client
        from speechmatics_sync.local import ScriptedRecognizer

        @pytest.fixture
        def speechmatics_recognizer():
            return ScriptedRecognizer([("hello", 0.2, 0.5), ("world", 0.6, 1.0)])

        def test_it(speechmatics_server):
            raw = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000)
            with Client() as client:
                said = client.transcribe(bytes(64000), audio_format=raw)
            assert said.text.rstrip(".") == "hello world"
        """,
    "example": (ROOT / "examples" / "test_an_application.py").read_text(encoding="utf-8"),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What one run of pytest says of them, one line a test."""
    workplace = installed(tmp_path_factory.mktemp("plugin"))
    for name, code in USES.items():
        (workplace / f"test_{name}.py").write_text(textwrap.dedent(code), encoding="utf-8")
    real = {"SPEECHMATICS_RT_URL": "elsewhere", "SPEECHMATICS_API_KEY": "a-real-key"}
    return run(workplace, "", "-v", **real)


@pytest.mark.parametrize("use", USES)
def test_the_fixtures_do_what_they_say(use: str, outcomes: str) -> None:
    """A server that the environment names, its faults, its recogniser, and an application."""
    found = re.findall(rf"test_{use}\.py::(\w+).*? ([A-Z]{{4,}})", outcomes)
    assert {result for _, result in found} == {"PASSED"}, outcomes
    there_are = re.findall(r"^(?: {8})?def (test_\w+)", USES[use], re.MULTILINE)
    assert {name for name, _ in found} == set(there_are)


def test_unused_it_loads_nothing_of_the_server(workplace: Path) -> None:
    said = run(
        workplace,
        """
        import sys

        def test_it(request):
            assert "speechmatics_sync.local.pytest_plugin" in sys.modules
            loaded = {"numpy", "soxr", "websockets", "pocketsphinx"} & set(sys.modules)
            assert not loaded, loaded
        """,
    )
    assert "1 passed" in said, said


@pytest.mark.parametrize("missing", ["websockets", "numpy"])
def test_without_the_extra_it_names_the_extra(workplace: Path, missing: str) -> None:
    (workplace / "conftest.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    said = run(workplace, "def test_it(speechmatics_server): ...\n")
    assert "1 error" in said, said
    assert 'pip install "speechmatics-sync[local]"' in said
    assert "Traceback" not in said


def test_the_fixtures_say_what_they_are(workplace: Path) -> None:
    said = run(workplace, "", "--fixtures", "-v")
    for name in ("speechmatics_server", "speechmatics_faults", "speechmatics_recognizer"):
        assert name in said
