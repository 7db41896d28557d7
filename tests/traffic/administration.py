# SPDX-License-Identifier: Apache-2.0
"""What administrators and developers send to their tools: databases, monitoring, clusters, code hosts."""

from __future__ import annotations

import json
from random import Random
from urllib.parse import quote, quote_plus

import words
from clients import Request, blob, json_body, multipart
from people import AJAX, FORM, FORM_UTF8, JSON

SQL = (
    "SELECT * FROM `orders` WHERE `status` = 'open' ORDER BY `id` DESC",
    "SELECT COUNT(*) FROM `users` WHERE `name` LIKE '%son%'",
    "SHOW TABLE STATUS FROM `shop` LIKE 'a%'",
    "UPDATE `stock` SET `n` = `n` - 1 WHERE `id` = 12 AND `n` > 0",
    "INSERT INTO `notes` (`id`, `text`) VALUES (NULL, 'it''s new')",
    "DELETE FROM `sessions` WHERE `seen` < NOW() - INTERVAL 1 DAY",
    "ALTER TABLE `items` ADD `size` VARCHAR(10) NULL DEFAULT NULL AFTER `name`",
    "CREATE USER 'app'@'localhost' IDENTIFIED BY 'x'; GRANT SELECT ON `shop`.* TO 'app'@'localhost'",
    "DROP TABLE IF EXISTS `old`; -- gone",
    "SELECT a.id, b.name FROM a LEFT JOIN b ON a.b = b.id WHERE a.x IN (1, 2, 3) GROUP BY b.name HAVING COUNT(*) > 1",
    "EXPLAIN SELECT id FROM a UNION SELECT id FROM b",
    "SELECT CONCAT(first, ' ', last) AS name, SUBSTRING(zip, 1, 2), IF(x = 1, 'a', 'b') FROM people",
)


PROMQL = (
    'sum(rate(http_requests_total{job=~"api.*",code!~"2.."}[5m])) by (instance)',
    'histogram_quantile(0.99, sum(rate(request_seconds_bucket{path="/a/b"}[$__rate_interval])) by (le))',
    '100 - (avg by (instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)',
    'node_filesystem_avail_bytes{mountpoint="/",fstype!="rootfs"} / 1024^3 > 10 or vector(0)',
)


PIPELINE = """pipeline {
  agent any
  stages {
    stage('Build') { steps { sh 'make -j4 && rm -rf dist; ls -la | tee out.txt' } }
    stage('Fetch') { steps { sh \"\"\"curl -fsSL https://example.org/tool.tar.gz | tar xz -C ${WORKSPACE}\"\"\" } }
    stage('Env') { steps { echo "building ${env.BRANCH_NAME} for $(whoami)" } }
  }
}"""


def databases(r: Random, language: str) -> Request:
    """phpMyAdmin, Adminer, pgAdmin."""
    token = words.hexadecimal(r, 32)
    kind = r.randrange(6)
    if kind == 0:
        return Request(
            "POST",
            "/phpmyadmin/index.php?route=/sql",
            "xhr",
            [*AJAX],
            words.form(
                r,
                [
                    ("db", "shop"),
                    ("table", "orders"),
                    ("sql_query", r.choice(SQL)),
                    ("ajax_request", "true"),
                    ("is_js_confirmed", "0"),
                    ("token", token),
                    ("sql_delimiter", ";"),
                    ("show_query", "1"),
                ],
            ).encode(),
            FORM_UTF8,
        )
    if kind == 1:
        return Request(
            "GET",
            f"/phpmyadmin/index.php?route=/sql&server=1&db=shop&table=orders&pos={r.randrange(9) * 25}&sql_query={quote_plus(r.choice(SQL))}&sql_signature={words.hexadecimal(r, 64)}&session_max_rows=25&is_browse_distinct=0",
        )
    if kind == 2:
        return Request(
            "GET",
            f"/phpmyadmin/index.php?route=/database/structure&db=information_schema&table={r.choice(('TABLES', 'COLUMNS'))}&server=1&ajax_request=true&_nocache={words.digits(r, 18)}",
            "xhr",
            [*AJAX],
        )
    if kind == 3:
        body, content_type = multipart(
            r,
            [
                ("db", "", "", b"shop"),
                ("token", "", "", token.encode()),
                (
                    "import_file",
                    "dump.sql",
                    "application/sql",
                    ";\n".join(r.choice(SQL) for _ in range(r.randint(1, 20))).encode(),
                ),
            ],
        )
        return Request(
            "POST", "/phpmyadmin/index.php?route=/import", "form", body=body, content_type=content_type
        )
    if kind == 4:
        return Request(
            "GET",
            f"/adminer.php?username=root&db=shop&select=orders&where%5B0%5D%5Bcol%5D=name&where%5B0%5D%5Bop%5D=LIKE+%25%25&where%5B0%5D%5Bval%5D={quote_plus(words.query(r, language))}&order%5B0%5D=id&desc%5B0%5D=1&limit=50",
        )
    return Request(
        "POST",
        f"/pgadmin/sqleditor/query_tool/start/{words.digits(r, 7)}",
        "xhr",
        [("X-pgA-CSRFToken", words.identifier(r, 60))],
        json_body({"sql": r.choice(SQL).replace("`", '"'), "explain_plan": None}, r),
        JSON,
    )


