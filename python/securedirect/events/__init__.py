# SPDX-License-Identifier: Apache-2.0
"""What is told to the world: the catalogue of events and the log they are written to."""
