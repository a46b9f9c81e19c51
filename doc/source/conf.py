# SPDX-License-Identifier: Apache-2.0

project = 'glance-rawstore'
author = 'The glance-rawstore authors'
project_copyright = 'The glance-rawstore authors'

extensions = ['oslo_config.sphinxext', 'sphinx.ext.autodoc']

html_theme = 'furo'
