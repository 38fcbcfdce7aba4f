"""A mailbox as Python's imaplib sees it.

Standard input is a JSON object: port, user, password, ca, letter (a file that
was submitted and lies in Sent), other (a file that never was). Each check that
does not hold is one line on standard output; the exit code is their number.
"""

import datetime
import email
import imaplib
import json
import re
import ssl
import sys
import time

told = json.load(sys.stdin)
letter = open(told["letter"], "rb").read()
other = open(told["other"], "rb").read()
failures = 0


def check(what, holds, got=None):
    global failures
    if not holds:
        failures += 1
        print(f"{what}: {got!r:.600}")


def ok(what, answer):
    status, data = answer
    check(what, status == "OK", (status, data))
    return data


def refused(what, answer):
    check(what, answer[0] == "NO", answer)


def uids(m, *keys):
    return ok(f"SEARCH {keys}", m.uid("SEARCH", *keys))[0].split()


def octets(m, uid, section):
    data = ok(section, m.uid("FETCH", uid, f"(BODY.PEEK{section})"))
    for item in data:
        if isinstance(item, tuple):
            return item[1]
    text = b"".join(d for d in data if d)
    quoted = re.search(rb'BODY\[[^\]]*\](?:<\d+>)? "((?:[^"\\]|\\.)*)"', text)
    return re.sub(rb"\\(.)", rb"\1", quoted.group(1)) if quoted else None


def structure(text):
    """The nested lists of a parenthesised IMAP answer."""
    tokens = re.findall(rb'"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+', text)
    stack = [[]]
    for t in tokens:
        if t == b"(":
            stack.append([])
        elif t == b")":
            if len(stack) == 1:
                break
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(t.strip(b'"').decode())
    return stack[0]


def login():
    m = imaplib.IMAP4_SSL("localhost", told["port"], ssl_context=ssl.create_default_context(cafile=told["ca"]))
    ok("LOGIN", m.login(told["user"], told["password"]))
    return m


def offers(m):
    wanted = """IMAP4REV1 IMAP4REV2 SASL-IR IDLE UNSELECT ENABLE NAMESPACE UIDPLUS ESEARCH SEARCHRES LIST-EXTENDED
        LIST-STATUS MOVE STATUS=SIZE CHILDREN SPECIAL-USE""".split()
    have = ok("CAPABILITY", m.capability())[0].decode().upper().split()
    check("capabilities", not set(wanted) - set(have), sorted(set(wanted) - set(have)))
    check("APPENDLIMIT", any(c.startswith("APPENDLIMIT") for c in have), have)
    check("no LITERAL+", "LITERAL+" not in have, have)
    listed = b"\n".join(ok("LIST", m.list())).decode()
    for use in (r"\Sent", r"\Drafts", r"\Trash"):
        check(f"LIST {use}", re.search(re.escape(use) + r'\b[^\n]*"?' + use[1:], listed), listed)
    check("NAMESPACE", b'(("" "/"))' in ok("NAMESPACE", m.namespace())[0], None)


def reads(m):
    check("SELECT", ok("SELECT", m.select("Sent")) == [b"1"])
    [uid] = uids(m, "ALL")
    for section, want in {
        "[]": letter,
        "[HEADER]": letter.split(b"\r\n\r\n")[0] + b"\r\n\r\n",
        "[TEXT]": letter.split(b"\r\n\r\n", 1)[1],
        "[]<0.100>": letter[:100],
        "[]<1000.65536>": letter[1000:66536],
        f"[]<{len(letter) - 10}.100>": letter[-10:],
        f"[]<{len(letter)}.100>": b"",
        "[HEADER.FIELDS (SUBJECT)]": b"Subject: " + email.message_from_bytes(letter)["Subject"].encode() + b"\r\n\r\n",
        "[1.1]": b"Please find the document attached.\r\n",
        "[1.1.MIME]": b"Content-Type: text/plain; charset=utf-8\r\n\r\n",
        "[2.MIME]<0.12>": b"Content-Type",
    }.items():
        got = octets(m, uid, section)
        check(f"BODY{section}", got == want, (len(got or b""), len(want), (got or b"")[:80]))
    # What a client would verify: the first part with its header, as it was signed.
    signed = email.message_from_bytes(letter).get_payload(0).as_bytes()
    whole = octets(m, uid, "[1.MIME]") + octets(m, uid, "[1]")
    check("BODY[1] with its header", whole.replace(b"\r\n", b"\n").rstrip() == signed.replace(b"\r\n", b"\n").rstrip())
    data = b"".join(x if isinstance(x, bytes) else x[0] + x[1] for x in ok("FETCH", m.uid("FETCH", uid, "(UID RFC822.SIZE INTERNALDATE FLAGS ENVELOPE BODYSTRUCTURE)")))
    check("RFC822.SIZE", f"RFC822.SIZE {len(letter)}".encode() in data, data)
    received = imaplib.Internaldate2tuple(data)
    check("INTERNALDATE", received and abs(time.mktime(received) - time.time()) < 3600, data)
    check("ENVELOPE", b"ENVELOPE (" in data and email.message_from_bytes(letter)["Message-ID"].encode() in data and told["user"].split("@")[0].encode() in data, data)
    tree = structure(data.split(b"BODYSTRUCTURE", 1)[1])[0]
    check("BODYSTRUCTURE", tree[2].lower() == "signed" and tree[0][2].lower() == "mixed" and tree[0][0][:2] == ["text", "plain"]
          and [s.lower() for s in tree[1][:2]] == ["application", "pkcs7-signature"], tree)
    return uid


