# SPDX-License-Identifier: Apache-2.0
"""The configuration: one TOML file, checked as a whole before anything is touched."""

from securedirect.config.load import DEFAULT_PATH, examine, load_config
from securedirect.config.model import Config, Machine

__all__ = ["DEFAULT_PATH", "Config", "Machine", "examine", "load_config"]
