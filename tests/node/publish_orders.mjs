// A shop in Node: publishes the orders on stdin, one JSON object a line, keyed by customer.
//
//   node publish_orders.mjs 127.0.0.1:9092 maitred < orders.jsonl
import { createInterface } from "node:readline/promises";
import kafkajs from "kafkajs";

const [bootstrap, namespace] = process.argv.slice(2);
const kafka = new kafkajs.Kafka({ clientId: "shop", brokers: bootstrap.split(","), logLevel: kafkajs.logLevel.ERROR });
// kafkajs 2's default partitioner is murmur2, as Java's. LegacyPartitioner and older versions put keys elsewhere.
const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner, idempotent: true });

const messages = [];
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  messages.push({ key: order.customer_id ?? order.visitor_id ?? order.order_id, value: line });
}
await producer.connect();
await producer.send({ topic: `${namespace}.orders`, messages, acks: -1 });
await producer.disconnect();
console.error(`${messages.length} orders published`);
