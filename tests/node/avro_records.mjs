// Reads records in Confluent wire format: byte 0, the schema's id in four bytes, the Avro record.
// Schemas by id come from the files in schemas/history; with a registry they would come from GET /schemas/ids/<id>.
import { readFileSync } from "node:fs";
import avro from "avsc";

const HISTORY = new URL("../../schemas/history/", import.meta.url);
const versions = JSON.parse(readFileSync(new URL("ids.json", HISTORY), "utf8"));
const types = new Map();

function typeOf(id) {
  if (!types.has(id)) {
    const schema = JSON.parse(readFileSync(new URL(`${versions[id]}.avsc`, HISTORY), "utf8"));
    types.set(id, avro.Type.forSchema(schema, { wrapUnions: false }));
  }
  return types.get(id);
}

export function decode(value) {
  if (value[0] !== 0) throw new Error(`not in Confluent wire format: first byte ${value[0]}`);
  const id = value.readInt32BE(1);
  const type = typeOf(id);
  return { id, type: type.name, record: type.fromBuffer(value.subarray(5)) };
}
