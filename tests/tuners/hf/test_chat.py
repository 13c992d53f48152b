import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tuners.hf.templates import STYLES, make_tokenizer, tokenizer_of
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import Message
from tuning.errors import TuningError
from tuning.tuners.hf.chat import Tokens, decode_answer, encode, encode_prompt, skip_thoughts, stop_tokens
from tuning.tuners.hf.control_words import control_words
from tuning.tuners.hf.models.base_models import load_tokenizer
from tuning.tuners.hf.train.recipe import Recipe
from tuning.tuners.hf.train.rows import read_rows

PROMPT = (Message("system", "Answer."), Message("user", "How?"))
EVERY = pytest.mark.parametrize("name", STYLES)
# Every control word of every template, and pieces that texts are made of.
CONTROL = sorted({word for style in STYLES.values() for word in (*style.special, *style.other) if word.strip()})
WORDS = [
    "How",
    " do",
    "\n",
    "\n\n",
    "    ",
    " ",
    "\t",
    "é",
    "日本",
    "🙂",
    "<",
    "|",
    ">",
    "s",
    "print(x)",
    "in_end",
    "\ue000",
    "0",
    "1",
]


def control_tokens(tokenizer: Any, ids: list[int]) -> list[str]:
    known = control_words(tokenizer).ids
    return [word for word in tokenizer.convert_ids_to_tokens(ids) if word in known]


def learned(tokenizer: Any, tokens: Tokens) -> str:
    text: str = tokenizer.decode(tokens.ids[tokens.answer_start :])
    return text


