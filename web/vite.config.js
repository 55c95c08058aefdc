// Addresses are relative, so that the page works under any prefix; nothing is inlined, so that `default-src 'self'` is enough.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** `npm run dev` answers the API from the mock in the same process, or passes it on to a node: HEXAD_API=http://127.0.0.1:PORT/ npm run dev. */
function mocked() {
  return {
    name: 'hexad-mock',
    apply: 'serve',
    async configureServer(server) {
      if (process.env.HEXAD_API || process.env.VITEST) return;
      const { World } = await import('./mock/world.mjs');
      const { answers } = await import('./mock/server.mjs');
      const world = new World({ downloads: Number(process.env.DOWNLOADS ?? 24), shares: Number(process.env.SHARES ?? 40) });
      world.start();
      const answer = answers(world);
      server.middlewares.use((request, response, next) => (answer(request, response) ? undefined : next()));
    },
  };
}

const node = process.env.HEXAD_API;

export default defineConfig({
  base: './',
  plugins: [svelte(), mocked()],
  server: {
    host: '127.0.0.1',
    // A node refuses pages of another origin, which the dev server is.
    proxy: node ? { '/api': { target: node, changeOrigin: true, configure: (proxy) => proxy.on('proxyReq', (request) => request.removeHeader('origin')) } } : undefined,
  },
  build: {
    target: 'es2022',
    sourcemap: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
