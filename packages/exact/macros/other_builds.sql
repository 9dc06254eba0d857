{#-
    The present of this run as text: the instant of as_of, or "now", which moves. YAML
    gives a time without quotes another form.
-#}
{% macro _as_of() -%}
    {%- if not var("as_of", none) -%}
        {{ return("now") }}
    {%- endif -%}
    {{ return(
        exact.now_iso() | replace(" ", "T") | replace("+00:00", "Z")
    ) }}
{%- endmacro %}


{#-
    Stops a run that would leave models of two zones or of two presents, or that would
    test models of another one. `names` are those of all models of the project, quoted.
    Also stops at a zone that the server does not know.
-#}
{% macro _refuse_other_builds(names) -%}
    {%- set schema = exact.engine_schema() -%}
    {%- set zone = exact.timezone() -%}
    {%- if zone != "UTC" and not run_query(
        "select exists (select from pg_timezone_names where name = '" ~ zone ~ "')"
    ).columns[0].values()[0] -%}
        {%- do exceptions.raise_compiler_error(
            "The variable reporting_timezone names " ~ zone ~ ", which this server "
            ~ "does not know: `select name from pg_timezone_names` lists those that "
            ~ "it does."
        ) -%}
    {%- endif -%}
    {%- set installed = run_query(
        "select attname from pg_attribute where attrelid = to_regclass('" ~ schema
        ~ ".models') and attname in ('zone', 'as_of')"
    ).columns[0].values() -%}
    {%- set is_test = flags.WHICH == "test" -%}
    {%- set reads = namespace(marts=not is_test) -%}
    {%- for unique_id in selected_resources if unique_id.startswith("test.") -%}
        {%- set reads.marts = true -%}
    {%- endfor -%}
    {%- set built = [] -%}
    {%- for node in graph.nodes.values() if not is_test
        and node.config.materialized == "exact"
        and node.unique_id in selected_resources -%}
        {%- do built.append("'" ~ node.alias ~ "'") -%}
    {%- endfor -%}
    {%- for column, value, word in [
        ("zone", zone, "in"), ("as_of", exact._as_of(), "as of")
    ] if reads.marts and column in installed -%}
        {%- set left_out = run_query(
            "select string_agg(distinct " ~ column ~ ", ' and ' order by " ~ column
            ~ "), count(*), count(*) filter (where model != all (array["
            ~ built | join(", ") ~ "]::text[]) and " ~ column ~ " != '" ~ value
            ~ "') from " ~ schema ~ ".models where " ~ column ~ " != '' and model "
            ~ "= any (array[" ~ names | join(", ") ~ "]::text[])"
        ).rows[0] -%}
        {%- if left_out[2] -%}
            {%- set theirs = left_out[0] -%}
            {%- set name = "as_of" if column == "as_of" else "reporting_timezone" -%}
            {%- do exceptions.raise_compiler_error(
                "The marts are " ~ word ~ " " ~ theirs ~ ", and this run " ~ word ~ " "
                ~ value ~ (
                    " would test them" if is_test
                    else " leaves " ~ left_out[2] ~ " of " ~ left_out[1]
                    ~ " models as they are"
                ) ~ ": build all models " ~ (
                    "as of one time" if column == "as_of" else "in one zone"
                ) ~ ", as `" ~ exact.how_to("build") ~ "` does"
                ~ ("." if " and " in theirs
                    else ", or leave as_of out." if theirs == "now"
                    else ", or set " ~ name ~ " to " ~ theirs ~ ".")
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
