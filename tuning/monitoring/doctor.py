"""Check whether this machine can run the commands, and name the command that fixes each problem. Change nothing."""

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from tuning.errors import TuningError
from tuning.findings import Finding
from tuning.settings import IS_CHECKOUT, PROJECT_ROOT, Settings, variable
from tuning.target import find_target

PACKAGE = "python-qa-tuning"
PYTHONS = ((3, 11), (3, 12))  # as pyproject.toml asks
LOCK = PROJECT_ROOT / "requirements.lock"
# What the README asks for, less what a machine sold with it keeps for itself; and the disk that is needed after the
# installation: the first run leaves about 1 GB.
MEMORY, DISK = 7e9, 2e9
_SHOWN = 3  # packages in a line
_NVIDIA = Path("/dev/nvidiactl")  # Linux has it where a driver found a GPU


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield the result of each check. "wrong" is what `invoke tune` needs with the settings given."""
    yield _python()
    yield from _packages()
    yield _disk(settings)
    yield _memory()
    uses_google = find_target(settings).uses_google
    yield Finding("right", "target gcp needs no local BigQuery") if uses_google else _server(settings)
    yield from _gpu()
    yield _google(settings) if uses_google else Finding("right", "target local needs no Google account")
    yield _hub()
    yield _sandbox()


def _python() -> Finding:
    what = f"Python {sys.version.split()[0]} at {sys.executable}"
    if sys.version_info[:2] in PYTHONS:
        return Finding("right", what)
    return Finding("wrong", f"{what}, but 3.11 or 3.12 is needed", "python3.11 -m venv .venv && . .venv/bin/activate")


def _packages() -> Iterator[Finding]:
    install = f"-e '{PROJECT_ROOT}[local]'" if IS_CHECKOUT else f"'{PACKAGE}[local]'"
    locked = LOCK if IS_CHECKOUT else None
    command = f"{sys.executable} -m pip install {f'-r {locked} ' if locked else ''}{install}"
    if unmet := list(_unmet()):
        yield Finding("wrong", f"{len(unmet)} packages are missing or do not fit: {_first(unmet)}", command)
    else:
        yield Finding("right", f"all packages that {PACKAGE} needs are installed")
    if locked:
        other = list(_unlike(locked.read_text(encoding="utf-8")))
        what = f"{len(other)} packages differ from requirements.lock: {_first(other)}"
        yield Finding("note", what, command) if other else Finding("right", "the packages are those of the lock")


def _unmet() -> Iterator[str]:
    """Yield the packages that this package and its extra `local` ask for and that are not installed so."""
    for text in requires(PACKAGE) or ():
        asked = Requirement(text)
        wanted = asked.marker is None or any(
            asked.marker.evaluate({"extra": name}) for name in ("", "local", "warehouse")
        )
        if not wanted or asked.name == PACKAGE:
            continue
        installed = _version(asked.name)
        if not installed or not asked.specifier.contains(installed, prereleases=True):
            yield f"{asked.name} {installed or 'is missing'} ({asked.specifier} is needed)"


def _unlike(lock: str) -> Iterator[str]:
    """Yield the packages of the lock whose version here is another one, or that are missing."""
    for line in lock.splitlines():
        name, _, locked = line.partition("==")
        installed = _version(name)
        if not installed or Version(installed).public != locked:
            yield f"{name} {installed or 'is missing'} ({locked})"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _first(names: list[str]) -> str:
    return ", ".join([*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])])


def _disk(settings: Settings) -> Finding:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    what = f"{free / 1e9:,.1f} GB of disk are free for {settings.home}"
    if free >= DISK:
        return Finding("right", what)
    hint = f"invoke clean, or export {variable('home')}=FOLDER on another disk"
    return Finding("wrong", f"{what}, but a run needs {DISK / 1e9:.0f} GB", hint)


def _memory() -> Finding:
    from tuning.warehouse.local.limits import machine_memory

    memory = machine_memory()
    what = f"{memory / 1e9:,.1f} GB of memory"
    if memory >= MEMORY:
        return Finding("right", what)
    return Finding(
        "wrong", f"{what}, but tuning smollm2 needs 8 GB", "invoke tune --base-model tiny, which tests the pipeline"
    )


def _server(settings: Settings) -> Finding:
    from tuning.warehouse import emulator

    try:
        if server := emulator.running(settings):
            return Finding("right", f"the local BigQuery runs at {server.endpoint}")
        other = emulator.home_at_port(settings)
    except TuningError as error:
        what, _, hint = str(error).partition(". ")
        return Finding("wrong", what, hint)
    if other:
        what = f"port {settings.bigquery_port} is used by the local BigQuery of {other}, so another one will be taken"
        return Finding("right", what)
    return Finding("right", f"the local BigQuery does not run yet; its port {settings.bigquery_port} is free")


def _gpu() -> Iterator[Finding]:
    if not _version("torch"):
        return  # a finding of the packages
    from tuning.tuners.hf.device import find_processor

    processor = find_processor()
    if processor.device == "cpu" and _NVIDIA.exists():
        what = f"there is an NVIDIA GPU, but PyTorch {_version('torch')} cannot use it"
        yield Finding("note", what, "nvidia-smi shows the driver's CUDA version; install the PyTorch build for it")
    else:
        name = "no GPU" if processor.device == "cpu" else "the GPU"
        yield Finding("right", f"{name}: models run on {processor.name} in {processor.precision}")


def _google(settings: Settings) -> Finding:
    from tuning.gcs.access import credentials

    try:
        credentials(settings.google_endpoint, settings)
    except TuningError as error:
        what, _, hint = str(error).partition(". ")
        return Finding("wrong", what, hint)
    return Finding("right", "there are Google credentials; invoke cloud.check --target gcp checks the project")


def _hub() -> Finding:
    if not _version("huggingface-hub"):
        return Finding(
            "note", "huggingface-hub is not installed, which downloads and pushes models", "see the packages"
        )
    from huggingface_hub import get_token

    if get_token():
        return Finding("right", "there is a token for the Hugging Face hub")
    return Finding("note", "no token for the Hugging Face hub; only push and gated models need one", "hf auth login")


def _sandbox() -> Finding:
    from tuning.answers import sandbox
    from tuning.answers.sandbox.limits import LIMITS, PROTECTIONS

    found = sandbox.protection()
    if found != LIMITS:
        return Finding("right", f"the code in answers runs in a sandbox ({found})")
    reasons = "; ".join(f"{name}: {sandbox.why_not(name)}" for name in PROTECTIONS[:-1])
    hint = "use a Linux with user namespaces or Landlock, or invoke tune --run-answers unprotected"
    return Finding("note", f"no sandbox works here, so answers are not run and nothing is released ({reasons})", hint)
