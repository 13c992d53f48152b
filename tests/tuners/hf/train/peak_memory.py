"""Train a random Llama in this process and print its peak memory beside the estimate, as JSON in the last line.

python -m tests.tuners.hf.train.peak_memory SIZE RANK
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.bench.gpu_bench import _tokenizer
from tests.bench.measure import peak_of_this_process
from tuning.tuners.hf.device import Processor
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.train.memory import measure, training_bytes
from tuning.tuners.hf.train.recipe import Recipe
from tuning.tuners.hf.train.rows import Rows

# Width, width inside the MLP, layers, heads, key-value heads, tokens of the vocabulary; rows of 256 tokens in a batch.
SIZES = {
    "2.6 M": (192, 512, 4, 4, 4, 4096, 8),
    "32 M": (512, 1408, 8, 8, 4, 16_384, 8),
    "135 M": (576, 1536, 30, 9, 3, 49_152, 2),  # smollm2's
}
LENGTH = 256


def main(size: str, rank: int) -> None:
    set_up_libraries()
    import datasets
    from transformers import LlamaConfig, LlamaForCausalLM

    from tuning.tuners.hf.train.training import Log, train

    width, inner, layers, heads, key_value_heads, vocabulary, batch = SIZES[size]
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=key_value_heads,
            tie_word_embeddings=True,
        )
    )
    shape = measure(model)
    recipe = Recipe(steps=2, batch_size=batch, max_length=LENGTH, lora_rank=rank, evaluations=1)
    count = batch * recipe.steps
    rows = datasets.Dataset.from_dict(
        {
            "ids": [[3 + (7 * row + token) % 4000 for token in range(LENGTH)] for row in range(count)],
            "answer_start": [LENGTH // 2] * count,
            "length": [LENGTH] * count,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        given = Rows(train=rows, development=rows.select([]), total=count, too_long=0)
        train(model, _tokenizer(), given, recipe, Processor("cpu", "fp32", "a processor"), Log(Path(folder)))
    measured = peak_of_this_process()
    tokens = batch * LENGTH
    print(json.dumps([measured, training_bytes(shape, recipe, False, tokens, tokens // 2)]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
