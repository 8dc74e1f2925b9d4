"""Whether what would be released is whole: ``make release-check``.

The changelog has what changed. The wheel and the sdist are built twice and compared, and once more
with the lowest setuptools that is declared. Each extra is installed by itself on each Python that
the classifiers name, with the lowest and the newest versions of what it needs, and tried; each has
a bill of materials in ``dist/sbom``. The tests pass from the sdist alone. ``--quick`` is what
``.ci/run`` has time for; ``--build`` builds and no more (``make build``).
"""

from __future__ import annotations

import argparse
import ast
import configparser
import contextlib
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Optional

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
NOT_FOR_USERS = {"test", "services", "bench", "bench-full", "lint", "docs", "release"}
LOWEST, NEWEST = "lowest-direct", "highest"

DECLARED = configparser.ConfigParser()
DECLARED.read(ROOT / "setup.cfg")
EXTRAS = [name for name in DECLARED["options.extras_require"] if name not in NOT_FOR_USERS]
PYTHONS = re.findall(r"Python :: (3\.\d+)", DECLARED["metadata"]["classifiers"])


class Failed(Exception):
    """Something does not hold."""


def run(*command: object, **options: object) -> str:
    """Run a command and return what it says.

    Raises:
        Failed: It failed; with what it said.
    """
    ran = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options,  # type: ignore[call-overload]
    )  # fmt: skip
    if ran.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{ran.stdout}")
    return str(ran.stdout)


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:6.0f} s  {text}", flush=True)


def together(calls: Sequence[partial[Any]]) -> None:
    """Run calls, two at a time.

    Raises:
        Failed: Some of them failed; with what each said.
    """

    def failure_of(call: partial[Any]) -> str:
        try:
            call()
        except Failed as failure:
            return f"{call.args[:4]}: {failure}"
        return ""

    with ThreadPoolExecutor(2) as two:  # they wait for disks and networks most of the time
        failures = [failure for failure in two.map(failure_of, calls) if failure]
    if failures:
        raise Failed("\n".join(failures))


def check_changelog(changelog: str, version: str, release: Optional[str], changed: bool) -> str:
    """Return the title of the changelog's newest section, which is about what would be released.

    Args:
        changelog: Its text.
        version: The package's version.
        release: The newest version that has a tag, if any.
        changed: Whether the package has changed since that tag.

    Raises:
        Failed: The section is missing, empty, or that of another version.
    """
    _, title, entries, *_ = [*re.split(r"^(\S.*)\n-+\n", changelog, flags=re.M), "", ""]
    if not re.search(r"^\* \S", entries, re.M):
        raise Failed(f"CHANGELOG.rst has no entries in its newest section, {title!r}")
    named = rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)"
    if release != version:
        named += "|Unreleased"
    elif changed:
        named = "Unreleased"
    if not re.fullmatch(named, title):
        raise Failed(f"CHANGELOG.rst begins with {title!r}, which does not match {named!r}")
    return title


