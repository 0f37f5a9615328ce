"""Lets most cases speak of what exists: random ids would all be refused, and no success would ever be looked at."""
import json
import os
import re
import zlib

import schemathesis

with open(os.environ["PARLANCE_KNOWN"]) as file:
    KNOWN = json.load(file)

FIELDS = {
    "user_id": KNOWN["users"], "receiver_id": KNOWN["users"], "sender_id": KNOWN["users"], "requester_id": KNOWN["users"],
    "group_id": [KNOWN["group"]], "file_id": [KNOWN["file"]], "reply_to": KNOWN["messages"], "up_to": KNOWN["messages"],
    "to": ["ada", "bob", "nobody"], "user": ["ada", "bob", "nobody"], "group": ["book club", "nothing"],
}
IDS = {
    "messages": KNOWN["messages"], "conversations": KNOWN["conversations"], "groups": [KNOWN["group"]],
    "users": KNOWN["users"], "uploads": [KNOWN["file"]],
}

# A case may have one letter of an id changed for one that is no hexadecimal digit: the server has to see that one.
UUID = re.compile("[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

# What others speak of is not to be deleted under them.
DOOMED = {"/groups/{id}": KNOWN["doomed"]["group"], "/messages/{id}": KNOWN["doomed"]["message"]}


def pick(choices, value):
    """One of the choices or the value itself, the same for the same value."""
    chance = zlib.crc32(repr(value).encode())
    return value if chance % 4 == 0 else choices[chance // 4 % len(choices)]


def plausible(name, value):
    """Whether the value is one that could be: what is malformed is there to be refused."""
    return isinstance(value, str) and (UUID.fullmatch(value) or (name in ("to", "user", "group") and 0 < len(value) <= 32))


def known(fields):
    if not isinstance(fields, dict):
        return fields
    return {name: pick(FIELDS[name], value) if name in FIELDS and plausible(name, value) else value
            for name, value in fields.items()}


@schemathesis.hook
def map_body(context, body):
    body = known(body)
    # What the document can say only in words: exactly one of two.
    if context.operation.path == "/messages" and isinstance(body, dict) and not body.get("receiver_id"):
        body.setdefault("group_id", KNOWN["group"])
    return body


@schemathesis.hook
def map_query(context, query):
    query = known(query)
    # What the document can say only in words: exactly one of two.
    if context.operation.path == "/messages" and query is not None and "receiver_id" not in query:
        query.setdefault("group_id", KNOWN["group"])
    return query


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if not isinstance(path_parameters, dict):
        return path_parameters
    place = context.operation.path.split("/")[1]
    mapped = known(path_parameters)
    if place in IDS and plausible("id", mapped.get("id")):
        doomed = context.operation.method == "delete" and context.operation.path in DOOMED
        choices = [DOOMED[context.operation.path]] if doomed else IDS[place]
        mapped["id"] = pick(choices, mapped["id"])
    return mapped
