{#-
    Settings of a session that decide what a select gives, with the values that every
    run has, in any session: how text becomes a time and back, the clock of a date, the
    forms of numbers, and how a definition is parsed. None of them needs a right.
-#}
{% macro _settings() -%}
    {{ return({
        "timezone": "UTC",
        "timezone_abbreviations": "Default",
        "datestyle": "ISO, MDY",
        "intervalstyle": "postgres",
        "extra_float_digits": "1",
        "bytea_output": "hex",
        "lc_time": "C",
        "lc_numeric": "C",
        "lc_monetary": "C",
        "default_text_search_config": "pg_catalog.simple",
        "xmlbinary": "base64",
        "xmloption": "content",
        "array_nulls": "on",
        "gin_fuzzy_search_limit": "0",
        "transform_null_equals": "off",
        "standard_conforming_strings": "on",
        "quote_all_identifiers": "off",
    }) }}
{%- endmacro %}


{#- Sets them until the transaction ends. -#}
{% macro _set_settings() -%}
    {%- for name, value in exact._settings().items() -%}
        set local {{ name }} = '{{ value }}';{{ " " }}
    {%- endfor -%}
{%- endmacro %}


{#-
    Pins these settings on the functions that begin a run: the functions that these call
    have them too. A function with settings of its own takes longer to call.
-#}
{% macro _pin_settings(schema) %}
do $pin$
declare
    present regprocedure;
begin
    for present in
        select oid from pg_proc
        where pronamespace = '{{ schema }}'::regnamespace
            and proname in ('refresh', 'refresh_all', 'verify')
    loop
        execute 'alter function ' || present
        {%- for name, value in exact._settings().items() %}
            || $set$ set {{ name }} = '{{ value }}'$set$
        {%- endfor %};
    end loop;
end;
$pin$;
{% endmacro %}
