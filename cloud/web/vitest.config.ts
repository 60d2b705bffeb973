import { defineConfig } from 'vitest/config'

export default defineConfig({ test: { include: ['kit/tests/**/*.test.ts', 'signd/tests/**/*.test.ts', 'admin/tests/**/*.test.ts'], testTimeout: 60_000 } })
