// A web server that verifies webhooks by hand, without any package.
//
//     MAITRED_WEBHOOK_SECRET=... PORT=8080 node examples/webhook_receiver.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.MAITRED_WEBHOOK_SECRET;
if (!secret) {
  console.error("MAITRED_WEBHOOK_SECRET: expected the secret that the sender has, got none; export it first");
  process.exit(2);
}
const key = Buffer.from(secret.split(" ")[0].slice("whsec_".length), "base64");

function isGenuine(headers, body) {
  const id = headers["webhook-id"], at = headers["webhook-timestamp"], signatures = headers["webhook-signature"];
  if (!id || !at || !signatures) return false; // not signed at all
  if (Math.abs(Date.now() / 1000 - Number(at)) > 300) return false; // too old: somebody plays it again
  const expected = createHmac("sha256", key).update(`${id}.${at}.`).update(body).digest();
  return signatures.split(" ").some((one) => {
    const given = Buffer.from(one.replace(/^v1,/, ""), "base64");
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks); // the raw bytes: parsed and written anew they have another signature
    if (!isGenuine(request.headers, body)) return response.writeHead(401).end();
    const event = JSON.parse(body);
    console.log(request.headers["webhook-id"], event.type, event.subject);
    response.writeHead(204).end();
  });
}).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
