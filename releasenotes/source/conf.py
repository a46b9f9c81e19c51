# SPDX-License-Identifier: Apache-2.0

project = 'glance-rawstore release notes'
author = 'The glance-rawstore authors'
project_copyright = 'The glance-rawstore authors'

extensions = ['reno.sphinxext']

html_theme = 'furo'
