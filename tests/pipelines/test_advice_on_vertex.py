"""Test that what is advised for Vertex AI names the target that it needs."""

import pytest

from tuning.errors import TuningError
from tuning.pipelines.vertex import jobs, schedule
from tuning.settings import Settings

GOOGLE = Settings(target="gcp", project="mine", bucket="mine")


@pytest.mark.cloud
def test_a_wrong_job_or_schedule_is_answered_with_a_command_of_the_target() -> None:
    with pytest.raises(TuningError, match=r"'X' is not the ID .* Run `invoke status --target gcp` to see"):
        jobs.get_job(GOOGLE, "X")
    for number in ("x", "\u00b2", "1_0"):
        with pytest.raises(TuningError, match=r"is not the number of a schedule.*`invoke schedule --target gcp`"):
            schedule.runs_of(GOOGLE, number, 1)
