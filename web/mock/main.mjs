// npm run mock [-- --port 7400 --downloads 10000 --shares 40 --prefix /hexad/]: the built page on a node that does not exist.

import { parseArgs } from 'node:util';
import { serve } from './server.mjs';
import { World } from './world.mjs';

const text = (value) => ({ type: 'string', default: value });
const { values } = parseArgs({ options: { port: text('7400'), downloads: text('24'), shares: text('40'), prefix: text('/'), seed: text('7') } });
const world = new World({ downloads: Number(values.downloads), shares: Number(values.shares), seed: Number(values.seed) });
const { address } = await serve(world, { port: Number(values.port), prefix: values.prefix });
console.log(`${address} (stop with Ctrl-C)`);
