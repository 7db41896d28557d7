# SPDX-License-Identifier: Apache-2.0
"""What the pages of common applications send when people and their clients use and administer them."""

from __future__ import annotations

import base64
import json
from random import Random
from urllib.parse import quote

import words
from clients import Request, blob, json_body, multipart
from people import AJAX, FORM, FORM_UTF8, JSON


def wordpress(r: Random, language: str) -> Request:
    nonce = words.hexadecimal(r, 10)
    kind = r.randrange(11)
    if kind == 0:
        return Request(
            "POST",
            "/wp-admin/admin-ajax.php",
            "xhr",
            [*AJAX],
            words.form(
                r,
                [
                    ("data[wp-auth-check]", "true"),
                    ("data[wp-refresh-post-lock][post_id]", str(r.randrange(999))),
                    ("interval", "15"),
                    ("_nonce", nonce),
                    ("action", "heartbeat"),
                    ("screen_id", "post"),
                    ("has_focus", "true"),
                ],
            ).encode(),
            FORM_UTF8,
        )
    if kind == 1:
        return Request(
            "POST",
            "/wp-admin/admin-ajax.php",
            "xhr",
            [*AJAX],
            words.form(
                r,
                [
                    (
                        "action",
                        r.choice(
                            (
                                "query-attachments",
                                "save-widget",
                                "wpcf7_submit",
                                "elementor_ajax",
                                "woocommerce_get_refreshed_fragments",
                                "as3cf_get_buckets",
                                "inline-save",
                            )
                        ),
                    ),
                    ("query[orderby]", "date"),
                    ("query[s]", words.query(r, language)),
                    (
                        "actions",
                        json.dumps(
                            {
                                "save_builder": {
                                    "data": {
                                        "elements": [
                                            {
                                                "id": words.hexadecimal(r, 7),
                                                "elType": "widget",
                                                "settings": {"editor": words.text(r, 2, language)},
                                            }
                                        ]
                                    }
                                }
                            }
                        ),
                    ),
                    ("_wpnonce", nonce),
                ],
            ).encode(),
            FORM_UTF8,
        )
    if kind == 2:
        block = f'<!-- wp:paragraph {{"align":"center"}} -->\n<p class="has-text-align-center">{words.text(r, 2, language)}</p>\n<!-- /wp:paragraph -->\n\n<!-- wp:html -->\n<script async src="https://platform.example/embed.js"></script>\n<style>.a > b {{ color: red }}</style>\n<!-- /wp:html -->'
        return Request(
            r.choice(("POST", "PUT")),
            f"/wp-json/wp/v2/posts/{r.randrange(999)}?_locale=user",
            "xhr",
            [("X-WP-Nonce", nonce)],
            json_body({"id": 1, "title": words.name(r), "content": block, "status": "publish"}, r),
            JSON,
        )
    if kind == 3:
        return Request(
            "GET",
            f"/wp-json/wp/v2/posts?context=edit&per_page=-1&search={words.encoded(r, words.query(r, language))}&orderby=relevance&_fields=id%2Ctitle.rendered%2Clink&_locale=user",
            "xhr",
            [("X-WP-Nonce", nonce)],
        )
    if kind == 4:
        return Request(
            "GET",
            f"/wp-admin/edit.php?s={words.encoded(r, words.query(r, language))}&post_status=all&post_type=page&action=-1&m=0&cat=0&paged={r.randrange(9)}&action2=-1",
        )
    if kind == 5:
        return Request(
            "GET",
            f"/wp-admin/customize.php?url=https%3A%2F%2Fwww.example.org%2F&return=%2Fwp-admin%2Fthemes.php%3Fpage%3D{words.word(r)}&autofocus%5Bcontrol%5D=custom_css",
        )
    if kind == 6:
        return Request(
            "POST",
            "/wp-admin/options.php",
            "form",
            body=words.form(
                r,
                [
                    ("option_page", "general"),
                    ("action", "update"),
                    ("_wpnonce", nonce),
                    ("_wp_http_referer", "/wp-admin/options-general.php?settings-updated=true"),
                    ("blogname", words.name(r)),
                    ("siteurl", "https://www.example.org"),
                    ("date_format", "\\c\\u\\s\\t\\o\\m"),
                    ("date_format_custom", "j. F Y"),
                ],
            ).encode(),
            content_type=FORM,
        )
    if kind == 7:
        return Request(
            "GET",
            f"/wp-admin/plugins.php?action=activate&plugin={words.word(r)}%2F{words.word(r)}.php&plugin_status=all&paged=1&s&_wpnonce={nonce}",
        )
    if kind == 8:
        return Request(
            "POST",
            "/wp-cron.php?doing_wp_cron=1731402672.1234560012817382812500",
            "xhr",
            body=b"",
            content_type=FORM,
        )
    if kind == 9:
        return Request(
            "POST",
            "/wp-admin/theme-editor.php",
            "form",
            body=words.form(
                r,
                [
                    ("nonce", nonce),
                    (
                        "newcontent",
                        "<?php\r\n/* functions */\r\nadd_action('init', function () { register_post_type('book', ['public' => true]); });\r\n?>\r\n<h1><?php the_title(); ?></h1>",
                    ),
                    ("action", "update"),
                    ("file", "functions.php"),
                    ("theme", "child"),
                ],
            ).encode(),
            content_type=FORM,
        )
    return Request(
        "GET",
        f"/wp-admin/admin.php?page=wc-settings&tab=checkout&section={words.word(r)}&path=%2Fanalytics%2Foverview&period=last_month",
    )


