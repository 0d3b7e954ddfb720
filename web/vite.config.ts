// How the pages are built: one script, one style sheet, nothing inlined (control's CSP refuses inline scripts).
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    target: ['chrome111', 'firefox115', 'safari16.4'],
    modulePreload: false,
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: true,
  },
  server: {
    // `npm run dev` beside a control on its usual port.
    proxy: { '/api': 'http://127.0.0.1:8080' },
  },
});
