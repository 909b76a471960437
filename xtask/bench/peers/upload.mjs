// Uploads a file in parts with the official Node client, four at a time, from streams.
//
// Usage: upload.mjs BASE_URL FILE PART_SIZE PARALLEL

import { createReadStream, statSync } from "node:fs";
import OpenAI from "openai";

const [baseURL, path, partSizeText, parallelText] = process.argv.slice(2);
const [partSize, parallel] = [Number(partSizeText), Number(parallelText)];
const client = new OpenAI({ baseURL, apiKey: "key", maxRetries: 0 });

const bytes = statSync(path).size;
const created = await client.uploads.create({
  bytes,
  filename: "large.bin",
  mime_type: "application/octet-stream",
  purpose: "assistants",
});
const ids = new Array(Math.ceil(bytes / partSize));
let next = 0;
async function send() {
  for (let index = next++; index < ids.length; index = next++) {
    const start = index * partSize;
    const end = Math.min(start + partSize, bytes) - 1;
    const part = await client.uploads.parts.create(created.id, { data: createReadStream(path, { start, end }) });
    ids[index] = part.id;
  }
}
await Promise.all(Array.from({ length: parallel }, send));
const upload = await client.uploads.complete(created.id, { part_ids: ids });
if (upload.status !== "completed") throw new Error(JSON.stringify(upload));
