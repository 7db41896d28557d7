# SPDX-License-Identifier: Apache-2.0
"""The sources that attacked: kept in the kernel, remembered on disk."""
