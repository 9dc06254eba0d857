"""Which models a model may read: docs/design/architecture.md has the rules, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.python.support import ROOT

# Facts that read staging views alone. Intermediate models of their domain may read them
# too: they have fewer rows than the events.
BASE_FACTS = {"fct_usage_daily", "fct_usage_monthly"}

READS = re.compile(r"(ref|source)\(\s*[\"'](?:saas[\"'],\s*[\"'])?(\w+)[\"']\s*\)")
FIX = "see the layers in docs/design/architecture.md"


@dataclass(frozen=True)
class Model:
    """A model, a seed or a source table."""

    name: str
    layer: str
    """source, seed, staging, intermediate, core or mart."""
    domain: str
    """The folder of an intermediate model or a mart; else empty."""
    reads: frozenset[str]


def read_models(folder: Path) -> dict[str, Model]:
    """The models, seeds and sources of a project, by name."""
    found = {
        path.stem: Model(path.stem, "seed", "", frozenset())
        for path in folder.glob("seeds/*.csv")
    }
    for path in folder.glob("models/**/*.sql"):
        layer, *domains = path.relative_to(folder / "models").parent.parts
        domain = domains[0] if domains else ""
        if layer == "marts":
            layer = "core" if domain == "core" else "mart"
        reads = set()
        for kind, name in READS.findall(path.read_text("utf-8")):
            reads.add(name if kind == "ref" else f"source {name}")
        found[path.stem] = Model(path.stem, layer, domain, frozenset(reads))
    for name in {each for model in found.values() for each in model.reads}:
        if name.startswith("source "):
            found[name] = Model(name, "source", "", frozenset())
    return found


def may_read(reader: Model, read: Model) -> str:
    """Why a model may not read another one, and what to do; empty where it may."""
    below = {
        "staging": ("source",),
        "intermediate": ("seed", "staging", "intermediate"),
        "core": ("seed", "staging", "intermediate", "core"),
        "mart": ("seed", "staging", "intermediate", "core"),
    }[reader.layer]
    if read.layer in below:
        return ""
    is_own = read.layer == "mart" and reader.domain == read.domain
    if is_own and (reader.layer == "mart" or read.name in BASE_FACTS):
        return ""
    remedy = {
        "staging": "a staging view reads one source table: put the rest into an "
        "intermediate model",
        "intermediate": "put what both need into an intermediate model that both read",
        "core": "read the intermediate model that the fact is made from",
        "mart": "read the intermediate model that the other mart is made from"
        if read.layer == "mart"
        else "read its staging view",
    }[reader.layer]
    return f"{reader.name} reads {read.name}: {remedy} ({FIX})"


def cycles(models: dict[str, Model]) -> list[str]:
    """Pairs of domains of which each depends on the other, with the models.

    Core is none of them: it reads intermediate models only, and marts only read it.
    """
    edges: dict[tuple[str, str], list[str]] = {}
    for reader in models.values():
        for name in reader.reads:
            ends = (reader.domain, models[name].domain)
            if all(ends) and "core" not in ends and ends[0] != ends[1]:
                edges.setdefault(ends, []).append(f"{reader.name} reads {name}")
    reached = set(edges)
    for _ in edges:
        reached |= {
            (first, last)
            for first, middle in reached
            for other, last in edges
            if middle == other
        }
    return [
        f"{first} depends on {last} and the other way round ({'; '.join(why)}): move "
        f"what both need to the domain that needs less ({FIX})"
        for (first, last), why in sorted(edges.items())
        if (last, first) in reached
    ]


MODELS = read_models(ROOT)


def test_a_model_reads_only_the_layers_below_it() -> None:
    problems = [
        may_read(model, MODELS[name])
        for model in MODELS.values()
        for name in sorted(model.reads)
    ]
    assert [problem for problem in problems if problem] == []


def test_base_facts_read_staging_alone() -> None:
    """So no intermediate model reads a mart that is made from intermediate models."""
    assert {
        MODELS[name].layer for fact in BASE_FACTS for name in MODELS[fact].reads
    } == {"staging"}


def test_no_domain_depends_on_one_that_depends_on_it() -> None:
    assert cycles(MODELS) == []


def test_intermediate_models_are_named_by_content_and_grain() -> None:
    """At most 51 bytes: dbt's unit tests put `__dbt__cte__` before a name."""
    form = re.compile(r"(?=.{1,51}$)int(_[a-z]+)+__(by(_[a-z]+)+|single_row)")
    wrong = [
        f"{name}: call it int_<what>__by_<grain>, of at most 51 bytes ({FIX})"
        for name, model in MODELS.items()
        if model.layer == "intermediate" and not form.fullmatch(name)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("staging/stg_x.sql", '{{ ref("plans") }}', "staging view reads one source"),
        ("intermediate/usage/int_x__by_day.sql", '{{ ref("dim_users") }}', "both read"),
        (
            "intermediate/adoption/int_x__by_day.sql",
            '{{ ref("fct_usage_daily") }}',
            "that both read",
        ),
        ("marts/core/dim_x.sql", '{{ ref("fct_feature_usage") }}', "is made from"),
        ("marts/usage/fct_x.sql", '{{ ref("fct_mrr_monthly") }}', "is made from"),
        ("marts/usage/fct_x.sql", '{{ source("saas", "users") }}', "staging view"),
    ],
)
def test_a_model_that_reads_what_it_must_not_is_named(
    tmp_path: Path, path: str, text: str, expected: str
) -> None:
    file = tmp_path / "models" / path
    file.parent.mkdir(parents=True)
    file.write_text(text, "utf-8")
    added = read_models(tmp_path)
    (read,) = added[file.stem].reads
    problem = may_read(added[file.stem], {**MODELS, **added}[read])
    assert problem.startswith(f"{file.stem} reads {read}: ")
    assert expected in problem


def test_domains_that_depend_on_each_other_are_named() -> None:
    back = Model(
        "int_x__by_day",
        "intermediate",
        "usage",
        frozenset({"int_eligible_span__by_license"}),
    )
    named = " ".join(cycles({**MODELS, back.name: back}))
    assert "int_x__by_day reads int_eligible_span__by_license" in named


def test_the_overview_of_the_catalog_names_every_mart() -> None:
    """`make docs` opens on it."""
    text = (ROOT / "models" / "overview.md").read_text("utf-8")
    assert text.startswith("{% docs __overview__ %}")
    marts = {name for name, model in MODELS.items() if model.layer in ("core", "mart")}
    assert {name for name in marts if f"`{name}`" not in text} == set()
