"""A program of a user who has a domain: `python e2b_by_domain.py PROXY`. The rest is in the environment."""

import os
import ssl
import sys
import time

import httpx
from e2b_code_interpreter import Sandbox

proxy = sys.argv[1]
web = httpx.Client(proxy=proxy, verify=ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]))

with Sandbox.create(timeout=300, proxy=proxy) as sandbox:
    print(sandbox.run_code("6 * 7").text)
    sandbox.files.write("by name.txt", "by name")
    print(sandbox.commands.run("cat 'by name.txt'").stdout)
    print(web.get(sandbox.download_url("by name.txt", use_signature_expiration=60)).text)
    upload = sandbox.upload_url("up.txt")
    print(web.post(upload, files={"file": b"uploaded"}).status_code, sandbox.files.read("up.txt"))
    print(web.post(upload.replace("up.txt", "other.txt"), files={"file": b"x"}).status_code)
    sandbox.commands.run("python3 -m http.server 8123", background=True, timeout=0)
    headers = {"E2B-Traffic-Access-Token": str(sandbox.traffic_access_token)}
    page = f"https://{sandbox.get_host(8123)}/up.txt"
    while (answer := web.get(page, headers=headers)).status_code == 502:
        time.sleep(0.1)
    print(answer.text, web.get(page).status_code)
