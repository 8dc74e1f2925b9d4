"""What is built is what users get: checked on the files themselves, without a network."""

from __future__ import annotations

import email
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import wave
import zipfile
from pathlib import Path

import pytest
from support.places import ROOT
from support.serving import Peer, serving

import speechmatics_sync

SAMPLES = ROOT / "examples" / "audio"

OPTIONAL = [
    "av",
    "requests",
    "jwt",
    "websockets",
    "pocketsphinx",
    "soxr",
    "numpy",
    "tqdm",
    "sounddevice",
    "av",
    "rich",
    "python_socks",
    "webvtt",
]

pytestmark = pytest.mark.timeout(300)


def run(*command: object, **options: object) -> str:
    ran = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    assert ran.returncode == 0, ran.stdout
    return str(ran.stdout)


BUILD = """
import os, sys, tarfile
import setuptools_reproducible as build_meta

dist = sys.argv[1]
os.mkdir(dist)
name = build_meta.build_sdist(dist)
with tarfile.open(os.path.join(dist, name)) as sdist:
    sdist.extractall("unpacked")
os.chdir(os.path.join("unpacked", name[: -len(".tar.gz")]))
build_meta.build_wheel(dist)
"""
"""What `python -m build` does, in one process of its six."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel made from that sdist."""
    there = tmp_path_factory.mktemp("packaging")
    project = there / "project"
    unwanted = shutil.ignore_patterns(
        ".git", ".venv*", ".*cache", ".hypothesis", "*.egg-info", "build", "dist", "__pycache__"
    )
    shutil.copytree(ROOT, project, ignore=unwanted)
    run(sys.executable, "-c", BUILD, there / "dist", cwd=project)
    return there / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    (path,) = built.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and websocket-client, nothing else."""
    environment = tmp_path_factory.mktemp("empty") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    (packages,) = environment.glob("lib/python*/site-packages")
    # Copied, for this test has no network; the installer accepts it or complains.
    websocket_client = importlib.metadata.distribution("websocket-client")
    for top in {file.parts[0] for file in websocket_client.files or () if file.parts[0] != ".."}:
        shutil.copytree(str(websocket_client.locate_file(top)), packages / top)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index", wheel)
    run(*pip, env=clean_environment())
    return python


def clean_environment() -> dict[str, str]:
    """With PYTHONPATH pip would find the project itself installed already."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def in_empty(python: Path, code: str) -> str:
    """Run code where neither this project's directory nor this environment can be seen."""
    return run(python, "-W", "error", "-c", code, cwd=python.parent, env=clean_environment())


class TestContents:
    def test_the_wheel_holds_the_package_and_nothing_else(self, wheel: Path) -> None:
        names = zipfile.ZipFile(wheel).namelist()
        assert {name.split("/")[0].partition("-")[0] for name in names} == {"speechmatics_sync"}
        modules = {
            str(path.relative_to(ROOT)) for path in (ROOT / "speechmatics_sync").rglob("*.py")
        }
        assert modules <= set(names)

    def test_the_wheel_says_that_it_is_typed(self, wheel: Path) -> None:
        assert "speechmatics_sync/py.typed" in zipfile.ZipFile(wheel).namelist()

    def test_the_wheel_bears_its_licence(self, wheel: Path) -> None:
        assert any(name.endswith("LICENSE") for name in zipfile.ZipFile(wheel).namelist())

    def test_the_sdist_holds_what_builds_and_tests_it(self, sdist: Path) -> None:
        with tarfile.open(sdist) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        assert {
            "speechmatics_sync/py.typed",
            "setup.cfg",
            "setup.py",
            "pyproject.toml",
            "LICENSE",
            "README.rst",
            "CHANGELOG.rst",
            "Makefile",
            ".ci/run",
            ".ci/release_check.py",
            "conftest.py",
            "docs/speed.rst",
            "docs/pictures/demo.svg",
            "docs/pictures/terminal.svg",
            "tests/product/test_packaging.py",
            "examples/demo.py",
        } <= names
        hidden = {name for name in names if name.startswith(".")}
        assert hidden == {".ci"} | {
            f".ci/{path.name}" for path in (ROOT / ".ci").iterdir() if path.is_file()
        }
        assert not [name for name in names if name.endswith(".pyc")]


