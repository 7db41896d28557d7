# SPDX-License-Identifier: Apache-2.0
"""Configurations of the programs that the director is compared with, each as good as its manual makes it.

Both are reverse proxies with two threads or processes (one for each core of a small machine), connections
kept on both sides, and without logs.
"""

from __future__ import annotations

from pathlib import Path

MODULE = Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so")
MODSECURITY_BASE = Path("/etc/nginx/modsecurity.conf")
CRS_SETUP = Path("/etc/modsecurity/crs/crs-setup.conf")
CRS_RULES = Path("/usr/share/modsecurity-crs/rules")
CORES = 2


def haproxy_configuration(listen: str, server: str) -> str:
    """``listen``, ``server``: address:port."""
    return f"""# Written by `securedirect bench`.
global
    nbthread {CORES}
    maxconn 4000
defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend site
    bind {listen}
    default_backend servers
backend servers
    balance roundrobin
    server web1 {server}
"""


def modsecurity_rules(folder: Path) -> str:
    """Debian's settings (with their audit log of relevant transactions) and its Core Rule Set, blocking."""
    return f"""# Written by `securedirect bench`.
Include {MODSECURITY_BASE}
SecRuleEngine On
SecAuditLog {folder}/modsecurity-audit.log
Include {CRS_SETUP}
Include {CRS_RULES}/*.conf
"""


def nginx_configuration(folder: Path, rules: Path, listen: str, server: str) -> str:
    """A reverse proxy with ModSecurity; everything it writes is below ``folder``."""
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/tmp-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""# Written by `securedirect bench`.
load_module {MODULE};
daemon off;
user www-data;
worker_processes {CORES};
worker_rlimit_nofile 65536;
pid {folder}/modsecurity.pid;
error_log {folder}/modsecurity-error.log;
events {{ worker_connections 16384; }}
http {{
{temporary}
    access_log off;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    upstream servers {{
        server {server};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    modsecurity on;
    modsecurity_rules_file {rules};
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }}
    }}
}}
"""
