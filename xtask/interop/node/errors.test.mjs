import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AuthenticationError, BadRequestError, NotFoundError, toFile } from 'openai';
import { clients } from './clients.mjs';

for (const { name: kind, client, stranger, intruder } of clients) {
  describe(`errors with ${kind}`, () => {
    async function rejected(call, Class, status) {
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof Class, `${error.constructor.name}: ${error.message}`);
        assert.equal(error.status, status);
        // The client puts the status before the service's own words.
        assert.match(error.message, new RegExp(`^${status} .*[a-z]{3}`));
        return true;
      });
    }
    const file = () => toFile(Buffer.from('mine'), 'mine.txt');
    const upload = { bytes: 4, filename: 'a.txt', mime_type: 'text/plain', purpose: 'assistants' };

    it('tells what is not there', async () => {
      for (const touch of ['retrieve', 'content', 'delete']) {
        await rejected(client.files[touch]('file-doesnotexist'), NotFoundError, 404);
      }
      await rejected(client.uploads.cancel('upload_doesnotexist'), NotFoundError, 404);
      await rejected(client.uploads.complete('upload_doesnotexist', { part_ids: ['part_1'] }), NotFoundError, 404);
    });

    it('shows nothing of another tenant', async () => {
      const created = await client.files.create({ file: await file(), purpose: 'assistants' });
      for (const touch of ['retrieve', 'content', 'delete']) {
        await rejected(stranger.files[touch](created.id), NotFoundError, 404);
      }
      const pending = await client.uploads.create(upload);
      await rejected(stranger.uploads.cancel(pending.id), NotFoundError, 404);
      await client.uploads.cancel(pending.id);
      await client.files.delete(created.id);
    });

    it('tells that a key is wrong', async () => {
      await rejected(intruder.files.list(), AuthenticationError, 401);
      await rejected(file().then((file) => intruder.files.create({ file, purpose: 'assistants' })), AuthenticationError, 401);
      await rejected(intruder.uploads.create(upload), AuthenticationError, 401);
    });

    it('tells that a request is wrong', async () => {
      await rejected(file().then((file) => client.files.create({ file, purpose: 'no-such-purpose' })), BadRequestError, 400);
      await rejected(client.uploads.create({ ...upload, bytes: 0 }), BadRequestError, 400);
      await rejected(client.files.list({ limit: 0 }), BadRequestError, 400);
      const pending = await client.uploads.create(upload);
      await rejected(client.uploads.complete(pending.id, { part_ids: ['part_unknown'] }), BadRequestError, 400);
      await client.uploads.cancel(pending.id);
    });
  });
}
