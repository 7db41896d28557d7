# SPDX-License-Identifier: Apache-2.0
"""The running director: supervisor and inspector processes. Imports nothing, for the inspector's quick
start."""
