// What a browser loads first, gzipped, by app; fails when the patient's first page grows past its budget.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const BUDGET_KIB = 60
const FIRST = { patient: ['HomePage'], doctor: ['WorkPage'], admin: ['VisitsPage'], verify: [], signd: ['OverviewPage'] }
const root = new URL('./dist/', import.meta.url)
let failed = false
for (const [app, pages] of Object.entries(FIRST)) {
  const manifest = JSON.parse(readFileSync(new URL(`${app}/.vite/manifest.json`, root), 'utf8'))
  const scripts = new Set()
  const styles = new Set()
  const walk = (key) => {
    const chunk = manifest[key]
    if (!chunk || scripts.has(chunk.file)) return
    scripts.add(chunk.file)
    for (const css of chunk.css ?? []) styles.add(css)
    for (const next of chunk.imports ?? []) walk(next)
  }
  walk('index.html')
  for (const page of pages) walk(`src/pages/${page}.vue`)
  const size = (files) => [...files].reduce((sum, file) => sum + gzipSync(readFileSync(new URL(`${app}/${file}`, root)), { level: 9 }).length, 0) / 1024
  const script = size(scripts)
  process.stdout.write(`${app.padEnd(8)} first page: script ${script.toFixed(1)} KiB, style ${size(styles).toFixed(1)} KiB, ${scripts.size + styles.size} files\n`)
  if (app === 'patient' && script > BUDGET_KIB) failed = true
}
if (failed) {
  process.stderr.write(`the patient's first page needs more than ${BUDGET_KIB} KiB of script\n`)
  process.exitCode = 1
}