def operations(r: Random, language: str) -> Request:
    """Grafana, Prometheus, Kibana, Jenkins, Zabbix, Nagios, cluster and host managers."""
    kind = r.randrange(16)
    if kind == 0:
        queries = [
            {
                "refId": "A",
                "datasource": {"type": "prometheus", "uid": words.identifier(r, 9)},
                "expr": r.choice(PROMQL),
                "intervalMs": 15000,
            },
            {
                "refId": "B",
                "rawSql": "SELECT $__time(ts), v FROM m WHERE $__timeFilter(ts) AND host = '${host}'",
                "format": "time_series",
            },
        ]
        return Request(
            "POST",
            "/api/ds/query?ds_type=prometheus&requestId=Q101",
            "xhr",
            [("x-grafana-org-id", "1"), ("x-dashboard-uid", words.identifier(r, 9))],
            json_body({"queries": queries, "from": "now-1h", "to": "now"}, r),
            JSON,
        )
    if kind == 1:
        return Request(
            "GET",
            f"/d/{words.identifier(r, 9)}/{words.slug(r)}?orgId=1&refresh=5s&var-instance=All&var-job={words.word(r)}&from=now-6h&to=now&viewPanel=12",
        )
    if kind == 2:
        return Request(
            "GET",
            f"/explore?orgId=1&left={quote(json.dumps({'datasource': 'loki', 'queries': [{'refId': 'A', 'expr': '{app=' + chr(34) + 'x' + chr(34) + '} |= `error` | json | line_format `{{.msg}}`'}], 'range': {'from': 'now-1h', 'to': 'now'}}), safe='')}",
        )
    if kind == 3:
        return Request(
            "GET",
            f"/api/v1/query_range?query={quote_plus(r.choice(PROMQL))}&start={words.digits(r, 10)}.123&end={words.digits(r, 10)}&step=15",
            "xhr",
        )
    if kind == 4:
        return Request(
            "POST",
            "/internal/bsearch?compress=true",
            "xhr",
            [("kbn-version", "8.11.1"), ("kbn-xsrf", "true")],
            json_body(
                {
                    "batch": [
                        {
                            "request": {
                                "params": {
                                    "index": "logs-*",
                                    "body": {
                                        "query": {
                                            "bool": {
                                                "filter": [
                                                    {
                                                        "query_string": {
                                                            "query": f'message:"{words.word(r)}" AND NOT host.name:/a.*/'
                                                        }
                                                    }
                                                ]
                                            }
                                        },
                                        "runtime_mappings": {
                                            "x": {
                                                "type": "keyword",
                                                "script": {"source": "emit(doc['a'].value + '!')"},
                                            }
                                        },
                                    },
                                }
                            }
                        }
                    ]
                },
                r,
            ),
            JSON,
        )
    if kind == 5:
        return Request(
            "POST",
            f"/job/{quote(words.name(r), safe='')}/configSubmit",
            "form",
            [("Jenkins-Crumb", words.hexadecimal(r, 64))],
            words.form(
                r,
                [
                    ("description", words.text(r, 1)),
                    ("_.script", PIPELINE),
                    ("json", json.dumps({"definition": {"script": PIPELINE, "sandbox": True}})),
                ],
            ).encode(),
            FORM,
        )
    if kind == 6:
        return Request(
            "GET",
            r.choice(
                (
                    f"/job/{words.slug(r)}/lastBuild/api/json?tree=actions[lastBuiltRevision[SHA1]],result,url",
                    f"/job/{words.slug(r)}/{r.randrange(999)}/logText/progressiveHtml?start={r.randrange(99999)}",
                    "/computer/api/xml?xpath=//computer[offline='true']/displayName&wrapper=list",
                    "/ajaxBuildQueue",
                    "/securityRealm/commenceLogin?from=%2F",
                    "/view/All/newJob",
                )
            ),
            "xhr",
        )
    if kind == 7:
        return Request(
            "POST",
            "/zabbix/api_jsonrpc.php",
            "xhr",
            body=json_body(
                {
                    "jsonrpc": "2.0",
                    "method": "item.get",
                    "params": {
                        "search": {"key_": "vfs.fs.size[/,free]"},
                        "output": ["itemid"],
                        "filter": {"host": words.word(r)},
                    },
                    "auth": words.hexadecimal(r, 32),
                    "id": 1,
                },
                r,
            ),
            content_type="application/json-rpc",
        )
    if kind == 8:
        return Request(
            "GET",
            r.choice(
                (
                    f"/nagios/cgi-bin/status.cgi?host={words.word(r)}&style=detail&servicestatustypes=28",
                    "/nagios/cgi-bin/cmd.cgi?cmd_typ=7&host=web1&service=HTTP&force_check",
                    "/cacti/graph_view.php?action=tree&node=tbranch-12&host_id=0",
                    "/check_mk/view.py?view_name=svcproblems&host_regex=~web.*&filled_in=filter",
                    "/munin/example.org/web1/cpu-day.png",
                    "/icingaweb2/monitoring/list/services?(service_state=1|service_state=2)&sort=host_name",
                )
            ),
        )
    if kind == 9:
        return Request(
            "GET",
            f"/api/v1/namespaces/{words.word(r)}/pods?labelSelector=app%3D{words.word(r)}%2Ctier%20in%20(a%2Cb)&fieldSelector=status.phase!=Running&limit=500&watch=true",
            "xhr",
        )
    if kind == 10:
        return Request(
            "POST",
            f"/api/endpoints/2/docker/containers/create?name={words.word(r)}",
            "xhr",
            body=json_body(
                {
                    "Image": "nginx:latest",
                    "Cmd": ["/bin/sh", "-c", "nginx -g 'daemon off;'"],
                    "Env": ["PATH=/usr/bin:/bin", "A=$B"],
                    "HostConfig": {
                        "Binds": ["/srv/www:/usr/share/nginx/html:ro", "/etc/localtime:/etc/localtime:ro"]
                    },
                },
                r,
            ),
            content_type=JSON,
        )
    if kind == 11:
        return Request(
            "GET",
            r.choice(
                (
                    "/api2/json/nodes/pve/qemu/100/status/current",
                    "/api2/extjs/cluster/resources?type=vm&_dc=1731402672",
                    f"/v1/agent/services?filter=Service+%3D%3D+%22{words.word(r)}%22",
                    f"/v1/kv/config/{words.slug(r)}?recurse&index=12&wait=5m",
                    "/v1/secret/data/app?version=2",
                    "/_cluster/health?pretty",
                    "/_cat/indices?v&s=store.size:desc",
                    f"/logs-*/_search?q=message:{words.word(r)}&size=5&sort=@timestamp:desc",
                    "/actuator/health/readiness",
                    "/actuator/prometheus",
                    "/server-status?auto",
                    "/nginx_status",
                    "/solr/core1/select?q=*:*&fq=price:[10 TO *]&facet=true&facet.field=cat&wt=json".replace(
                        " ", "%20"
                    ),
                )
            ),
            "xhr",
        )
    if kind == 12:
        lines = "\n".join(
            f'{{"index":{{"_index":"logs"}}}}\n{json.dumps({"message": words.text(r, 1), "level": "warn", "path": "/var/log/" + words.word(r)})}'
            for _ in range(r.randint(1, 12))
        )
        return Request(
            "POST",
            "/_bulk?refresh=wait_for",
            "xhr",
            body=(lines + "\n").encode(),
            content_type="application/x-ndjson",
        )
    if kind == 13:
        return Request(
            "GET",
            f"/query?db=telegraf&epoch=ms&q={quote_plus(f'SELECT mean({chr(34)}usage_idle{chr(34)}) FROM {chr(34)}cpu{chr(34)} WHERE {chr(34)}host{chr(34)} =~ /^web$/ AND time >= now() - 1h GROUP BY time(1m) fill(null)')}",
            "xhr",
        )
    if kind == 14:
        return Request(
            "GET",
            f"/sparql?query={quote_plus('PREFIX dct: <http://purl.org/dc/terms/> SELECT DISTINCT ?s ?t WHERE { { ?s dct:title ?t } UNION { ?s dct:alternative ?t } FILTER(regex(?t, ' + chr(34) + words.word(r) + chr(34) + ', ' + chr(34) + 'i' + chr(34) + ')) } LIMIT 10')}&format=json",
            "xhr",
        )
    return Request(
        "POST",
        "/cgi-bin/luci/admin/ubus?1731402672",
        "xhr",
        body=json_body(
            [
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "call",
                    "params": [
                        words.hexadecimal(r, 32),
                        "file",
                        "exec",
                        {"command": "/bin/ping", "params": ["-c", "5", "example.org"]},
                    ],
                }
            ],
            r,
        ),
        content_type=JSON,
    )


