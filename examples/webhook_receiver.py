"""A web server that verifies webhooks with the package `standardwebhooks`, and prints what it was told.

MAITRED_WEBHOOK_SECRET=... PORT=8080 python examples/webhook_receiver.py
"""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

webhook = Webhook(os.environ["MAITRED_WEBHOOK_SECRET"].split()[0])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))  # the raw bytes: they are what was signed
        try:
            event = webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            return self.answer(401)
        print(self.headers["webhook-id"], event["type"], event["subject"], flush=True)
        return self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()


HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver).serve_forever()
