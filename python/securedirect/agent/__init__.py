# SPDX-License-Identifier: Apache-2.0
"""The honeypot's side of the handoff."""
