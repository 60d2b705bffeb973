// Who keeps the signature server: administrator, operator, auditor.
import assert from 'node:assert/strict'
import { authenticator, PATIENCE_MS, until } from '../world/bench.mjs'
import { DESK, Person } from './browser.mjs'

export class Keeper extends Person {
  // The server's certificate is of its own making.
  static size = { ...DESK, ignoreHTTPSErrors: true }

  constructor(name, page, world) {
    super(name, page, world)
    this.base = world.signd.address
    this.lastCode = ''
  }

  /** The code that the authenticator shows; each is good once. */
  async code() {
    this.lastCode = await until('a fresh one-time code', () => {
      const code = authenticator(this.secret)
      return code === this.lastCode ? undefined : code
    }, 2 * PATIENCE_MS)
    return this.lastCode
  }

  async types(login, password, code) {
    await this.fill('login-name', login)
    await this.fill('login-password', password)
    await this.fill('login-code', code)
    await this.click('login-submit')
  }

  /** The first sign-in: the app takes the secret, a handed-over password is changed. */
  async enrols(login, password, own) {
    await this.go('/')
    await this.types(login, password, '')
    await this.sees('enrol')
    this.login = login
    this.password = own ?? password
    this.secret = await (await this.sees('enrol-secret')).getAttribute('data-secret')
    if (own) {
      await this.fill('enrol-password', own)
      await this.fill('enrol-again', own)
    }
    await this.fill('enrol-code', await this.code())
    await this.click('enrol-submit')
    await this.sees('page-title')
  }

  /** Asks the server without the page, with the page's cookies: status and what was said. */
  async calls(method, path, data) {
    const answer = await this.page.context().request.fetch(`${this.base}/manage/v1/${path}`, { method, data, headers: { 'X-Signd': '1' } })
    return { status: answer.status(), said: await answer.json() }
  }

  /** Signs in for the first time without the pages, which have a story of their own. */
  async takesSeat(login, password, own) {
    const asked = async (path, data) => {
      const { status, said } = await this.calls('POST', path, data)
      assert.equal(status, 200, said.text)
      return said
    }
    const step = await asked('session', { name: login, password, code: '' })
    Object.assign(this, { login, password: own ?? password, secret: step.secret })
    await asked('session/first', { token: step.token, code: await this.code(), new_password: own })
  }

  async signsIn() {
    await this.types(this.login, this.password, await this.code())
    await this.sees('who')
  }

  async opens(page) {
    await this.click(`nav-${page}`)
    await this.sees('page-title')
  }

  /** Drags files from the desktop onto a place of the page. */
  async drags(testid, files, within = this.page) {
    const place = within.locator(`label:has([data-testid="${testid}"])`).first()
    await place.waitFor()
    const carried = files.map((file) => ({ name: file.name, type: file.mimeType, bytes: file.buffer.toString('base64') }))
    const transfer = await this.page.evaluateHandle((all) => {
      const data = new DataTransfer()
      for (const file of all) data.items.add(new File([Uint8Array.from(atob(file.bytes), (c) => c.charCodeAt(0))], file.name, { type: file.type }))
      return data
    }, carried)
    await place.dispatchEvent('dragenter', { dataTransfer: transfer })
    await place.dispatchEvent('drop', { dataTransfer: transfer })
  }

  /** What a click puts among the downloads. */
  async saves(act) {
    const [download] = await Promise.all([this.page.waitForEvent('download'), act()])
    const chunks = []
    for await (const chunk of await download.createReadStream()) chunks.push(chunk)
    return { name: download.suggestedFilename(), buffer: Buffer.concat(chunks), mimeType: 'application/octet-stream' }
  }

  async confirmsByTyping(testid, word) {
    await this.sees(testid)
    assert.equal(await this.find(`${testid}-ok`).isDisabled(), true, 'nothing is destroyed before its name is typed')
    await this.fill(`${testid}-word`, word)
    await this.click(`${testid}-ok`)
    await this.find(testid).waitFor({ state: 'hidden' })
  }
}
