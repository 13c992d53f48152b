"""Faults that someone could make in the dbt project, each as the text that it replaces."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    name: str
    file: str  # in the project
    right: str
    wrong: str
    unit_test: str = ""  # which shows it; empty: the compiled project alone does

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
        unit_test="seed_preset_keeps_a_pair_whose_answer_has_another_parent",
    ),
    Fault(
        "a lost filter",
        MART,
        "    where is_kept\n",
        "",
        unit_test="instruction_is_template_blank_title_body",
    ),
    Fault(
        "like '%python%' for the tag pattern",
        RULES,
        "where regexp_contains(tag, {{ text_literal(variable('tag_pattern')) }})",
        "where tag like '%python%'",
        unit_test="exact_pattern_takes_one_tag_only",
    ),
    Fault(
        "a licence date off by a day",
        COLUMNS,
        "2018-05-02",
        "2018-05-03",
        unit_test="question_license_follows_the_last_revision_to_the_day",
    ),
    Fault(
        "the licence by date of creation",
        QUESTIONS,
        "coalesce(last_edit_date, creation_date)",
        "creation_date",
        unit_test="question_license_follows_the_last_revision_to_the_day",
    ),
    Fault(
        "after the date for on or after",
        RULES,
        "{{ created_at }} >=",
        "{{ created_at }} >",
        unit_test="seed_preset_keeps_a_pair_whose_answer_has_another_parent",
    ),
    Fault(
        "the deny list forgotten for answers",
        ANSWERS,
        "        and not {{ is_denied('answers.answer_id') }}\n",
        "",
        unit_test="answers_are_taken_by_parent_or_by_acceptance",
    ),
    Fault(
        "a parent check that no variable switches off",
        RULES,
        "{{ is_answer_to_this_question if variable('match_parent') else 'true' }}",
        "{{ is_answer_to_this_question }}",
        unit_test="seed_preset_keeps_a_pair_whose_answer_has_another_parent",
    ),
    Fault(
        "mentions taken for duplicates",
        LINKS,
        "link_type_id = 3",
        "link_type_id = 1",
        unit_test="only_link_type_three_is_a_duplicate",
    ),
    Fault(
        "duplicate links counted twice",
        DUPLICATES,
        "union distinct",
        "union all",
        unit_test="duplicate_links_count_in_both_directions_once",
    ),
    Fault(
        "the body before the title",
        MART,
        "concat(title, body)",
        "concat(body, title)",
        unit_test="instruction_is_template_blank_title_body",
    ),
    Fault(
        "the joining blank lost",
        MART,
        ", ' ', questions.input_text)",
        ", questions.input_text)",
        unit_test="instruction_is_template_blank_title_body",
    ),
    Fault(
        "the answer with fewest votes chosen",
        PREFERENCES,
        "answers.score desc,",
        "answers.score asc,",
        unit_test="accepted_answer_is_chosen_and_fewest_votes_rejected",
    ),
    Fault(
        "addresses of Stack Overflow for every site",
        COLUMNS,
        "concat(origin.base_url, '/{{ folder }}/'",
        "concat('https://stackoverflow.com', '/{{ folder }}/'",
        unit_test="question_of_the_sample_is_attributed_to_its_author",
    ),
    Fault(
        "a join that makes rows twice",
        TAGGED,
        "on questions.author_id = users.user_id",
        "on true",
        unit_test="denied_questions_are_left_out_and_accounts_name_the_authors",
    ),
    Fault(
        "a rule counted on the wrong rows",
        FUNNEL,
        "countif(is_tagged and not is_denied) as",
        "countif(not is_denied) as",
        unit_test="funnel_counts_every_row_once_per_rule",
    ),
    Fault(
        "every post of Community taken for a bot's",
        RULES,
        "when {{ author_id }} < -1 then 'bot'",
        "when {{ author_id }} < 0 then 'bot'",
        unit_test="question_is_excluded_by_its_author_and_not_for_being_communitys",
    ),
    Fault(
        "the stated licence ignored",
        COLUMNS,
        "when {{ stated }} is not null then {{ stated }}",
        "when false then {{ stated }}",
        unit_test="answer_has_the_stated_license_instead_of_the_one_by_date",
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
        unit_test="filters_that_are_off_give_no_reason",
    ),
    Fault(
        "a filter that keeps what it should drop",
        FILTERS,
        "'not coalesce(' ~ fault ~ ', false)'",
        "'coalesce(' ~ fault ~ ', true)'",
        unit_test="filters_that_are_off_give_no_reason",
    ),
    Fault(
        "more than the minimum for at least the minimum",
        FILTERS,
        "' >= ' ~ minimum",
        "' > ' ~ minimum",
        unit_test="a_row_has_the_reason_of_the_first_filter_that_it_fails",
    ),
    Fault(
        "the last reason for the first",
        FILTERS,
        "{%- for rule in applied %}",
        "{%- for rule in applied | reverse %}",
        unit_test="a_row_has_the_reason_of_the_first_filter_that_it_fails",
    ),
    Fault(
        "a filter of answers that judges the rejected answer",
        PREFERENCES,
        "quality_columns(answers='best')",
        "quality_columns(answers='worst')",
        unit_test="accepted_answer_is_chosen_and_fewest_votes_rejected",
    ),
    Fault(
        "a filter counted though it is off",
        FILTERS,
        "{%- if rule.is_applied -%}",
        "{%- if true -%}",
        unit_test="funnel_counts_every_row_once_per_rule",
    ),
    Fault(
        "a length that counts tags",
        TEXTS,
        "regexp_replace({{ without_tags(body) }}, {{ text_literal('&#",
        "regexp_replace({{ body }}, {{ text_literal('&#",
        unit_test="length_counts_what_a_reader_sees_and_code_is_a_block",
    ),
    Fault(
        "code taken for prose",
        TEXTS,
        "['(?s)<pre.*?</pre>', ",
        "[",
        unit_test="an_answer_that_names_its_sources_on_the_page_leans_on_them",
    ),
    Fault(
        "comments in code taken for comments of others",
        FLAGS,
        "regexp_replace({{ prose }}, {{ text_literal(in_code) }}, ' ')",
        "{{ prose }}",
        unit_test="an_answer_that_names_its_sources_on_the_page_leans_on_them",
    ),
    Fault(
        "Python 2 in an answer for both versions",
        FLAGS,
        "        and not regexp_contains({{ body }}, {{ text_literal(python3) }})\n",
        "",
        unit_test="only_code_that_python_3_refuses_is_python_2",
    ),
    Fault(
        "a picture in every question that says screenshot",
        FLAGS,
        "        regexp_contains({{ body }}, {{ text_literal(image) }})\n        and ",
        "        ",
        unit_test="a_question_needs_its_picture_if_it_says_little_without_it",
    ),
    Fault(
        "rejected rows lost from the mart",
        MART,
        "    where is_kept\n",
        "    where is_kept and quality_reason is null\n",
        unit_test="instruction_is_template_blank_title_body",
    ),
    Fault(
        "closed dates asked of the public dataset",
        COLUMNS,
        "{%- if has_closed_dates() -%}",
        "{%- if true -%}",
    ),
)
