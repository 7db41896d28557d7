# SPDX-License-Identifier: Apache-2.0
"""Read the configuration file and say exactly where and how it is wrong. Changes nothing.

``load_config`` raises the first mistake; ``examine`` returns all of them, for ``securedirect check``.
"""

from __future__ import annotations

import difflib
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from securedirect.config.model import MAX_BACKENDS, MAX_SERVICES, Config, Machine
from securedirect.config.positions import KeyPath, Positions, scan
from securedirect.errors import ConfigError

DEFAULT_PATH = Path("/etc/securedirect/securedirect.toml")
KEY_BYTES = 16

_ACTION_SELECTOR = re.compile(r"((?:sid|builtin):\d+|classtype:[\w-]+|file:\S+)")


def load_config(path: Path) -> Config:
    """The configuration in ``path``. Raises ConfigError for the first mistake in the order of the file."""
    config, problems = examine(path)
    if problems:
        raise problems[0]
    assert config is not None
    return config


def examine(path: Path) -> tuple[Config | None, list[ConfigError]]:
    """The configuration (None when it is not usable) and every mistake found, in the order of the file."""
    try:
        text = _read(path)
        document = _parse(path, text)
    except ConfigError as error:
        return None, [error]
    positions = scan(text)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        problems = [_explain(path, positions, dict(item)) for item in error.errors(include_url=False)]
        return None, _in_order(problems)
    problems = _in_order(list(_cross_check(path, positions, config)))
    return (None if problems else _absolute(config, path.absolute().parent)), problems


def read_key(path: Path) -> bytes:
    """The 16 bytes of the key shared with the honeypots. ConfigError (without a place) otherwise."""
    make = f"make one with: (umask 077; openssl rand -hex {KEY_BYTES} > {path})"
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise ConfigError(
            f"the key file {path} does not exist", hint=f"{make} and copy it to each honeypot"
        ) from None
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise ConfigError(f"cannot read the key file {path}: {error.strerror}") from None
    if not re.fullmatch(rf"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}", text):
        raise ConfigError(f"the key file {path} does not hold {2 * KEY_BYTES} hexadecimal digits", hint=make)
    return bytes.fromhex(text)


def key_warning(path: Path) -> str | None:
    """Advice when others on this host can read the key, else None."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"others on this host can read the key file {path}; mend it with: chmod 600 {path}"
    return None


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            "the configuration file does not exist",
            file=str(path),
            hint="name yours with -c FILE; securedirect.example.toml of the distribution is a start",
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read the configuration: {error.strerror}", file=str(path)) from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise ConfigError(
            "the file is not UTF-8 text", file=str(path), line=line, column=column, hint="save it as UTF-8"
        ) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        line, column = text.count("\n") + 1, 0
        if place := re.search(r" \(at line (\d+), column (\d+)\)$", message):
            line, column = int(place[1]), int(place[2])
            message = message[: place.start()]
        elif message.endswith("(at end of document)"):
            message = message.removesuffix(" (at end of document)") + " before the end of the file"
        hint = ""
        if "Invalid value" in message:
            hint = 'a text needs quotes, as in name = "web1"'
        elif "Cannot overwrite" in message or "Cannot declare" in message:
            hint = "it stands twice; several servers are written as [[server]], in double brackets"
        elif "Expected '=' after a key" in message:
            hint = "a line is key = value (port = 80) or the head of a table ([director])"
        message = message[:1].lower() + message[1:]
        raise ConfigError(f"not valid TOML: {message}", str(path), line, column, hint) from None
    except RecursionError:
        raise ConfigError("not valid TOML: nested too deeply", str(path)) from None


def _in_order(problems: list[ConfigError]) -> list[ConfigError]:
    # What has no place in the file stands last.
    return sorted(problems, key=lambda problem: (problem.line == 0, problem.line, problem.column))


def _known_keys(path: KeyPath) -> list[str]:
    """The keys that the table at ``path`` may have."""
    model: type[BaseModel] = Config
    for part in path:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        inner = [annotation, *get_args(annotation)]
        found = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not found:
            return []
        model = found[0]
    return list(model.model_fields)


def _name(path: KeyPath) -> str:
    """``path`` as a person would write it: ``director.vip``, ``server[2].name`` (counting from 1)."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _alternatives(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "possible here: " + ", ".join(known) if known else ""


