# SPDX-License-Identifier: Apache-2.0
"""Writes one override into ``[rules.actions]`` of a configuration file, leaving everything else in it as it
is.

The file is only replaced by one that is in order, and what it was stays beside it (``.bak``).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from securedirect.config.load import load_config
from securedirect.errors import ConfigError

_HEADER = re.compile(r"^[ \t]*\[\s*rules\s*\.\s*actions\s*\][ \t]*(?:#.*)?$")
_TABLE = re.compile(r"^[ \t]*\[")


def override_line(selector: str, action: str) -> str:
    """The line of the file."""
    return f'"{selector}" = "{action}"'


def with_override(text: str, selector: str, action: str) -> str:
    """``text`` of a configuration with the override in its table, which is made when there is none."""
    wanted = override_line(selector, action)
    lines = text.splitlines()
    start = next((at for at, line in enumerate(lines) if _HEADER.match(line)), None)
    if start is None:
        return "\n".join([*lines, "", "[rules.actions]", wanted]).lstrip("\n") + "\n"
    end = next((at for at in range(start + 1, len(lines)) if _TABLE.match(lines[at])), len(lines))
    entry = re.compile(rf"^[ \t]*[\"']{re.escape(selector)}[\"'][ \t]*=")
    for at in range(start + 1, end):
        if entry.match(lines[at]):
            lines[at] = wanted
            break
    else:
        lines.insert(start + 1, wanted)
    return "\n".join(lines) + "\n"


def write_override(path: Path, selector: str, action: str) -> Path:
    """Put the override into the file at ``path``; return where the file of before is. ConfigError, and
    nothing changed, when the result would be no configuration.
    """
    load_config(path)  # a file that is wrong already is for its author
    text = path.read_text("utf-8")
    changed = with_override(text, selector, action)
    where = path.resolve()
    handle, name = tempfile.mkstemp(dir=where.parent, prefix=where.name, suffix=".new")
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(changed)
        try:
            load_config(new)
        except ConfigError as error:
            raise ConfigError(
                f"the override cannot be put into the file: {error.message}",
                file=str(path),
                hint=f"write it yourself, below [rules.actions]: {override_line(selector, action)}",
            ) from None
        shutil.copystat(where, new)
        owner = where.stat()
        if os.geteuid() == 0:
            os.chown(new, owner.st_uid, owner.st_gid)
        backup = where.with_name(where.name + ".bak")
        shutil.copy2(where, backup)
        new.replace(where)
    finally:
        new.unlink(missing_ok=True)
    return backup
