{#
`dbt run` does not load seeds, but every build must use the current deny list. The seed therefore records the checksum of
the file that it loaded. A run that does not load the seed compares this checksum, and stops if the file has changed. With
--defer, a run can read the seed of another build, and then compares the checksum of that one.
#}


{% macro require_current_deny_list() %}
    {%- if execute and flags.WHICH in ('run', 'build') -%}
        {%- set seed = graph.nodes['seed.' ~ project_name ~ '.denied_posts'] -%}
        {#- As ref() does: with --defer, the table of this build if there is one, unless --favor-state is given. -#}
        {%- set is_here = not invocation_args_dict.get('favor_state')
            and adapter.get_relation(database=seed.database, schema=seed.schema, identifier=seed.alias) -%}
        {%- set in_use = seed if is_here or not seed.defer_relation else seed.defer_relation -%}
        {%- if seed.unique_id not in selected_resources and loaded_deny_list(in_use) != seed.checksum.checksum -%}
            {%- if seed.checksum.checksum != checksum_of_empty_deny_list() -%}
                {{ exceptions.raise_compiler_error(
                    "the deny list in " ~ seed.original_file_path ~ " differs from the one loaded into " ~ in_use.schema
                    ~ "; run `dbt seed` to load it, or `dbt build` to load it and build all models"
                ) }}
            {%- endif -%}
            {%- do adapter.create_schema(api.Relation.create(database=seed.database, schema=seed.schema)) -%}
            {%- set relation = api.Relation.create(database=seed.database, schema=seed.schema, identifier=seed.alias) -%}
            {%- do run_query(
                'create or replace table ' ~ relation ~ ' as '
                ~ 'select cast(null as int64) as post_id, cast(null as string) as reason limit 0'
            ) -%}
            {%- do run_query(record_deny_list(seed)) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}


{% macro record_deny_list(seed) %}
    create or replace table `{{ seed.database }}`.`{{ seed.schema }}`.`{{ seed.alias }}_loaded` as
    select {{ text_literal(seed.checksum.checksum) }} as checksum
{% endmacro %}


{% macro loaded_deny_list(seed) %}
    {%- set record = adapter.get_relation(database=seed.database, schema=seed.schema, identifier=seed.alias ~ '_loaded') -%}
    {{ return(none if record is none else run_query('select checksum from ' ~ record).rows[0][0]) }}
{% endmacro %}


{% macro checksum_of_empty_deny_list() %}
    {#- Return the SHA-256 of a file with only the header `post_id,reason`. dbt computes it without the line end. -#}
    {{ return('b4b7e5ccb41972bc9d774c2ad061cc4046048b033c85d269c93948a08641e621') }}
{% endmacro %}
