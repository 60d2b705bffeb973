// One build recipe for the five apps; they differ in name, place and component library only.
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import type { PluginOption, UserConfig } from 'vite'

/** Build settings of the app `name`, served by the cloud under `/name/`, or by another server at `base`. */
export function app(name: string, plugins: PluginOption[] = [], base = `/${name}/`): UserConfig {
  return {
    // Nobody here writes components by options or hydrates.
    define: { __VUE_OPTIONS_API__: name === 'patient' || name === 'verify' ? 'false' : 'true', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false' },
    base,
    plugins: [vue(), ...plugins],
    build: {
      outDir: fileURLToPath(new URL(`./dist/${name}`, import.meta.url)),
      emptyOutDir: true,
      target: 'es2022',
      chunkSizeWarningLimit: 600,
      reportCompressedSize: false,
      manifest: true,
    },
    server: { proxy: { '/api': { target: process.env['YIQIAO_API'] ?? 'http://127.0.0.1:8080', ws: true } } },
  }
}