def _explain(path: Path, positions: Positions, item: dict[str, Any]) -> ConfigError:
    """One of pydantic's findings in an administrator's words."""
    where: KeyPath = tuple(item["loc"])
    # pydantic adds the branch of a union or "[key]" behind the place; the document has no such key.
    while (
        where and item["type"] != "missing" and where not in positions.keys and where not in positions.values
    ):
        where = where[:-1]
    kind, context, given = item["type"], item.get("ctx", {}), item.get("input")
    name = _name(where)
    line, column = positions.of_value(where)
    hint = ""
    match kind:
        case "extra_forbidden":
            line, column = positions.of_key(where)
            tables: list[Any] = given if isinstance(given, list) else [given]
            what = "table" if tables and all(isinstance(one, dict) for one in tables) else "key"
            message = f"unknown {what} {name!r}"
            hint = _alternatives(str(where[-1]), _known_keys(where[:-1]))
        case "missing":
            line, column = positions.of_key(where[:-1]) if len(where) > 1 else (0, 0)
            message = f"{name!r} is missing"
            examples = {
                "interface": 'interface = "eth0"',
                "vip": 'vip = "192.0.2.100"',
                "name": 'name = "web1"',
                "address": 'address = "192.0.2.11"',
                "port": "port = 25",
                "director": '[director] with interface = "eth0" and vip = "192.0.2.100"',
            }
            hint = f"add {examples[str(where[-1])]}" if str(where[-1]) in examples else ""
        case "literal_error":
            known = [word.strip("'") for word in re.split(r", | or ", context["expected"])]
            message = f"{name} = {given!r}: not one of {', '.join(known)}"
            hint = _alternatives(str(given), known) if isinstance(given, str) else ""
            if hint.startswith("possible"):
                hint = ""
        case "value_error":
            message = f"{name}: {context['error']}"
        case "int_type" | "int_parsing" | "int_from_float":
            message = f"{name} = {given!r}: a whole number is needed"
            hint = "write it without quotes" if isinstance(given, str) and given.isdecimal() else ""
        case "float_type" | "float_parsing":
            message = f"{name} = {given!r}: a number is needed"
            hint = "write it without quotes" if isinstance(given, str) else ""
        case "greater_than_equal":
            message = f"{name} = {given!r}: must be at least {context['ge']:g}"
        case "less_than_equal":
            message = f"{name} = {given!r}: must be at most {context['le']:g}"
        case "string_type":
            message = f"{name} = {given!r}: a text in quotes is needed"
        case "tuple_type":
            if where in (("server",), ("honeypot",), ("service",)):
                line, column = positions.of_key(where)
                message = f"'{name}' must be a list of tables"
                each = "service" if name == "service" else "machine"
                hint = f"write [[{name}]], in double brackets, once for each {each}"
            else:
                message = f"{name} = {given!r}: a list in brackets is needed"
        case "model_type" | "model_attributes_type" | "dict_type":
            line, column = positions.of_key(where)
            message = f"{name!r} must be a table"
            hint = f"write [{name}] on a line of its own, its keys below"
        case "too_short" | "string_too_short":
            message = f"{name} must not be empty"
        case _:
            message = f"{name}: {item['msg']}"
    return ConfigError(message, str(path), line, column, hint)


