import { VantResolver } from '@vant/auto-import-resolver'
import components from 'unplugin-vue-components/vite'
import { defineConfig } from 'vite'
import { app } from '../vite.shared'

export default defineConfig(app('patient', [components({ resolvers: [VantResolver()], dirs: [], dts: 'src/components.d.ts' })]))
