"""The same apps under ``flwr run``: Flower's own simulation engine (Ray), started, followed and ended by us.

Flower keeps a local SuperLink running after a run; here it lives in a home folder inside the run folder, on a port of
its own, and every process that was started is ended by its id.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from federated.strategy import FederationError

ROOT: Final = Path(__file__).resolve().parent.parent
QUIET: Final = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray then keeps to loopback
    "PYTHONWARNINGS": "ignore",
}
TIMEOUT_SECONDS: Final = 24 * 3600
END_SECONDS: Final = 20.0  # how long a process may take to end before it is killed


def through_flower(run: Path, makers: int) -> None:
    """Run the federation of a run folder under Flower's simulation engine.

    Args:
        run: A run folder whose public model and sites stand.
        makers: Number of clients.

    Raises:
        FederationError: If Flower did not finish the run; the log's path is in the message.
    """
    home = (run / "flower").resolve()
    home.mkdir(parents=True, exist_ok=True)
    environment = os.environ | QUIET | {"FLWR_HOME": str(home), "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(_free_port())}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment["EVERYWEAR_FLOWER_HOME"] = str(home)  # the mark by which our processes are found again
    command = [
        *(sys.executable, "-m", "flwr.cli.app", "run", str(ROOT), "local", "--stream"),
        *("--run-config", f'run="{run.resolve()}"'),
        *("--federation-config", f"num-supernodes={makers}"),
    ]
    (home / "config.toml").write_text('[superlink]\ndefault = "local"\n\n[superlink.local]\naddress = ":local:"\n')
    log = home / "flower.log"
    try:
        with log.open("ab") as output:
            done = subprocess.run(command, env=environment, stdout=output, stderr=output, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise FederationError(f"Flower did not finish in {TIMEOUT_SECONDS} s; see {log}") from error
    finally:
        end_processes(home)
    if done.returncode:
        raise FederationError(f"Flower ended with exit code {done.returncode}; see {log}")


def end_processes(home: Path) -> None:
    """End every process that carries our mark in its environment, by its id; kill what does not go."""
    deadline = time.monotonic() + END_SECONDS
    for how in (signal.SIGTERM, signal.SIGKILL):
        for process in marked(home):
            try:
                os.kill(process, how)
            except ProcessLookupError:
                continue
        while marked(home) and time.monotonic() < deadline:
            time.sleep(0.1)
        deadline = time.monotonic() + END_SECONDS


def marked(home: Path) -> list[int]:
    """Ids of running processes started for ``home``, this one left out."""
    mark = f"EVERYWEAR_FLOWER_HOME={home}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            zombie = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except (OSError, IndexError):
            continue
        if mark in environment and not zombie and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