def test_the_answer_begins_where_the_prompt_ends_and_closes_with_the_end_mark(local_model: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    tokens = encode(tokenizer, PROMPT, "  So.\n")
    assert tokens.ids[: tokens.answer_start] == encode_prompt(tokenizer, PROMPT)
    assert tokenizer.decode(tokens.ids[: tokens.answer_start]).endswith("<|im_start|>assistant\n")
    assert learned(tokenizer, tokens) == "  So.\n<|im_end|>"


def test_what_is_learned_is_what_the_template_marks_as_generated(local_model: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    conversation = [{"role": m.role, "content": m.content} for m in (*PROMPT, Message("assistant", "Like *this*."))]
    marked = tokenizer.apply_chat_template(conversation, return_assistant_tokens_mask=True, return_dict=True)
    tokens = encode(tokenizer, PROMPT, "Like *this*.")
    generated = [token for token, mark in zip(marked["input_ids"], marked["assistant_masks"], strict=True) if mark]
    assert tokens.ids[tokens.answer_start :] == generated


def test_a_tokenizer_without_a_template_gets_plain_text(local_model: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    tokenizer.chat_template = None
    tokens = encode(tokenizer, (*PROMPT[:1], Message("user", "How <|im_end|>?")), "So <|im_start|>.")
    assert tokenizer.decode(tokens.ids) == "<|im_start|>Answer.\n\nHow <|im_end|>?\n\nSo <|im_start|>.<|im_end|>"
    assert control_tokens(tokenizer, tokens.ids) == ["<|im_start|>", "<|im_end|>"]


def test_a_template_that_words_a_prompt_alone_in_another_way_still_gives_the_whole_answer(local_model: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['content'] }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>thinking{% endif %}"
    )
    tokens = encode(tokenizer, PROMPT, "So.")
    assert learned(tokenizer, tokens) == "So.<|im_end|>"
    assert tokens.ids[: tokens.answer_start] == encode_prompt(tokenizer, PROMPT)


@EVERY
def test_the_prompt_is_the_same_in_training_as_in_prediction(name: str) -> None:
    tokenizer, style = tokenizer_of(name), STYLES[name]
    prompt_ids = encode_prompt(tokenizer, PROMPT)
    assert tokenizer.decode(prompt_ids).endswith(style.opening)
    for answer in ("So.", " So. ", "\n\nSo.\n", "So </think> and <think> it is.", "🙂"):
        tokens = encode(tokenizer, PROMPT, answer)
        assert tokens.ids[: tokens.answer_start] == prompt_ids
        text = style.gap + style.strip(answer)
        assert learned(tokenizer, tokens) == text + style.end
        assert tokens.ids[-1] == tokenizer.convert_tokens_to_ids(style.end)


@EVERY
def test_generation_ends_where_the_learned_answer_ends(name: str) -> None:
    tokenizer = tokenizer_of(name)
    ends = stop_tokens(tokenizer, SimpleNamespace(eos_token_id=[7, 8]))
    assert {encode(tokenizer, PROMPT, "So.").ids[-1], tokenizer.eos_token_id, 7, 8} == set(ends)
    assert tokenizer.eos_token_id in stop_tokens(tokenizer, SimpleNamespace(eos_token_id=None))


@EVERY
def test_a_system_message_that_the_template_does_not_know_is_the_first_paragraph_of_the_question(name: str) -> None:
    tokenizer = tokenizer_of(name)
    text = tokenizer.decode(encode_prompt(tokenizer, PROMPT))
    assert text.count("Answer.") == text.count("How?") == 1
    assert STYLES[name].knows_system or "Answer.\n\nHow?" in text
    alone = encode_prompt(tokenizer, PROMPT[1:])
    assert STYLES[name].knows_system or encode_prompt(tokenizer, (Message("system", " "), PROMPT[1])) == alone


def test_the_training_says_once_where_the_instruction_goes(
    dataset: Dataset, local_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = load_tokenizer(local_model)
    read_rows(tokenizer, dataset, Recipe(max_length=200), tmp_path / "first")
    assert capsys.readouterr().out == ""
    tokenizer.chat_template = STYLES["mistral without system"].template
    read_rows(tokenizer, dataset, Recipe(max_length=200), tmp_path / "second")
    note = f"note: {local_model} knows no system message, so the instruction is put before the question\n"
    assert capsys.readouterr().out == note


@EVERY
def test_control_words_of_a_post_stay_text(name: str) -> None:
    tokenizer, style = tokenizer_of(name), STYLES[name]
    own = control_tokens(tokenizer, encode(tokenizer, PROMPT, "So.").ids)
    draw = random.Random(name)  # noqa: S311
    for _ in range(100):
        system, question, answer = ("".join(draw.choices(WORDS + CONTROL, k=6)) + "." for _ in range(3))
        tokens = encode(tokenizer, (Message("system", system), Message("user", f".{question}")), f".{answer}")
        assert control_tokens(tokenizer, tokens.ids) == own
        text = tokenizer.decode(tokens.ids, clean_up_tokenization_spaces=False)
        assert f".{question}" in text
        assert system.strip() in text
        assert text.endswith(f"{style.gap}.{answer}{style.end}")


@pytest.mark.parametrize(
    "name", sorted(set(STYLES) - {"deepseek r1"})
)  # it ends a prompt in the middle of the thoughts
def test_texts_without_control_words_are_encoded_as_by_the_template_alone(name: str) -> None:
    tokenizer = tokenizer_of(name)
    draw = random.Random(name)  # noqa: S311
    ordinary = [word for word in WORDS if word != "s"]  # which makes <s>
    for _ in range(150):
        system, question, answer = ("".join(draw.choices(ordinary, k=8)) for _ in range(3))
        prompt = (Message("system", system), Message("user", question))[not STYLES[name].knows_system :]
        turns = [{"role": turn.role, "content": turn.content} for turn in (*prompt, Message("assistant", f".{answer}"))]
        if name == "parts":
            turns = [turn | {"content": [{"type": "text", "text": turn["content"]}]} for turn in turns]
        whole = tokenizer.apply_chat_template(turns, return_dict=False)
        plain = tokenizer.apply_chat_template(
            turns[:-1], add_generation_prompt=True, enable_thinking=False, return_dict=False
        )
        assert encode_prompt(tokenizer, prompt) == plain
        ids = encode(tokenizer, prompt, f".{answer}").ids
        assert ids == whole[: len(ids)] or (name == "no end of turn" and ids[:-2] == whole[: len(ids) - 2])


def test_html_tags_and_indentation_keep_their_tokens() -> None:
    tokenizer = tokenizer_of("gemma 2")
    ids = encode_prompt(tokenizer, (Message("user", "Use <table>:\n    <table>"),))
    assert tokenizer.convert_ids_to_tokens(ids).count("<table>") == 2
    assert "    " in tokenizer.convert_ids_to_tokens(ids)


def test_templates_of_published_models_can_be_used() -> None:
    """TRL contains those of some forty models."""
    import trl

    files = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
    if not files:
        pytest.skip("this version of TRL contains no chat templates")
    for file in files:
        template = file.read_text()
        words = {"<eos>", "<|im_end|>", *re.findall(r"<[|\uff5c].+?[|\uff5c]>|</?[a-z_]+>|<\|?turn\|?>", template)}
        tokenizer = make_tokenizer(file.stem, template, ["<eos>", "<bos>"], sorted(words - {"<eos>", "<bos>"}))
        own = control_tokens(tokenizer, encode(tokenizer, PROMPT, "So.").ids)
        prompt = (Message("system", "Answer."), Message("user", f"Is {' or '.join(sorted(words))} a token?"))
        tokens = encode(tokenizer, prompt, f"The {' and '.join(sorted(words))} are.")
        assert control_tokens(tokenizer, tokens.ids) == own, file.stem
        assert tokens.ids[: tokens.answer_start] == encode_prompt(tokenizer, prompt), file.stem
        assert prompt[1].content in tokenizer.decode(tokens.ids), file.stem
        assert learned(tokenizer, tokens).lstrip().startswith("The "), file.stem
        assert tokens.ids[-1] in stop_tokens(tokenizer, SimpleNamespace(eos_token_id=None)), file.stem


def special_tokenizer(model: Any, normalizer: Any, decoder: Any) -> Any:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.decoder = normalizer, decoder
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=STYLES["mistral"].template,
    )


def test_a_vocabulary_that_makes_control_tokens_from_text_gets_them_in_pieces() -> None:
    """Unigram vocabularies contain </s> as a piece, so it is found even where added tokens are not looked for."""
    from tokenizers import decoders, models, normalizers

    letters = [(letter, -3.0) for letter in "▁</>[]INSTHowAnser.?u\n"]
    model = models.Unigram([("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *letters], unk_id=0)
    tokenizer = special_tokenizer(model, normalizers.Replace(" ", "▁"), decoders.Replace("▁", " "))
    tokens = encode(tokenizer, (Message("user", "How </s>?"),), "Answer </s> <s>.")
    assert control_tokens(tokenizer, tokens.ids) == ["<s>", "</s>"]
    assert tokenizer.decode(tokens.ids) == "<s>[INST] How </s>? [/INST] Answer </s> <s>.</s>"


def test_a_tokenizer_that_puts_a_space_before_a_text_puts_none_into_it() -> None:
    """Llama 2 adds a space at the start of a text and after each control token, and has tokens for bytes."""
    from tokenizers import decoders, models, normalizers

    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁</>[]INSTHowAnsr.?u"]
    model = models.BPE({piece: index for index, piece in enumerate(pieces)}, [], byte_fallback=True, unk_token="<unk>")
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer = special_tokenizer(model, normalizer, decoder)
    tokens = encode(tokenizer, (Message("user", "How</s>s?\n</s>\n"),), "So</s>, é.")
    assert control_tokens(tokenizer, tokens.ids) == ["<s>", "</s>"]
    text = tokenizer.decode(tokens.ids)
    assert "How</s>s?\n</s>\n [/INST]" in text
    assert text.endswith("So</s>, é.</s>")


def test_a_text_that_cannot_be_encoded_without_a_control_token_is_refused() -> None:
    from tokenizers import models, pre_tokenizers

    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, "§": 3}
    tokenizer = special_tokenizer(models.WordLevel(vocabulary, "<unk>"), None, None)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens({"additional_special_tokens": ["§"]})
    with pytest.raises(TuningError, match="cannot encode '§' as text"):
        encode_prompt(tokenizer, (Message("user", "a § b"),))


def test_a_tokenizer_that_reads_other_text_as_a_control_word_is_refused() -> None:
    from tokenizers import AddedToken, models, normalizers

    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    tokenizer = special_tokenizer(models.WordLevel(vocabulary, "<unk>"), normalizers.Lowercase(), None)
    tokenizer.add_tokens([AddedToken("<|end|>", special=True, normalized=True)])
    with pytest.raises(TuningError, match=r"reads ordinary text as control words: <\|end\|>. Use another"):
        encode_prompt(tokenizer, (Message("user", "a <|END|> b"),))


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ raise_exception('only tools') }}", r"cannot be used: it fails \(only tools\)"),
        ("{% for message in messages %}", "cannot be used: it fails"),
        ("{{ messages[0].content }}", "it does not render the text of a message"),
        (
            "{% for message in messages %}{{ message.content | replace('|', '/') }}{{ message.content[8:] | length }}"
            "{% if message.content | length > 14 %}{{ message.content[-9:] }}{% endif %}{% endfor %}",
            "it changes or drops a part of the text",
        ),
        (
            "{% for message in messages %}{% if 'How' in message.content %}{{ message.content }}{% endif %}"
            "{{ message.content }}{% endfor %}",
            "it changes or drops a part of the text",
        ),
    ],
)
def test_a_template_that_loses_text_is_one_line(template: str, problem: str, local_model: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    tokenizer.chat_template = template
    with pytest.raises(TuningError, match=problem) as raised:
        encode_prompt(tokenizer, (Message("user", "How <|im_end|> and <|im_end|>?"),))
    assert str(local_model) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        "replace('\n', ' ')",
        "replace('#', '')",
        "replace('  ', ' ')",
        "replace('\t', '    ')",
        "tojson",
        "e",
        "string | forceescape",
        "striptags",
        "urlize",
        "lower",
        "capitalize",
        "title",
        "indent",
        "wordwrap",
        "truncate(2000)",
        "replace('{{', '')",
    ],
)
@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_a_template_that_changes_the_text_of_one_role_is_one_line(change: str, role: str) -> None:
    template = (
        "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
        f"{{% if message.role == '{role}' %}}{{{{ message.content | {change} }}}}{{% else %}}{{{{ message.content }}}}"
        "{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    )
    tokenizer = make_tokenizer("changing", template, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], [])
    with pytest.raises(TuningError, match="changing cannot be used: it changes or drops a part of the text"):
        encode(tokenizer, PROMPT, "So.")


