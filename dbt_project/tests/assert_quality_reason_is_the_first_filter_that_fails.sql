{%- set switches = [
    ('closed question', 'closed_questions', 'is_closed and not is_duplicate'),
    ('duplicate question', 'duplicate_questions', 'is_duplicate'),
    ('low question score', 'minimum_question_score', 'question_score'),
    ('low answer score', 'minimum_answer_score', 'answer_score'),
    ('short question', 'minimum_question_length', 'question_length'),
    ('short answer', 'minimum_answer_length', 'answer_length'),
    ('question needs its picture', 'picture_questions', 'needs_picture'),
    ('answer leans on other posts', 'leaning_answers', 'leans_on_others'),
    ('Python 2 code', 'python2_answers', 'has_python2_code'),
] %}
{{- require_every_rule(switches | map(attribute=1) | list) }}

with rows_with_faults as (
    select
        example_id,
        quality_reason,
        [
            {%- for reason, name, column in switches %}
            {%- if name.startswith('minimum_') and variable(name) is none %}
            ''
            {%- elif name.startswith('minimum_') %}
            if({{ column }} < {{ variable(name) }}, '{{ reason }}', '')
            {%- else %}
            if({{ column }} and {{ 'true' if variable(name) == 'drop' else 'false' }}, '{{ reason }}', '')
            {%- endif %}
            {{- ',' if not loop.last }}
            {%- endfor %}
        ] as faults
    from {{ ref('python_qa_instructions') }}
)

select
    example_id,
    quality_reason,
    faults
from rows_with_faults
where
    coalesce(quality_reason, '') != coalesce(
        (
            select fault
            from unnest(faults) as fault with offset as position
            where fault != ''
            order by position
            limit 1
        ),
        ''
    )
