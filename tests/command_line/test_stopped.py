"""Test that a command that is told to end (SIGTERM) says so, and puts in order what it began."""

import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from tuning.command import command
from tuning.command_line.stopped import stopped_by_signal
from tuning.settings import Settings

closed: list[str] = []


@command(writes=False)
def wait(c: Context, settings: Settings) -> None:
    """Wait to be stopped."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    finally:
        closed.append("closed")


def test_a_stopped_command_ends_in_one_line_and_closes_what_it_opened() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Exit) as ended:
        wait(Context())
    assert (ended.value.message, ended.value.code) == ("stopped (SIGTERM). Run the command again to resume.", 143)
    assert closed == ["closed"]
    assert signal.getsignal(signal.SIGTERM) == before


def sleep(begun: Event) -> None:
    begun.set()
    time.sleep(30)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_was_forked_ends_at_once_as_without_the_command() -> None:
    with stopped_by_signal():
        context = multiprocessing.get_context("fork")
        begun = context.Event()
        child = context.Process(target=sleep, args=(begun,))
        child.start()
        begun.wait(10)
        child.terminate()
        child.join(10)
    assert child.exitcode == -signal.SIGTERM
