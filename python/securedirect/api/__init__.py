# SPDX-License-Identifier: Apache-2.0
"""The control socket: one JSON request per line, one JSON answer per line."""
