"""Settings of the documentation site: ``make docs`` writes it to build/site.

Sources are the folder of the project itself, so that every link between pages, notebooks, recorded
tables and code is the one that a code host follows too. ``_site/`` holds what only the site needs.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_site"))

import causal_ddpm  # noqa: E402

project = "causal_ddpm"
author = copyright = "The causal_ddpm developers"
version = release = causal_ddpm.__version__

# -- pages ------------------------------------------------------------------------------------
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "benchmarks/README.md",
    "benchmarks/results/*.md",
    "data/*/README.md",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "build", "docs/_site", "results", "src", "tests", "**/__pycache__"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "contents",
    "reference",
]
highlight_language = "text"  # indented blocks are formulas; code says its language
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # scripts/run_notebooks.py runs them
suppress_warnings = ["myst.header"]  # recorded tables may begin with a second-level heading

# -- reference --------------------------------------------------------------------------------
autodoc_typehints = "none"  # types are in the docstrings, in words
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False
add_module_names = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 88

# -- look -------------------------------------------------------------------------------------
html_theme = "furo"
html_title = "causal_ddpm"
html_static_path = ["_site/static"]
templates_path = ["_site/templates"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "front.html"}
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1f4e79",
        "color-brand-content": "#1f4e79",
    },
    "dark_css_variables": {
        "color-brand-primary": "#8fb8de",
        "color-brand-content": "#8fb8de",
    },
}
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"
