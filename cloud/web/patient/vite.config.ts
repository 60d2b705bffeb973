// Styles of Vant's parts are imported where they are used: its icon font comes as a data address, which our policy refuses.
import { VantResolver } from '@vant/auto-import-resolver'
import components from 'unplugin-vue-components/vite'
import { defineConfig } from 'vite'
import { app } from '../vite.shared'

export default defineConfig(app('patient', [components({ resolvers: [VantResolver({ importStyle: false })], dirs: [], dts: 'src/components.d.ts' })]))