class TestMetadata:
    @pytest.fixture
    def metadata(self, wheel: Path) -> email.message.Message:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            return email.message_from_bytes(archive.read(name))

    def test_name_version_and_python(self, metadata: email.message.Message) -> None:
        assert metadata["Name"].replace("_", "-") == "speechmatics-sync"
        assert metadata["Version"] == speechmatics_sync.__version__
        assert metadata["Requires-Python"] == ">=3.9"
        assert metadata["License-Expression"] == "MIT"

    def test_websocket_client_is_the_only_requirement(
        self, metadata: email.message.Message
    ) -> None:
        required = metadata.get_all("Requires-Dist") or []
        assert [line for line in required if "extra" not in line] == ["websocket-client>=1.8"]

    def test_the_extras_are_there(self, metadata: email.message.Message) -> None:
        assert {
            "captions",
            "cli",
            "jwt",
            "local",
            "microphone",
            "progress",
            "socks",
            "test",
        } <= set(metadata.get_all("Provides-Extra") or [])

    def test_the_readme_is_the_description(self, metadata: email.message.Message) -> None:
        assert metadata["Description-Content-Type"] == "text/x-rst"
        first = (ROOT / "README.rst").read_text().splitlines()[0]
        assert str(metadata.get_payload()).lstrip().startswith(first)


class TestEmptyEnvironment:
    def test_it_imports_with_websocket_client_alone(self, installed: Path) -> None:
        said = in_empty(
            installed,
            "import importlib.util, speechmatics_sync\n"
            f"assert not [n for n in {OPTIONAL!r} if importlib.util.find_spec(n)]\n"
            "print(speechmatics_sync.__version__, speechmatics_sync.__file__)",
        )
        version, path = said.split()
        assert version == speechmatics_sync.__version__
        assert Path(path).is_relative_to(installed.parent.parent)

    def test_old_programs_find_their_modules_without_an_extra(self, installed: Path) -> None:
        in_empty(
            installed,
            "import speechmatics_sync.legacy as speechmatics\n"
            "for name in dir(speechmatics): getattr(speechmatics, name)",
        )

    def test_every_public_name_is_there_without_an_extra(self, installed: Path) -> None:
        in_empty(
            installed,
            "import speechmatics_sync\n"
            "for name in dir(speechmatics_sync): getattr(speechmatics_sync, name)",
        )


def test_importing_is_light() -> None:
    """With every extra installed, none of them is loaded; websocket-client itself loads one."""
    ours = [name for name in OPTIONAL if name != "python_socks"]
    said = run(
        sys.executable,
        "-c",
        f"import sys, speechmatics_sync\nprint([name for name in {ours!r} if name in sys.modules])",
        cwd=ROOT,
    )
    assert said.strip() == "[]"


OF_A_SESSION = ("ssl", "socket", "websocket", "json", "speechmatics_sync._session.session")
OF_FEW_SESSIONS = ("email", "http.client", "urllib.request", "pickle", "datetime")


def loaded(code: str, names: tuple[str, ...]) -> str:
    """Run code in a process and return which of these modules it loaded."""
    asked = f"import sys; print([name for name in {names!r} if name in sys.modules])"
    # Without site-packages of the environment, whose .pth files may load anything.
    found = importlib.metadata.distribution("websocket-client").locate_file("")
    path = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(found)!r}]"
    return run(sys.executable, "-S", "-c", f"{path}\n{code}\n{asked}").strip()


def test_what_a_session_is_made_of_is_not_loaded_before_one_begins() -> None:
    code = "import speechmatics_sync as s; s.Client(url='ws://localhost')"
    assert loaded(code, OF_A_SESSION + OF_FEW_SESSIONS) == "[]"


def test_a_session_loads_nothing_that_few_sessions_need() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.finish()

    with serving(behave) as url:
        code = (
            "sys.modules.update({'orjson': None, 'websockets': None})  # the extra speed has more\n"
            "from speechmatics_sync import AudioFormat, Client\n"
            f"Client(url={url!r}).transcribe(bytes(3200), audio_format=AudioFormat('pcm_s16le'))"
        )
        assert loaded(code, OF_FEW_SESSIONS) == "[]"


class TestSamples:
    def test_they_are_small_and_beside_the_script_that_makes_them(self) -> None:
        sizes = [path.stat().st_size for path in SAMPLES.glob("*.wav")]
        assert len(sizes) == 2
        assert sum(sizes) < 1_000_000
        assert (SAMPLES / "make_samples.sh").read_text().startswith("#!/usr/bin/env bash")

    @pytest.mark.parametrize(("name", "channels"), [("demo", 1), ("call", 2)])
    def test_they_are_16_khz_and_16_bit_with_their_words_beside_them(
        self, name: str, channels: int
    ) -> None:
        with wave.open(str(SAMPLES / f"{name}.wav")) as sample:
            assert (sample.getframerate(), sample.getsampwidth()) == (16_000, 2)
            assert sample.getnchannels() == channels
        assert (SAMPLES / f"{name}.txt").read_text().strip()

    @pytest.mark.skipif(
        not (shutil.which("flite") and shutil.which("sox")), reason="needs flite and sox"
    )
    def test_the_script_makes_the_same_samples_again(self, tmp_path: Path) -> None:
        for source in [*SAMPLES.glob("*.txt"), SAMPLES / "make_samples.sh"]:
            shutil.copy(source, tmp_path)
        run("bash", tmp_path / "make_samples.sh")
        for name in ("demo.wav", "call.wav"):
            assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes(), name
