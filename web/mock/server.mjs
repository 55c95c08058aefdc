// The HTTP side of the mock: the contract's paths, its checks, its stream of events, and the built page under any prefix.

import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SCENARIOS } from './laboratory.mjs';
import { NAMES } from './overlays.mjs';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
/** As strict as the page stands: nothing inline, nothing from elsewhere. */
export const POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

function send(response, status, value) {
  const body = value === undefined ? '' : JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(body);
}

async function read(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

function paged(items, params) {
  const offset = Math.max(0, Number(params.get('offset') ?? 0) || 0);
  const limit = Math.min(1000, Math.max(0, Number(params.get('limit') ?? 100) || 0));
  return { total: items.length, offset, items: items.slice(offset, offset + limit) };
}

/** Answers a request for the API; false when it is for something else. */
export function answers(world) {
  return (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const match = /\/api(?:\/(.*))?$/.exec(url.pathname);
    if (!match) return false;
    handle(world, request, response, match[1] ?? '', url.searchParams).catch((error) => {
      console.error(error);
      if (!response.headersSent) send(response, 500, { message: 'The mock has failed.' });
    });
    return true;
  };
}

async function handle(world, request, response, path, params) {
  const { method } = request;
  if (path === 'events') return events(world, request, response);
  if (method !== 'GET' && method !== 'HEAD') {
    const type = request.headers['content-type'] ?? '';
    const wanted = path.startsWith('library/files/') ? 'application/octet-stream' : 'application/json';
    if (!type.startsWith(wanted)) return send(response, 403, { message: `A request that changes something needs content-type: ${wanted}.` });
    const { origin, host } = request.headers;
    if (origin && new URL(origin).host !== host) return send(response, 403, { message: `${origin} is not this node.` });
  }
  const parts = path.split('/').map(decodeURIComponent);
  const id = Number(parts[1]);
  const raw = method === 'GET' || method === 'HEAD' ? undefined : await read(request);
  let body = {};
  if (raw?.length && !path.startsWith('library/files/')) {
    try {
      body = JSON.parse(raw);
    } catch {
      return send(response, 400, { message: 'The body is not JSON.' });
    }
  }
  const missing = (what) => send(response, 404, { message: `There is no ${what}.` });
  const given = (value, status = 201) => (value.problem && !value.id ? send(response, value.status ?? 400, value.problem) : send(response, status, value));

  switch (`${method === 'HEAD' ? 'GET' : method} ${parts[0]}`) {
    case 'GET status': return send(response, 200, { ...world.totals(), networks: NAMES.map((name) => world.networks.status(name)) });
    case 'GET networks': {
      if (parts[1] === undefined) return send(response, 200, NAMES.map((name) => world.networks.status(name)));
      if (!NAMES.includes(parts[1])) return missing(`network “${parts[1]}”`);
      return send(response, 200, { ...world.networks.status(parts[1]), overlay: world.networks.overlay(parts[1]) });
    }
    case 'POST networks': {
      if (!NAMES.includes(parts[1]) || !['join', 'leave'].includes(parts[2])) return missing(`network “${parts[1]}”`);
      world[parts[2]](parts[1]);
      return send(response, 200, world.networks.status(parts[1]));
    }
    case 'GET searches': {
      if (parts[1] === undefined) return send(response, 200, paged([...world.searches.values()].map((one) => one.search), params));
      const one = world.searches.get(id);
      if (!one) return missing('such search');
      const page = paged(one.found, params);
      const { results: _, ...search } = one.search;
      return send(response, 200, { ...search, total: page.total, offset: page.offset, results: page.items });
    }
    case 'POST searches': {
      if (parts[2] !== 'more') return given(world.beginSearch(body));
      const search = world.searchMore(id);
      return search ? send(response, 200, search) : missing('such search');
    }
    case 'DELETE searches': return world.searches.delete(id) ? send(response, 204) : missing('such search');
    case 'GET downloads': {
      if (parts[1] === undefined) return send(response, 200, paged([...world.downloads.values()], params));
      const download = world.downloads.get(id);
      if (parts[2] === 'files') return download ? send(response, 200, paged(world.fileViews(download), params)) : missing('such download');
      const detail = world.downloadDetail(id);
      return detail ? send(response, 200, detail) : missing('such download');
    }
    case 'POST downloads': {
      if (parts[1] === undefined) return given(world.beginDownload(body));
      const download = world.downloads.get(id);
      if (!download) return missing('such download');
      if (parts[2] === 'pause') Object.assign(download, { state: 'paused', down_bytes_per_s: 0, up_bytes_per_s: 0 });
      else Object.assign(download, { state: 'fetching', problem: undefined });
      world.tell({ kind: 'download', download: { ...download } });
      return send(response, 200, download);
    }
    case 'PATCH downloads': {
      const download = world.downloads.get(id);
      return download ? given(world.change(download, body), 200) : missing('such download');
    }
    case 'DELETE downloads': {
      if (!world.downloads.delete(id)) return missing('such download');
      world.tell({ kind: 'download_removed', id });
      return send(response, 204);
    }
    case 'GET library': if (parts[1] !== undefined && parts[1] !== 'folders') {
      const share = world.shares.get(id);
      const how = (share?.networks ?? []).map((network) => ({ network, names: ['urn:hexad:…'], link: share.link, by_words: !['bittorrent', 'freenet'].includes(network) }));
      return share ? send(response, 200, { ...share, how, ...(share.mutable ? { mutable: share.mutable } : {}) }) : missing('such share');
    }
    return send(response, 200, parts[1] === 'folders' ? world.folders() : paged([...world.shares.values()], params));
    case 'POST library': {
      if (parts[1] !== 'folders') return given(world.share(body.path));
      if (!body.path?.startsWith('/')) return send(response, 400, { message: `${body.path} is not an absolute path.`, hint: 'For example /home/ada/Music' });
      world.dirs.set(body.path, true);
      return send(response, 201, { path: body.path, shares: 0 });
    }
    case 'PUT library': return given(world.share(`/home/ada/Shared/${parts[2]}`, raw.length));
    case 'PATCH library': {
      const share = world.shares.get(id);
      return share ? given(world.changeShare(share, body), 200) : missing('such share');
    }
    case 'DELETE library': {
      if (parts[1] === 'folders') return world.dirs.delete(body.path) ? send(response, 204) : missing('such folder');
      if (!world.shares.delete(id)) return missing('such share');
      world.tell({ kind: 'share_removed', id });
      return send(response, 204);
    }
    case 'GET settings': return send(response, 200, world.settings);
    case 'PUT settings': {
      const restart = body.download_dir === world.settings.download_dir ? [] : ['download_dir'];
      world.settings = { ...body, restart };
      return send(response, 200, world.settings);
    }
    case 'GET lab': {
      if (parts[1] === 'scenarios') return send(response, 200, SCENARIOS);
      if (parts[1] === 'report') return send(response, 404, { message: 'There is no report yet.', hint: 'hexad lab report makes one.' });
      const run = world.lab.run(Number(parts[2]));
      return run ? send(response, 200, run) : missing('such run');
    }
    case 'POST lab': return given(world.lab.begin(body));
    default: return missing(`api/${path}`);
  }
}

function events(world, request, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const tell = (change) => response.write(`event: ${change.kind}\ndata: ${JSON.stringify(change)}\n\n`);
  tell({ kind: 'hello', version: world.totals().version });
  world.listeners.add(tell);
  request.on('close', () => world.listeners.delete(tell));
}

function page(response, path) {
  const file = normalize(join(DIST, path));
  const found = file.startsWith(DIST) && existsSync(file) && statSync(file).isFile() ? file : join(DIST, 'index.html');
  if (!existsSync(found)) {
    response.writeHead(404, { 'content-type': 'text/plain' });
    response.end('The page is not built: npm run build\n');
    return;
  }
  response.writeHead(200, {
    'content-type': TYPES[extname(found)] ?? 'application/octet-stream', 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff',
    'cache-control': found.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
  createReadStream(found).pipe(response);
}

/** A mock on a free port of loopback (or `port`), its page and API below `prefix`. */
export async function serve(world, { port = 0, prefix = '/', token = undefined } = {}) {
  const answer = answers(world);
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    // As a node beyond loopback: the page itself is for everybody, what it shows only for who has the token.
    if (token !== undefined && searchParams.get('token') === token) response.setHeader('set-cookie', `hexad_token=${token}; HttpOnly; SameSite=Strict; Path=${prefix}`);
    else if (token !== undefined && pathname.includes('/api') && !request.headers.cookie?.includes(`hexad_token=${token}`)) {
      send(response, 401, { message: 'This node wants its token.' });
      return;
    }
    if (!pathname.startsWith(prefix)) {
      response.writeHead(404);
      response.end();
    } else if (!answer(request, response)) {
      page(response, decodeURIComponent(pathname.slice(prefix.length)));
    }
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  world.start();
  return {
    address: `http://127.0.0.1:${server.address().port}${prefix}`,
    port: server.address().port,
    close: () => new Promise((resolve) => {
      clearInterval(world.timer);
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
