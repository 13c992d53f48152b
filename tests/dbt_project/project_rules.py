"""The project's rules as functions over its manifest: each returns what breaks it, as text that a person can act on."""

import re
from collections.abc import Callable, Iterator

from tests.dbt_project.compiled_project import Compiled, Node

LAYERS = ("staging", "intermediate", "marts")
PREFIXES = {"staging": "stg_", "intermediate": "int_", "marts": ""}
# The one row that says where the source is from: the others build addresses from it.
ORIGIN = "model.python_qa.stg_stack_exchange__origin"


def layer(node: Node) -> str:
    return str(node["fqn"][1])


def layers_read_downwards(project: Compiled) -> Iterator[str]:
    """Sources → staging → intermediate → marts; nothing but staging reads a source, staging reads nothing else."""
    for model in project.models:
        for parent in model["depends_on"]["nodes"]:
            kind, _, *name = parent.split(".")
            if kind == "source" and layer(model) != "staging":
                yield f"{model['name']} reads the source {name[-1]}; only staging may"
            if kind != "model":
                continue
            if layer(model) == "staging" and parent != ORIGIN:
                yield f"{model['name']} is staging and reads {name[-1]}"
            if LAYERS.index(layer(project.nodes[parent])) > LAYERS.index(layer(model)):
                yield f"{model['name']} reads {name[-1]}, which is of a later layer"


def names_follow_the_layer(project: Compiled) -> Iterator[str]:
    for model in project.models:
        prefix = PREFIXES[layer(model)]
        if not model["name"].startswith(prefix) or (not prefix and model["name"].startswith(("stg_", "int_"))):
            yield f"{model['name']} is in {layer(model)} and should begin with {prefix or 'no prefix'}"


def everything_is_described(project: Compiled) -> Iterator[str]:
    for table in [*project.models, *project.sources, *project.of_type("seed")]:
        if not table["description"].strip():
            yield f"{table['name']} has no description"
        for column in table["columns"].values():
            if not column["description"].strip() or not column["data_type"]:
                yield f"{table['name']}.{column['name']} has no description or no type"


def descriptions_begin_with_the_grain(project: Compiled) -> Iterator[str]:
    for table in [*project.models, *project.of_type("seed")]:
        if not table["description"].startswith(("One row per ", "One row: ")):
            yield f"{table['name']}: the description does not begin with the grain (One row per …)"


def every_model_has_a_tested_primary_key(project: Compiled) -> Iterator[str]:
    tested = {
        node["attached_node"]
        for node in project.of_type("test")
        if (node.get("test_metadata") or {}).get("name") == "primary_key"
    }
    for table in [*project.models, *project.of_type("seed")]:
        if table["unique_id"] not in tested:
            yield f"{table['name']} has no primary_key test"


def generic_tests_hang_on_columns(project: Compiled) -> Iterator[str]:
    """The docs show a test only beside its column."""
    for test in project.of_type("test"):
        if test.get("test_metadata") and not test.get("column_name"):
            yield f"{test['name']} belongs to no column"


def singular_tests_are_described(project: Compiled) -> Iterator[str]:
    for test in project.of_type("test"):
        if not test.get("test_metadata") and not test["description"].strip():
            yield f"{test['name']} has no description"


def exposures_say_who_and_what_they_are(project: Compiled) -> Iterator[str]:
    for exposure in project.manifest["exposures"].values():
        for field in ("label", "description", "maturity", "url"):
            if not exposure[field]:
                yield f"exposure {exposure['name']} has no {field}"
        if not exposure["owner"].get("name") or not exposure["owner"].get("email"):
            yield f"exposure {exposure['name']} has no owner with a name and an email"


def exported_models_have_versions(project: Compiled) -> Iterator[str]:
    for exposure in project.manifest["exposures"].values():
        for parent in exposure["depends_on"]["nodes"]:
            model = project.nodes[parent]
            if model["version"] is None:
                yield f"{model['name']} leaves the warehouse and has no version"
            elif model["version"] == model["latest_version"] and model["alias"] != model["name"]:
                yield f"the latest version of {model['name']} is built as {model['alias']}"


