{#-
    Where row-level security hides rows of a table from the role that reads it, a run
    would count these rows as deleted, so the engine refuses it. The policies do not
    matter: one that shows all rows today may hide some tomorrow.
-#}
{% macro _engine_visibility(schema) %}

-- Fails if row-level security hides rows from a run: from the role that runs it, or
-- from the owner of a staging view, whose rights the view reads with.
create or replace function {{ schema }}._refuse_hidden_rows(inputs jsonb) returns void
language plpgsql stable
as $$
declare
    hidden record;
begin
    select relations.oid::regclass as name, readers.rolname as role into hidden
    from pg_class as relations
    inner join pg_roles as readers on {{ exact._hides_rows(
        "relations", "readers"
    ) }}
    where relations.relrowsecurity and (
        readers.rolname = current_user
        or readers.oid in (
            select relowner from pg_class as views
            where views.oid in (
                select to_regclass(input ->> 'relation')
                from jsonb_array_elements(inputs) as input
                where to_regclass(input ->> 'source') = relations.oid
            )
        )
    ) and (
        relations.relnamespace = '{{ schema }}'::regnamespace
        or relations.oid in (
            select to_regclass(name)
            from jsonb_array_elements(inputs) as input
            cross join lateral (values
                (input ->> 'relation'), (input ->> 'source'), (input ->> 'tombstones'),
                (input ->> 'cleared')
            ) as names (name)
            union
            select to_regclass(relation) from {{ schema }}.models
        )
    )
    order by 1 limit 1;
    if found then
        raise exception 'row-level security hides rows of % from role %',
            hidden.name, hidden.role
            using hint = format(
                'as owner `alter table %s disable row level security`, or as '
                'administrator `alter role %I bypassrls`', hidden.name, hidden.role
            );
    end if;
end;
$$;
{% endmacro %}
