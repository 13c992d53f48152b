"""Build the base model `tiny` for smoke tests: a small Llama with random weights.

Its tokenizer is trained on the train split. The model shows that every stage works, but says nothing about quality:
with random weights, a minute of training teaches little more than which tokens are frequent.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tuning.dataset.dataset import Dataset
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked
from tuning.tuners.hf.chat import chatml
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.models.made import is_as_made, remove_changed, seal

VOCABULARY = 4096
SEED = 42
# Number of examples that the tokenizer is trained on. More examples change little and take longer.
_EXAMPLES = 5000
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_SHAPE = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}  # 2.6 M parameters, including the vocabulary


def make_tiny(settings: Settings, dataset: Dataset) -> Path:
    """Return the folder of the tiny model for the train split of `dataset`.

    It is built if it does not exist, or if a file of it was changed. The same split always gives the same model. Raises
    TuningError if a line of the split is invalid.
    """
    content = dataset.sha256(dataset.file("train")) + repr((VOCABULARY, SEED, _EXAMPLES, _SHAPE))
    folder = settings.cache_dir / "tiny" / hashlib.sha256(content.encode()).hexdigest()[:16]
    with locked(folder.with_suffix(".lock"), "the base model tiny"):
        if not is_as_made(folder):
            remove_changed(folder)
            with atomic_folder(folder) as target:
                tokenizer = _tokenizer(islice(_texts(dataset), _EXAMPLES))
                tokenizer.save_pretrained(target)
                _model(tokenizer).save_pretrained(target)
                seal(target)
    return folder


def _texts(dataset: Dataset) -> Iterator[str]:
    for example in dataset.examples("train"):
        yield "\n".join([*(message.content for message in example.prompt), example.answer])


def _tokenizer(texts: Iterator[str]) -> Any:
    set_up_libraries()
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=_SPECIAL, initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=_SPECIAL[0],
        bos_token=_SPECIAL[1],
        eos_token=_SPECIAL[2],
        pad_token=_SPECIAL[0],
        chat_template=chatml("You answer questions"),
        model_max_length=_SHAPE["max_position_embeddings"],
    )


def _model(tokenizer: Any) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **_SHAPE,
    )
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return LlamaForCausalLM(config)
