"""The API reference, from the docstrings of the installed package: `make docs`."""

from __future__ import annotations

import argparse
import os

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

import wrackline
from wrackline import cli

project = "Wrackline"
version = release = wrackline.__version__
copyright = "the authors of Wrackline, Apache-2.0"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"Wrackline {release}"
html_copy_source = False
html_show_sphinx = False

default_role = "py:obj"  # `name` is a link where there is something of that name
add_module_names = False
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
autodoc_default_options = {"members": True, "undoc-members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True


os.environ["COLUMNS"] = "88"  # of what argparse writes


class CommandHelp(SphinxDirective):
    """What `wrackline --help` and the help of each command say."""

    def run(self) -> list[nodes.Node]:
        parser = cli._parser()
        (commands,) = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        shown: list[nodes.Node] = [self._literal(parser)]
        for name, command in commands.choices.items():
            section = nodes.section(ids=[f"wrackline-{name}"])
            section += nodes.title("", f"wrackline {name}")
            section += self._literal(command)
            shown.append(section)
        return shown

    def _literal(self, parser: argparse.ArgumentParser) -> nodes.Node:
        block = nodes.literal_block("", parser.format_help())
        block["language"] = "text"
        return block


def link_wl(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element) -> nodes.Node | None:
    """`wl.tumbling("5m")` in a docstring is a link to wrackline.tumbling."""
    package, _, name = node["reftarget"].partition(".")
    if package != "wl" or node.get("refdomain") != "py":
        return None
    target = f"wrackline.{name.partition('(')[0]}"
    domain = env.domains["py"]
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, text)


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", link_wl)
    app.add_directive("command-help", CommandHelp)
