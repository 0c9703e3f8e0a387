// Reads a topic of decisions from its beginning and prints one JSON object a record, until it has read up to the end.
//
//   node read_decisions.mjs 127.0.0.1:9092 maitred assignments
import kafkajs from "kafkajs";
import { decode } from "./avro_records.mjs";

const [bootstrap, namespace, topic] = process.argv.slice(2);
const name = `${namespace}.${topic}`;
const kafka = new kafkajs.Kafka({ clientId: "advisor-tool", brokers: bootstrap.split(","), logLevel: kafkajs.logLevel.ERROR });

const admin = kafka.admin();
await admin.connect();
const open = new Map();
for (const { partition, low, high } of await admin.fetchTopicOffsets(name)) {
  if (Number(high) > Number(low)) open.set(partition, Number(high));
}
await admin.disconnect();

// `readUncommitted: false` is kafkajs's default; it is written down because everything depends on it.
const consumer = kafka.consumer({ groupId: `${namespace}.node-${process.pid}`, readUncommitted: false, maxWaitTimeInMs: 100 });
await consumer.connect();
await consumer.subscribe({ topics: [name], fromBeginning: true });

const finished = new Promise((resolve, reject) => {
  if (open.size === 0) resolve();
  consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  // A batch may be empty of records: marks that end transactions have offsets, too.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
    if (Number(lastOffset) + 1 >= open.get(partition)) open.delete(partition);
    if (open.size === 0) resolve();
  });
});
await consumer.run({
  eachMessage: async ({ partition, message: { offset, key, value, headers } }) => {
    const said = Object.fromEntries(Object.entries(headers).map(([header, bytes]) => [header, bytes.toString()]));
    const read = value === null ? { record: null } : decode(value);
    console.log(JSON.stringify({ partition, offset: Number(offset), key: key.toString(), headers: said, ...read }));
  },
});
await finished;
await consumer.disconnect();
