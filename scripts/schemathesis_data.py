"""Fills a fresh server with somebody, a group, a message and a file, and prints their ids and a token as JSON."""
import json
import sys
import urllib.request

BASE = sys.argv[1]


def call(method, path, body=None, token=None, content_type="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    request = urllib.request.Request(BASE + path, data, {"Content-Type": content_type}, method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.loads(answer.read() or "null")


users = [call("POST", "/signup", {"username": name, "password": "correct horse"})["user"] for name in ("ada", "bob")]
token = call("POST", "/login", {"username": "ada", "password": "correct horse"})["token"]
group = call("POST", "/groups", {"name": "book club", "visibility": "public"}, token)
call("POST", f"/groups/{group['id']}/members", {"user_id": users[1]["id"]}, token)
message = call("POST", "/messages", {"group_id": group["id"], "content": "Hello!"}, token)
doomed = {
    "group": call("POST", "/groups", {"name": "doomed"}, token)["id"],
    "message": call("POST", "/messages", {"receiver_id": users[1]["id"], "content": "doomed"}, token)["id"],
}
form = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nabc\r\n'
    b'--x\r\nContent-Disposition: form-data; name="receiver_id"\r\n\r\n%s\r\n--x--\r\n' % users[1]["id"].encode()
)
sent = call("POST", "/messages/upload", form, token, "multipart/form-data; boundary=x")

print(json.dumps({
    "token": token,
    "users": [user["id"] for user in users],
    "group": group["id"],
    "messages": [message["id"], sent["id"]],
    "conversations": [message["conversation_id"], sent["conversation_id"]],
    "doomed": doomed,
    "file": sent["file_id"],
}))
