"""An import-linter contract that says what each part *may* import, so that a new part starts with nothing.

The stock contracts list what is forbidden and need every package named in them to exist; a table of what
is allowed reads like the one in ARCHITECTURE.md and cannot forget a newcomer.
"""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


class AllowedContract(Contract):
    """``allowed``: one line a part, ``part -> other, other.module``; ``*`` allows every part of the package.

    ``confined``: one line an outside package, ``package -> part, part.subpackage``: where it may be imported.
    Names are relative to the root package. Direct imports only: what may be reached over others is the
    business of the ``forbidden`` contracts.
    """

    type_name = "allowed"

    root = fields.StringField()
    allowed = fields.ListField(subfield=fields.StringField())
    confined = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        root = str(self.root)
        allowed = dict(map(_row, _lines(self.allowed)))
        confined = dict(map(_row, _lines(self.confined)))
        broken: list[str] = []
        for importer in sorted(module for module in graph.modules if _inside(module, root)):
            part = importer.removeprefix(root).lstrip(".").partition(".")[0] or root
            for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                if imported == root or _inside(imported, f"{root}.{part}"):
                    continue
                if _inside(imported, root):
                    may, name = allowed.get(part, ()), imported.removeprefix(root + ".")
                elif imported in confined:
                    may, name = confined[imported], importer.removeprefix(root + ".")
                else:
                    continue
                if "*" not in may and not any(_inside(name, each) for each in may):
                    details = graph.get_import_details(importer=importer, imported=imported)
                    lines = ", ".join(str(line) for line in sorted({detail["line_number"] for detail in details}))
                    broken.append(f"{importer} -> {imported} (line {lines})")
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["broken"]:
            output.print_error(f"not allowed: {line}", bold=False)
        output.new_line()


def _lines(value: object) -> list[str]:
    assert isinstance(value, list)
    return [line for line in value if line]


def _row(line: str) -> tuple[str, tuple[str, ...]]:
    part, _, names = line.partition("->")
    return part.strip(), tuple(name.strip() for name in names.split(",") if name.strip())
