"""Count the tokens of texts with a model's tokenizer. Without one, guess them from the number of bytes."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tuning.errors import TuningError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# English prose has about four bytes per token and code about three: https://ai.google.dev/gemini-api/docs/tokens.
# With the smaller number, the guess is too high rather than too low.
BYTES_PER_TOKEN = 3.0
TOKENIZER_FILE = "tokenizer.json"


def count_tokens(texts: Sequence[str], tokenizer: Path | None) -> list[int]:
    """Return the number of tokens of each text. `tokenizer` is the folder with `tokenizer.json`, None for a guess.

    Raises TuningError if the tokenizer cannot be loaded.
    """
    if tokenizer is None:
        return [round(len(text.encode()) / BYTES_PER_TOKEN) for text in texts]
    return [len(one) for one in load_tokenizer(tokenizer).encode_batch_fast(list(texts), add_special_tokens=False)]


def have_tokens(texts: Sequence[str], least: int, tokenizer: Path | None) -> bool:
    """Return whether the texts have at least this many tokens together.

    Texts with fewer bytes are not counted, because a token has at least one byte. Raises TuningError if the tokenizer
    cannot be loaded.
    """
    return sum(len(text.encode()) for text in texts) >= least and sum(count_tokens(texts, tokenizer)) >= least


@lru_cache(maxsize=2)
def load_tokenizer(folder: Path) -> "Tokenizer":
    """Return the tokenizer in the folder. Raises TuningError if there is none or it is not valid."""
    from tokenizers import Tokenizer

    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise TuningError(f"{folder} contains no {TOKENIZER_FILE}", "Use the folder of a model with a fast tokenizer")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise TuningError(f"{path} is not a valid tokenizer ({error})", "Download the model again") from None
    tokenizer.encode_special_tokens = True  # encode a special token in a post as plain text, as in training
    return tokenizer
