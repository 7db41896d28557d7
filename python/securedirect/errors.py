# SPDX-License-Identifier: Apache-2.0
"""The two kinds of error an administrator can mend, each with its remedy.

Everything else is a builtin exception: a hierarchy only pays where a caller branches.
"""

from __future__ import annotations

from dataclasses import dataclass

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_KERNEL = 69
"""The kernel lacks something (sysexits EX_UNAVAILABLE)."""
EXIT_CAPABILITY = 77
"""A capability or permission is missing (sysexits EX_NOPERM)."""
EXIT_CONFIG = 78
"""The configuration or a rule file is invalid (sysexits EX_CONFIG)."""


@dataclass
class ConfigError(Exception):
    """Something an administrator wrote is wrong: where, what, and how to mend it.

    ``line`` and ``column`` count from 1; 0 means that the place is not known.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}"
            if self.column:
                place += f":{self.column}"
        text = f"{place}: {self.message}" if place else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text


@dataclass
class HostError(Exception):
    """This machine lacks something: an interface, a capability, a kernel feature. ``exit_code`` says which
    kind."""

    message: str
    hint: str = ""
    exit_code: int = EXIT_FAILURE

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message