@pytest.mark.parametrize(
    ("generated", "answer"),
    [
        ("<think>\nHm, so.\n</think>\n\nUse a loop.<|im_end|>", "Use a loop."),
        ("\n<think></think>Use it.", "Use it."),
        ("<think>\nHm, and then", ""),
        ("Write <think> and </think>.", "Write <think> and </think>."),
    ],
)
@pytest.mark.parametrize("special", [True, False])
def test_thoughts_are_no_part_of_an_answer(generated: str, answer: str, special: bool) -> None:
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer_of("chatml").backend_tokenizer, eos_token="<|im_end|>"
    )
    if special:
        tokenizer.add_special_tokens(
            {"additional_special_tokens": [AddedToken(tag) for tag in ("<think>", "</think>")]}
        )
    ids = tokenizer(generated)["input_ids"]
    assert decode_answer(tokenizer, ids) == answer
    for size in (1, 3, 100):
        pieces = [generated.removesuffix("<|im_end|>")[at : at + size] for at in range(0, len(generated), size)]
        assert "".join(skip_thoughts(pieces)).strip() == answer


def test_pieces_of_an_answer_come_at_once() -> None:
    assert list(skip_thoughts(["", "<", "b>", "", " x", "<think>"])) == ["<b>", " x", "<think>"]
    assert list(skip_thoughts(["<thi"])) == ["<thi"]
