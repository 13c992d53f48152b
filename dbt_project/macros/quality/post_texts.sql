{#
What the HTML of a post contains. RE2 matches in linear time, also on hostile posts. Each kind of element is removed in a
separate pass, because one pattern for several kinds would search the rest of a text again for each start tag.
#}


{% macro text_length(body) %}
    {#- The number of characters that a reader sees, with code. An entity is one character. -#}
    length(
        regexp_replace(
            regexp_replace({{ without_tags(body) }}, {{ text_literal('&#?[A-Za-z0-9]+;') }}, 'x'),
            {{ text_literal('^\\s+|\\s+$') }},
            ''
        )
    )
{% endmacro %}


{% macro without_tags(html) %}
    regexp_replace({{ html }}, {{ text_literal('<[^>]*>') }}, '')
{% endmacro %}


{% macro has_code_block(body) %}
    regexp_contains({{ body }}, {{ text_literal('<pre[ >]') }})
{% endmacro %}


{% macro all_code(body) %}
    {#- The code of all blocks and of the prose as one text, each from the start of a line, with entities. -#}
    {%- set code = 'regexp_extract_all(' ~ body ~ ', ' ~ text_literal('(?s)<code.*?</code>') ~ ')' -%}
    {{ without_tags('array_to_string(' ~ code ~ ', ' ~ text_literal('\n') ~ ')') }}
{% endmacro %}


{% macro prose(body) %}
    {#- The text outside code and quotations, with single spaces. -#}
    {%- set text = namespace(sql=body) -%}
    {%- for pattern in ['(?s)<pre.*?</pre>', '(?s)<code>.*?</code>', '(?s)<blockquote>.*?</blockquote>'] -%}
        {%- set text.sql = "regexp_replace(" ~ text.sql ~ ", " ~ text_literal(pattern) ~ ", ' … ')" -%}
    {%- endfor -%}
    regexp_replace({{ without_tags(text.sql) }}, {{ text_literal('\\s+') }}, ' ')
{% endmacro %}
