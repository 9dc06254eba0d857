"""What a database's schema means, read from its catalogue, to be compared.

A dump is no measure: a server may keep notes of its own among the options of a column
or a table, and pg_dump prints what it does not know. Here only those options count that
PostgreSQL documents, for only those are a user's.
"""

from contextlib import closing
from typing import Any

import psycopg2

from scripts.dump_schema import OPTIONS


def _options(column: str) -> str:
    return (
        f"array(select given from unnest({column}) as given "
        f"where given ~ '^({OPTIONS})=' order by given)"
    )


# What a server makes by itself has lower numbers.
FIRST_OID = 16384

RELATIONS = f"""(
    select *, oid::regclass::text as name from pg_class
    where
        oid >= {FIRST_OID} and relpersistence <> 't'
        and relnamespace <> 'pg_toast'::regnamespace
) as relation"""

# The name and the definition of each object of a catalogue.
DEFINITIONS = {
    "pg_class": f"""
        select name, concat_ws(
            ' | ', relkind, relpersistence, relreplident, relrowsecurity,
            relforcerowsecurity, amname, spcname, {_options("reloptions")},
            {_options("(select reloptions from pg_class where oid = reltoastrelid)")},
            pg_get_partkeydef(relation.oid), pg_get_expr(relpartbound, relation.oid),
            nullif(reloftype, 0)::regtype,
            case when relkind in ('v', 'm') then pg_get_viewdef(relation.oid) end,
            (
                select string_agg(inhparent::regclass::text, ', ' order by inhseqno)
                from pg_inherits where inhrelid = relation.oid
            )
        )
        from {RELATIONS}
        left join pg_am on pg_am.oid = relam
        left join pg_tablespace on pg_tablespace.oid = reltablespace""",
    "pg_attribute": f"""
        select format('%s.%I', name, attname), concat_ws(
            ' | ', row_number() over (partition by attrelid order by attnum),
            format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
            attstorage, attcompression, attislocal, attinhcount > 0,
            coalesce(attstattarget, -1), nullif(attcollation, 0)::regcollation,
            {_options("attoptions")}, attfdwoptions, pg_get_expr(adbin, adrelid)
        )
        from {RELATIONS}
        join pg_attribute on attrelid = relation.oid
        left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where attnum > 0 and not attisdropped""",
    "pg_index": f"""
        select name, concat_ws(
            ' | ',
            -- Its options are the relation's, above.
            regexp_replace(pg_get_indexdef(indexrelid), $$ WITH \\([^)]*\\)$$, ''),
            indisclustered, indisreplident, indisvalid
        )
        from {RELATIONS} join pg_index on indexrelid = relation.oid""",
    "pg_constraint": f"""
        select
            format('%s.%I', coalesce(nullif(conrelid, 0)::regclass::text,
                contypid::regtype::text), conname),
            concat_ws(' | ', pg_get_constraintdef(oid), conislocal)
        from pg_constraint where oid >= {FIRST_OID}""",
    "pg_trigger": f"""
        select
            format('%s.%I', tgrelid::regclass, tgname),
            concat_ws(' | ', pg_get_triggerdef(oid), tgenabled)
        from pg_trigger where oid >= {FIRST_OID} and not tgisinternal""",
    "pg_rewrite": f"""
        select
            format('%s.%I', ev_class::regclass, rulename),
            concat_ws(' | ', pg_get_ruledef(oid), ev_enabled)
        from pg_rewrite where oid >= {FIRST_OID} and rulename <> '_RETURN'""",
    "pg_policy": f"""
        select format('%s.%I', polrelid::regclass, polname), concat_ws(
            ' | ', polcmd, polpermissive, polroles::regrole[],
            pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
        )
        from pg_policy where oid >= {FIRST_OID}""",
    "pg_proc": f"""
        select pg_proc.oid::regprocedure::text, concat_ws(
            ' | ', prokind, pg_get_function_arguments(pg_proc.oid),
            pg_get_function_result(pg_proc.oid), lanname, provolatile, proparallel,
            prosecdef, proleakproof, proisstrict, procost, prorows, prosupport,
            array_to_string(proconfig, ', '), prosrc,
            pg_get_function_sqlbody(pg_proc.oid)
        )
        from pg_proc join pg_language on pg_language.oid = prolang
        where pg_proc.oid >= {FIRST_OID}""",
    "pg_type": f"""
        select oid::regtype::text, concat_ws(
            ' | ', typtype, nullif(typbasetype, 0)::regtype, typtypmod, typnotnull,
            typdefault,
            array(
                select enumlabel from pg_enum
                where enumtypid = pg_type.oid order by enumsortorder
            )
        )
        from pg_type where oid >= {FIRST_OID}""",
    "pg_sequence": f"""
        select name, concat_ws(
            ' | ', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache,
            seqcycle,
            (
                select format('%s.%s', refobjid::regclass, refobjsubid) from pg_depend
                where
                    classid = 'pg_class'::regclass and objid = seqrelid
                    and refobjsubid > 0
            )
        )
        from {RELATIONS} join pg_sequence on seqrelid = relation.oid""",
    "pg_statistic_ext": f"""
        select format('%s.%I', stxnamespace::regnamespace, stxname), concat_ws(
            ' | ', pg_get_statisticsobjdef(oid), coalesce(stxstattarget, -1)
        )
        from pg_statistic_ext where oid >= {FIRST_OID}""",
    "pg_namespace": f"""
        select oid::regnamespace::text, '' from pg_namespace
        where oid >= {FIRST_OID} and nspname not like 'pg\\_%%'""",
    "pg_publication": f"""
        select pubname, concat_ws(
            ' | ', puballtables, pubinsert, pubupdate, pubdelete, pubtruncate,
            pubviaroot, array(
                select format('%s.%s', schemaname, tablename) from pg_publication_tables
                where pg_publication_tables.pubname = pg_publication.pubname order by 1
            )
        )
        from pg_publication where oid >= {FIRST_OID}""",
    "pg_description": f"""
        select (pg_identify_object(classoid, objoid, objsubid)).identity, description
        from pg_description where objoid >= {FIRST_OID}""",
}

