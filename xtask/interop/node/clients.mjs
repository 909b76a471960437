// The official clients, as the environment says: PARTWISE_ORIGIN is the server, PARTWISE_KEYS are the keys of two tenants with a comma between them.

import { File } from 'node:buffer';
import { AzureOpenAI, OpenAI } from 'openai';

// Older Nodes have it only in that module.
globalThis.File ??= File;

const origin = process.env.PARTWISE_ORIGIN;
const [key, otherKey] = process.env.PARTWISE_KEYS.split(',');

const connect = {
  OpenAI: (apiKey) => new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 }),
  AzureOpenAI: (apiKey) => new AzureOpenAI({ endpoint: origin, apiKey, apiVersion: '2024-10-21', maxRetries: 0 }),
};

// For each kind of client: its name, one client, one of another tenant, and one whose key is wrong.
export const clients = Object.entries(connect).map(([name, open]) => ({
  name,
  client: open(key),
  stranger: open(otherKey),
  intruder: open('wrong-key'),
}));

// Bytes that differ from piece to piece.
export function noise(length, seed) {
  const bytes = Buffer.alloc(length);
  let word = seed + 1;
  for (let at = 0; at < length; at++) {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    bytes[at] = word >>> 24;
  }
  return bytes;
}

export async function contentOf(client, id) {
  return Buffer.from(await (await client.files.content(id)).arrayBuffer());
}

// Calls `work` for each of `count` numbers, a few at once.
export async function each(count, work) {
  let next = 0;
  const results = [];
  const worker = async () => {
    while (next < count) {
      const number = next++;
      results[number] = await work(number);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return results;
}
