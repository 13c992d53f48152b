"""Set up torch and the Hugging Face libraries before they are used: quiet, off the network, good neighbours."""

import os
import warnings

_VARIABLES = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # TRL reports every training otherwise
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
    "TQDM_DISABLE": "1",  # progress is ours
    # Threads that wait for each other sleep instead of spinning: where other processes want the cores too, spinning
    # halves the speed. Read by OpenMP when torch is first imported.
    "GOMP_SPINCOUNT": "0",
}


def set_up_libraries() -> None:
    """Call before torch, transformers, TRL, PEFT or datasets are imported; they load from local folders only."""
    os.environ.update(_VARIABLES)
    # TRL asks transformers by a name that transformers wants to retire.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
    from huggingface_hub import constants

    # Set here and not only in the environment, which the library reads when it is first imported.
    constants.HF_HUB_OFFLINE = True
    constants.HF_HUB_DISABLE_TELEMETRY = True
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def go_online() -> None:
    """Let the hub be asked, unless the user's own HF_HUB_OFFLINE forbids it."""
    os.environ.update(_VARIABLES)
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    constants.HF_HUB_DISABLE_TELEMETRY = True