def development(r: Random, language: str) -> Request:
    """GitLab, GitHub-like, Redmine, Jira, Confluence, Bugzilla, code search."""
    group = f"{words.word(r)}%2F{words.word(r)}"
    code = r.choice(words.SENTENCES).replace("\\n", "\n")
    kind = r.randrange(14)
    if kind == 0:
        return Request(
            "GET",
            f"/api/v4/projects/{group}/repository/files/src%2F{words.word(r)}%2Fmain.py/raw?ref=feature%2F{words.slug(r)}",
            "xhr",
            [("PRIVATE-TOKEN", "glpat-" + words.identifier(r, 20))],
        )
    if kind == 1:
        return Request(
            "POST",
            f"/api/v4/projects/{group}/repository/commits",
            "xhr",
            body=json_body(
                {
                    "branch": "main",
                    "commit_message": f"Fix '{words.word(r)}'; see #{r.randrange(99)}",
                    "actions": [
                        {
                            "action": "update",
                            "file_path": "deploy.sh",
                            "content": "#!/bin/bash\nset -e\ncd /srv/app && git pull; curl -s http://localhost/health | grep ok\n"
                            + code,
                        }
                    ],
                },
                r,
            ),
            content_type=JSON,
        )
    if kind == 2:
        return Request(
            "GET",
            f"/{words.word(r)}/{words.word(r)}.git/info/refs?service=git-{r.choice(('upload', 'receive'))}-pack",
            "xhr",
            [("Git-Protocol", "version=2"), ("Accept", "*/*")],
        )
    if kind == 3:
        return Request(
            "POST",
            f"/{words.word(r)}/{words.word(r)}.git/git-upload-pack",
            "xhr",
            [("Accept", "application/x-git-upload-pack-result")],
            b"0011command=ls-refs\n0014agent=git/2.39.20016object-format=sha100010009peel\n000csymrefs\n001bref-prefix refs/heads/\n0000",
            "application/x-git-upload-pack-request",
        )
    if kind == 4:
        pack = (
            b"00a5"
            + words.hexadecimal(r, 40).encode()
            + b" "
            + words.hexadecimal(r, 40).encode()
            + b" refs/heads/main\0 report-status-v2 side-band-64k object-format=sha1 agent=git/2.39.20000PACK\0\0\0\x02\0\0\0\x03"
            + r.randbytes(r.randrange(9000))
        )
        return Request(
            "POST",
            f"/{words.word(r)}/{words.word(r)}.git/git-receive-pack",
            "xhr",
            body=pack,
            content_type="application/x-git-receive-pack-request",
        )
    if kind == 5:
        return Request(
            "GET",
            f"/search?search={words.encoded(r, code[:80])}&nav_source=navbar&project_id={r.randrange(99)}&group_id=&search_code=true&repository_ref=main&scope=blobs",
        )
    if kind == 6:
        return Request(
            "POST",
            f"/{words.word(r)}/{words.word(r)}/-/issues/{r.randrange(99)}/notes",
            "xhr",
            [*AJAX, ("X-CSRF-Token", blob(r, 64))],
            json_body(
                {
                    "note": {
                        "noteable_type": "Issue",
                        "note": f"```\n{code}\n```\n/label ~bug\n{words.text(r, 2, language)}",
                    }
                },
                r,
            ),
            JSON,
        )
    if kind == 7:
        jql = f'project = {words.word(r).upper()} AND status in ("In Progress", Open) AND text ~ "{words.word(r)}" ORDER BY created DESC'
        return Request(
            "GET",
            f"/rest/api/2/search?jql={quote_plus(jql)}&startAt=0&maxResults=50&fields=summary,status",
            "xhr",
        )
    if kind == 8:
        return Request(
            "GET",
            f"/rest/api/content/search?cql=type%3Dpage+and+space%3D{words.word(r)}+and+title~%22{quote_plus(words.word(r))}%22&expand=body.storage,version&limit=25",
            "xhr",
        )
    if kind == 9:
        storage = f'<p>{words.text(r, 1, language)}</p><ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[{code}]]></ac:plain-text-body></ac:structured-macro>'
        return Request(
            "PUT",
            f"/rest/api/content/{words.digits(r, 7)}",
            "xhr",
            body=json_body(
                {
                    "type": "page",
                    "title": words.name(r),
                    "body": {"storage": {"value": storage, "representation": "storage"}},
                    "version": {"number": 3},
                },
                r,
            ),
            content_type=JSON,
        )
    if kind == 10:
        return Request(
            "GET",
            r.choice(
                (
                    f"/buglist.cgi?quicksearch={words.encoded(r, words.query(r))}&list_id={r.randrange(999)}",
                    f"/issues?set_filter=1&f%5B%5D=status_id&op%5Bstatus_id%5D=o&f%5B%5D=subject&op%5Bsubject%5D=~&v%5Bsubject%5D%5B%5D={words.encoded(r, words.query(r))}",
                    f"/gitweb/?p={words.word(r)}.git;a=commitdiff;h={words.hexadecimal(r, 40)};hp={words.hexadecimal(r, 40)}",
                    f"/cgi-bin/viewvc.cgi/trunk/{words.word(r)}.c?r1=1.2&r2=1.3&view=patch",
                    f"/browser/trunk/src?rev={r.randrange(999)}&order=date",
                    f"/{words.word(r)}/{words.word(r)}/compare/v1.0...feature/{words.slug(r)}",
                    f"/{words.word(r)}/{words.word(r)}/blob/main/etc/passwd.example",
                    f"/{words.word(r)}/{words.word(r)}/raw/branch/main/src/../README.md",
                    f"/{words.word(r)}/{words.word(r)}/-/tree/main/bin/sh",
                )
            ),
        )
    if kind == 11:
        return Request(
            "POST",
            "/api/graphql",
            "xhr",
            body=json_body(
                {
                    "operationName": "project",
                    "query": "query project($fullPath: ID!) { project(fullPath: $fullPath) { id name mergeRequests(state: opened, first: 5) { nodes { iid title } } } }",
                    "variables": {"fullPath": f"{words.word(r)}/{words.word(r)}"},
                },
                r,
            ),
            content_type=JSON,
        )
    if kind == 12:
        return Request(
            "GET",
            f"/api/v1/repos/search?q={words.encoded(r, words.word(r))}&sort=updated&order=desc&exclusive=false&limit=15",
            "xhr",
        )
    return Request(
        "POST",
        f"/api/v4/projects/{r.randrange(999)}/ci/lint",
        "xhr",
        body=json_body(
            {
                "content": "build:\n  image: alpine\n  script:\n    - apk add --no-cache curl wget\n    - cat VERSION | tee out; id -u\n    - sh -c 'make test'\n  only: [main]\n"
            },
            r,
        ),
        content_type=JSON,
    )