def searches(m, uid):
    today, day = datetime.date.today(), datetime.timedelta(days=1)
    date = lambda d: d.strftime("%d-%b-%Y")
    sent = email.utils.parsedate_to_datetime(email.message_from_bytes(letter)["Date"]).date()
    hits = ["ALL", 'SUBJECT "contract"', 'HEADER Subject "CONTRACT"', f'HEADER Message-ID "{email.message_from_bytes(letter)["Message-ID"]}"',
            f'FROM "{told["user"]}"', 'TO "example.net"', 'BODY "find the document"', 'TEXT "please FIND"', f"SINCE {date(today - day)}",
            f"BEFORE {date(today + 2 * day)}", f"SENTON {date(sent)}", f"SENTSINCE {date(sent)}", f"SENTBEFORE {date(sent + day)}", f"LARGER {len(letter) - 1}",
            f"SMALLER {len(letter) + 1}", "UNDELETED", "NOT DELETED", 'OR SUBJECT "nowhere" SUBJECT "contract"', f"UID {uid.decode()}:*", "1:*"]
    misses = ['SUBJECT "nowhere"', 'BODY "nowhere to be found"', 'TEXT "Qg7bNo8"', f"BEFORE {date(today - 2 * day)}", f"SENTBEFORE {date(sent)}", f"LARGER {len(letter)}",
              f"SMALLER {len(letter)}", "DELETED", "NOT ALL", 'HEADER X-None ""', 'FROM "nobody@"', "KEYWORD $Verified", "DRAFT"]
    for keys in hits:
        check(f"SEARCH {keys}", uids(m, keys) == [uid])
    for keys in misses:
        check(f"SEARCH {keys} finds", uids(m, keys) == [])
    m.literal = "договор".encode()
    check("SEARCH in UTF-8", ok("SEARCH in UTF-8", m.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT"))[0].split() == [uid])
    try:
        answer = m.uid("SEARCH", "CHARSET", "X-UNKNOWN", "ALL")[0]
    except imaplib.IMAP4.error:
        answer = "BAD"
    check("SEARCH in an unknown charset", answer in ("NO", "BAD"), answer)


def flags_of(m, uid):
    return set(imaplib.ParseFlags(ok("FLAGS", m.uid("FETCH", uid, "(FLAGS)"))[0]))


def flags(m, uid):
    check("what was sent is seen", b"\\Seen" in flags_of(m, uid), flags_of(m, uid))
    ok("STORE -FLAGS", m.uid("STORE", uid, "-FLAGS", r"(\Seen)"))
    octets(m, uid, "[]")
    check("PEEK leaves no trace", b"\\Seen" not in flags_of(m, uid), flags_of(m, uid))
    ok("FETCH BODY[]", m.uid("FETCH", uid, "(BODY[])"))
    check("reading is seen", b"\\Seen" in flags_of(m, uid), flags_of(m, uid))
    ok("STORE", m.uid("STORE", uid, "+FLAGS", r"(\flagged MyOwn)"))
    have = flags_of(m, uid)
    check("flags set", {b"\\Flagged", b"MyOwn"} <= have, have)
    check("SEARCH KEYWORD", uids(m, "KEYWORD myown") == [uid] and uids(m, "FLAGGED SEEN") == [uid])
    before = {f for f in have if f.startswith(b"$")}
    m.uid("STORE", uid, "+FLAGS", "($Verified)")
    m.uid("STORE", uid, "-FLAGS", "(%s)" % b" ".join(before).decode()) if before else None
    after = {f for f in flags_of(m, uid) if f.startswith(b"$")}
    check("the system's keywords stay the system's", before <= after and b"$Verified" not in after, (before, after))
    ok("STORE -FLAGS", m.uid("STORE", uid, "-FLAGS", r"(\Flagged MyOwn \Seen)"))
    left = flags_of(m, uid)
    check("flags removed", not {b"\\Flagged", b"MyOwn", b"\\Seen"} & left, left)


def read_only(m, uid):
    ok("EXAMINE", m.select("Sent", readonly=True))
    ok("FETCH BODY[]", m.uid("FETCH", uid, "(BODY[])"))
    check("EXAMINE leaves no trace", b"\\Seen" not in flags_of(m, uid), flags_of(m, uid))
    try:
        check("STORE after EXAMINE", m.uid("STORE", uid, "+FLAGS", r"(\Deleted)")[0] == "NO")
        check("EXPUNGE after EXAMINE", m.expunge()[0] == "NO")
    except imaplib.IMAP4.error as e:
        check("a refusal after EXAMINE", "READ-ONLY" in str(e).upper() or "BAD" in str(e).upper(), e)
    check("nothing deleted", b"\\Deleted" not in flags_of(m, uid), flags_of(m, uid))
    m.unselect()


def kept(m):
    date = imaplib.Time2Internaldate(time.time())
    answer = m.append("Sent", r"(\Seen)", date, letter)
    ok("APPEND of the letter to Sent", answer)
    refused("APPEND of another letter to Sent", m.append("Sent", r"(\Seen)", date, other))
    for folder in ("Received", "Receipts"):
        refused(f"APPEND to {folder}", m.append(folder, None, date, other))
    check("Sent holds one", ok("SELECT", m.select("Sent")) == [b"1"])
    check("the copy's UID is told", uids(m, "ALL")[0] in answer[1][0], answer)
    for folder in ("Sent", "Received", "Receipts", "INBOX"):
        refused(f"DELETE {folder}", m.delete(folder))
        if folder != "INBOX":
            refused(f"RENAME {folder}", m.rename(folder, "Elsewhere"))
    m.unselect()


def own(m):
    """A draft through two folders of the user's own and out of the world."""
    ok("APPEND", m.append("Drafts", r"(\Draft \Seen)", imaplib.Time2Internaldate(time.time() - 86400 * 40), other))
    ok("SELECT", m.select("Drafts"))
    [uid] = uids(m, "ALL")
    check("the draft's octets", octets(m, uid, "[]") == other)
    check("the draft's flags", {b"\\Draft", b"\\Seen"} <= flags_of(m, uid), flags_of(m, uid))
    check("the draft's date", uids(m, f"BEFORE {(datetime.date.today() - datetime.timedelta(days=30)).strftime('%d-%b-%Y')}") == [uid])
    name = "&BB8EQAQ+BDUEOgRCBEs-"  # Проекты in modified UTF-7
    ok("CREATE", m.create(name))
    refused("CREATE again", m.create(name))
    ok("CREATE below", m.create(name + "/2026"))
    ok("SUBSCRIBE", m.subscribe(name))
    check("LSUB", any(name.encode() in x for x in ok("LSUB", m.lsub())), None)
    for folder in ("Sent", "Received", "Receipts", "Nowhere"):
        refused(f"COPY to {folder}", m.uid("COPY", uid, folder))
    copied = m.uid("COPY", uid, name)
    ok("COPY", copied)
    check("COPYUID", m.response("COPYUID")[1][0] is not None)
    moved = m.uid("MOVE", uid, name + "/2026")
    ok("MOVE", moved)
    check("Drafts is empty", uids(m, "ALL") == [])
    ok("SELECT", m.select(name + "/2026"))
    [uid] = uids(m, "ALL")
    check("the moved octets", octets(m, uid, "[]") == other)
    ok("MOVE to Trash", m.uid("MOVE", uid, "Trash"))
    ok("SELECT", m.select("Trash"))
    [uid] = uids(m, "ALL")
    ok("STORE", m.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))
    ok("UID EXPUNGE of another", m.uid("EXPUNGE", str(int(uid) + 1)))
    check("still there", uids(m, "ALL") == [uid])
    ok("UID EXPUNGE", m.uid("EXPUNGE", uid))
    check("expunged", uids(m, "ALL") == [])
    ok("RENAME", m.rename(name, "Projects"))
    ok("SELECT", m.select("Projects"))
    check("renamed with its letter", len(uids(m, "ALL")) == 1)
    check("renamed with what lies below", any(b"Projects/2026" in x for x in ok("LIST", m.list())), None)
    m.unselect()
    ok("DELETE", m.delete("Projects/2026"))
    ok("DELETE", m.delete("Projects"))
    refused("SELECT of a deleted folder", m.select("Projects"))


m = login()
offers(m)
uid = reads(m)
searches(m, uid)
flags(m, uid)
read_only(m, uid)
kept(m)
own(m)
ok("NOOP", m.noop())
check("LOGOUT", m.logout()[0] == "BYE")
sys.exit(min(failures, 100))
