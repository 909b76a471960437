import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { toFile } from 'openai';
import { clients, contentOf, noise } from './clients.mjs';

const PART = 1024 * 1024;

for (const { name: kind, client } of clients) {
  describe(`uploads with ${kind}`, () => {
    const opened = (bytes) =>
      client.uploads.create({ bytes, filename: 'train.jsonl', mime_type: 'application/jsonl', purpose: 'fine-tune' });

    const part = async (upload, content) =>
      (await client.uploads.parts.create(upload.id, { data: await toFile(content, 'part') })).id;

    it('makes a file of parts that come in any order', async () => {
      const content = noise(2 * PART + 123, 1);
      const upload = await opened(content.length);
      assert.equal(upload.object, 'upload');
      assert.equal(upload.status, 'pending');
      const starts = [2 * PART, 0, PART];
      const stray = await part(upload, Buffer.from('of no use'));
      const sent = await Promise.all(starts.map((start) => part(upload, content.subarray(start, start + PART))));
      assert.equal(new Set([stray, ...sent]).size, 4);

      const md5 = createHash('md5').update(content).digest('hex');
      const completion = { part_ids: [sent[1], sent[2], sent[0]], md5 };
      const completed = await client.uploads.complete(upload.id, completion);
      assert.equal(completed.status, 'completed');
      assert.equal(completed.file.filename, 'train.jsonl');
      assert.equal(completed.file.bytes, content.length);
      assert.deepEqual(await contentOf(client, completed.file.id), content);
      assert.deepEqual(await client.uploads.complete(upload.id, completion), completed);
      await client.files.delete(completed.file.id);
    });

    it('makes a file of parts that are streams of unknown length', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'partwise-node-'));
      try {
        const content = noise(PART + 5, 2);
        await writeFile(join(folder, 'part.bin'), content);
        const upload = await opened(content.length);
        const { id } = await client.uploads.parts.create(upload.id, { data: createReadStream(join(folder, 'part.bin')) });
        const { file } = await client.uploads.complete(upload.id, { part_ids: [id] });
        assert.deepEqual(await contentOf(client, file.id), content);
        await client.files.delete(file.id);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('is pending until what was announced is there', async () => {
      const upload = await opened(10);
      const short = await part(upload, Buffer.from('short'));
      await assert.rejects(client.uploads.complete(upload.id, { part_ids: [short] }), { status: 400 });
      const rest = await part(upload, Buffer.from(' rest'));
      const wrong = { part_ids: [short, rest], md5: '0'.repeat(32) };
      await assert.rejects(client.uploads.complete(upload.id, wrong), { status: 400 });
      const { file } = await client.uploads.complete(upload.id, { part_ids: [short, rest] });
      assert.equal(String(await contentOf(client, file.id)), 'short rest');
      await client.files.delete(file.id);
    });

    it('takes nothing more once it is cancelled', async () => {
      const upload = await opened(5);
      const id = await part(upload, Buffer.from('bytes'));
      assert.equal((await client.uploads.cancel(upload.id)).status, 'cancelled');
      await assert.rejects(part(upload, Buffer.from('bytes')), { status: 400 });
      await assert.rejects(client.uploads.complete(upload.id, { part_ids: [id] }), { status: 400 });
    });
  });
}
