"""One libtorrent client with one torrent, told everything by one JSON argument; says what happens as JSON lines on stdout."""

import faulthandler
import json
import os
import select
import signal
import socket
import sys
import time

import libtorrent as lt

# A crash of the library says where, on stderr.
faulthandler.enable()
began = time.monotonic()
told = json.loads(sys.argv[1])


def say(event, **more):
    print(json.dumps({"event": event, "seconds": time.monotonic() - began, **more}), flush=True)


def heard():
    """Which alerts are asked for: never the logs of peers, torrents and sessions, which are thousands."""
    category = lt.alert.category_t
    loud = category.error_notification | category.peer_notification | category.storage_notification | category.tracker_notification
    return category.status_notification | (0 if told.get("quiet", True) else loud | category.connect_notification)


def settings():
    given = {
        "listen_interfaces": told.get("listen", ""),
        "outgoing_interfaces": told.get("listen", "").rpartition(":")[0],
        "enable_dht": told.get("dht") is not None,
        "dht_bootstrap_nodes": told.get("dht") or "",
        # Everybody in a namespace has an address of the same /16, and ids that do not fit addresses of a site.
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_enforce_node_id": False,
        "dht_prefer_verified_node_ids": False,
        "enable_lsd": told.get("lsd", False),
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": told.get("utp", False),
        "enable_incoming_utp": told.get("utp", False),
        "enable_outgoing_tcp": not told.get("utp", False),
        "enable_incoming_tcp": not told.get("utp", False),
        "allow_multiple_connections_per_ip": True,
        "alert_mask": heard(),
        "user_agent": "interop/libtorrent",
        "announce_to_all_trackers": True,
        "announce_to_all_tiers": True,
        "min_reconnect_time": 1,
        "ssrf_mitigation": False,
        "validate_https_trackers": False,
    }
    policy = {"plain": lt.enc_policy.disabled, "default": lt.enc_policy.enabled, "required": lt.enc_policy.forced}[told.get("crypto", "default")]
    given["in_enc_policy"] = given["out_enc_policy"] = int(policy)
    given["allowed_enc_level"] = int(lt.enc_level.rc4 if told.get("crypto") == "required" else lt.enc_level.both)
    if told.get("tuned"):
        # libtorrent's own `high_performance_seed` goes this way; depths and buffers are what a fast loopback wants.
        given |= {
            "hashing_threads": 2,
            "aio_threads": 4,
            "send_buffer_watermark": 16 * 1024 * 1024,
            "send_buffer_low_watermark": 1024 * 1024,
            "send_buffer_watermark_factor": 250,
            "max_out_request_queue": 1500,
            "max_allowed_in_request_queue": 2000,
            "request_queue_time": 10,
            "recv_socket_buffer_size": 4 * 1024 * 1024,
            "send_socket_buffer_size": 4 * 1024 * 1024,
            "max_queued_disk_bytes": 64 * 1024 * 1024,
            "checking_mem_usage": 2048,
            "suggest_mode": 0,
            "mixed_mode_algorithm": 0,
            "unchoke_slots_limit": 200,
        }
    return given


def opened(more={}):
    """A session, and how to take its alerts, with a wait of at most so many seconds for the first. Not by `wait_for_alert`: it returns
    a pointer into a queue that libtorrent moves when it grows, and the binding reads what is there no longer (2.0.8: 21 of 246
    sessions with many alerts ended by a segmentation fault, none of 209 that were told by a socket)."""
    session = lt.session(settings() | more)
    told_here, told_there = socket.socketpair()
    told_there.setblocking(False)
    session.set_alert_fd(told_there.detach())

    def alerts(patience):
        if select.select([told_here], [], [], patience)[0]:
            told_here.recv(4096)
        return session.pop_alerts()

    return session, alerts


def transfer():
    session, alerts = opened()
    if told.get("torrent"):
        wanted = lt.add_torrent_params()
        wanted.ti = lt.torrent_info(told["torrent"])
    else:
        wanted = lt.parse_magnet_uri(told["magnet"])
    wanted.save_path = told["folder"]
    flags = lt.torrent_flags
    wanted.flags &= ~(flags.auto_managed | flags.paused)
    if not told.get("pex"):
        wanted.flags |= flags.disable_pex
    if told["do"] == "seed":
        wanted.flags |= flags.seed_mode
    if told.get("super_seeds"):
        wanted.flags |= flags.super_seeding
    torrent = session.add_torrent(wanted)
    # The session's own limits leave out whoever is of the same site.
    if told.get("rate"):
        torrent.set_download_limit(told["rate"])
    if told.get("gives"):
        torrent.set_upload_limit(told["gives"])
    dial(torrent)
    say("ready")
    complete = False
    looked = dialled = given = began
    while True:
        # A call that came before the torrent was ready, or to a program that does not listen yet, is forgotten.
        if not complete and time.monotonic() > dialled + 1 and not torrent.get_peer_info():
            dialled = time.monotonic()
            dial(torrent)
        # By itself it asks every quarter of an hour, and first when it knows no node yet.
        if told.get("dht") is not None and not complete and time.monotonic() > looked + 1:
            looked = time.monotonic()
            torrent.force_dht_announce()
        if told["do"] == "seed" and not told["quiet"] and time.monotonic() > given + 1:
            given = time.monotonic()
            say("giving", given_bytes=torrent.status().total_payload_upload)
        for alert in alerts(0.5):
            if isinstance(alert, lt.torrent_finished_alert) and told["do"] != "seed" and not complete:
                complete = True
                session.pause() if not told["stays"] else None
                say("complete")
                if not told["stays"]:
                    flush(alerts, torrent)
                    return
            elif not told["quiet"]:
                print(alert.what(), alert.message(), file=sys.stderr, flush=True)


def dial(torrent):
    for address, port in told.get("peers", []):
        torrent.connect_peer((address, port))


def flush(alerts, torrent):
    """Waits until the disk thread has written everything: finished is said when the hashes are right."""
    torrent.flush_cache()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if any(isinstance(alert, lt.cache_flushed_alert) for alert in alerts(0.1)):
            return


def check():
    session, alerts = opened({"listen_interfaces": "127.0.0.1:0"})
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(told["torrent"])
    wanted.save_path = told["folder"]
    wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    torrent = session.add_torrent(wanted)
    while True:
        for alert in alerts(0.5):
            if isinstance(alert, lt.torrent_checked_alert):
                whole = torrent.status().is_seeding
                say("complete" if whole else "incomplete")
                sys.stdout.flush()
                os._exit(0 if whole else 1)


def create():
    storage = lt.file_storage()
    lt.add_files(storage, told["folder"])
    flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}[told.get("version", "v1")]
    made = lt.create_torrent(storage, told.get("piece_length", 1 << 20), flags)
    for tracker in told.get("trackers", []):
        made.add_tracker(tracker)
    for url in told.get("web_seeds", []):
        made.add_url_seed(url)
    lt.set_piece_hashes(made, os.path.dirname(told["folder"]))
    written = lt.bencode(made.generate())
    with open(told["torrent"], "wb") as file:
        file.write(written)
    hashes = lt.torrent_info(lt.bdecode(written)).info_hashes()
    say("complete", v1=str(hashes.v1) if hashes.has_v1() else None, v2=str(hashes.v2) if hashes.has_v2() else None)


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
{"seed": transfer, "leech": transfer, "check": check, "create": create}[told["do"]]()
sys.stdout.flush()
os._exit(0)
