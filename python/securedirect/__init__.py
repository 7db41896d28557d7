# SPDX-License-Identifier: Apache-2.0
"""SecureDirect: a load balancer that judges requests before servers see them and moves attackers to a
honeypot."""
