"""Compares python/wrackline/_core.pyi with the compiled module, in both directions.

    python scripts/check_stubs.py [STUB]

pybind11-stubgen writes down what the module says of itself. Every function, class, method, property and constant has to
be on both sides, with the same parameters: names, order, kinds and defaults. Types have to be equal, too, but where the
module only says `list`, `dict` or `Any`: there the stub may say more (docs/decisions/0010-stubs-are-compared.md).
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

MODULE = "wrackline._core"
STUB = Path(__file__).resolve().parents[1] / "python" / "wrackline" / "_core.pyi"

# pybind11 converts these; our package passes the plain type.
SAME = {
    "SupportsInt | SupportsIndex": "int",
    "SupportsFloat | SupportsIndex": "float",
}
VAGUE = {"list", "dict", "Sequence", "Callable"}  # what the module says without parameters


def generated() -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", MODULE, "--output-dir", folder, "--exit-code"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"pybind11-stubgen failed:\n{done.stdout}")
        return (Path(folder) / Path(*MODULE.split("."))).with_suffix(".pyi").read_text()


class Names(ast.NodeTransformer):
    """`typing.Any` as `Any`, and aliases of the stub by what they stand for."""

    def __init__(self, aliases: dict[str, ast.expr]) -> None:
        self.aliases = aliases

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return ast.Name(node.attr)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.aliases.get(node.id, node)


def type_of(node: ast.expr | None, aliases: dict[str, ast.expr]) -> str:
    if node is None:
        return ""
    text = ast.unparse(Names(aliases).visit(ast.parse(ast.unparse(node), mode="eval").body))
    for long, short in SAME.items():
        text = text.replace(long, short)
    return text


def members(text: str) -> set[str]:
    """Of a union, without regard to order."""
    node = ast.parse(text, mode="eval").body if text else None
    found: set[str] = set()
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.add(ast.unparse(node.right))
        node = node.left
    return found | ({ast.unparse(node)} if node else set())


def agree(module: str, stub: str) -> bool:
    """Whether the stub says what the module says, or more where the module is vague."""
    said, written = members(module), members(stub)
    if "Any" in said:
        return written != set()
    if "str" in said:
        written.discard("bytes")  # which pybind11 takes as text, too
    vague = {one for one in written if (head := one.partition("[")[0]) in VAGUE and head in said and head != one}
    return (written - vague) | {one.partition("[")[0] for one in vague} == said


Shape = dict[str, tuple[str, str, str]]  # of a parameter, or of another word for what is compared: kind, default, type


def parameters(function: ast.FunctionDef, aliases: dict[str, ast.expr]) -> Shape:
    shape: Shape = {}

    def add(argument: ast.arg, kind: str, default: ast.expr | None) -> None:
        written = "" if default is None else ast.unparse(default)
        annotation = type_of(argument.annotation, aliases)
        if written == "None" and annotation and "None" not in members(annotation) and annotation != "object":
            annotation += " | None"  # pybind11 leaves it out of a pointer's type
        shape[argument.arg] = (kind, written, annotation)

    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    for index, (argument, default) in enumerate(zip(plain, defaults, strict=True)):
        add(argument, f"positional {index}", default)
    if arguments.vararg:
        add(arguments.vararg, "*args", None)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        add(argument, "keyword-only", default)
    if arguments.kwarg:
        add(arguments.kwarg, "**kwargs", None)
    return shape | {"return": ("", "", type_of(function.returns, aliases))}


def things(body: list[ast.stmt], aliases: dict[str, ast.expr], inside: str = "") -> Iterator[tuple[str, Shape]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            bases = ", ".join(ast.unparse(base) for base in node.bases)
            yield f"{inside}{node.name}", {"base": (bases, "", "")}
            yield from things(node.body, aliases, f"{inside}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            words = " ".join(sorted(ast.unparse(one) for one in node.decorator_list if ast.unparse(one) != "overload"))
            yield f"{inside}{node.name}", parameters(node, aliases) | {"decorator": (words, "", "")}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id != "__all__":
            yield f"{inside}{node.target.id}", {"type": ("", "", type_of(node.annotation, aliases))}


def read(text: str) -> dict[str, Shape]:
    tree = ast.parse(text)
    aliases = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    found: dict[str, Shape] = {}
    for name, shape in things(tree.body, aliases):
        if name in found:
            raise SystemExit(f"{name} is there twice: overloads are not compared")
        found[name] = shape
    return found


def differences(module: dict[str, Shape], stub: dict[str, Shape]) -> Iterator[str]:
    for name in sorted(module.keys() - stub.keys()):
        yield f"{name}: in the module, not in the stub"
    for name in sorted(stub.keys() - module.keys()):
        yield f"{name}: in the stub, not in the module"
    for name in sorted(module.keys() & stub.keys()):
        ours, theirs = stub[name], module[name]
        for word in sorted(theirs.keys() - ours.keys()):
            yield f"{name}: {word} is not in the stub"
        for word in sorted(ours.keys() - theirs.keys()):
            yield f"{name}: {word} is not in the module"
        for word in sorted(theirs.keys() & ours.keys()):
            (kind, default, annotation), (our_kind, our_default, our_annotation) = theirs[word], ours[word]
            for what, said, written in (
                ("", kind, our_kind),
                (" by default", default, our_default),
                (" of type", annotation, our_annotation),
            ):
                if said != written and not (what == " of type" and agree(said, written)):
                    module_says, stub_says = said or "nothing", written or "nothing"
                    yield f"{name}: {word} is{what} {module_says} in the module, {stub_says} in the stub"


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else STUB
    found = list(differences(read(generated()), read(path.read_text())))
    for one in found:
        print(f"{path.name}: {one}")
    if not found:
        print("stubs: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