def cloud(r: Random, language: str) -> Request:
    """Nextcloud and other WebDAV, CalDAV and CardDAV, from browsers."""
    file = quote(
        f"{words.foreign(r, language)} {r.choice(('(1)', '& more', chr(39) + 's', '100%', '#2'))}.odt"
    )
    kind = r.randrange(9)
    if kind == 0:
        return Request(
            "PROPFIND",
            f"/remote.php/dav/files/ann/{file}",
            "xhr",
            [*AJAX, ("Depth", r.choice(("0", "1"))), ("requesttoken", blob(r, 60))],
            b'<?xml version="1.0"?>\n<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"><d:prop><d:getlastmodified/><d:getetag/><oc:fileid/><oc:permissions/></d:prop></d:propfind>',
            "application/xml; charset=utf-8",
        )
    if kind == 1:
        return Request(
            r.choice(("MOVE", "COPY")),
            f"/remote.php/dav/files/ann/{file}",
            "xhr",
            [
                ("Destination", f"https://cloud.example.eu/remote.php/dav/files/ann/{words.slug(r)}/{file}"),
                ("Overwrite", "F"),
            ],
        )
    if kind == 2:
        return Request(
            "PUT",
            f"/remote.php/dav/uploads/ann/web-file-upload-{words.hexadecimal(r, 32)}-{words.digits(r, 13)}/{r.randrange(9)}",
            "xhr",
            [("OC-Total-Length", "10485760"), ("X-OC-Mtime", words.digits(r, 10))],
            r.randbytes(r.randrange(1, 20_000)),
            "application/octet-stream",
        )
    if kind == 3:
        return Request(
            "GET",
            r.choice(
                (
                    f"/index.php/apps/files/?dir=/{file}&fileid={r.randrange(99999)}",
                    f"/ocs/v2.php/search/providers/files/search?term={words.encoded(r, words.query(r, language))}&from=%2Fapps%2Ffiles%2F%3Fdir%3D%2F",
                    f"/ocs/v1.php/cloud/users?search={words.encoded(r, words.name(r))}&limit=25",
                    f"/index.php/core/preview?fileId={r.randrange(9999)}&x=250&y=250&a=true",
                    f"/s/{words.identifier(r, 15)}/download?path=%2F&files={file}",
                    f"/index.php/apps/text/session/{r.randrange(99)}/sync",
                    "/status.php",
                    "/cron.php",
                )
            ),
            "xhr",
            [("OCS-APIREQUEST", "true")],
        )
    if kind == 4:
        event = f'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:{words.uuid(r)}\r\nDTSTART;TZID=Europe/Berlin:20241112T101112\r\nRRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=9\r\nSUMMARY:{words.query(r, language)}\r\nATTENDEE;CN="{words.word(r)}";PARTSTAT=NEEDS-ACTION:mailto:a@example.org\r\nDESCRIPTION:{words.text(r, 1, language)}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n'
        return Request(
            "PUT",
            f"/remote.php/dav/calendars/ann/personal/{words.uuid(r).upper()}.ics",
            "xhr",
            [("If-None-Match", "*")],
            event.encode(),
            "text/calendar; charset=utf-8",
        )
    if kind == 5:
        return Request(
            "REPORT",
            "/remote.php/dav/calendars/ann/personal/",
            "xhr",
            [("Depth", "1")],
            b'<x1:calendar-query xmlns:x1="urn:ietf:params:xml:ns:caldav"><x0:prop xmlns:x0="DAV:"><x0:getetag/><x1:calendar-data/></x0:prop><x1:filter><x1:comp-filter name="VCALENDAR"><x1:comp-filter name="VEVENT"><x1:time-range start="20241101T000000Z" end="20241201T000000Z"/></x1:comp-filter></x1:comp-filter></x1:filter></x1:calendar-query>',
            "application/xml; charset=utf-8",
        )
    if kind == 6:
        return Request(
            r.choice(("MKCOL", "DELETE", "LOCK", "UNLOCK")),
            f"/dav/{quote(words.name(r), safe='')}/",
            "xhr",
            [
                ("Lock-Token", f"<opaquelocktoken:{words.uuid(r)}>"),
                ("Timeout", "Infinite, Second-4100000000"),
            ],
        )
    if kind == 7:
        return Request(
            "PROPPATCH",
            f"/remote.php/dav/files/ann/{file}",
            "xhr",
            body=b'<?xml version="1.0"?><d:propertyupdate xmlns:d="DAV:"><d:set><d:prop><oc:favorite xmlns:oc="http://owncloud.org/ns">1</oc:favorite></d:prop></d:set></d:propertyupdate>',
            content_type="text/xml",
        )
    return Request(
        "POST",
        "/ocs/v2.php/apps/files_sharing/api/v1/shares",
        "xhr",
        [("OCS-APIREQUEST", "true")],
        json_body(
            {
                "path": "/Fotos/2024",
                "shareType": 3,
                "password": words.password(r),
                "note": words.text(r, 1, language),
            },
            r,
        ),
        JSON,
    )


