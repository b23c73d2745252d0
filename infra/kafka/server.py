"""One Kafka node (KRaft, no ZooKeeper) as a supervised foreground process.

Data lives in `<home>/kafka/data`, jars in `<home>/kafka/libs`. It listens on the loopback only, without
authentication, and dies with the process that started it.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from infra.death_signal import ended_with_parent
from infra.eventlog.bounds import MAX_APPEND_BYTES, MIB
from infra.kafka.jars import KafkaUnavailableError, find_java, provide_jars
from kitepilot.run import Run

HEAP = "-Xmx512m"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
_CLUSTER_ID = "a2l0ZXBpbG90LWthZmthMA"  # 16 bytes in base64: one node, one cluster, always the same
_LOGGING = Path(__file__).with_name("log4j2.properties")
_STDERR = 2


class KafkaServer:
    """A node on `127.0.0.1:port` (and `port + 1` for its controller), data in `folder`."""

    def __init__(self, folder: Path, port: int, jars: Path) -> None:
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._folder = folder
        self._port = port
        self._jars = jars
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Format the storage on first use, start Java and wait until it answers.

        Raises:
            KafkaUnavailableError: no Java, a port in use, or the node did not come up in time.
        """
        java = find_java()
        _require_free(self._port)
        _require_free(self._port + 1)
        self._folder.mkdir(parents=True, exist_ok=True)
        properties = self._folder / "server.properties"
        properties.write_text(server_properties(self._folder / "data", self._port))
        if not (self._folder / "data" / "meta.properties").exists():
            self._format(java, properties)
        command = [*self._java(java, HEAP), "kafka.Kafka", str(properties)]
        self._process = subprocess.Popen(
            command,
            stdout=_STDERR,  # a command's standard output is its answer, and may be JSON
            preexec_fn=ended_with_parent(signal.SIGKILL),  # noqa: PLW1509 - no threads yet
        )
        self._await_answer()

    @property
    def pid(self) -> int:
        assert self._process is not None, "the node was not started"
        return self._process.pid

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Exit code, or None if it still runs after `timeout_s`."""
        assert self._process is not None, "the node was not started"
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """Orderly shutdown; killed after `STOP_TIMEOUT_S`. Does nothing if it is down."""
        if self._process is None:
            return
        self._process.terminate()
        if self.wait(STOP_TIMEOUT_S) is None:
            self.kill()

    def kill(self) -> None:
        """As a power cut would, for tests of what survives."""
        assert self._process is not None, "the node was not started"
        self._process.kill()
        self._process.wait()

    def _java(self, java: str, heap: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={_LOGGING}"
        return [java, heap, "-XX:+UseSerialGC", "-Djava.awt.headless=true", logging, "-cp", f"{self._jars}/*"]

    def _format(self, java: str, properties: Path) -> None:
        tool = [*self._java(java, "-Xmx128m"), "kafka.tools.StorageTool", "format"]
        command = [*tool, "-t", _CLUSTER_ID, "-c", str(properties)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise KafkaUnavailableError(f"cannot format Kafka's storage in {self._folder}: {said}")

    def _await_answer(self) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        from infra.eventlog.kafka_reader import quiet

        admin = AdminClient(quiet(self.bootstrap_servers))
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if (code := self.wait(0)) is not None:
                raise KafkaUnavailableError(f"Kafka ended with code {code} at start; its lines above say why")
            try:
                admin.list_topics(timeout=1.0)
                return
            except KafkaException:
                time.sleep(0.1)
        self.kill()
        raise KafkaUnavailableError(
            f"Kafka did not answer on {self.bootstrap_servers} within {START_TIMEOUT_S:.0f} s"
        )


def server_properties(data: Path, port: int) -> str:
    """The node's configuration file. Sizes fit one trader's machine; the bounds are `eventlog.bounds`."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{port + 1}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "message.max.bytes": MAX_APPEND_BYTES + MIB,
        "log.segment.bytes": 256 * MIB,
        "log.index.size.max.bytes": MIB,
        "log.retention.ms": -1,
        "offsets.topic.num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "num.network.threads": 1,
        "num.io.threads": 2,
        "background.threads": 2,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def main(run: Run) -> int:
    """Process `kafka`: the node at `log.bootstrap_servers` of the configuration, until SIGTERM."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    folder = run.home / "kafka"
    try:
        port = loopback_port(run.config.log.bootstrap_servers)
        server = KafkaServer(folder, port, provide_jars(folder / "libs"))
        server.start()
    except KafkaUnavailableError as err:
        sys.stderr.write(f"kafka: {err}\n")
        return 1
    run.mark_ready("kafka")
    while not stopping.wait(0.2):
        if (code := server.wait(0)) is not None:
            sys.stderr.write(f"kafka: the node ended by itself with code {code}\n")
            return 1
    server.stop()
    return 0


def loopback_port(bootstrap_servers: str) -> int:
    """`127.0.0.1:19092` -> 19092. Raises `KafkaUnavailableError` for an address that is not ours to start."""
    host, _, port = bootstrap_servers.rpartition(":")
    if host not in {"127.0.0.1", "localhost"} or not port.isdigit():
        raise KafkaUnavailableError(
            f"log.bootstrap_servers is {bootstrap_servers!r}; "
            "KitePilot starts a node only at 127.0.0.1:<port>"
        )
    return int(port)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as err:
            raise KafkaUnavailableError(
                f"port {port} on 127.0.0.1 is in use ({err.strerror}); stop what uses it or change "
                "log.bootstrap_servers"
            ) from err
