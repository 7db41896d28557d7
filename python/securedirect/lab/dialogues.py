# SPDX-License-Identifier: Apache-2.0
"""The lab's mail and FTP servers: exim and vsftpd, with everything below a folder of the host.

As on the web site, only the greeting tells which machine answers.
"""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securedirect.errors import HostError
from securedirect.lab.plan import PORT, Host

RULES = Path(__file__).with_name("dialogues.rules")
"""A few attacks on mail and FTP servers, in Snort 2's form."""


@dataclass(frozen=True)
class Program:
    """A server. ``command``: how to start it in the foreground."""

    name: str
    port: int
    command: list[str]


def tables() -> list[dict[str, Any]]:
    """The director's ``[[service]]`` tables: the web site, and these two."""
    return [
        {"name": "http", "port": PORT},
        {"name": "mail", "port": 25, "protocol": "tcp"},
        {"name": "ftp", "port": 21, "protocol": "tcp"},
    ]


def ports() -> list[int]:
    """Of all services."""
    return [int(table["port"]) for table in tables()]


def prepare(host: Host, folder: Path) -> list[Program]:
    """Write what the two need into ``folder``. HostError when they are not installed."""
    exim, vsftpd = _find("exim4", "exim4-daemon-light"), _find("vsftpd", "vsftpd")
    mail = folder / "mail"
    for place in (mail, mail / "spool", mail / "log"):
        place.mkdir()
        owner = pwd.getpwnam("Debian-exim")
        os.chown(place, owner.pw_uid, owner.pw_gid)
    ftp = folder / "ftp"
    (ftp / "empty").mkdir(parents=True)
    files = ftp / "files"
    files.mkdir()
    (files / "readme.txt").write_text("Nothing but this.\n")
    (mail / "exim.conf").write_text(_exim(host, mail))
    (ftp / "vsftpd.conf").write_text(_vsftpd(host, ftp))
    return [
        Program("mail", 25, [exim, "-C", str(mail / "exim.conf"), "-bdf"]),
        Program("ftp", 21, [vsftpd, str(ftp / "vsftpd.conf")]),
    ]


def _find(program: str, package: str) -> str:
    found = shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    if found is None:
        raise HostError(f"{package} is not installed", "run `make setup`, or install what packages.txt lists")
    return found


def _exim(host: Host, folder: Path) -> str:
    return f"""# Written by `securedirect lab up` for {host.name}.
primary_hostname = mail.example.test
daemon_smtp_ports = 25
local_interfaces = 0.0.0.0
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/spool/exim.pid
smtp_banner = mail.example.test ESMTP {host.name}
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
smtp_accept_max = 500
smtp_accept_max_per_connection = 0
acl_smtp_rcpt = everybody
acl_smtp_data = everybody
acl_smtp_vrfy = everybody
acl_smtp_expn = everybody
begin acl
everybody:
  accept
begin routers
all:
  driver = accept
  transport = mailbox
begin transports
mailbox:
  driver = appendfile
  file = {folder}/spool/mailbox
  create_file = anywhere
  user = Debian-exim
begin retry
* * F,1h,15m
"""


def _vsftpd(host: Host, folder: Path) -> str:
    return f"""# Written by `securedirect lab up` for {host.name}.
listen=YES
listen_ipv6=NO
background=NO
anonymous_enable=YES
local_enable=NO
anon_root={folder}/files
ftp_username=www-data
nopriv_user=nobody
secure_chroot_dir={folder}/empty
ftpd_banner=ftp.example.test {host.name}
isolate=NO
isolate_network=NO
seccomp_sandbox=NO
session_support=NO
xferlog_enable=YES
vsftpd_log_file={folder}/vsftpd.log
log_ftp_protocol=YES
"""
