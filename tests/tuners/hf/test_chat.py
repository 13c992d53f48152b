from pathlib import Path

from tuning.dataset.formats.records import Message
from tuning.tuners.hf.chat import encode, encode_prompt
from tuning.tuners.hf.models.base_models import load_tokenizer

PROMPT = (Message("system", "Answer."), Message("user", "How?"))


def test_the_answer_begins_where_the_prompt_ends_and_closes_with_the_end_mark(local_model: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    tokens = encode(tokenizer, PROMPT, "  So.\n")
    assert tokens.ids[: tokens.answer_start] == encode_prompt(tokenizer, PROMPT)
    assert tokenizer.decode(tokens.ids[: tokens.answer_start]).endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(tokens.ids[tokens.answer_start :]) == "  So.\n<|im_end|>"


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
    tokens = encode(tokenizer, PROMPT, "So.")
    assert tokenizer.decode(tokens.ids) == "<|im_start|>Answer.\n\nHow?\n\nSo.<|im_end|>"


def test_a_template_that_words_a_prompt_alone_in_another_way_still_gives_the_whole_answer(local_model: Path) -> None:
    tokenizer = load_tokenizer(local_model)
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['content'] }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>thinking{% endif %}"
    )
    tokens = encode(tokenizer, PROMPT, "So.")
    assert tokenizer.decode(tokens.ids[tokens.answer_start :]) == "So.<|im_end|>"
