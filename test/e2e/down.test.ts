import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { Kiln } from './kiln.ts';

it('kiln down is answered once all has stopped, however long that takes', async () => {
  const kiln = await Kiln.create();
  try {
    await kiln.serve();
    const app = path.join(kiln.directory, 'slow');
    await mkdir(app);
    await writeFile(
      path.join(app, 'kiln.yaml'),
      `component: slow
image: {kind: bundle, run: node server.js}
service: {port: 8080, health: /, stop: {signals: [SIGTERM, SIGKILL], grace: 5s}}
environments: {stage/local: {}}
`,
    );
    await writeFile(
      path.join(app, 'server.js'),
      "process.on('SIGTERM', () => {}); require('http').createServer((_, r) => r.end('ok')).listen(process.env.PORT);",
    );
    await kiln.json('up', app);
    // Longer than a server that closes waits for calls that are under way.
    expect(await kiln.json('down')).toMatchObject({ stopping: true });
  } finally {
    // Fails when anything is left.
    await kiln.destroy();
  }
});
