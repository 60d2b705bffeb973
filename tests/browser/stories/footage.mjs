// Nurses' work recorders from the register to the evidence: taken in, given out, docked, and what they filmed played and proven.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Admin } from '../people/staff.mjs'
import { PHONE } from '../people/browser.mjs'
import { PATIENCE_MS, until } from '../world/bench.mjs'
import { film, look, Recorder, stays } from '../world/recorder.mjs'
import { story } from '../world/story.mjs'

const SERIAL = 'ZFY0007'
const ORDER = 'HL20261121007'
const PATIENT = '欧阳娜娜'
const CARD = 'MZ-0077'
/** The recorder's clock is this much ahead. */
const AHEAD = 180_000

export function theFootage(world) {
  let admin, recorder, nurse, began, first
  const asked = async (path) => JSON.parse((await admin.downloads(`/api/v1/admin/${path}`)).bytes.toString('utf8'))
  const row = (serial) => admin.one('recorder-row', 'serial', serial)
  const clips = () => admin.find('clip-row').count()
  const docked = stays(SERIAL, asked)
  /** A film of seconds must not be over before everything was looked at. */
  const slowly = (person, rate) => person.find('player-video').evaluate((video, to) => { video.playbackRate = to }, rate)
  const opens = async (serial) => {
    await admin.click('nav-recorders')
    await row(serial).first().click()
    await admin.sees('recorder-detail')
  }
  story('Recorders and their footage', world, (step) => {
    // Rows: YZ-D-151, YZ-D-152, YZ-D-167, YZ-A-132
    step('the administrator takes recorders in and keeps what is known of them', async () => {
      admin = world.admin
      if (!admin) {
        admin = world.admin = await Admin.arrive(world, 'admin')
        await admin.signsIn(world.site.addresses.demo.admin_login)
      }
      recorder = new Recorder(world.site.addresses.data, SERIAL, AHEAD)
      nurse = (await asked('staff')).find((m) => m.roles.includes('nurse') && !m.disabled_at)
      await admin.click('nav-recorders')
      await admin.sees('empty')
      await admin.shots('admin-recorders-empty')
      await admin.click('recorder-add')
      await admin.fill('recorder-serial', '七号')
      await admin.click('recorder-save')
      assert.match(await admin.reads('recorder-serial-fault'), /3 到 40 个字母/)
      await admin.fill('recorder-serial', SERIAL.toLowerCase())
      await admin.fill('recorder-model', 'BENCH-R0')
      await admin.find('recorder-listed').uncheck()
      await admin.shots('admin-recorder-add')
      await admin.click('recorder-save')
      await row(SERIAL).waitFor()
      for (const serial of ['ZFY0008', 'ZFY0009']) {
        await admin.click('recorder-add')
        await admin.fill('recorder-serial', serial)
        await admin.click('recorder-save')
        await row(serial).waitFor()
      }
      await opens(SERIAL)
      await admin.click('recorder-edit')
      await admin.fill('recorder-model', 'BENCH-R1')
      await admin.fill('recorder-note', '护理部 7 号')
      await admin.click('recorder-save')
      await admin.says('BENCH-R1')
    })

    // Rows: YZ-D-156, YZ-D-157, YZ-D-158
    step('puts one on the white list and takes it off, and takes that back', async () => {
      await admin.waits('recorder-detail', 'listed', 'false')
      await admin.click('recorder-list')
      await admin.waits('recorder-detail', 'listed', 'true')
      await admin.click('recorder-unlist')
      await admin.agrees()
      await admin.waits('recorder-detail', 'listed', 'false')
      await admin.click('undo')
      await admin.waits('recorder-detail', 'listed', 'true')
    })

    step('a recorder that nobody knows is held, not read', async () => {
      const stranger = new Recorder(world.site.addresses.data, 'ZFY9999')
      const name = await stranger.records(Date.now() - 60_000, Buffer.alloc(2000, 7))
      await stranger.plugs()
      await until('the stranger is held', async () => (await asked('dockings?serial=ZFY9999')).items[0]?.state === 'held', 3 * PATIENCE_MS)
      assert.ok(stranger.holds(name))
      await stranger.pulled()
    })

    // Rows: YZ-D-168, YZ-A-133
    step('gives it out to a nurse for an order: its bay blinks and opens, until it is taken', async () => {
      await recorder.plugs()
      await world.bench.bay(3, SERIAL)
      await docked('ready')
      await admin.go('/admin/recorders')
      await admin.waits('recorder-row', 'standing', 'docked')
      await until('its bay', async () => /3 号卡位/.test(await admin.page.locator('tr', { has: row(SERIAL) }).innerText()), 2 * PATIENCE_MS)
      await until('its bolt is closed', async () => (await world.bench.bays())[2].bolt_closed)
      await admin.one('recorder-issue', 'serial', SERIAL).first().click()
      await admin.click('issue-ok')
      await admin.says('请选择领用护士')
      await admin.fill('issue-search', nurse.name)
      await admin.click('issue-search-option')
      await admin.sees('issue-holder')
      await admin.fill('issue-order', ORDER)
      await admin.fill('issue-patient', PATIENT)
      await admin.fill('issue-number', CARD)
      await admin.shots('admin-recorder-issue')
      await admin.click('issue-ok')
      await admin.waits('issue-dialog', 'stage', 'issued', 'taken')
      assert.match(await admin.reads('issue-done'), /3 号卡位/)
      await admin.shots('admin-recorder-issued')
      const lights = new Set()
      await until('the bolt is drawn and the light blinks', async () => {
        const { bolt_closed, driven } = (await world.bench.bays())[2]
        lights.add(`${driven[2]}${driven[3]}`)
        return !bolt_closed && lights.size > 1
      })
      await world.bench.bay(3)
      await recorder.pulled()
      await admin.waits('issue-dialog', 'stage', 'taken')
      await admin.click('issue-close')
      await admin.waits('recorder-row', 'state', 'issued')
    })

    // Rows: YZ-D-153, YZ-D-169, YZ-A-134
    step('two come back: one is returned by hand, the other by putting it into any bay', async () => {
      await admin.one('recorder-issue', 'serial', 'ZFY0008').first().click()
      await admin.fill('issue-search', nurse.name)
      await admin.click('issue-search-option')
      await admin.click('issue-ok')
      await admin.click('issue-close')
      await admin.one('recorder-return', 'serial', 'ZFY0008').first().click()
      await admin.agrees()
      await until('ZFY0008 is in stock', async () => (await row('ZFY0008').getAttribute('data-state')) === 'stock')

      began = Math.floor((Date.now() - 900_000) / 1000) * 1000
      // Two films with more than four minutes between them, one in a coding that this browser does not know, one cut off.
      const one = await film({ seconds: 12, beganAt: began + AHEAD })
      first = await recorder.records(began, one)
      await recorder.records(began + 262_000, await film({ seconds: 6, beganAt: began + 262_000 + AHEAD }))
      await recorder.records(began + 269_000, await film({ seconds: 2, codec: 'libx265', beganAt: began + 269_000 + AHEAD }))
      const whole = await film({ seconds: 8, beganAt: began + 280_000 + AHEAD, fast: false })
      await recorder.records(began + 280_000, whole.subarray(0, Math.floor(whole.length * 0.6)))
      await recorder.plugs()
      await world.bench.bay(5, SERIAL)
      await docked('ready', 'kept')
      await until('the recorder is cleared when the cloud has everything', () => !recorder.holds(first))
      await until('it is in stock', async () => (await asked(`recorders/${SERIAL}`)).state === 'stock')
      await admin.go('/admin/recorders')
      await admin.shots('admin-recorders')
      await admin.fits()
      await admin.fill('recorder-search', '护理部 7')
      await until('the one that was looked for', async () => (await row('ZFY0009').count()) === 0)
      await row(SERIAL).waitFor()
      await admin.fill('recorder-search', '没有这样的')
      await admin.sees('empty')
      await admin.fill('recorder-search', '')
      await admin.find('recorder-group').selectOption('docked')
      await until('only what is docked', async () => (await row('ZFY0009').count()) === 0)
      await admin.find('recorder-group').selectOption('')
      const { bytes } = await admin.downloads(await (await admin.sees('export-csv')).getAttribute('href'))
      assert.ok(bytes.toString('utf8').includes(SERIAL))
      await opens(SERIAL)
      await until('its place', async () => /卡位|接口/.test(await admin.reads('recorder-place')))
      await until('the gap', async () => /缺 4 分 10 秒/.test(await admin.reads('gap')))
      await admin.shots('admin-recorder')
      await admin.click('nav-appliances')
      await until('the bay on the page of appliances', async () => (await admin.one('dock-bay', 'bay', '5').innerText()).includes(SERIAL), 2 * PATIENCE_MS)
      await (await admin.sees('dock-bay')).scrollIntoViewIfNeeded()
      await admin.shots('admin-dock')
    })

    step('offers the dock a file that is no firmware: the board is not touched, and the reason is in words', async () => {
      await until('how full the dock is', async () => /存储已用 \d+%/.test(await admin.reads('appliance-docking')))
      await admin.click('dock-firmware')
      await admin.sees('dock-renewals-none')
      await admin.page.locator('[data-testid="dock-package"]').setInputFiles({ name: 'dock-2.0.fw', mimeType: 'application/octet-stream', buffer: Buffer.alloc(4096, 7) })
      await admin.click('dock-renew')
      await admin.agrees()
      assert.match(await admin.reads('dock-refused'), /固件/)
      await admin.sees('dock-renewals-none')
      await (await admin.sees('dock-firmware')).scrollIntoViewIfNeeded()
      await admin.shots('admin-dock-firmware')
    })

    step('finds its footage by nurse, patient, order, recorder, day and wholeness', async () => {
      await admin.click('nav-footage')
      await until('four clips', async () => (await clips()) === 4, 2 * PATIENCE_MS)
      const finds = async (fields, count) => {
        await admin.click('footage-reset')
        await until('everything again', async () => (await clips()) === 4)
        for (const [field, text] of Object.entries(fields)) {
          if (['condition', 'state'].includes(field)) await admin.find(`footage-${field}`).selectOption(text)
          else await admin.fill(`footage-${field}`, text)
        }
        await admin.click('footage-search')
        await until(`${count} by ${JSON.stringify(fields)}`, async () => (await clips()) === count)
      }
      await finds({ patient: PATIENT }, 4)
      assert.ok(!decodeURIComponent(admin.page.url()).includes(PATIENT), 'a patient’s name stands in no address')
      await finds({ patient: 'mz0077', order: ORDER }, 4)
      await finds({ patient: '欧阳' }, 0)
      await admin.shots('admin-footage-none')
      await finds({ holder: nurse.name, serial: SERIAL }, 4)
      await finds({ order: 'HL00000000000' }, 0)
      await finds({ condition: 'complete', state: 'confirmed' }, 3)
      await admin.click('footage-reset')
      await until('everything again', async () => (await clips()) === 4)
      await admin.shots('admin-footage')
      await admin.fits()
    })

    step('plays it under the watermark, by mouse and keyboard, also in full screen', async () => {
      const { items } = await asked(`footage?serial=${SERIAL}`)
      const clip = items.at(-1)
      assert.ok(clip.file.endsWith(first))
      // It was asked for its clock some seconds after it was plugged.
      assert.ok(Math.abs(Date.parse(clip.began_at) - began) < AHEAD / 3, `the recorder’s clock was put right: ${clip.began_at}`)
      await admin.one('clip-row', 'id', clip.id).click()
      await admin.sees('player')
      assert.match(await admin.reads('audited'), /审计/)
      await admin.click('player-play')
      await admin.waits('player-toggle', 'icon', 'pause')
      await slowly(admin, 0.25)
      await admin.watches('player-video')
      const mark = await admin.reads('watermark')
      assert.ok(mark.includes(nurse.name) && /20\d\d-\d\d-\d\d \d\d:\d\d:\d\d/.test(mark), mark)
      await until('the watermark’s clock runs', async () => (await admin.reads('watermark')) !== mark)
      await slowly(admin, 0.0625)
      await admin.shots('admin-clip')
      await admin.fits()
      await admin.page.keyboard.press('Space')
      await admin.waits('player', 'playing', 'false')
      await admin.waits('player-toggle', 'icon', 'play')
      const video = admin.find('player-video')
      const position = () => video.evaluate((v) => v.currentTime)
      await admin.page.keyboard.press('Home')
      await until('the beginning', async () => (await position()) === 0)
      await admin.page.keyboard.press('ArrowRight')
      await until('five seconds on', async () => (await position()) === 5)
      await until('its time', async () => /0:05 \/ 0:12/.test(await admin.reads('player-time')))
      await admin.find('player-speed').selectOption('2')
      await until('twice as fast', () => video.evaluate((v) => v.playbackRate === 2))
      await admin.find('player-full').click()
      await admin.waits('player', 'full', 'true')
      await admin.sees('watermark')
      await admin.shot('admin-clip-full')
      await admin.find('player-full').click()
      await admin.waits('player', 'full', 'false')
      const muted = (is) => until(is ? 'silence' : 'sound', () => video.evaluate((v, wanted) => v.muted === wanted, is))
      await admin.click('player-mute')
      await muted(true)
      await admin.click('player-mute')
      await muted(false)
      await admin.page.keyboard.press('m')
      await muted(true)
      await admin.page.keyboard.press('m')
      await muted(false)
      await admin.click('player-later')
      await until('five seconds more', async () => (await position()) === 10)
      await admin.click('player-earlier')
      await until('and back', async () => (await position()) === 5)
      assert.match(await admin.reads('gap'), /缺 4 分 10 秒/)
    })

    // The battery was changed while it recorded: what was written is here, whole or rescued, and what is missing is shown.
    // Rows: AP-295
    step('sees the shift as one line: nothing is lost, the next part follows, the damaged one is rescued', async () => {
      await until('four parts', async () => (await admin.find('shift-part').count()) === 4)
      await admin.page.locator('[data-testid="shift-gap"][data-ms="250000"]:visible').first().waitFor()
      const { items } = await asked(`footage?serial=${SERIAL}`)
      for (const { id, size } of items) {
        const { bytes } = await admin.downloads(`/api/v1/admin/footage/${id}/content`)
        assert.equal(bytes.length, size)
        assert.ok([...recorder.taken.values()].includes(createHash('sha256').update(bytes).digest('hex')), 'what the recorder wrote, byte for byte')
      }
      await (await admin.sees('shift')).scrollIntoViewIfNeeded()
      await admin.shots('admin-clip-shift')
      const before = admin.page.url()
      await admin.find('player-speed').selectOption('8')
      await admin.click('audited')
      await admin.page.keyboard.press('Home')
      // It plays for six seconds: whoever begins to look afterwards may come too late.
      const goesOn = admin.page.locator(`[data-testid="clip-detail"][data-id="${items.at(-2).id}"] [data-testid="player"][data-playing="true"]`).waitFor()
      await Promise.all([goesOn, admin.page.keyboard.press('Space')])
      await until('the part after the pause', () => admin.page.url() !== before && admin.page.url().includes('play=1'))
      await admin.says('缺 4 分 10 秒，接着播放下一段')
      await admin.find('shift-part').last().click()
      await until('what was rescued', async () => /修复出来/.test((await admin.find('plays').count()) ? await admin.reads('plays') : ''), 2 * PATIENCE_MS)
      await admin.watches('player-video')
      await admin.shots('admin-clip-rescued')
      await admin.page.goto(before)
    })

    step('takes out a part of it with the watermark, and gives up another', async () => {
      await admin.sees('player')
      await until('its length', async () => /0:12/.test(await admin.reads('player-time')))
      await admin.page.keyboard.press('Home')
      await admin.page.keyboard.press('ArrowRight')
      await until('five seconds on', async () => /^0:05/.test(await admin.reads('player-time')))
      await admin.click('part-from-here')
      await admin.fill('part-to', '0:05')
      await admin.page.keyboard.press('Tab')
      await until('the order of the two', async () => /终点应晚于起点/.test(await admin.reads('part-length')))
      assert.ok(await admin.find('export').isDisabled())
      await admin.fill('part-to', '0:08.5')
      await admin.page.keyboard.press('Tab')
      await until('the length of the part', async () => /选中 4 秒/.test(await admin.reads('part-length')))
      await admin.sees('player-part')
      await (await admin.sees('export-part')).scrollIntoViewIfNeeded()
      await admin.shots('admin-clip-part')
      await admin.click('export')
      await admin.sees('dialog')
      await admin.fill('dialog-input', '纠纷取证')
      await admin.click('dialog-ok')
      await admin.waits('export-row', 'state', 'made')
      const [download] = await Promise.all([admin.page.waitForEvent('download'), admin.click('export-fetch')])
      assert.match(download.suggestedFilename(), /_export\.mp4$/)
      const chunks = []
      for await (const chunk of await download.createReadStream()) chunks.push(chunk)
      const { items } = await asked(`footage?serial=${SERIAL}`)
      const original = await admin.downloads(`/api/v1/admin/footage/${items.at(-1).id}/content`)
      const part = await look(Buffer.concat(chunks), 1)
      assert.ok(Math.abs(part.seconds - 3.5) < 0.1, `${part.seconds} s`)
      assert.ok(Math.abs(part.pictures - 88) <= 1, `${part.pictures} pictures`)
      const same = await look(original.bytes, 6)
      const differ = (from, to) => {
        let count = 0
        for (let at = from * 320; at < to * 320; at += 1) if (Math.abs(part.grey[at] - same.grey[at]) > 48) count += 1
        return count
      }
      assert.ok(differ(0, 30) > 200, `the watermark: ${differ(0, 30)}`)
      assert.ok(differ(60, 180) < 200, `the same pictures below it: ${differ(60, 180)}`)

      // Eight wait before it, so that there is time to change one's mind.
      const clip = items.at(-1).id
      await admin.page.evaluate(async (id) => {
        for (let n = 0; n < 8; n += 1) await fetch(`/api/v1/admin/footage/${id}/exports`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-yiqiao': '1', 'x-yiqiao-as': 'staff' }, body: JSON.stringify({ reason: '投诉核查' }) })
      }, clip)
      await admin.click('part-reset')
      await admin.click('export')
      await admin.fill('dialog-input', '上级检查')
      await admin.click('dialog-ok')
      await admin.click('export-cancel')
      await admin.agrees()
      await admin.waits('export-row', 'state', 'cancelled')
    })

    step('asks for a small preview and changes between it and the full picture', async () => {
      await admin.click('make-proxy')
      await admin.find('proxy-switch').first().waitFor({ timeout: 3 * PATIENCE_MS })
      await admin.click('proxy-switch')
      await admin.waits('proxy-switch', 'small', 'true')
      await admin.click('player-play')
      await admin.waits('player', 'playing', 'true')
      await slowly(admin, 0.25)
      await admin.watches('player-video')
      assert.equal(await admin.find('player-video').evaluate((v) => v.videoHeight), 360)
      await admin.click('proxy-switch')
      await admin.waits('proxy-switch', 'small', 'false')
    })

    step('sees that it is proven: signature, chain and bytes', async () => {
      await admin.waits('custody', 'signature', 'true')
      await admin.waits('custody', 'chain', 'whole')
      await admin.waits('custody', 'content', 'unread')
      await admin.click('verify')
      await admin.waits('custody', 'content', 'true')
      assert.match(await admin.reads('custody-verdict'), /没有被改动/)
      for (const link of await admin.find('chain-entry').evaluateAll((all) => all.map((e) => [e.getAttribute('data-link'), e.getAttribute('data-signature')]))) assert.deepEqual(link, ['whole', 'true'])
      assert.match(await admin.reads('clip-facts'), /时钟快 (2 分( [1-5]\d 秒)?|3 分)/)
      await (await admin.sees('custody')).scrollIntoViewIfNeeded()
      await admin.shots('admin-custody')
    })

    step('takes the original out for a reason; it is what the recorder recorded', async () => {
      await admin.click('download')
      await admin.sees('dialog')
      await admin.fill('dialog-input', '投诉核查：家属反映操作不规范')
      const [download] = await Promise.all([admin.page.waitForEvent('download'), admin.click('dialog-ok')])
      assert.match(download.suggestedFilename(), new RegExp(`^${SERIAL}_\\d{14}_.{6}\\.mp4$`))
      const chunks = []
      for await (const chunk of await download.createReadStream()) chunks.push(chunk)
      assert.equal(createHash('sha256').update(Buffer.concat(chunks)).digest('hex'), recorder.taken.get(first))
    })

    step('is told what this browser cannot play, and may have the original instead', async () => {
      const { items } = await asked(`footage?serial=${SERIAL}`)
      await admin.go(`/admin/footage/${items[1].id}`)
      await admin.sees('unplayable')
      await admin.sees('download-instead')
      await admin.shots('admin-clip-unplayable')
      await admin.click('make-proxy')
      await admin.find('player-play').first().waitFor({ timeout: 3 * PATIENCE_MS })
      await admin.click('player-play')
      await admin.watches('player-video')
    })

    step('looks at it on the phone', async () => {
      const phone = await admin.on(PHONE, 'admin-phone')
      for (const path of ['recorders', `recorders/${SERIAL}`, 'footage']) {
        await phone.go(`/admin/${path}`)
        await phone.page.locator('[data-testid="recorder-card"]:visible, [data-testid="recorder-detail"]:visible, [data-testid="poster"]:visible').first().waitFor()
        await phone.fits()
        await phone.shot(`phone-${path.replaceAll('/', '-')}`)
      }
      await phone.go(`/admin/footage/${(await asked(`footage?serial=${SERIAL}`)).items.at(-1).id}`)
      await phone.sees('player')
      await phone.click('player-play')
      await phone.waits('player', 'playing', 'true')
      await slowly(phone, 0.25)
      await phone.watches('player-video')
      await phone.click('player-toggle')
      await phone.sees('player-mute')
      await phone.fits()
      await phone.shot('phone-clip', { fullPage: true })
      await phone.page.context().close()
    })

    step('every look at it stands in the audit, and why it was taken out', async () => {
      // Each by itself: together they are more than a page.
      for (const action of ['footage.view', 'footage.play', 'footage.verify', 'footage.export', 'footage.export_fetch', 'footage.cancel', 'footage.search', 'footage.download']) {
        await admin.go(`/admin/audit?q=${action}`)
        await admin.one('audit-row', 'action', action).first().waitFor()
      }
      await admin.page.locator('main', { hasText: '投诉核查' }).waitFor()
      await admin.shots('admin-audit-footage')
    })

    // Rows: YZ-D-154, YZ-D-155
    step('retires a recorder, takes it into use again, and deletes one', async () => {
      await opens('ZFY0008')
      await admin.click('recorder-retire')
      await admin.agrees()
      await admin.waits('recorder-detail', 'state', 'retired')
      assert.equal(await admin.find('recorder-issue').count(), 0)
      await admin.click('recorder-restore')
      await admin.waits('recorder-detail', 'state', 'stock')
      await admin.click('recorder-delete')
      await admin.agrees()
      await until('it is gone from the list', async () => (await row('ZFY0009').count()) === 1 && (await row('ZFY0008').count()) === 0)
      await admin.click('undo')
      await admin.waits('recorder-detail', 'state', 'stock')
      await admin.click('recorder-delete')
      await admin.agrees()
      await until('it is gone again', async () => (await row('ZFY0009').count()) === 1 && (await row('ZFY0008').count()) === 0)
    })
  })
}
