"""Write the answers and losses of smollm2 that ship with the package.

``python -m tests.tuners.hf.answer.write_known_answers ID`` writes the answers to the judging questions, and for the
sample's dataset ID the losses of the held-out examples and the answers that a report shows. `invoke tune --preview 1`
in an empty home makes that dataset and prints its ID.
"""

import sys

import msgspec

from tuning.answers.suite import JUDGING, find_suite
from tuning.dataset.dataset import find_dataset
from tuning.dataset.formats.codec import as_question
from tuning.evaluation.examples import read_examples
from tuning.evaluation.options import EvaluationOptions
from tuning.settings import load_settings
from tuning.storage import sha256_of, write_bytes
from tuning.tuners.hf.answer import known
from tuning.tuners.hf.chat import encode_prompt
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.models.base_models import load_tokenizer
from tuning.tuners.hf.models.smollm2 import fetch
from tuning.warehouse.variables import Variables


def main() -> None:
    set_up_libraries()  # before torch is imported
    from tuning.tuners.hf.answer.predictor import HfPredictor, scored_row

    settings, options = load_settings(), EvaluationOptions()
    folder = fetch(settings)
    limit = options.max_new_tokens
    template = Variables().instruction_template
    prompts = [
        as_question("messages", template, question.title, question.body) for question in find_suite(JUDGING).questions
    ]
    dataset = find_dataset(settings, sys.argv[1])
    examples = [row.example for row in read_examples(dataset, options.examples)]
    prompts += [example.prompt for example in examples[: options.answers]]
    before = known.find_known(folder)
    known.FILE.unlink(missing_ok=True)  # otherwise, its answers would be used
    predictor = HfPredictor(folder)
    answers = predictor.generate(prompts, limit)
    again = [
        answer
        for start in range(0, len(prompts), known.CHECKED)
        for answer in predictor.generate(prompts[start : start + known.CHECKED], limit)
    ]
    tokenizer = load_tokenizer(folder)
    keys = [known.key_of(encode_prompt(tokenizer, prompt)) for prompt in prompts]
    rows = [scored_row(tokenizer, example, options.max_length) for example in examples]
    content = known.Known(
        weights_sha256=sha256_of(folder / known.WEIGHTS),
        max_new_tokens=limit,
        answers=dict(zip(keys, answers, strict=True)),
        unstable=[
            key
            for key, one, other in zip(keys, answers, again, strict=True)
            if one != other or key in before.unstable  # on another machine
        ],
        losses=dict(
            zip(
                [known.key_of([start, *ids]) for ids, start in rows],
                predictor.losses(examples, options.max_length),
                strict=True,
            )
        ),
    )
    write_bytes(known.FILE, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    print(f"{len(answers)} answers and {len(content.losses)} losses in {known.FILE}")


if __name__ == "__main__":
    main()
