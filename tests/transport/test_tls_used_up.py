"""A TLS context that is made while descriptors are used up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from support.places import ROOT


@pytest.mark.skipif(sys.platform != "linux", reason="what a limit counts differs")
@pytest.mark.parametrize("named", [True, False])
def test_authorities_that_cannot_be_read_for_want_of_a_descriptor_are_read_later(
    tmp_path: Path, named: bool
) -> None:
    """Not kept as none, with which no connection of the process would be verified any more."""
    script = """
import resource, ssl, sys
from speechmatics_sync._transport.tls import tls_context
if not ssl.get_default_verify_paths().cafile:
    sys.exit("no file")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
try:
    tls_context(None)
except OSError as error:
    said = error
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(said)
assert tls_context(None).cert_store_stats()["x509"]
"""
    ours = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    if named:
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        environment["SSL_CERT_FILE"] = str(tmp_path / "authority.pem")
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60
    )
    if "no file" in done.stderr:
        pytest.skip("this machine has no file of authorities")
    assert not done.stderr
    assert ("no file descriptor left" if named else "Too many open files") in done.stdout
