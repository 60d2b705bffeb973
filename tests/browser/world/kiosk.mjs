// The terminal's screen: an X server in memory, and the script of the unit in it.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { PATIENCE_MS, until } from './bench.mjs'
import { freeRange } from './site.mjs'

const SCRIPT = new URL('../../../edge/kiosk/deploy/kiosk-browser', import.meta.url).pathname

/** Starts the unit's own script with a screen of that size, and looks at its page. */
export async function inKiosk(url, [width, height], look) {
  const folder = await mkdtemp(join(tmpdir(), 'yiqiao-kiosk-'))
  const port = await freeRange(1)
  // The X server takes the first free number and says which.
  const x = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', `${width}x${height}x24`, '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  let browser, seen
  try {
    const display = await new Promise((resolve, reject) => {
      x.once('error', reject)
      x.stdio[3].once('data', (number) => resolve(`:${String(number).trim()}`))
    })
    browser = spawn(SCRIPT, [], {
      stdio: 'ignore', detached: true,
      env: {
        PATH: process.env.PATH, DISPLAY: display, RUNTIME_DIRECTORY: folder, YIQIAO_KIOSK_URL: url, YIQIAO_KIOSK_SIZE: `${width},${height}`,
        // Tests may run as root, whom Chromium gives no sandbox; and they look in from outside.
        YIQIAO_KIOSK_FLAGS: `--no-sandbox --disable-gpu --remote-debugging-port=${port}`,
      },
    })
    seen = await until('the browser of the unit', () => chromium.connectOverCDP(`http://127.0.0.1:${port}`).catch(() => undefined), 2 * PATIENCE_MS)
    const page = await until('its page', async () => seen.contexts().flatMap((c) => c.pages()).find((p) => p.url() === url))
    page.setDefaultTimeout(PATIENCE_MS)
    await look(page)
  } finally {
    await seen?.close().catch(() => undefined)
    // The script's own group: browser and sign of life.
    if (browser?.pid) try { process.kill(-browser.pid, 'SIGKILL') } catch { /* It has ended. */ }
    x.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
