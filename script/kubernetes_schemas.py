#!/usr/bin/env python3
"""Writes JSON schemas for kubeconform, from what Kubernetes and CRDs publish.

usage: kubernetes_schemas.py OUT SWAGGER [CRD...]

SWAGGER is Kubernetes' api/openapi-spec/swagger.json, a CRD a YAML file. A field
that a schema does not name is an error there: kubeconform's own -strict.
"""
import json
import pathlib
import sys

import yaml


def strict(schema):
    """The same schema, closed: what has properties has no others."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: {name: strict(item) for name, item in value.items()}
              if key in ("properties", "definitions") else strict(value)
              for key, value in schema.items()}
    if "properties" in closed and not closed.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    if closed.get("x-kubernetes-int-or-string") or closed.get("format") == "int-or-string":
        closed.pop("type", None)
        closed["oneOf"] = [{"type": "string"}, {"type": "integer"}]
        closed.pop("anyOf", None)
    if closed.get("description", "").startswith("Quantity is a fixed-point"):
        closed.pop("type", None)
        closed["oneOf"] = [{"type": "string"}, {"type": "number"}]
    return closed


def write(out, kind, group, version, schema):
    suffix = "-".join(filter(None, [group.split(".")[0], version]))
    (out / f"{kind}-{suffix}.json".lower()).write_text(json.dumps(schema))


def main():
    out, swagger, *crds = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    definitions = strict({"definitions": json.loads(swagger.read_text())["definitions"]})
    (out / "_definitions.json").write_text(json.dumps(definitions))
    for name, definition in definitions["definitions"].items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            write(out, kind["kind"], kind["group"], kind["version"],
                  {"$ref": f"_definitions.json#/definitions/{name}"})
    for crd in crds:
        spec = yaml.safe_load(crd.read_text())["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            write(out, spec["names"]["kind"], spec["group"], version["name"], schema)


if __name__ == "__main__":
    main()
