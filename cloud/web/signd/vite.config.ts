import components from 'unplugin-vue-components/vite'
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers'
import { defineConfig, mergeConfig } from 'vite'
import { app } from '../vite.shared'

// Served by `signd` itself, at the root of its management interface.
const own = app('signd', [components({ resolvers: [ElementPlusResolver({ importStyle: 'css' })], dirs: [], dts: 'src/components.d.ts' })], '/')

export default defineConfig(mergeConfig(own, { server: { proxy: { '/manage': { target: process.env['SIGND_MANAGE'] ?? 'https://127.0.0.1:8444', secure: false } } } }))
