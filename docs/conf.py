"""How Sphinx builds the pages: ``make docs``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from speechmatics_sync import __version__
from speechmatics_sync.cli._parser import parser

project = "speechmatics-sync"
author = "the speechmatics-sync authors"
copyright = author
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "pictures"]
html_theme = "furo"
html_title = f"speechmatics-sync {release}"
# `Client` in a docstring is a link to the class, wherever it is described.
default_role = "py:obj"
rst_prolog = ".. currentmodule:: speechmatics_sync\n"
# Such a link must lead somewhere; types in signatures may be those of other packages.
nitpicky = True
nitpick_ignore_regex = [("py:class", ".*")]
# Sections of pages: tests/product/test_pages.py follows them.
linkcheck_ignore = [r"[\w./-]+\.html#"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {
    "members": True,
    "inherited-members": "BaseException,Exception,str,int,tuple,dict",
}
autodoc_preserve_defaults = True
# Many messages have a field of the same name, such as ``type``: a link to one would be ambiguous.
suppress_warnings = ["ref.python"]
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Of messages, which are dicts.
napoleon_custom_sections = [("Keys", "params_style")]


class FilesToPages(SphinxTransform):
    """Makes pages of what a code host shows as files.

    Links to files become links to pages; what is no page, such as an example, can be downloaded. Of
    a folder only the text stays. Tables of contents go: each page has one beside it.
    """

    default_priority = 5

    def apply(self, **_: object) -> None:
        for topic in list(self.document.findall(nodes.topic)):
            if "contents" in topic["classes"]:
                topic.parent.remove(topic)
        pages = Path(self.app.srcdir)
        here = Path(self.env.doc2path(self.env.docname)).parent
        for link in list(self.document.findall(nodes.reference)):
            uri = link.get("refuri", "")
            if not uri or "://" in uri or uri.startswith(("#", "mailto:")):
                continue
            file, _, section = uri.partition("#")
            target = (here / file).resolve()
            if target.suffix == ".rst" and pages in target.parents and section:
                link["refuri"] = f"{file[: -len('.rst')]}.html#{section}"
                link["internal"] = True
            elif target.suffix == ".rst" and pages in target.parents:
                page = target.relative_to(pages).with_suffix("").as_posix()
                self._lead_to(link, page)
            elif target.is_file():
                shown = nodes.inline("", link.astext())
                link.replace_self(download_reference("", "", shown, reftarget=uri))
            else:
                link.replace_self(nodes.inline("", link.astext()))

    def _lead_to(self, link: nodes.reference, page: str) -> None:
        xref = pending_xref(
            "", nodes.inline("", link.astext()), refdomain="std", reftype="doc",
            reftarget=f"/{page}", refexplicit=True, refwarn=True, refdoc=self.env.docname,
        )  # fmt: skip
        link.replace_self(xref)


class HelpOfCommands(Directive):
    """What every command of the command line says with ``--help``."""

    def run(self) -> list[nodes.Node]:
        shown: list[nodes.Node] = []
        for name, command in {"": parser(), **parser().commands}.items():
            text = command.format_help()
            section = nodes.section(ids=[f"command-{name or 'all'}"])
            section += nodes.title("", f"speechmatics-sync {name}".strip())
            section += nodes.literal_block(text, text, language="text")
            shown.append(section)
        return shown


def setup(app: Sphinx) -> None:
    """Add what Sphinx does not have."""
    os.environ["COLUMNS"] = "92"  # for the help of commands
    app.add_transform(FilesToPages)
    app.add_directive("help-of-commands", HelpOfCommands)
