{#-
    The engine: the tables and functions that apply changes to models, in the schema
    engine_schema(). refresh(model)

    1. detects the changes of each input since the model read it (unseen, detect);
    2. collects the keys that they belong to (keys, choose);
    3. computes the rows of these keys by the model's own select (touched, recompute),
        or what the changed rows add (delta), or everything;
    4. writes the difference, and records the snapshot (write).

    The files in brackets hold the steps; find and apply call them. sources, views,
    triggers and identity describe an input; capture and track store its changes.

    It runs in the caller's REPEATABLE READ transaction: it is exact in one snapshot,
    it applies everything or nothing, and no reader waits.
-#}
{% macro _engine(schema) -%}
    {{ exact._engine_state(schema) }}
    {{ exact._engine_capture(schema) }}
    {{ exact._engine_track(schema) }}
    {{ exact._engine_calendar(schema) }}
    {{ exact._engine_selects(schema) }}
    {{ exact._engine_types(schema) }}
    {{ exact._engine_sources(schema) }}
    {{ exact._engine_views(schema) }}
    {{ exact._engine_trigger_forms(schema) }}
    {{ exact._engine_triggers(schema) }}
    {{ exact._engine_identity(schema) }}
    {{ exact._engine_unseen(schema) }}
    {{ exact._engine_detect(schema) }}
    {{ exact._engine_keys(schema) }}
    {{ exact._engine_choose(schema) }}
    {{ exact._engine_touched(schema) }}
    {{ exact._engine_recompute(schema) }}
    {{ exact._engine_delta(schema) }}
    {{ exact._engine_write(schema) }}
    {{ exact._engine_visibility(schema) }}
    {{ exact._engine_unbuilt(schema) }}
    {{ exact._engine_sample(schema) }}
    {{ exact._engine_verify(schema) }}
    {{ exact._engine_protocol(schema) }}
    {{ exact._engine_find(schema) }}
    {{ exact._engine_apply(schema) }}
    {{ exact._engine_refresh(schema) }}
    {{ exact._engine_forget(schema) }}
    {{ exact._engine_rename(schema) }}
    {{ exact._pin_functions(schema) }}
    {{ exact._pin_settings(schema) }}
{%- endmacro %}
