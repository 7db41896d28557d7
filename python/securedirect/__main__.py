# SPDX-License-Identifier: Apache-2.0
"""``python -m securedirect`` is the command line."""

from securedirect.cli import main

main()
