# SPDX-License-Identifier: Apache-2.0
"""The site and its decoy."""

import re
from pathlib import Path

from securedirect.lab.plan import Plan
from securedirect.lab.website import DOWNLOAD_BYTES, nginx_configuration, pages, write_site


def test_the_decoy_has_the_same_pages_and_other_secrets() -> None:
    real, decoy = pages(False), pages(True)
    assert real.keys() == decoy.keys()
    assert {path for path in real if real[path] != decoy[path]} == {"admin/orders.html", "api/orders.json"}


def test_every_link_leads_somewhere() -> None:
    found = pages(False)
    for text in found.values():
        for target in re.findall(r'(?:href|action)="/([^"]*)"', text):
            assert (target or "index.html") in found


def test_no_host_can_be_told_by_its_files(tmp_path: Path) -> None:
    download = tmp_path / "download.bin"
    for name, decoy in (("web1", False), ("honeypot1", True)):
        (tmp_path / name).mkdir()
        write_site(tmp_path / name, decoy=decoy, download_file=download)
    for path in ("index.html", "download.bin", "robots.txt"):
        one, other = ((tmp_path / host / path).stat() for host in ("web1", "honeypot1"))
        assert (one.st_size, one.st_mtime) == (other.st_size, other.st_mtime)
    assert download.samefile(tmp_path / "web1" / "download.bin")
    assert download.stat().st_size == DOWNLOAD_BYTES


def test_the_access_log_can_be_off() -> None:
    host = Plan().hosts()["web1"]
    assert "access_log /x/access.log combined;" in nginx_configuration(host, Path("/x"), access_log=True)
    assert "access_log off;" in nginx_configuration(host, Path("/x"), access_log=False)
