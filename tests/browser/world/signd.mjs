// A signature server of its own, with a software TPM, served with its management page.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { get } from 'node:https'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { freeRange, ROOT } from './site.mjs'

const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
const PAGE = join(ROOT, 'cloud/web/dist/signd')

/** A process that has said one line on its standard output. */
export async function ready(program, args, said, env = {}) {
  const child = spawn(join(TARGET, 'debug', program), args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  createInterface(child.stderr).on('line', (line) => said.push(line))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const take = () => child.kill('SIGKILL')
  process.once('exit', take)
  await Promise.race([
    new Promise((resolve) => createInterface(child.stdout).once('line', resolve)),
    ended.then((code) => { throw new Error(`${program} ended with ${code}:\n${said.join('\n')}`) }),
  ])
  const stop = async () => {
    child.kill('SIGTERM')
    const killer = setTimeout(take, 30_000)
    await ended
    clearTimeout(killer)
    process.removeListener('exit', take)
  }
  return Object.assign(stop, { signal: (name) => child.kill(name) })
}

/** Where Debian keeps SoftHSM2's library. */
function softHsm() {
  const places = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so', '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so']
  const found = places.find((place) => existsSync(place))
  if (!found) throw new Error('SoftHSM2 is not installed: softhsm2')
  return found
}

/** What the devices' private keys ask for. */
export const PINS = { sdf1: 'bench1234', hsm1: '4321' }

/** An SDF device (`sdf1`, with SM1) and a PKCS#11 token (`hsm1`), whose PINs nobody wrote down: their settings, what the process needs, and how the SDF device is told to misbehave. */
async function keyDevices(data) {
  const at = (...path) => join(data, ...path)
  await mkdir(at('sdf'))
  await mkdir(at('tokens'))
  const library = [join(TARGET, 'debug/libbench_sdf.so'), join(TARGET, 'debug/deps/libbench_sdf.so')].find((path) => existsSync(path))
  if (!library) throw new Error('the SDF device is not built: cargo build -p bench-sdf')
  await copyFile(library, at('sdf/libsdf.so'))
  await writeFile(at('softhsm2.conf'), `directories.tokendir = ${at('tokens')}\nlog.level = ERROR\n`)
  const env = { SOFTHSM2_CONF: at('softhsm2.conf') }
  execFileSync('softhsm2-util', ['--init-token', '--free', '--label', 'yiqiao', '--so-pin', '87654321', '--pin', PINS.hsm1], { env: { ...process.env, ...env }, stdio: 'ignore' })
  // In one step, so that the device never reads half of it.
  const control = async (text) => {
    await writeFile(at('sdf/control.new'), `sm1\n${text}\n`)
    await rename(at('sdf/control.new'), at('sdf/control'))
  }
  await control('')
  const settings = [
    '[[device]]', 'name = "sdf1"', 'kind = "sdf"', `library = "${at('sdf/libsdf.so')}"`, 'answer_ms = 60000', 'sessions = 4', 'indexes = 4',
    '[[device]]', 'name = "hsm1"', 'kind = "pkcs11"', `module = "${softHsm()}"`, 'token = "yiqiao"', '',
  ]
  return { settings, env, control }
}

/** A signature server of others with a doctor's key: its settings, and how it is told what to do. */
async function outsideServer(data) {
  const dir = join(data, 'outside')
  const first = await freeRange(2)
  const said = []
  const stop = await ready('hil', ['svs', '--dir', dir, '--serve', String(first), '--control', String(first + 1)], said)
  const told = async (path, body) => {
    const answer = await fetch(`http://127.0.0.1:${first + 1}/control/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`)
  }
  const settings = [
    '[[outside]]', 'name = "province"', `url = "https://127.0.0.1:${first}/svs"`, `roots = "${join(dir, 'ca.pem')}"`, `tls_roots = "${join(dir, 'tls-ca.pem')}"`,
    `client_certificate = "${join(dir, 'client.pem')}"`, `client_key = "${join(dir, 'client.key')}"`, '[outside.contract]', 'begins = "2026-01-01"', 'signers = 200', 'signatures = 40000', '',
  ]
  return { settings, told, stop }
}

/**
 * Starts it, with key devices and a name where asked for; the answer has its `address`, the service's, its set-up code, what it said, how it is
 * `frozen`, `thawed` and started `again`, and `stop()`.
 */
export async function startSignd({ devices = false, outside = false, name = '' } = {}) {
  if (!existsSync(join(PAGE, 'index.html'))) throw new Error('the web apps are not built: npm ci && npm run build in cloud/web')
  const data = await mkdtemp(join(tmpdir(), 'yiqiao-signd-'))
  const first = await freeRange(4)
  const [tpm, control, manage, service] = [first, first + 1, first + 2, first + 3]
  const state = join(data, 'state')
  const config = join(data, 'signd.toml')
  await mkdir(state)
  const kept = devices ? await keyDevices(data) : { settings: [], env: {}, control: undefined }
  const province = outside ? await outsideServer(data) : undefined
  await writeFile(config, [
    `state_dir = "${state}"`, `socket = "${join(data, 'signd.sock')}"`, `tpm = "swtpm:host=127.0.0.1,port=${tpm}"`,
    '[manage]', `listen = "127.0.0.1:${manage}"`, `web = "${PAGE}"`, 'names = ["signd.hospital.test"]', 'idle_s = 3600',
    '[service]', `listen = "127.0.0.1:${service}"`, ...(name ? ['[replica]', `name = "${name}"`] : []), '', ...kept.settings, ...(province?.settings ?? []),
  ].join('\n'))
  const said = []
  const stopTpm = await ready('hil', ['tpm', '--state', join(data, 'tpm'), '--port', String(tpm), '--control', String(control)], said)
  const serve = () => ready('signd', ['--config', config], said, kept.env)
  let signd = await serve()
  return {
    address: `https://127.0.0.1:${manage}`,
    service: `https://127.0.0.1:${service}`,
    said,
    setupCode: async () => (await readFile(join(state, 'setup-code'), 'utf8')).trim(),
    sdf: kept.control,
    province: province?.told,
    frozen: () => signd.signal('SIGSTOP'),
    thawed: () => signd.signal('SIGCONT'),
    away: () => signd(),
    again: async () => { signd = await serve() },
    stop: async () => {
      signd.signal('SIGCONT')
      await signd()
      await stopTpm()
      await province?.stop()
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
  // Of six digits: of four, one may be the year in a note (0x2026), by which a search would find more.
  let serial = 0x100000 + Math.floor(Math.random() * 0xffff)
  const file = async (as, bytes) => ({ name: as, mimeType: 'application/x-x509-ca-cert', buffer: bytes ?? (await readFile(at(as))) })
  const sign = async (request, as, days) => {
    serial += 1
    await writeFile(at('extensions'), 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,nonRepudiation\nextendedKeyUsage=clientAuth,emailProtection\n')
    openssl('x509', '-req', '-in', request, '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-set_serial', `0x${serial.toString(16)}`, '-days', String(days), '-out', at(as), '-extfile', at('extensions'))
    return { ...(await file(as)), serial: serial.toString(16), path: at(as) }
  }
  return {
    root: () => file('ca.pem'),
    at,
    openssl,
    read: readFile,
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
