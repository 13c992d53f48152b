"""Registered models, and servers of them in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from openai import OpenAI

from tests.homes import free_port
from tests.registry.candidates import register
from tests.serving import toy_tuner
from tuning.settings import PROJECT_ROOT, Settings
from tuning.tuners.protocol import Model


class Server(NamedTuple):
    process: "subprocess.Popen[str]"
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> OpenAI:
        return OpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0, timeout=60)


Serve = Callable[..., Server]


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("invoke")), "serve", *arguments]


def environment(home: Path) -> dict[str, str]:
    threads = {"OMP_NUM_THREADS": "1"}  # faster for models this small
    return {**os.environ, **threads, "TUNING_HOME": str(home), "PYTHONPATH": str(PROJECT_ROOT)}


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Starts a server of a home, and waits until it is ready."""
    started: list[subprocess.Popen[str]] = []

    def start(home: Path, model: str) -> Server:
        port = free_port()
        process = subprocess.Popen(
            command("--model", model, "--port", str(port)),
            cwd=PROJECT_ROOT,
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        assert process.stdout
        lines = []
        while not (lines and lines[-1].startswith("serving ")):
            line = process.stdout.readline()
            assert line, lines
            lines.append(line)
        assert lines == [
            f"loaded {lines[0].split()[-1]}\n",
            f"serving {model} at http://127.0.0.1:{port}/v1 until Ctrl-C\n",
        ]
        return Server(process, port)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def register_toy(settings: Settings, name: str, tuner: str = toy_tuner.NAME, says: str = "") -> str:
    folder = settings.home.parent / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(says or name)
    return register(settings, Model(tuner=tuner, base_model="small", uri=str(folder)), folder)
