import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { toFile } from 'openai';
import { clients, each } from './clients.mjs';

const COUNT = 300;

for (const { name: kind, client, stranger } of clients) {
  describe(`lists with ${kind}`, () => {
    let ids;
    before(async () => {
      ids = await each(COUNT, async (number) => {
        const file = await toFile(Buffer.from(`${number}`), `${number}.txt`);
        return (await client.files.create({ file, purpose: 'assistants' })).id;
      });
    });
    after(() => each(COUNT, (number) => client.files.delete(ids[number])));

    async function listed(query) {
      const found = [];
      for await (const file of client.files.list(query)) found.push(file);
      return found;
    }

    function seesAll(found) {
      assert.deepEqual(found.map((file) => file.id).sort(), [...ids].sort());
    }

    it('sees every file without asking for pages', async () => seesAll(await listed({ purpose: 'assistants' })));

    for (const order of ['asc', 'desc']) {
      it(`sees every file over pages, ${order}`, async () => {
        const found = await listed({ purpose: 'assistants', limit: 70, order });
        seesAll(found);
        const times = found.map((file) => file.created_at);
        const sorted = [...times].sort((one, other) => (order === 'asc' ? one - other : other - one));
        assert.deepEqual(times, sorted);
      });
    }

    it('tells that there is more', async () => {
      const page = await client.files.list({ purpose: 'assistants', limit: 70 });
      assert.equal(page.data.length, 70);
      assert.equal(page.hasNextPage(), true);
      assert.equal((await page.getNextPage()).data.length, 70);
    });

    it('sees nothing of another purpose or tenant', async () => {
      assert.deepEqual(await listed({ purpose: 'fine-tune' }), []);
      const theirs = new Set((await stranger.files.list()).data.map((file) => file.id));
      assert.deepEqual(ids.filter((id) => theirs.has(id)), []);
    });
  });
}
