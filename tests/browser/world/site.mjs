// The whole product on this machine, on ports nobody uses, with data of its own.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const ROOT = new URL('../../..', import.meta.url).pathname
/** Ports taken by a run of the site. */
const PORTS = 32

/** Whether a port can be listened on. */
function listen(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Below the range from which the system takes ports for outgoing connections: there a free port may be gone a moment later. */
export async function freeRange(count = PORTS) {
  for (let round = 0; round < 200; round += 1) {
    const first = 12_000 + Math.floor(Math.random() * 20_000)
    const all = await Promise.all(Array.from({ length: count }, (_, i) => listen(first + i)))
    if (all.every(Boolean)) return first
  }
  throw new Error(`no ${count} free ports in a row`)
}

/** Starts the product; the answer has its `addresses` and `stop()`. */
export async function startSite() {
  const binary = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug/site')
  if (!existsSync(binary)) throw new Error(`${binary} is missing: cargo build -p app -p edge -p sign -p hil -p site`)
  if (!existsSync(join(ROOT, 'cloud/web/dist/patient/index.html'))) throw new Error('the web apps are not built: npm ci && npm run build in cloud/web')
  const data = await mkdtemp(join(tmpdir(), 'yiqiao-browser-'))
  // Whatever becomes of us, it is asked to stop.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', binary, 'up', '--dir', data, '--port', String(await freeRange()), '--json'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = []
  createInterface(child.stderr).on('line', (line) => said.push(line))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const take = () => child.kill('SIGTERM')
  process.once('exit', take)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))
  const stop = async () => {
    child.kill('SIGTERM')
    const killer = setTimeout(() => child.kill('SIGKILL'), 30_000)
    await ended
    clearTimeout(killer)
    if (process.env.YIQIAO_KEEP) console.error(`data kept in ${data}`)
    else await rm(data, { recursive: true, force: true })
  }
  const addresses = await Promise.race([
    new Promise((resolve) => createInterface(child.stdout).once('line', (line) => resolve(JSON.parse(line)))),
    ended.then((code) => { throw new Error(`the site ended with ${code}:\n${said.join('\n')}`) }),
  ])
  return { addresses, stop }
}
