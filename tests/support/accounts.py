"""An account of a running server, made as a person makes one."""

import base64

from tests.support.server import Server


def account(server: Server) -> str:
    """The Authorization header of a new account that may make any link."""
    password = "correct horse battery"
    typed = ("accounts", "add", "--config", str(server.config), "--admin", "--password-stdin")
    done = server.command(*typed, stdin=password)
    assert done.returncode == 0, done.stderr
    uid = done.stdout.split()[-1]
    return "Basic " + base64.b64encode(f"{uid}:{password}".encode()).decode()
