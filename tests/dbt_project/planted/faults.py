"""Faults that someone could make in the dbt project, each as the text that it replaces."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    name: str
    file: str  # in the project
    right: str
    wrong: str
    # What to build to see it, in dbt's syntax; empty: the compiled project alone shows it.
    select: str = ""

    def plant(self, project: Path) -> None:
        path = project / self.file
        text = path.read_text()
        if self.right not in text:
            raise LookupError(f"{self.name}: {self.file} no longer holds {self.right!r}")
        path.write_text(text.replace(self.right, self.wrong))


RULES = "macros/rules.sql"
COLUMNS = "macros/post_columns.sql"
QUESTIONS = "models/staging/stg_stack_exchange__questions.sql"
LINKS = "models/staging/stg_stack_exchange__post_links.sql"
TAGGED = "models/intermediate/int_questions_tagged.sql"
ANSWERS = "models/intermediate/int_answers_to_tagged_questions.sql"
PAIRS = "models/intermediate/int_accepted_pairs.sql"
DUPLICATES = "models/intermediate/int_duplicate_links.sql"
PREFERENCES = "models/intermediate/int_preference_pairs.sql"
MART = "models/marts/python_qa_instructions.sql"
FUNNEL = "models/marts/dataset_funnel.sql"
FLAGS = "macros/quality/post_flags.sql"
TEXTS = "macros/quality/post_texts.sql"
FILTERS = "macros/quality/rules.sql"

FAULTS = (
    Fault(
        "a wrong join key",
        PAIRS,
        "questions.accepted_answer_id = answers.answer_id",
        "questions.question_id = answers.question_id",
        select="int_accepted_pairs",
    ),
    Fault(
        "a lost filter",
        MART,
        "    where is_kept\n",
        "",
        select="python_qa_instructions",
    ),
    Fault(
        "like '%python%' for the tag pattern",
        RULES,
        "where regexp_contains(tag, {{ text_literal(variable('tag_pattern')) }})",
        "where tag like '%python%'",
        select="int_questions_tagged",
    ),
    Fault(
        "a licence date off by a day",
        COLUMNS,
        "2018-05-02",
        "2018-05-03",
        select="stg_stack_exchange__questions",
    ),
    Fault(
        "the licence by date of creation",
        QUESTIONS,
        "coalesce(last_edit_date, creation_date)",
        "creation_date",
        select="stg_stack_exchange__questions",
    ),
    Fault(
        "after the date for on or after",
        RULES,
        "{{ created_at }} >=",
        "{{ created_at }} >",
        select="int_accepted_pairs",
    ),
    Fault(
        "the deny list forgotten for answers",
        ANSWERS,
        "        and not {{ is_denied('answers.answer_id') }}\n",
        "",
        select="int_answers_to_tagged_questions",
    ),
    Fault(
        "a parent check that no variable switches off",
        RULES,
        "{{ is_answer_to_this_question if variable('match_parent') else 'true' }}",
        "{{ is_answer_to_this_question }}",
        select="int_accepted_pairs",
    ),
    Fault(
        "mentions taken for duplicates",
        LINKS,
        "link_type_id = 3",
        "link_type_id = 1",
        select="stg_stack_exchange__post_links",
    ),
    Fault(
        "duplicate links counted twice",
        DUPLICATES,
        "union distinct",
        "union all",
        select="int_duplicate_links",
    ),
    Fault(
        "the body before the title",
        MART,
        "concat(title, body)",
        "concat(body, title)",
        select="python_qa_instructions",
    ),
    Fault(
        "the joining blank lost",
        MART,
        ", ' ', questions.input_text)",
        ", questions.input_text)",
        select="python_qa_instructions",
    ),
    Fault(
        "the answer with fewest votes chosen",
        PREFERENCES,
        "answers.score desc,",
        "answers.score asc,",
        select="int_preference_pairs",
    ),
    Fault(
        "addresses of Stack Overflow for every site",
        COLUMNS,
        "concat(origin.base_url, '/{{ folder }}/'",
        "concat('https://stackoverflow.com', '/{{ folder }}/'",
        select="stg_stack_exchange__questions",
    ),
    Fault(
        "a join that makes rows twice",
        TAGGED,
        "on questions.author_id = users.user_id",
        "on true",
        select="int_questions_tagged",
    ),
    Fault(
        "a rule counted on the wrong rows",
        FUNNEL,
        "countif(is_tagged and not is_denied) as",
        "countif(not is_denied) as",
        select="dataset_funnel",
    ),
    Fault(
        "every post of Community taken for a bot's",
        RULES,
        "when {{ author_id }} < -1 then 'bot'",
        "when {{ author_id }} < 0 then 'bot'",
        select="stg_stack_exchange__questions",
    ),
    Fault(
        "the stated licence ignored",
        COLUMNS,
        "when {{ stated }} is not null then {{ stated }}",
        "when false then {{ stated }}",
        select="stg_stack_exchange__answers",
    ),
    Fault(
        "a renamed column",
        MART,
        "questions.url as question_url",
        "questions.url as url",
    ),
    Fault(
        "a column of another type",
        MART,
        "questions.score as question_score",
        "cast(questions.score as string) as question_score",
    ),
    Fault(
        "a function of DuckDB alone",
        MART,
        "concat(title, body)",
        "list_aggregate([title, body], 'string_agg', '')",
    ),
    Fault(
        "a text put into SQL as it is",
        RULES,
        "{{ text_literal(variable('since')) }}",
        "'{{ variable('since') }}'",
    ),
    Fault(
        "a mart that reads the source",
        FUNNEL,
        "{{ ref('stg_stack_exchange__questions') }}",
        "{{ source('stack_exchange', 'posts_questions') }}",
    ),
    Fault(
        "bodies read once more",
        MART,
        "{{ ref('int_questions_tagged') }}",
        "(\n"
        "        select tagged.* replace (source.body as body)\n"
        "        from {{ ref('int_questions_tagged') }} as tagged\n"
        "        inner join {{ ref('stg_stack_exchange__questions') }} as source\n"
        "            on tagged.question_id = source.question_id\n"
        "    )",
    ),
    Fault(
        "a filter that no variable switches off",
        FILTERS,
        "variable(variable_name) == 'drop'",
        "true",
        select="int_accepted_pairs",
    ),
    Fault(
        "a filter that keeps what it should drop",
        FILTERS,
        "'not coalesce(' ~ fault ~ ', false)'",
        "'coalesce(' ~ fault ~ ', true)'",
        select="int_accepted_pairs",
    ),
    Fault(
        "more than the minimum for at least the minimum",
        FILTERS,
        "' >= ' ~ minimum",
        "' > ' ~ minimum",
        select="int_accepted_pairs",
    ),
    Fault(
        "the last reason for the first",
        FILTERS,
        "{%- for rule in applied %}",
        "{%- for rule in applied | reverse %}",
        select="int_accepted_pairs",
    ),
    Fault(
        "a filter of answers that judges the rejected answer",
        PREFERENCES,
        "quality_columns(answers='best')",
        "quality_columns(answers='worst')",
        select="int_preference_pairs",
    ),
    Fault(
        "a filter counted though it is off",
        FILTERS,
        "{%- if rule.is_applied -%}",
        "{%- if true -%}",
        select="dataset_funnel",
    ),
    Fault(
        "a length that counts tags",
        TEXTS,
        "regexp_replace({{ without_tags(body) }}, {{ text_literal('&#",
        "regexp_replace({{ body }}, {{ text_literal('&#",
        select="int_answers_to_tagged_questions",
    ),
    Fault(
        "code taken for prose",
        TEXTS,
        "['(?s)<pre.*?</pre>', ",
        "[",
        select="int_answers_to_tagged_questions",
    ),
    Fault(
        "comments in code taken for comments of others",
        FLAGS,
        "regexp_replace({{ prose }}, {{ text_literal(in_code) }}, ' ')",
        "{{ prose }}",
        select="int_answers_to_tagged_questions",
    ),
    Fault(
        "Python 2 in an answer for both versions",
        FLAGS,
        "        and not regexp_contains({{ body }}, {{ text_literal(python3) }})\n",
        "",
        select="int_answers_to_tagged_questions",
    ),
    Fault(
        "a picture in every question that says screenshot",
        FLAGS,
        "        regexp_contains({{ body }}, {{ text_literal(image) }})\n        and ",
        "        ",
        select="int_questions_tagged",
    ),
    Fault(
        "rejected rows lost from the mart",
        MART,
        "    where is_kept\n",
        "    where is_kept and quality_reason is null\n",
        select="python_qa_instructions",
    ),
    Fault(
        "closed dates asked of the public dataset",
        COLUMNS,
        "{%- if has_closed_dates() -%}",
        "{%- if true -%}",
    ),
)
