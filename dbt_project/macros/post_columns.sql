{# Columns that questions and answers share. `origin` is the only row of stg_stack_exchange__origin. #}


{% macro stated_license() %}
    {#- Return the licence that a dump states for a post, as it is, or null. Google's public dataset has no column for it. -#}
    {%- if is_public_dataset() -%}
        cast(null as string)
    {%- else -%}
        nullif(trim(content_license), '')
    {%- endif -%}
{% endmacro %}


{% macro post_license(revised_at, stated) %}
    {#-
    A stated licence counts. Without one, the licence depends on the date of the last revision:
    https://stackoverflow.com/help/licensing
    -#}
    case
        when origin.kind != 'stack_exchange' then origin.license
        when {{ stated }} is not null then {{ stated }}
        when {{ revised_at }} < timestamp('2011-04-08') then 'CC BY-SA 2.5'
        when {{ revised_at }} < timestamp('2018-05-02') then 'CC BY-SA 3.0'
        when {{ revised_at }} >= timestamp('2018-05-02') then 'CC BY-SA 4.0'
    end
{% endmacro %}


{% macro post_license_url(revised_at, stated) %}
    case
        when origin.kind != 'stack_exchange' then origin.license_url
        when {{ stated }} is not null
            then coalesce(
                concat(
                    'https://creativecommons.org/licenses/',
                    lower(regexp_extract({{ stated }}, r'^CC (BY(?:-[A-Z]+)*) [0-9][.][0-9]$')),
                    '/',
                    regexp_extract({{ stated }}, r'^CC BY(?:-[A-Z]+)* ([0-9][.][0-9])$'),
                    '/'
                ),
                -- Another licence. This page of a site says which ones it uses.
                concat(origin.base_url, '/help/licensing')
            )
        when {{ revised_at }} < timestamp('2011-04-08') then 'https://creativecommons.org/licenses/by-sa/2.5/'
        when {{ revised_at }} < timestamp('2018-05-02') then 'https://creativecommons.org/licenses/by-sa/3.0/'
        when {{ revised_at }} >= timestamp('2018-05-02') then 'https://creativecommons.org/licenses/by-sa/4.0/'
    end
{% endmacro %}


{% macro author_url(user_id) %}
    {#- A deleted user has no page: the result is null. The sample has one author, who has no number. -#}
    case
        when origin.kind = 'synthetic' then origin.base_url
        else concat(origin.base_url, '/users/', cast({{ user_id }} as string))
    end
{% endmacro %}


{% macro post_url(folder, id) %}
    concat(origin.base_url, '/{{ folder }}/', cast({{ id }} as string))
{% endmacro %}


{% macro is_closed() %}
    {#- Null if the source does not say which questions are closed. -#}
    {%- if has_closed_dates() -%}
        dated.closed_date is not null
    {%- else -%}
        cast(null as bool)
    {%- endif -%}
{% endmacro %}
