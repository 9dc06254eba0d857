{#-
    Replaces a relation, if it exists, by one that was created under another name.
    Readers wait for the swap alone, and keep their privileges. What depends on the
    relation is never dropped with it.
-#}
{% macro replace_relation(relation, next_relation) -%}
    {%- set existing = load_cached_relation(relation) -%}
    {%- if existing is not none -%}
        {%- do run_query(exact._copy_grants(relation, next_relation)) -%}
        {%- do exact.run_between_readers(
            "drop " ~ (existing.type | string).replace("_", " ") ~ " " ~ relation,
            relation
        ) -%}
        {#- Nothing is left to drop: this updates dbt's cache. -#}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- do adapter.rename_relation(next_relation, relation) -%}
{%- endmacro %}


{#- Gives a relation the privileges that others have on another one, and on those of
    its columns that both have. -#}
{% macro _copy_grants(from_relation, to_relation) -%}
    do $grants$
    declare
        privilege record;
    begin
        for privilege in
            with acls as (
                select relacl as acl, relowner as owner, null::name as column_name
                from pg_class where oid = '{{ from_relation }}'::regclass
                union all
                select former.attacl, pg_class.relowner, former.attname
                from pg_attribute as former
                inner join pg_class on former.attrelid = pg_class.oid
                inner join pg_attribute as made
                    on made.attrelid = '{{ to_relation }}'::regclass
                    and former.attname = made.attname
                where former.attrelid = '{{ from_relation }}'::regclass
                    and not former.attisdropped
            )
            select
                granted.privilege_type || coalesce(
                    ' (' || quote_ident(acls.column_name) || ')', ''
                ) as name,
                case granted.grantee when 0 then 'public'
                    else granted.grantee::regrole::text end as grantee,
                case when granted.is_grantable then 'with grant option' else '' end
                    as option
            from acls cross join aclexplode(acls.acl) as granted
            where granted.grantee != acls.owner
        loop
            execute format(
                'grant %s on {{ to_relation }} to %s %s',
                privilege.name, privilege.grantee, privilege.option
            );
        end loop;
    end;
    $grants$
{%- endmacro %}


{#- Stops where something depends on a relation that has to be created again. -#}
{% macro refuse_dependents(relation, changed) -%}
    {%- set dependents = run_query(exact._dependents_sql(relation))
        .columns[0].values() -%}
    {%- if dependents -%}
        {%- do exceptions.raise_compiler_error(
            relation ~ " gets another " ~ changed ~ ", so it is made again, and "
            ~ dependents | join(", ") ~ " is built on it: drop that first, and make it "
            ~ "again afterwards. Nothing was changed."
        ) -%}
    {%- endif -%}
{%- endmacro %}


{#- A query of the names of all that would have to be dropped with a relation: views,
    and whatever else refers to it or to the type of its rows. -#}
{% macro _dependents_sql(relation) -%}
    select distinct coalesce(
        rules.ev_class::regclass::text,
        pg_describe_object(pg_depend.classid, pg_depend.objid, 0)
    )
    from pg_class
    left join pg_type on pg_class.reltype = pg_type.oid
    inner join pg_depend
        on (pg_depend.refclassid = 'pg_class'::regclass
            and pg_depend.refobjid = pg_class.oid)
        or (pg_depend.refclassid = 'pg_type'::regclass
            and pg_depend.refobjid in (pg_type.oid, pg_type.typarray))
    left join pg_rewrite as rules
        on pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.objid = rules.oid
    where pg_class.oid = to_regclass('{{ relation }}')
        and pg_depend.deptype = 'n'
        and rules.ev_class is distinct from pg_class.oid
    order by 1
{%- endmacro %}
