# SPDX-License-Identifier: Apache-2.0
"""Servers and honeypots: whether they are up, where they are on the wire, and who gets new connections."""
