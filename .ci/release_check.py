"""Whether what would be released is whole: ``make release-check``.

The wheel and the sdist are built twice and compared; each extra is installed by itself, with the
lowest and the newest versions of what it needs, and tried; each extra has a bill of materials in
``dist/sbom``. With ``--tests``, the tests run from the sdist alone.
"""

from __future__ import annotations

import argparse
import configparser
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
VERSIONS = ("3.9", "3.11", "3.13")
NOT_FOR_USERS = {"test", "services", "bench", "bench-full", "lint", "docs", "release"}

SERVER = """
import sys
from speechmatics_sync.local import LocalServer, ScriptedRecognizer
words = [("hello", 0.2, 0.5), ("world", 0.6, 1.0)]
with LocalServer(recognizer=ScriptedRecognizer(words), api_keys=["a-key"]) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


def run(*command: object, **options: object) -> str:
    """Run a command; end the check with its output if it fails."""
    ran = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options,  # type: ignore[call-overload]
    )  # fmt: skip
    if ran.returncode:
        sys.exit(f"FAILED: {' '.join(map(str, command))}\n{ran.stdout}")
    return str(ran.stdout)


def say(text: str) -> None:
    print(text, flush=True)


def extras() -> list[str]:
    """The extras that are for users."""
    declared = configparser.ConfigParser()
    declared.read(ROOT / "setup.cfg")
    return [name for name in declared["options.extras_require"] if name not in NOT_FOR_USERS]


def check_version() -> str:
    """The version stands in one place, and the changelog has an entry for it."""
    source = (ROOT / "speechmatics_sync" / "_version.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.+)"', source)[1]  # type: ignore[index]
    tracked = run("git", "grep", "-lF", f'"{version}"', "--", "*.py", "*.cfg", "*.toml", cwd=ROOT)
    if tracked.split() != ["speechmatics_sync/_version.py"]:
        sys.exit(f"FAILED: the version stands in {tracked.split()}")
    changes = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    entry = re.search(
        rf"^(Unreleased|{re.escape(version)}\b.*)\n-+\n+(?=\S)", changes, re.MULTILINE
    )
    if entry is None:
        sys.exit(f"FAILED: CHANGELOG.rst has no entry for {version}")
    say(f"version {version}: in one place, with an entry in the changelog")
    return version


def check_builds(place: Path) -> Path:
    """Build twice, from two copies of what is committed, and compare."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", "HEAD"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    for name in ("first", "second"):
        copy = place / name
        copy.mkdir()
        subprocess.run(["tar", "-x", "-C", str(copy)], input=archive, check=True)
        os.utime(copy / "setup.cfg")  # what was touched since must not matter
        run(BIN / "python", "-m", "build", "--outdir", place / f"{name}-dist", copy)
    first, second = place / "first-dist", place / "second-dist"
    built = sorted(path.name for path in first.iterdir())
    _, different, missing = filecmp.cmpfiles(first, second, built, shallow=False)
    if different or missing:
        sys.exit(f"FAILED: two builds differ in {different + missing}")
    run(BIN / "twine", "check", "--strict", *first.iterdir())
    run(BIN / "check-manifest", ROOT, "--ignore", ".ci/*,.gitignore")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    shutil.copytree(first, ROOT / "dist")
    say(f"two builds are the same: {', '.join(built)}")
    return first


def pythons() -> Iterator[tuple[str, str]]:
    """Each version of Python that is installed here, with its path."""
    for version in VERSIONS:
        homes = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        for candidate in (f"python{version}", *map(str, homes.glob(f"{version}.*/bin/python"))):
            test = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
            try:
                found = subprocess.run([candidate, "-c", test], capture_output=True).returncode == 0
            except OSError:
                continue
            if found:
                yield version, candidate
                break
        else:
            say(f"Python {version} is not installed here: not tried.")


def recordings(place: Path) -> None:
    """The audio that the smoke test sends."""
    import av

    shutil.copy(ROOT / "examples" / "audio" / "demo.wav", place / "talk.wav")
    with av.open(str(place / "talk.mp3"), "w") as file:
        stream = file.add_stream("mp3", rate=16000)
        with av.open(str(place / "talk.wav")) as wave_file:
            for frame in wave_file.decode(audio=0):
                file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def check_extras(wheel: Path, place: Path, only: list[str]) -> None:
    """Install each extra by itself, and try what it promises."""
    recordings(place)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=ROOT,
    )  # fmt: skip
    assert server.stdin is not None
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    (ROOT / "dist" / "sbom").mkdir(exist_ok=True)
    try:
        for version, python in pythons():
            if only and version not in only:
                continue
            for extra in ("base", *extras()):
                for resolution in ("lowest-direct", "highest"):
                    _try(version, python, extra, resolution, wheel, place, url)
    finally:
        server.stdin.close()
        server.wait()


def _try(
    version: str, python: str, extra: str, resolution: str, wheel: Path, place: Path, url: str
) -> None:
    environment = place / "environment"
    shutil.rmtree(environment, ignore_errors=True)
    run(BIN / "uv", "venv", "-q", "--python", python, environment)
    wanted = wheel if extra == "base" else f"{wheel}[{extra}]"
    installed = subprocess.run(
        [
            *(BIN / "uv", "pip", "install", "-q", "--python", environment / "bin" / "python"),
            *("--resolution", resolution, "--only-binary", ":all:", str(wanted)),
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    name = f"{extra} on {version}, {resolution.partition('-')[0]} versions"
    if installed.returncode and version == "3.9" and "pocketsphinx" in installed.stderr:
        say(f"    {name}: pocketsphinx has no wheel; not tried")
        return
    if installed.returncode:
        sys.exit(f"FAILED: {name} cannot be installed\n{installed.stderr}")
    smoke = ROOT / ".ci" / "smoke.py"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python = environment / "bin" / "python"
    run(python, "-W", "error", smoke, extra, url, place, cwd=place, env=clean)
    say(f"    {name}: works")
    if version == "3.11" and resolution == "highest":
        bill = ROOT / "dist" / "sbom" / f"{extra}.cdx.json"
        run(BIN / "cyclonedx-py", "environment", environment / "bin" / "python", "-o", bill)
        names = [part["name"] for part in json.loads(bill.read_text())["components"]]
        assert "websocket-client" in names, names


def check_tests_of_sdist(sdist: Path, place: Path) -> None:
    """The tests that the sdist has pass from it alone."""
    with tarfile.open(sdist) as archive:
        archive.extractall(place / "unpacked", filter="data")
    (project,) = (place / "unpacked").iterdir()
    run("make", "test-fast", cwd=project, env={**os.environ, "CI": "", "PYTHON": sys.executable})
    say("the tests of the sdist pass from it alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", action="store_true", help="run the sdist's tests too")
    parser.add_argument("--python", action="append", default=[], help="only on this version")
    arguments = parser.parse_args()
    check_version()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        built = check_builds(place)
        (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
        check_extras(wheel, place, arguments.python)
        if arguments.tests:
            check_tests_of_sdist(sdist, place)
    say("What would be released is whole; it is in dist/.")


if __name__ == "__main__":
    main()
