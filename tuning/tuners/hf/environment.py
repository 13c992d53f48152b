"""Configure torch and the Hugging Face libraries before their first import.

With this configuration, they print no logs, do not use the network, and leave processor time to other processes.
"""

import os
import warnings
from logging import ERROR, getLogger

_VARIABLES = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # otherwise, TRL reports every training run
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",  # otherwise, each new attempt of a request is a warning before the error
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
    "TQDM_DISABLE": "1",  # the tuner prints its own progress
    # Waiting threads sleep instead of spinning. If other processes need the cores as well, spinning halves the speed.
    # OpenMP reads this when torch is first imported.
    "GOMP_SPINCOUNT": "0",
}


def set_up_libraries() -> None:
    """Configure the libraries to load from local folders only.

    Call this before you import torch, transformers, TRL, PEFT or datasets.
    """
    os.environ.update(_VARIABLES)
    getLogger("bitsandbytes").setLevel(ERROR)  # it warns when it finds no kernels from the hub
    # TRL uses an attribute that transformers has deprecated, which only TRL can change.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
    from huggingface_hub import constants

    # The library reads the environment only when it is first imported, so set its constants as well.
    constants.HF_HUB_OFFLINE = True
    constants.HF_HUB_DISABLE_TELEMETRY = True
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def go_online() -> None:
    """Allow downloads from the Hugging Face hub, unless the user has set HF_HUB_OFFLINE."""
    os.environ.update(_VARIABLES)
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the variable counts only at the first import
    constants.HF_HUB_OFFLINE = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    constants.HF_HUB_DISABLE_TELEMETRY = True
