# SPDX-License-Identifier: Apache-2.0
"""The engine without a network: over captures (``capture``) and single requests (``explain``)."""
