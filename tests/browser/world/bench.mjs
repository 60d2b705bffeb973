// What happens outside our pages: the demo phone, the hospital's own system, the printer, the line.
import { createHmac } from 'node:crypto'

/** How long anybody waits for what has to come: longer than a busy machine takes. Nothing is shown by how fast it came. */
export const PATIENCE_MS = 60_000

async function ask(method, url, body) {
  const response = await fetch(url, {
    method, signal: AbortSignal.timeout(PATIENCE_MS),
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`)
  return text ? JSON.parse(text) : undefined
}

/** Asks until `look` answers something, or says what was missing. */
export async function until(what, look, patience = PATIENCE_MS) {
  const started = Date.now()
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (Date.now() - started > patience) throw new Error(`${what} did not come within ${patience / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
}

/** Ends when so much of the hospital's day is left: at once, or when midnight has passed. */
export async function roomInTheDay(ms) {
  const day = 86_400_000
  const left = day - ((Date.now() + 8 * 3600_000) % day)
  if (left < ms) await new Promise((resolve) => setTimeout(resolve, left + 1000))
}

/** The provider's number of our text with a login code. */
const LOGIN_CODE = '100001'

/** The bench around the product of a run. */
export class Bench {
  constructor(addresses) {
    this.at = addresses
  }

  /** The newest login code on a phone, sent after `since` messages; other news may come between. */
  async loginCode(phone, since) {
    return until(`a login code on ${phone}`, async () => {
      const { texts, templates } = await this.messages(phone)
      const codes = texts.filter((_, n) => n >= since && templates[n] === LOGIN_CODE)
      return /\b\d{6}\b/.exec(codes.at(-1) ?? '')?.[0]
    })
  }

  async messages(phone) {
    const answer = await ask('GET', `${this.at.sms}/control/messages?phone=${phone}`)
    const list = Array.isArray(answer) ? answer : (answer.messages ?? [])
    return { length: list.length, texts: list.map((m) => m.text ?? ''), templates: list.map((m) => m.template) }
  }

  /** The code now shown by a member of staff's authenticator. */
  async oneTimeCode(login) {
    return (await ask('GET', `${this.at.sms}/control/totp/${login}`)).code
  }

  people() {
    return ask('GET', `${this.at.his}/control/demo`)
  }

  books() {
    return ask('GET', `${this.at.his}/control/books`)
  }

  channelLedger() {
    return ask('GET', `${this.at.pay}/control/ledger`)
  }

  /** Somebody pays an order on another device; the channel may charge `fen` in place of what was ordered. */
  paysElsewhere(payment, fen) {
    return ask('POST', `${this.at.pay}/control/pay/${payment}${fen === undefined ? '' : `?total_fen=${fen}`}`)
  }

  /** A rule by which the hospital's system misbehaves, until what is answered is called. */
  async hospitalFails(rule) {
    const { id } = await ask('POST', `${this.at.his}/control/faults`, rule)
    return () => ask('DELETE', `${this.at.his}/control/faults/${id}`)
  }

  hospitalLedger() {
    return ask('GET', `${this.at.his}/control/ledger`)
  }

  stopClinic(workId, reason) {
    return ask('POST', `${this.at.his}/control/stop-clinic`, { workId, reason })
  }

  async slips() {
    const answer = await ask('GET', `${this.at.printer}/control/jobs`)
    return Array.isArray(answer) ? answer : (answer.jobs ?? [])
  }

  async slipPicture(id) {
    const response = await fetch(`${this.at.printer}/control/jobs/${id}.png`)
    return Buffer.from(await response.arrayBuffer())
  }

  printer(state) {
    return ask('POST', `${this.at.printer}/control/state`, state)
  }

  /** Puts a recorder into a bay of the dock (from 1), or takes it out. */
  bay(number, serial) {
    return ask('POST', `${this.at.dock}/control/bays/${number - 1}`, serial ? { present: true, serial } : { present: false })
  }

  /** How the bays stand and are driven: lock, power, green, red. */
  async bays() {
    return (await ask('GET', `${this.at.dock}/control/world`)).bays
  }

  /** Somebody is registered and has paid at the window, for today. */
  async walkIn(patId, doctorCode) {
    return (await ask('POST', `${this.at.his}/control/walk-in`, { patId, doctorCode })).hisOrdNum
  }

  /** A card on the terminal's reader; without one, it is taken away. */
  card(card) {
    return card ? ask('POST', `${this.at.reader}/control/card`, card) : ask('DELETE', `${this.at.reader}/control/card`)
  }

  /** A code in front of the terminal's scanner. */
  code(text) {
    return ask('POST', `${this.at.reader}/control/code`, { text })
  }

  /** Pulls a reader of the terminal, or puts it back. */
  plug(device, is) {
    return ask('POST', `${this.at.reader}/control/${is ? 'plug' : 'unplug'}`, { device })
  }

  kioskPrinter(state) {
    return ask('POST', `${this.at.kiosk_printer}/control/state`, state)
  }

  kioskSlips() {
    return ask('GET', `${this.at.kiosk_printer}/control/jobs`)
  }

  async kioskPaper(job) {
    const response = await fetch(this.at.kiosk_printer + job.png)
    return Buffer.from(await response.arrayBuffer())
  }

  async line(state) {
    for (const name of ['mqtt', 'https']) await ask('POST', `${this.at.line}/control/lines/${name}`, state)
  }
}

/** What an authenticator shows for a secret now (RFC 6238). */
export function authenticator(secret, now = Date.now()) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...secret.replaceAll('=', '')].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)))
  const mac = createHmac('sha1', key).update(counter).digest()
  const from = mac.at(-1) & 15
  return String((mac.readUInt32BE(from) & 0x7fff_ffff) % 1_000_000).padStart(6, '0')
}
