# SPDX-License-Identifier: Apache-2.0
"""Every event there is. What is not in here is never written; the names are a contract with whoever reads the
log.

An event is one JSON object per line in Suricata's EVE form. All have ``timestamp`` (ISO 8601 with offset)
and ``event_type``. A match of a rule is an ``alert``, exactly as Suricata writes it; what a built-in rule
finds odd, an ``anomaly``. What Suricata has no word for is a ``securedirect`` event: its ``securedirect``
object has ``event``, one of the ids below, and that event's own keys. Events of a connection have
``flow_id``, ``src_ip``, ``src_port``, ``dest_ip``, ``dest_port``, ``proto``; the same ``flow_id`` joins a
diversion with the alerts that caused it.
"""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """``event_type`` of a line."""

    ALERT = "alert"
    """A rule matched: ``alert`` = action, gid, signature_id, rev, signature, category, severity; ``http``."""
    ANOMALY = "anomaly"
    """A built-in rule that only alerts found something odd: ``anomaly`` = type, event (its name), layer, gid,
    signature_id, signature; ``http``. Of built-in rules that divert or score there are alerts."""
    SECUREDIRECT = "securedirect"
    """An event of the project's own, see ``EventId``."""


class EventId(StrEnum):
    """``securedirect.event`` of a line. The comment below each says when it is written and with which
    keys."""

    DIVERSION = "diversion"
    """A connection was taken from a server.

    ``reason`` (rule, conflicting_retransmission, marked_source); of a rule ``gid``, ``sid``, ``signature``
    and ``match`` (buffer, offset, length); ``server`` (spared) and ``honeypot`` (null: none is up), each with
    name and address; ``method``, ``adopted``; ``held_us``, ``handoff_us`` (microseconds the request was held,
    the handoff took); ``request`` (number of those on its connection that came here, from 0),
    ``request_bytes``."""
    OBSERVED = "observed"
    """A request would have been diverted were this not only observed (``would_divert`` = true).

    ``reason``, ``gid``, ``sid``, ``signature``, ``match``, ``server`` (it got the request), ``request``,
    ``request_bytes`` as of a diversion. Once per request."""
    CONNECTION_RESET = "connection_reset"
    """The inspector ended a connection that it could not go on judging: ``reason``."""
    SOURCE_MARKED = "source_marked"
    """A source goes to the honeypot from now on (``src_ip``): ``sid`` (0 = by an operator), ``expires``,
    ``by``."""
    SOURCE_EXPIRED = "source_expired"
    """A source's mark ran out (``src_ip``): it is served by production again."""
    SOURCE_REMOVED = "source_removed"
    """An operator took a source's mark away, or it is on the allow-list now (``src_ip``): ``by``."""
    SERVER_UP = "server_up"
    """A server answers its health checks of a service: ``name``, ``address``, ``service``."""
    SERVER_DOWN = "server_down"
    """A server left the pool of a service: ``name``, ``address``, ``service``, ``reason``."""
    HONEYPOT_UP = "honeypot_up"
    """A honeypot answers its health checks of a service: ``name``, ``address``, ``service``."""
    HONEYPOT_DOWN = "honeypot_down"
    """A honeypot is gone: ``name``, ``address``, ``service``, ``reason``. Its traffic is dropped, never given
    to production."""
    INSPECTOR_STARTED = "inspector_started"
    """The inspector runs and judges: ``pid``, ``queues``, ``rules``, ``ms`` (it took)."""
    INSPECTOR_FAILED = "inspector_failed"
    """The inspector could not start or had to give up: ``message``."""
    INSPECTOR_RESTARTED = "inspector_restarted"
    """The inspector ended unasked and was started anew: ``reason``, ``pid`` (of the new one),
    ``restarts``."""
    RULES_RELOADED = "rules_reloaded"
    """Requests are judged by rules that were read anew: ``generation`` (1 = those of the start), ``rules``,
    ``ms`` (it took), ``by`` (signal, operator)."""
    RELOAD_REFUSED = "reload_refused"
    """The rules on disk cannot be used, the old ones stay: ``message``, ``by``."""
    STARTED = "started"
    """The director serves: ``interface``, ``vip``, ``services`` (name to port), ``rules``, ``taken_over``,
    ``clears`` (whether this kernel can clear requests)."""
    STOPPED = "stopped"
    """The director was shut down in order."""


INSPECTOR_EVENTS = frozenset(
    {
        EventId.DIVERSION,
        EventId.OBSERVED,
        EventId.CONNECTION_RESET,
        EventId.INSPECTOR_STARTED,
        EventId.INSPECTOR_FAILED,
    }
)
"""Those that come from the inspector; all others are the supervisor's."""