def content_systems(r: Random, language: str) -> Request:
    """Drupal, Joomla, TYPO3, Magento, MediaWiki, Moodle, web mail, SharePoint, Exchange."""
    q = words.encoded(r, words.query(r, language))
    kind = r.randrange(19)
    if kind == 0:
        return Request(
            "POST",
            f"/node/{r.randrange(999)}/edit?ajax_form=1&_wrapper_format=drupal_ajax",
            "xhr",
            [*AJAX],
            words.form(
                r,
                [
                    ("title[0][value]", words.name(r)),
                    ("body[0][value]", f"<p>{words.text(r, 3, language)}</p>"),
                    ("body[0][format]", "full_html"),
                    ("form_token", words.identifier(r, 43)),
                    ("_triggering_element_name", "field_image_0_upload_button"),
                    ("ajax_page_state[libraries]", base64.urlsafe_b64encode(r.randbytes(200)).decode()),
                ],
            ).encode(),
            FORM_UTF8,
        )
    if kind == 1:
        return Request(
            "POST",
            "/views/ajax?_wrapper_format=drupal_ajax",
            "xhr",
            [*AJAX],
            words.form(
                r,
                [
                    ("view_name", "content"),
                    ("view_display_id", "page_1"),
                    ("view_args", ""),
                    ("view_path", "/admin/content"),
                    ("title", words.query(r)),
                    ("pager_element", "0"),
                    ("_drupal_ajax", "1"),
                ],
            ).encode(),
            FORM_UTF8,
        )
    if kind == 2:
        return Request(
            "GET",
            r.choice(
                (
                    f"/index.php?q=admin/structure/views&destination=node/{r.randrange(99)}",
                    f"/admin/content?title={q}&type=All&status=1&langcode=All",
                    f"/jsonapi/node/article?filter[t][condition][path]=title&filter[t][condition][operator]=CONTAINS&filter[t][condition][value]={q}&include=field_image&page[limit]=5",
                    f"/entity_reference_autocomplete/node/default/{words.identifier(r, 43)}?q={q}",
                )
            ),
            "xhr",
        )
    if kind == 3:
        return Request(
            "GET",
            r.choice(
                (
                    f"/administrator/index.php?option=com_content&view=articles&filter[search]={q}&list[fullordering]=a.id+DESC",
                    f"/index.php?option=com_finder&view=search&q={q}&Itemid=101",
                    f"/index.php?option=com_ajax&plugin=x&format=json&data={words.encoded(r, json.dumps({'a': words.name(r)}))}",
                )
            ),
        )
    if kind == 4:
        return Request(
            "POST",
            "/administrator/index.php?option=com_content&layout=edit&id=7",
            "form",
            body=words.form(
                r,
                [
                    ("jform[title]", words.name(r)),
                    ("jform[articletext]", f'<p>{words.text(r, 3, language)}</p><hr id="system-readmore" />'),
                    ("task", "article.apply"),
                    (words.hexadecimal(r, 32), "1"),
                    ("return", base64.b64encode(b"index.php?option=com_content").decode()),
                ],
            ).encode(),
            content_type=FORM,
        )
    if kind == 5:
        return Request(
            "POST",
            f"/typo3/record/edit?token={words.hexadecimal(r, 40)}&edit%5Btt_content%5D%5B{r.randrange(99)}%5D=edit&returnUrl=%2Ftypo3%2Fmodule%2Fweb%2Flayout%3Fid%3D1",
            "form",
            body=words.form(
                r,
                [
                    ("data[tt_content][12][bodytext]", f"<p>{words.text(r, 2, language)}</p>"),
                    ("data[tt_content][12][header]", words.name(r)),
                    ("_savedok", "1"),
                ],
            ).encode(),
            content_type=FORM,
        )
    if kind == 6:
        return Request(
            "GET",
            f"/rest/V1/products?searchCriteria[filter_groups][0][filters][0][field]=name&searchCriteria[filter_groups][0][filters][0][value]=%25{quote(words.word(r))}%25&searchCriteria[filter_groups][0][filters][0][condition_type]=like&searchCriteria[pageSize]=20",
            "xhr",
        )
    if kind == 7:
        return Request(
            "POST",
            f"/rest/default/V1/guest-carts/{words.identifier(r, 32)}/shipping-information",
            "xhr",
            [*AJAX],
            json_body(
                {
                    "addressInformation": {
                        "shipping_address": {
                            "countryId": "DE",
                            "street": [f"{words.word(r).title()} 12", words.name(r)],
                            "city": words.foreign(r, language),
                            "customAttributes": [],
                        },
                        "shipping_carrier_code": "flatrate",
                    }
                },
                r,
            ),
            JSON,
        )
    if kind == 8:
        return Request(
            "GET",
            f"/customer/section/load/?sections=cart%2Cdirectory-data%2Cmessages&force_new_section_timestamp=false&_={words.digits(r, 13)}",
            "xhr",
            [*AJAX],
        )
    if kind == 9:
        return Request(
            "GET",
            f"/admin_1a2b3c/mui/index/render/key/{words.hexadecimal(r, 64)}/?namespace=product_listing&search={q}&filters%5Bplaceholder%5D=true&paging%5BpageSize%5D=20&sorting%5Bfield%5D=entity_id&sorting%5Bdirection%5D=asc&isAjax=true",
            "xhr",
            [*AJAX],
        )
    if kind == 10:
        parts = [
            ("wpTextbox1", "", "", words.text(r, 8, language).encode()),
            ("wpSummary", "", "", b"/* See also */ it's better"),
            ("wpEditToken", "", "", (words.hexadecimal(r, 40) + "+\\").encode()),
            ("wpUnicodeCheck", "", "", "ℳ𝒲♥𝓊𝓃𝒾𝒸ℴ𝒹ℯ".encode()),
        ]
        body, content_type = multipart(r, parts)
        return Request(
            "POST",
            f"/w/index.php?title={words.encoded(r, words.name(r))}&action=submit",
            "form",
            body=body,
            content_type=content_type,
        )
    if kind == 11:
        return Request(
            "GET",
            f"/w/api.php?action=query&format=json&prop=pageimages|pageprops|description&titles={words.encoded(r, words.name(r) + '|' + words.foreign(r, language))}&redirects=&formatversion=2&piprop=thumbnail&pithumbsize=160",
            "xhr",
        )
    if kind == 12:
        return Request(
            "POST",
            f"/lib/ajax/service.php?sesskey={words.identifier(r, 10)}&info=core_course_get_enrolled_courses_by_timeline_classification",
            "xhr",
            [*AJAX],
            json_body(
                [
                    {
                        "index": 0,
                        "methodname": "core_fetch_notifications",
                        "args": {"contextid": r.randrange(99), "search": words.query(r)},
                    }
                ],
                r,
            ),
            JSON,
        )
    if kind == 13:
        return Request(
            "POST",
            "/roundcube/?_task=mail&_action=send&_unlock=loading1731402672",
            "form",
            body=words.form(
                r,
                [
                    ("_token", words.identifier(r, 32)),
                    ("_task", "mail"),
                    ("_to", f'"{words.name(r)}" <a@example.org>, b@example.net;'),
                    ("_subject", words.query(r, language)),
                    ("_message", words.text(r, 6, language)),
                    ("_is_html", "1"),
                ],
            ).encode(),
            content_type=FORM,
        )
    if kind == 14:
        return Request(
            "GET",
            f"/roundcube/?_task=mail&_action=search&_q={q}&_headers=subject%2Cfrom&_scope=base&_mbox=INBOX&_remote=1&_unlock=loading{words.digits(r, 13)}",
            "xhr",
            [*AJAX],
        )
    if kind == 15:
        return Request(
            "GET",
            f"/sites/{words.word(r)}/_api/web/lists/getbytitle('{quote(words.foreign(r, language))}')/items?$select=Id,Title&$filter=startswith(Title,'{words.word(r)}')%20and%20Id%20gt%205&$orderby=Id%20desc&$top=100",
            "xhr",
            [("Accept", "application/json;odata=nometadata")],
        )
    if kind == 16:
        return Request(
            "POST",
            f"/sites/{words.word(r)}/_vti_bin/client.svc/ProcessQuery",
            "xhr",
            [("X-RequestDigest", "0x" + words.hexadecimal(r, 128).upper() + ",12 Nov 2024 10:11:12 -0000")],
            b'<Request AddExpandoFieldTypeSuffix="true" SchemaVersion="15.0.0.0" xmlns="http://schemas.microsoft.com/sharepoint/clientquery/2009"><Actions><ObjectPath Id="1" ObjectPathId="0" /></Actions></Request>',
            "text/xml",
        )
    if kind == 17:
        return Request(
            "POST",
            f"/owa/service.svc?action=FindConversation&EP=1&ID=-{r.randrange(99)}&AC=1",
            "xhr",
            [
                ("X-OWA-CANARY", words.identifier(r, 76) + "."),
                (
                    "X-OWA-UrlPostData",
                    quote(
                        json.dumps(
                            {
                                "__type": "FindConversationJsonRequest:#Exchange",
                                "Body": {"Paging": {"Offset": 0}},
                            }
                        )
                    ),
                ),
            ],
            b"",
            JSON,
        )
    return Request(
        "POST",
        f"/Microsoft-Server-ActiveSync?Cmd=Sync&User=ann%40example.org&DeviceId={words.hexadecimal(r, 32).upper()}&DeviceType=iPhone",
        "xhr",
        [("MS-ASProtocolVersion", "16.1")],
        b"\x03\x01j\x00\x00\x07\x45\x5c\x4f\x4b\x03" + r.randbytes(r.randrange(300)),
        "application/vnd.ms-sync.wbxml",
    )