def check_version() -> None:
    """What changed since the last release is in the changelog."""
    source = (ROOT / "speechmatics_sync" / "_version.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.+)"', source)[1]  # type: ignore[index]
    tags = run("git", "tag", "--list", "v*", "--sort=-v:refname", cwd=ROOT).split()
    changes = tags and run(
        "git", "diff", "--name-only", tags[0], "HEAD", "--", "speechmatics_sync", cwd=ROOT
    )
    text = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    title = check_changelog(text, version, tags[0][1:] if tags else None, bool(changes))
    say(f"version {version}, after {tags[0] if tags else 'none'}: the changelog has {title}")


def check_builds(place: Path) -> None:
    """Build twice, from two copies of what is committed, compare, and move it to ``dist``."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", "HEAD"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    constraints = place / "lowest.txt"
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = re.search(r"^requires = (\[.*\])$", pyproject, re.M)[1]  # type: ignore[index]
    constraints.write_text("\n".join(json.loads(required)).replace(">=", "=="))

    def copied(name: str) -> Path:
        copy = place / name
        copy.mkdir()
        subprocess.run(["tar", "-x", "-C", str(copy)], input=archive, check=True)
        return copy

    def build(name: str, *options: object) -> None:
        copy = copied(name)
        os.utime(copy / "setup.cfg")  # what was touched since must not matter
        zone = {"TZ": "Asia/Tokyo" if name == "second" else "UTC"}
        command = (BIN / "uv", "build", "--python", sys.executable, *options, copy)
        if "Deprecat" in (said := run(*command, env={**os.environ, **zone})):
            raise Failed(said)

    def check_manifest(name: str) -> None:
        """In a copy: tests that run beside this may write into the project."""
        copy = copied(name)
        run("git", "init", "-q", cwd=copy)
        run("git", "add", "--all", "--force", cwd=copy)
        run(BIN / "check-manifest", copy)

    together(
        [
            partial(build, "first"),
            partial(build, "second"),
            partial(build, "lowest", "--build-constraints", constraints),
            partial(check_manifest, "manifest"),
        ]
    )
    first, second = place / "first" / "dist", place / "second" / "dist"
    names = sorted(path.name for path in first.iterdir() if path.suffix in (".whl", ".gz"))
    _, different, missing = filecmp.cmpfiles(first, second, names, shallow=False)
    if different or missing:
        raise Failed(f"two builds differ in {different + missing}")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    (ROOT / "dist").mkdir()
    for name in names:
        shutil.copy(first / name, ROOT / "dist")
    run(BIN / "twine", "check", "--strict", *(ROOT / "dist" / name for name in names))
    say(f"two builds are the same, and it can be built with the lowest setuptools: {names}")


def python_of(version: str) -> str:
    """The path of a Python of this version.

    Raises:
        Failed: There is none.
    """
    homes = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (f"python{version}", *map(str, homes.glob(f"{version}.*/bin/python"))):
        test = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
        with contextlib.suppress(OSError):
            if subprocess.run([candidate, "-c", test], capture_output=True).returncode == 0:
                return candidate
    raise Failed(f"Python {version}, which a classifier names, is not installed here")


class Surroundings(NamedTuple):
    """What the smoke tests need around them: arguments and an environment."""

    arguments: tuple[object, ...]
    environment: dict[str, str]


@contextlib.contextmanager
def surroundings(place: Path) -> Iterator[Surroundings]:
    """A server that hears "hello world" in any audio, a proxy to it, audio, and a microphone."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import av
    from support.audio.sound_server import SoundServer
    from support.proxying import proxying

    from speechmatics_sync.local import LocalServer, ScriptedRecognizer

    shutil.copy(ROOT / "examples" / "audio" / "demo.wav", place / "talk.wav")
    with av.open(str(place / "talk.mp3"), "w") as file:
        stream = file.add_stream("mp3", rate=16000)
        with av.open(str(place / "talk.wav")) as wave_file:
            for frame in wave_file.decode(audio=0):
                file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    (place / "sound").mkdir()
    sound = SoundServer(place / "sound")
    words = ScriptedRecognizer([("hello", 0.2, 0.5), ("world", 0.6, 1.0)])
    running = LocalServer(recognizer=words, api_keys=["a-key"])
    with running as server, proxying(server.url) as proxy:
        if shutil.which("pulseaudio"):
            sound.start()
        environment = {**os.environ, "MICROPHONE": "1", **sound.places}
        if not sound.running:
            say("pulseaudio is not installed here: no microphone is tried")
            environment = {**os.environ, "MICROPHONE": ""}
        environment.pop("PYTHONPATH", None)
        try:
            yield Surroundings((server.url, proxy.port, place), environment)
        finally:
            sound.stop()


def check_extras(pythons: list[str], quick: bool) -> None:
    """Install each extra by itself, and try what it promises."""
    resolutions = (NEWEST,) if quick else (LOWEST, NEWEST)
    (ROOT / "dist" / "sbom").mkdir()
    with tempfile.TemporaryDirectory() as temporary, surroundings(Path(temporary)) as around:
        found = {version: python_of(version) for version in pythons}
        together(
            [
                partial(check_extra, extra, version, python, resolution, around, not quick)
                for version, python in found.items()
                for resolution in resolutions
                for extra in ("base", *EXTRAS)
            ]
        )


def check_extra(
    extra: str, version: str, python: str, resolution: str, around: Surroundings, bill: bool
) -> None:
    """Install an extra by itself, and try it; make its bill of materials, if this is the place."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    name = f"{extra} on {version}, {resolution.partition('-')[0]} versions"
    with tempfile.TemporaryDirectory() as environment:
        ours = Path(environment) / "bin" / "python"
        run(BIN / "uv", "venv", "-q", "--python", python, environment)
        wanted = wheel if extra == "base" else f"{wheel}[{extra}]"
        install = (BIN / "uv", "pip", "install", "-q", "--python", ours)
        # Nothing is compiled but pocketsphinx, which has no wheel for 3.9.
        compiled = ("--no-binary", "pocketsphinx") if version == "3.9" else ()
        wheels = ("--only-binary", ":all:", *compiled)
        run(*install, "--resolution", resolution, *wheels, wanted)
        run(BIN / "uv", "pip", "check", "--python", ours)
        smoke = ROOT / ".ci" / "smoke.py"
        command = (ours, "-W", "error", smoke, extra, *around.arguments)
        run(*command, cwd=environment, env=around.environment, timeout=120)
        if bill and version == "3.11" and resolution == NEWEST:
            written = ROOT / "dist" / "sbom" / f"{extra}.cdx.json"
            run(BIN / "cyclonedx-py", "environment", ours, "-o", written)
            parts = {part["name"] for part in json.loads(written.read_text())["components"]}
            if "websocket-client" not in parts:
                raise Failed(f"{written} lacks websocket-client: {parts}")
    say(f"{name}: works")


def check_sdist(pythons: list[str], place: Path) -> None:
    """The tests that the sdist has pass from it alone."""
    (sdist,) = (ROOT / "dist").glob("*.tar.gz")
    alone = {name: os.environ[name] for name in {*os.environ} - {"CI", "PYTHONPATH"}}
    for version in pythons:
        with tarfile.open(sdist) as archive:
            archive.extractall(place / version, filter="data")
        (project,) = (place / version).iterdir()
        said = run("make", "test-fast", f"PYTHON={python_of(version)}", cwd=project, env=alone)
        say(f"the tests of the sdist pass from it alone on {version}: {said.splitlines()[-1]}")


def settings_of_uv() -> dict[str, str]:
    """Where packages come from, if pip has another index than PyPI: uv does not ask pip."""
    pip = {}
    said = run(sys.executable, "-m", "pip", "config", "list").splitlines()
    for line in sorted(said, key=lambda line: line.startswith(":env:")):  # which counts most
        name, _, value = line.partition("=")
        pip[name.rpartition(".")[2]] = " ".join(ast.literal_eval(value).split())
    if "index-url" not in pip:
        return {}
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "trusted-host": "UV_INSECURE_HOST",
        "cert": "SSL_CERT_FILE",
    }
    settings = {uv: pip[name] for name, uv in names.items() if name in pip}
    return {**settings, "UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip does


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="extras on 3.11, newest versions, no bills, no tests",
    )
    parser.add_argument("--build", action="store_true", help="only the wheel and the sdist")
    parser.add_argument("--python", action="append", metavar="3.x", help="only on this version")
    arguments = parser.parse_args()
    pythons = ["3.11"] if arguments.quick else arguments.python or PYTHONS
    os.environ.update({**settings_of_uv(), **os.environ})
    try:
        if not arguments.build:
            check_version()
        with tempfile.TemporaryDirectory() as place:
            check_builds(Path(place))
            if arguments.build:
                return
            check_extras(pythons, arguments.quick)
            if not arguments.quick:
                check_sdist(pythons, Path(place))
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")
    say("what would be released is whole; it is in dist/")


STARTED = time.monotonic()

if __name__ == "__main__":
    main()