def _cross_check(path: Path, positions: Positions, config: Config) -> Iterator[ConfigError]:
    """Mistakes that need more than one key, or a file, to be seen."""

    def wrong(where: KeyPath, message: str, hint: str = "") -> ConfigError:
        line, column = positions.of_value(where)
        return ConfigError(message, str(path), line, column, hint)

    if config.director.vip.is_loopback:
        yield wrong(("director", "vip"), f"the VIP {config.director.vip} is a loopback address")
    if not config.server:
        yield ConfigError(
            "there is no server",
            str(path),
            hint='add at least one:\n    [[server]]\n    name = "web1"\n    address = "192.0.2.11"',
        )
    if len(config.server) + len(config.honeypot) > MAX_BACKENDS:
        yield wrong(("server",), f"more than {MAX_BACKENDS} servers and honeypots together")

    names: set[str] = set()
    addresses: dict[str, str] = {}
    machines: list[tuple[str, int, Machine]] = [("server", i, m) for i, m in enumerate(config.server)]
    machines += [("honeypot", i, m) for i, m in enumerate(config.honeypot)]
    for kind, index, machine in machines:
        address = str(machine.address)
        if machine.address == config.director.vip:
            yield wrong(
                (kind, index, "address"),
                f"{machine.name} has the VIP {address} as its address",
                "give the address of the machine itself; the VIP only stands on its loopback",
            )
        if machine.name in names:
            yield wrong((kind, index, "name"), f"the name {machine.name!r} is used twice")
        if address in addresses:
            yield wrong(
                (kind, index, "address"),
                f"the address {address} is used twice (also by {addresses[address]})",
                "a honeypot must be a machine of its own" if kind == "honeypot" else "",
            )
        names.add(machine.name)
        addresses.setdefault(address, machine.name)

    for index, file in enumerate(config.rules.files):
        full = path.absolute().parent / file
        if not full.is_file():
            yield wrong(
                ("rules", "files", index),
                f"the rule file {full} does not exist" if not full.exists() else f"{full} is not a file",
                "paths are relative to the folder of the configuration file",
            )
    actions: list[tuple[KeyPath, Iterable[str]]] = [(("rules", "actions"), config.rules.actions)]
    actions += [(("service", index, "actions"), one.actions) for index, one in enumerate(config.service)]
    for table, selectors in actions:
        for selector in selectors:
            if not _ACTION_SELECTOR.fullmatch(selector):
                line, column = positions.of_key((*table, selector))
                yield ConfigError(
                    f"{_name(table)}: {selector!r} does not select rules",
                    str(path),
                    line,
                    column,
                    'write "sid:1852", "classtype:attempted-recon", "file:web-misc.rules" or "builtin:27"',
                )
    for place, message, hint in _check_services(config):
        yield wrong(place, message, hint)
    if config.adopts:
        try:
            read_key(path.absolute().parent / config.handoff.key_file)
        except ConfigError as error:
            where: KeyPath = ("handoff", "key_file")
            yield wrong(where if where in positions.values else ("honeypot", 0), error.message, error.hint)


def _check_services(config: Config) -> Iterator[tuple[KeyPath, str, str]]:
    """(place, message, hint) of each mistake in ``[[service]]``."""
    if config.service and "port" in config.director.model_fields_set:
        where: KeyPath = ("director", "port")
        yield where, "director.port and [[service]] exclude each other", "each service has its own port"
    if len(config.service) > MAX_SERVICES:
        yield ("service", MAX_SERVICES, "name"), f"more than {MAX_SERVICES} services", ""
    names: set[str] = set()
    ports: dict[int, str] = {}
    for index, service in enumerate(config.service):
        if service.name in names:
            yield ("service", index, "name"), f"the service {service.name!r} stands twice", ""
        names.add(service.name)
        if service.port in ports:
            message = f"port {service.port} is used twice (also by the service {ports[service.port]})"
            yield ("service", index, "port"), message, ""
        ports.setdefault(service.port, service.name)
        if service.protocol != "http" and service.profile != "generic":
            message = f'the service {service.name} has a profile, but protocol = "{service.protocol}"'
            yield ("service", index, "profile"), message, 'profiles are of web servers: protocol = "http"'
        for kind, machines, wanted in (
            ("servers", config.server, service.servers),
            ("honeypots", config.honeypot, service.honeypots),
        ):
            known = [machine.name for machine in machines]
            for place, name in enumerate(wanted or ()):
                if name not in known:
                    hint = _alternatives(name, known) or f"there are no {kind}"
                    yield ("service", index, kind, place), f"{name!r} is none of the {kind}", hint


def _absolute(config: Config, folder: Path) -> Config:
    """The same configuration with every path made absolute."""
    files = tuple(folder / file for file in config.rules.files)
    return config.model_copy(
        update={
            "rules": config.rules.model_copy(update={"files": files}),
            "handoff": config.handoff.model_copy(update={"key_file": folder / config.handoff.key_file}),
            "events": config.events.model_copy(update={"eve": folder / config.events.eve}),
            "control": config.control.model_copy(
                update={
                    "socket": folder / config.control.socket,
                    "state_dir": folder / config.control.state_dir,
                }
            ),
        }
    )
