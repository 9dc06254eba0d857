{#-
    The statements that limit the transaction that they are run in: how long a statement
    may take (REFRESH_TIMEOUT seconds, 0 for no limit; a shorter statement_timeout
    stays), and that it ends with its client. They are plain SET, which takes no
    snapshot.
-#}
{% macro run_limits() -%}
    {%- set present = run_query(
        "select setting::bigint as timeout, version() like '%linux%' as is_linux "
        ~ "from pg_settings where name = 'statement_timeout'"
    ).rows[0] -%}
    {%- set limit = env_var("REFRESH_TIMEOUT", "3600") | int * 1000 -%}
    set local tcp_keepalives_idle = 60;
    set local tcp_keepalives_interval = 10;
    set local tcp_keepalives_count = 3
    {%- if present["is_linux"] -%}
        ; set local client_connection_check_interval = '5s'
    {%- endif -%}
    {%- if limit and (not present["timeout"] or present["timeout"] > limit) -%}
        ; set local statement_timeout = {{ limit }}
    {%- endif -%}
{%- endmacro %}
