"""Puts at one node and gets at another with pyFreenet3: python pyfreenet.py PORT PORT. Says a line for each thing that worked."""

import hashlib
import os
import sys
import time

from fcp3.node import FCPNode, FCPGetFailed

first, second = int(sys.argv[1]), int(sys.argv[2])
PATIENCE = 120


def node(port):
    return FCPNode(host="127.0.0.1", port=port, verbosity=0, logfile=open(os.devnull, "w"))


alice, bob = node(first), node(second)


def put(uri, data, **more):
    return alice.put(uri, data=data, mimetype=more.pop("mimetype", "text/plain"), timeout=PATIENCE, priority=1, **more)


def get(uri, **more):
    return bob.get(uri, timeout=PATIENCE, priority=1, **more)


def check(what, data, uri, mime="text/plain"):
    mimetype, got = get(uri)[:2]
    got = got.encode() if isinstance(got, str) else got
    if got != data:
        sys.exit("%s: expected %d bytes, came %d others" % (what, len(data), len(got)))
    if mimetype.split(";")[0] != mime:
        sys.exit("%s: expected %s, came %s" % (what, mime, mimetype))
    print(what, flush=True)


small = b"a small text\n"
check("CHK", small, put("CHK@", small))
check("KSK", small, put("KSK@pyfreenet-greeting", small))

public, private = alice.genkey()
put(private + "page", small)
check("SSK", small, public + "page")
if alice.invertprivate(private + "page").split("/")[0] != (public + "page").split("/")[0]:
    sys.exit("a private key does not tell its public one")
print("invert", flush=True)



def putdir(uri, pages):
    """As freesitemgr does: FCPNode.putdir itself hands a str to its socket with this Python."""
    lines = ["URI=" + uri, "DefaultName=index.html", "Verbosity=0", "MaxRetries=3", "Persistence=connection", "Global=false"]
    for number, (name, data) in enumerate(pages.items()):
        field = "Files.%d." % number
        lines += [field + "Name=" + name, field + "UploadFrom=direct", field + "Metadata.ContentType=text/html"]
        lines += [field + "DataLength=%d" % len(data)]
    job = alice._getUniqueId()
    head = "\n".join(["ClientPutComplexDir", "Identifier=" + job] + lines + ["Data"]) + "\n"
    raw = head.encode() + b"".join(pages.values())
    more = {"async": False, "Global": False, "persistence": "connection", "timeout": PATIENCE}
    return alice._submitCmd(job, "ClientPutComplexDir", rawcmd=raw, **more)


for edition in range(2):
    pages = {"index.html": b"<h1>edition %d</h1>" % edition, "sub/page.html": b"page %d" % edition}
    putdir(private.replace("SSK@", "USK@") + "site/%d" % edition, pages)
    usk = public.replace("SSK@", "USK@") + "site/%d/" % edition
    check("USK %d" % edition, pages["sub/page.html"], usk + "sub/page.html", "text/html")
check("USK newest", b"<h1>edition 1</h1>", public.replace("SSK@", "USK@") + "site/-1/", "text/html")

directory = putdir("CHK@", pages)
base = directory.split("/")[0]
check("directory", b"page 1", base + "/sub/page.html", "text/html")

job = alice.put("CHK@", data=small, mimetype="text/plain", persistence="forever", Global=True, timeout=PATIENCE, priority=1)
check("global queue", small, job)

try:
    # By itself it has the node look for as long as it takes (MaxRetries=-1).
    get("KSK@nobody-has-put-this", maxretries=0)
    sys.exit("what nobody has put was got")
except FCPGetFailed as failed:
    if failed.info["Code"] != 13:
        sys.exit("expected GetFailed 13, came %s" % failed.info["Code"])
    print("not found", flush=True)

large = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(20 * 2**20 // 32))
began = time.time()
uri = put("CHK@", large, mimetype="application/octet-stream")
middle = time.time()
check("20 MiB", large, uri, "application/octet-stream")
print("20 MiB: put %.1f s, got %.1f s" % (middle - began, time.time() - middle), flush=True)
print("all", flush=True)
os._exit(0)
