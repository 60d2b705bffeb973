import { defineConfig } from 'vite'
import { app } from '../vite.shared'

export default defineConfig(app('verify'))
