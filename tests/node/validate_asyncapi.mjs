// Has the official parser judge an AsyncAPI document. Prints what it found as JSON; exit 1 on errors.
import { readFile } from "node:fs/promises";
import parserPackage from "@asyncapi/parser";
import avroPackage from "@asyncapi/avro-schema-parser";

const { Parser } = parserPackage;
const { AvroSchemaParser } = avroPackage;

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await parser.parse(await readFile(process.argv[2], "utf8"));

const said = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join("/") }));
const errors = said.filter(({ severity }) => severity === 0);
const found = document && {
  version: document.version(),
  channels: document.channels().all().map((channel) => channel.address()),
  operations: document.operations().all().map((operation) => `${operation.action()} ${operation.channels().all()[0].address()}`),
  messages: document.components().messages().all().map((message) => ({
    name: message.id(),
    contentType: message.contentType(),
    schemaFormat: message.schemaFormat(),
    fields: Object.keys(message.payload()?.properties() ?? {}),
  })),
};
console.log(JSON.stringify({ errors, warnings: said.filter(({ severity }) => severity > 0), found }));
process.exit(errors.length || !document ? 1 : 0);
