"""Certificates made for one test, by the openssl program."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.services import needed


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate for loopback that signs itself: whoever trusts it names it as authority."""

    cert: Path
    key: Path


def certificate(folder: Path, name: str = "server", host: str = "127.0.0.1") -> Certificate:
    """A new one for this address or name. Skips the test without openssl."""
    program = shutil.which("openssl") or needed("a certificate (the openssl program makes it)")
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    kind = "IP" if host.replace(".", "").isdigit() else "DNS"
    command = [
        program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{host}",
        "-keyout", str(made.key), "-out", str(made.cert),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return made
