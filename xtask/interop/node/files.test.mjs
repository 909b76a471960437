import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { toFile } from 'openai';
import { clients, contentOf, noise } from './clients.mjs';

for (const { name: kind, client } of clients) {
  describe(`files with ${kind}`, () => {
    async function stores(file, name, content) {
      const created = await client.files.create({ file, purpose: 'assistants' });
      assert.equal(created.object, 'file');
      assert.equal(created.filename, name);
      assert.equal(created.bytes, content.length);
      assert.equal(created.purpose, 'assistants');
      assert.deepEqual(await client.files.retrieve(created.id), created);
      assert.deepEqual(await contentOf(client, created.id), content);
      const deleted = await client.files.delete(created.id);
      assert.equal(deleted.id, created.id);
      assert.equal(deleted.deleted, true);
    }

    it('stores what is in memory', async () => {
      const content = noise(300_000, 1);
      await stores(await toFile(content, 'notes.bin'), 'notes.bin', content);
      await stores(new File([content], 'web.bin', { type: 'application/octet-stream' }), 'web.bin', content);
    });

    it('stores a stream of a file on disk', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'partwise-node-'));
      try {
        const content = noise(3 * 1024 * 1024 + 17, 2);
        await writeFile(join(folder, 'large.bin'), content);
        await stores(createReadStream(join(folder, 'large.bin')), 'large.bin', content);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('stores an answer of fetch', async () => {
      const content = noise(1000, 3);
      await stores(await toFile(new Response(content), 'fetched.bin'), 'fetched.bin', content);
    });

    for (const name of ['say "hello".txt', 'naïve 文件 🗂.txt', '100%25.txt', 'semi;colon=.txt']) {
      it(`keeps the name ${name}`, async () => {
        await stores(await toFile(Buffer.from('x'), name), name, Buffer.from('x'));
      });
    }

    it('sees the end of a file that is deleted', async () => {
      const created = await client.files.create({ file: await toFile(Buffer.from('x'), 'gone.txt'), purpose: 'assistants' });
      await client.files.delete(created.id);
      for (const touch of ['retrieve', 'content', 'delete']) {
        await assert.rejects(client.files[touch](created.id), { status: 404 });
      }
    });

    it('waits until a file is processed', async () => {
      const created = await client.files.create({ file: await toFile(Buffer.from('x'), 'wait.txt'), purpose: 'assistants' });
      assert.equal((await client.files.waitForProcessing(created.id)).status, 'processed');
      await client.files.delete(created.id);
    });
  });
}
