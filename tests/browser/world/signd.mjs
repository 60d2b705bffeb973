// A signature server of its own, with a software TPM, served with its management page.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { get } from 'node:https'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { freeRange, ROOT } from './site.mjs'

const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
const PAGE = join(ROOT, 'cloud/web/dist/signd')

/** A process that has said one line on its standard output. */
async function ready(program, args, said) {
  const child = spawn(join(TARGET, 'debug', program), args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  createInterface(child.stderr).on('line', (line) => said.push(line))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const take = () => child.kill('SIGKILL')
  process.once('exit', take)
  await Promise.race([
    new Promise((resolve) => createInterface(child.stdout).once('line', resolve)),
    ended.then((code) => { throw new Error(`${program} ended with ${code}:\n${said.join('\n')}`) }),
  ])
  return async () => {
    child.kill('SIGTERM')
    const killer = setTimeout(take, 10_000)
    await ended
    clearTimeout(killer)
    process.removeListener('exit', take)
  }
}

/** Starts it; the answer has its `address`, the service's, its set-up code, what it said, and `stop()`. */
export async function startSignd() {
  if (!existsSync(join(PAGE, 'index.html'))) throw new Error('the web apps are not built: npm ci && npm run build in cloud/web')
  const data = await mkdtemp(join(tmpdir(), 'yiqiao-signd-'))
  const first = await freeRange(4)
  const [tpm, control, manage, service] = [first, first + 1, first + 2, first + 3]
  const state = join(data, 'state')
  const config = join(data, 'signd.toml')
  await mkdir(state)
  await writeFile(config, [
    `state_dir = "${state}"`, `socket = "${join(data, 'signd.sock')}"`, `tpm = "swtpm:host=127.0.0.1,port=${tpm}"`,
    '[manage]', `listen = "127.0.0.1:${manage}"`, `web = "${PAGE}"`, 'names = ["signd.hospital.test"]', 'idle_s = 300',
    '[service]', `listen = "127.0.0.1:${service}"`, '',
  ].join('\n'))
  const said = []
  const stopTpm = await ready('hil', ['tpm', '--state', join(data, 'tpm'), '--port', String(tpm), '--control', String(control)], said)
  const stopSignd = await ready('signd', ['--config', config], said)
  return {
    address: `https://127.0.0.1:${manage}`,
    service: `https://127.0.0.1:${service}`,
    said,
    setupCode: async () => (await readFile(join(state, 'setup-code'), 'utf8')).trim(),
    stop: async () => {
      await stopSignd()
      await stopTpm()
      if (process.env.YIQIAO_KEEP) console.error(`data kept in ${data}`)
      else await rm(data, { recursive: true, force: true })
    },
  }
}

/** A time server whose clock is ahead of this machine's. */
export async function startTimeServer(aheadMs) {
  const [ntp, exchange, control] = await freeRange(3).then((first) => [first, first + 1, first + 2])
  const stop = await ready('hil', ['time', '--ntp', String(ntp), '--exchange', String(exchange), '--control', String(control), '--offset-ms', String(aheadMs)], [])
  return { port: String(ntp), stop }
}

/** A receiver of the log: what came, as text. */
export async function startReceiver() {
  const lines = []
  const server = createServer((socket) => {
    socket.setEncoding('utf8')
    socket.on('data', (text) => lines.push(text))
    socket.on('error', () => undefined)
    socket.unref()
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: String(server.address().port), text: () => lines.join(''), stop: () => server.close() }
}

/** What the web service answers to who asks for its description. */
export function webService(signd) {
  return new Promise((resolve, reject) => {
    get(`${signd.service}/soap?wsdl`, { rejectUnauthorized: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => { text += part }).on('end', () => resolve(text))
    }).on('error', reject)
  })
}

/** Tells the people of another server than `world.signd`. */
export const at = (world, signd) => ({ ...world, signd })

/** An outside authority, as a hospital buys certificates from one: made by OpenSSL. */
export async function outsideAuthority(name) {
  const folder = await mkdtemp(join(tmpdir(), 'yiqiao-ca-'))
  const at = (file) => join(folder, file)
  const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '3650',
    '-subj', `/C=CN/O=${name}/CN=${name} Root`, '-utf8', '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
  let serial = 0x1000 + Math.floor(Math.random() * 0xffff)
  const file = async (as, bytes) => ({ name: as, mimeType: 'application/x-x509-ca-cert', buffer: bytes ?? (await readFile(at(as))) })
  const sign = async (request, as, days) => {
    serial += 1
    await writeFile(at('extensions'), 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,nonRepudiation\nextendedKeyUsage=clientAuth,emailProtection\n')
    openssl('x509', '-req', '-in', request, '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-set_serial', `0x${serial.toString(16)}`, '-days', String(days), '-out', at(as), '-extfile', at('extensions'))
    return { ...(await file(as)), serial: serial.toString(16), path: at(as) }
  }
  return {
    root: () => file('ca.pem'),
    /** Certifies a request (PEM text). */
    certify: async (request, as, days = 730) => {
      await writeFile(at('request.csr'), request)
      return sign(at('request.csr'), as, days)
    },
    /** A person's certificate with its key. */
    person: async (who, as, days = 365) => {
      openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at(`${as}.key`), '-out', at('request.csr'), '-subj', `/C=CN/O=${name}/CN=${who}`, '-utf8')
      return { ...(await sign(at('request.csr'), `${as}.pem`, days)), key: at(`${as}.key`) }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