def outsiders_read_public_tables_only(project: Compiled) -> Iterator[str]:
    for exposure in project.manifest["exposures"].values():
        for parent in exposure["depends_on"]["nodes"]:
            if project.nodes[parent]["access"] != "public":
                yield f"exposure {exposure['name']} reads {parent}, which is not public"
    for model in project.models:
        if (model["access"] == "public") != (layer(model) == "marts"):
            yield f"{model['name']}: marts are public and nothing else is"
        if model["group"] != "data":
            yield f"{model['name']} belongs to no group"


def no_table_is_named_by_hand(project: Compiled) -> Iterator[str]:
    """After `from` and `join` stands a CTE, an unnest, or what ref() and source() give."""
    for node in project.of_type("model", "test", "analysis"):
        sql = re.sub(r"{#.*?#}|--[^\n]*", "", node["raw_code"], flags=re.DOTALL)
        names = set(re.findall(r"\b(?:from|join)\s+([`\w.-]+)", sql, flags=re.IGNORECASE))
        local = set(re.findall(r"(?:with|,|%})\s*(\w+) as \(", sql)) | {"unnest"}
        for name in sorted(names - local):
            yield f"{node['name']} reads {name}, which is no CTE, ref() or source()"


def variables_are_read_in_one_place(project: Compiled) -> Iterator[str]:
    """Every other place asks variable(), which checks; a text reaches SQL through text_literal() alone."""
    code = {node["name"]: node["raw_code"] for node in project.of_type("model", "test", "analysis")}
    macros = {
        m["name"]: m["macro_sql"] for m in project.manifest["macros"].values() if m["package_name"] == "python_qa"
    }
    readers = ("variable", "default_values", "overriding_variables", "raw_tables")
    for name, text in (code | macros).items():
        if re.search(r"\bvar\(", text) and name not in readers:
            yield f"{name} calls var(); variable() checks the value"
        for variable in ("tag_pattern", "since", "instruction_template"):
            unescaped = re.sub(rf"text_literal\(variable\('{variable}'\)\)|else variable\('{variable}'\)", "", text)
            if f"variable('{variable}')" in unescaped:
                yield f"{name} writes {variable} into SQL without text_literal()"


def comments_hold_no_quotes(project: Compiled) -> Iterator[str]:
    """A quote in a comment confuses the local BigQuery's reading of the texts after it."""
    for node in project.of_type("model", "test", "analysis"):
        for comment in re.findall(r"--[^\n]*", node["compiled_code"]):
            if re.search("['\"`]", comment):
                yield f"{node['name']}: a quote in the comment {comment!r}"


def marts_are_partitioned_and_clustered(project: Compiled) -> Iterator[str]:
    for name in ("python_qa_instructions", "python_qa_preferences"):
        config = project.model(name)["config"]
        if not config.get("partition_by") or not config.get("cluster_by"):
            yield f"{name} is not partitioned and clustered"


def every_query_is_labelled(project: Compiled) -> Iterator[str]:
    for node in project.of_type("model", "seed"):
        if "layer" not in node["config"].get("labels", {}):
            yield f"{node['name']} has no label layer"


RULES: tuple[Callable[[Compiled], Iterator[str]], ...] = (
    layers_read_downwards,
    names_follow_the_layer,
    everything_is_described,
    descriptions_begin_with_the_grain,
    every_model_has_a_tested_primary_key,
    generic_tests_hang_on_columns,
    singular_tests_are_described,
    exposures_say_who_and_what_they_are,
    exported_models_have_versions,
    outsiders_read_public_tables_only,
    no_table_is_named_by_hand,
    variables_are_read_in_one_place,
    comments_hold_no_quotes,
    marts_are_partitioned_and_clustered,
    every_query_is_labelled,
)
