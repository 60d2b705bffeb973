// What meets the signature server from outside: an authority with lists and OCSP, an application, key files of other makers.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freeRange } from './site.mjs'
import { ready } from './signd.mjs'

const file = (name, buffer) => ({ name, mimeType: 'application/octet-stream', buffer })

/** The bench authority: certificates, lists and OCSP, which it can be told to get wrong. */
export async function startAuthority() {
  const folder = await mkdtemp(join(tmpdir(), 'yiqiao-authority-'))
  const [site, control] = await freeRange(2).then((first) => [first, first + 1])
  const stop = await ready('hil', ['ca', '--dir', join(folder, 'ca'), '--kind', 'p256', '--site', String(site), '--control', String(control)], [])
  const told = async (what, body) => {
    const answer = await fetch(`http://127.0.0.1:${control}/control/${what}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${what}: ${await answer.text()}`)
    return answer.json()
  }
  const get = async (path) => Buffer.from(await (await fetch(`http://127.0.0.1:${site}${path}`)).arrayBuffer())
  return {
    url: (path) => `http://127.0.0.1:${site}${path}`,
    root: async () => file('root.cer', await get('/ca.cer')),
    list: async () => file('full.crl', await get('/full.crl')),
    /** A person's certificate, as an application sends it. */
    person: async (name) => inside((await told('certificates', { name })).certificate),
    /** Revokes; the next list says so only when it is published. */
    revoke: (name) => told('revoke', { name, reason: 'superseded' }),
    publish: () => told('lists', { what: 'full' }),
    fault: (fault) => told('faults', fault),
    stop: async () => {
      await stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A certificate in PEM as an application sends it: the bytes in Base64. */
export const inside = (pem) => (pem.buffer ?? pem).toString().replace(/-----[^-]+-----|\s/g, '')

/** An application with a certificate of its own: asks the service, and says what it was told. */
export async function application(signd, holder) {
  const agent = new Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false, cert: await readFile(holder.path), key: await readFile(holder.key) })
  const ask = (path, body, type = 'application/json') => new Promise((resolve, reject) => {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
    const asked = request(`${signd.service}${path}`, { agent, method: 'POST', headers: { 'content-type': type, 'content-length': bytes.length } }, (response) => {
      const parts = []
      response.on('data', (part) => parts.push(part)).on('end', () => {
        const all = Buffer.concat(parts)
        const json = (response.headers['content-type'] ?? '').startsWith('application/json')
        resolve({ status: response.statusCode, bytes: all, json: json ? JSON.parse(all.toString()) : undefined })
      })
    })
    asked.on('error', reject)
    asked.end(bytes)
  })
  const b64 = (text) => Buffer.from(text).toString('base64')
  return {
    ask,
    /** `good`, or why the certificate is refused. */
    judges: async (certificate) => {
      const { status, json } = await ask('/v1/certificate/validate', { certificate })
      return status === 200 ? 'good' : json.code
    },
    /** Signs with a key; the status of the answer. */
    signs: async (key, text = '处方') => (await ask('/v1/data/sign', { key, data: b64(text) })).status,
    close: () => agent.destroy(),
  }
}

/** Key pairs as other software gives them out. Each has `password` where it is encrypted. */
export async function keyFiles(authority) {
  const { at, openssl } = authority
  const password = 'Key-File-2026'
  // PKCS#12 with certificate and root, as a browser exports it.
  const seal = await authority.person('医院公章', 'seal')
  openssl('pkcs12', '-export', '-inkey', seal.key, '-in', seal.path, '-certfile', at('ca.pem'), '-out', at('seal.pfx'), '-passout', `pass:${password}`)
  // PKCS#8, encrypted.
  openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', at('old.pem'))
  openssl('pkcs8', '-topk8', '-in', at('old.pem'), '-out', at('old.p8'), '-outform', 'DER', '-v2', 'aes-256-cbc', '-passout', `pass:${password}`)
  return { pfx: file('seal.pfx', await readFile(at('seal.pfx'))), pkcs8: file('old.p8', await readFile(at('old.p8'))), password }
}

const der = (tag, ...parts) => {
  const body = Buffer.concat(parts)
  const length = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
const bits = (bytes) => der(0x03, Buffer.from([0]), bytes)
/** SM4, block by block (1.2.156.10197.1.104.1). */
const SM4_ECB = der(0x06, Buffer.from('2a811ccf55016801', 'hex'))

/** The envelope in which an authority hands out an encryption key (GB/T 35276 7.4), for the key of a request: made by OpenSSL. */
export async function keyEnvelope(authority, asked) {
  const { at, openssl } = authority
  await writeFile(at('holder.csr'), asked)
  await writeFile(at('holder.pub'), openssl('req', '-in', at('holder.csr'), '-pubkey', '-noout'))
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:SM2', '-out', at('pair.pem'))
  const text = openssl('pkey', '-in', at('pair.pem'), '-noout', '-text').toString()
  const hex = (name, next) => Buffer.from(new RegExp(`${name}:\\s*([0-9a-f:\\s]+?)\\s*${next}:`).exec(text)[1].replace(/[^0-9a-f]/g, ''), 'hex')
  const scalar = Buffer.alloc(32)
  const secret = hex('priv', 'pub').subarray(-32)
  secret.copy(scalar, 32 - secret.length)
  const wrapping = randomBytes(16)
  await writeFile(at('wrapping'), wrapping)
  openssl('pkeyutl', '-encrypt', '-pubin', '-inkey', at('holder.pub'), '-in', at('wrapping'), '-out', at('wrapped'))
  const sealed = execFileSync('openssl', ['enc', '-sm4-ecb', '-nopad', '-K', wrapping.toString('hex')], { input: scalar })
  return file('encryption.env', der(0x30, der(0x30, SM4_ECB), await readFile(at('wrapped')), bits(hex('pub', 'ASN1 OID')), bits(sealed)))
}