# Each right that a role has, whether it was granted or is there by default.
DEFINITIONS["privilege"] = f"""
    select object, concat_ws(
        ' | ', case grantee when 0 then 'public' else grantee::regrole::text end,
        privilege_type, is_grantable
    )
    from (
        select name as object, coalesce(
            relacl,
            acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)
        ) as rights
        from {RELATIONS} where relkind not in ('i', 'I', 'c')
        union all
        select format('%s.%I', name, attname), attacl
        from {RELATIONS} join pg_attribute on attrelid = relation.oid
        union all
        select oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner))
        from pg_proc where oid >= {FIRST_OID}
        union all
        select oid::regnamespace::text, coalesce(nspacl, acldefault('n', nspowner))
        from pg_namespace where oid >= {FIRST_OID} or nspname = 'public'
        union all
        select oid::regtype::text, coalesce(typacl, acldefault('T', typowner))
        from pg_type where oid >= {FIRST_OID}
        union all
        select concat_ws(
            ' ', 'default of', defaclrole::regrole, 'for', defaclobjtype, 'in',
            nullif(defaclnamespace, 0)::regnamespace
        ), defaclacl
        from pg_default_acl
    ) as objects
    cross join lateral aclexplode(rights)"""

# Catalogues of what the objects above consist of.
PARTS = ("pg_attrdef", "pg_enum", "pg_publication_rel", "pg_publication_namespace")


def meaning(url: str) -> list[str]:
    """A line for each object, column and privilege of a database, sorted."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        return meaning_within(cursor)


def meaning_within(cursor: Any) -> list[str]:
    """The same as a transaction sees it.

    An object of a sort that is unknown here counts by its name.
    """
    # Names are then written with their schema.
    cursor.execute("set local search_path = pg_catalog")
    lines = []
    for catalogue in dict.fromkeys((*DEFINITIONS, *_catalogues(cursor))):
        cursor.execute(
            DEFINITIONS.get(catalogue)
            or "select (pg_identify_object(tableoid, oid, 0)).identity, '' "
            f"from {catalogue} where oid >= {FIRST_OID}"
        )
        lines += [f"{catalogue} {name}: {text}" for name, text in cursor]
    return sorted(lines)


def _catalogues(cursor: Any) -> list[str]:
    """The catalogues of a database's objects, those that are parts of others aside."""
    cursor.execute(
        "select relname::text from pg_class "
        "where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r' "
        "and not relisshared and relname <> all (%s) and exists "
        "(select from pg_attribute where attrelid = pg_class.oid and attname = 'oid') "
        "and relname <> 'pg_largeobject_metadata' order by relname",
        (list(PARTS),),
    )
    return [name for (name,) in cursor.fetchall()]
