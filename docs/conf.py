"""Configuration of the documentation, built by ``make docs``."""

import fastgru

project = "fastgru"
author = "The fastgru developers"
project_copyright = "2026, The fastgru developers"
version = release = fastgru.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "performance_tables.md"]  # that one is included

html_theme = "pydata_sphinx_theme"
html_title = f"fastgru {version}"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False
html_copy_source = False

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more: shapes and dtypes
numpydoc_show_class_members = False  # the pages of the reference list them
numpydoc_xref_param_type = False

# What every docstring in the reference has to have: its parameters, all of them, in
# the order of the signature, and a description of what it returns.
numpydoc_validation_checks = {"PR01", "PR02", "PR03", "RT01", "SS01"}
numpydoc_validation_exclude = {
    # Made by scikit-learn, not written here.
    r"\.get_metadata_routing$",
    r"\.get_params$",
    r"\.set_params$",
    r"\.set_(fit|partial_fit|predict|score)_request$",
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
