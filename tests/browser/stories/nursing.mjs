// Nursing at home, from the desk's order to the footage of the visit: desk, patient and nurse, the dock's bay and the alarm.
import assert from 'node:assert/strict'
import { PHONE } from '../people/browser.mjs'
import { Patient } from '../people/patient.mjs'
import { Admin, Staff } from '../people/staff.mjs'
import { authenticator, PATIENCE_MS, until } from '../world/bench.mjs'
import { film, Recorder, stays } from '../world/recorder.mjs'
import { story } from '../world/story.mjs'

const SERIAL = 'ZFY0021'
const NAME = '欧阳雪'
const [SECOND, LOGIN, PASSWORD] = ['贺兰', 'helan', 'Shangmen-Hushi#2026']
const ADDRESS = '永州市冷水滩区梅湾路 18 号 2 栋 301'
const BAY = 7
/** The recorder's clock is this much ahead. */
const AHEAD = 180_000
/** The nurse walks so long, a step each so often; what she films is longer. */
const [WALK_MS, STEP_MS, FILM_S] = [14_000, 1_000, 18]

class Nurse extends Staff {
  static size = PHONE

  /** Somewhere on her way. */
  async stands(latitude, longitude) {
    await this.page.context().setGeolocation({ latitude, longitude, accuracy: 12 })
  }

  /** Somewhere else, and her phone has noticed. */
  async steps(latitude, longitude) {
    await this.stands(latitude, longitude)
    await this.page.evaluate(([there, east]) => new Promise((resolve) => {
      const look = () => navigator.geolocation.getCurrentPosition(({ coords }) => (coords.latitude === there && coords.longitude === east ? resolve() : setTimeout(look, 50)), () => setTimeout(look, 50), { maximumAge: Infinity })
      look()
    }), [latitude, longitude])
  }
}

export function nursingAtHome(world) {
  let admin, patient, nurse, recorder, order, began, clip
  const way = []
  const asked = async (path) => JSON.parse((await admin.downloads(`/api/v1/admin/${path}`)).bytes.toString('utf8'))
  const docked = stays(SERIAL, asked)
  /** Another visit, which the nurse has begun without a recorder. */
  const underWay = async () => {
    await admin.go('/admin/nursing')
    await admin.click('order-add')
    await admin.find('order-service').selectOption('伤口换药')
    await admin.find('order-nurse').selectOption({ index: 1 })
    await admin.fill('order-name', NAME)
    await admin.fill('order-phone', world.site.addresses.demo.patient_phone)
    await admin.fill('order-address', ADDRESS)
    await admin.click('order-save')
    const id = await admin.one('order-row', 'state', 'assigned').first().getAttribute('data-id')
    await nurse.go(`/doctor/nurse/${id}`)
    await nurse.click('accept')
    await nurse.waits('nurse-detail', 'state', 'accepted')
    await nurse.click('start')
    await nurse.agrees('采集站离线')
    await nurse.waits('nurse-detail', 'state', 'started')
    return id
  }
  story('Nursing at home', world, (step) => {
    // Rows: YZ-D-165, YZ-D-166
    step('the desk adds a form of assessment and improves it', async () => {
      admin = world.admin
      if (!admin) {
        admin = world.admin = await Admin.arrive(world, 'admin')
        await admin.signsIn(world.site.addresses.demo.admin_login)
      }
      await admin.click('nav-forms')
      await admin.click('form-add')
      await admin.fill('form-name', '伤口评估')
      await admin.find('form-service-伤口换药').check()
      await admin.fill('form-intro', '请在护士上门前填写')
      await admin.fill('question-text', '疼痛程度')
      await admin.fill('question-options', '没有|0\n轻微\n剧烈|10')
      await admin.click('form-save')
      await admin.says(/“轻微”应写成/)
      await admin.fill('question-options', '没有|0\n轻微|3\n剧烈|10')
      await admin.fill('form-bands', '0|轻\n7|重')
      await admin.click('question-add')
      await admin.find('question-text').nth(1).fill('今日体温')
      await admin.find('question-kind').nth(1).selectOption('number')
      await admin.fill('question-unit', '℃')
      await admin.fill('question-least', '34')
      await admin.fill('question-most', '43')
      await admin.shots('admin-form')
      await admin.click('form-save')
      await admin.waits('form-detail', 'version', '1')
      await admin.find('question-text').nth(1).fill('今日体温（腋下）')
      await admin.click('form-save')
      await admin.waits('form-detail', 'version', '2')
      await admin.fits()
      await admin.click('back')
      await admin.sees('form-row')
      await admin.shots('admin-forms')
    })

    step('registers a recorder, and orders a visit with it for a nurse', async () => {
      await admin.click('nav-recorders')
      await admin.click('recorder-add')
      await admin.fill('recorder-serial', SERIAL)
      await admin.click('recorder-save')
      await admin.one('recorder-row', 'serial', SERIAL).first().waitFor()
      await admin.click('nav-nursing-orders')
      await admin.click('order-add')
      await admin.click('order-save')
      await admin.says('请填写11位手机号')
      await admin.find('order-service').selectOption('伤口换药')
      await admin.find('order-nurse').selectOption({ index: 1 })
      await admin.fill('order-name', NAME)
      await admin.fill('order-phone', world.site.addresses.demo.patient_phone)
      await admin.fill('order-number', 'MZ-0210')
      await admin.find('order-sex').selectOption('F')
      await admin.fill('order-recorder', SERIAL)
      await admin.fill('order-address', ADDRESS)
      await admin.fill('order-note', '青霉素过敏')
      await admin.shots('admin-order-add')
      await admin.click('order-save')
      const row = await admin.sees('order-row')
      order = { id: await row.getAttribute('data-id'), no: await row.getAttribute('data-no') }
      await admin.shots('admin-orders')
      await admin.fits()
    })

    step('the patient fills the form in on the phone', async () => {
      patient = world.patient
      if (!patient) {
        patient = await Patient.arrive(world, 'patient-at-home')
        await patient.signsIn(world.site.addresses.demo.patient_phone)
      }
      await patient.go('/patient/home-visits')
      await patient.one('home-visit', 'id', order.id).click()
      await patient.click('form-begin')
      await patient.click('form-submit')
      await patient.sees('question-fault')
      await patient.page.locator('[data-testid="option"][data-at="1"]').first().click()
      await patient.fill('answer', '36.8')
      await patient.shots('patient-form')
      await patient.fits()
      await patient.click('form-submit')
      await patient.waits('form', 'filled', 'true')
      assert.match(await patient.reads('form-score'), /3 分\s*轻/)
      await patient.shots('patient-home-visit')
    })

    // Rows: YZ-D-149
    step('the nurse accepts on her phone and sees her patient', async () => {
      nurse = await Nurse.arrive(world, 'nurse')
      await nurse.page.context().grantPermissions(['geolocation'])
      await nurse.stands(26.4201, 111.6102)
      await nurse.signsIn('nurse')
      await nurse.shots('nurse-orders')
      await nurse.fill('nurse-search', NAME)
      await nurse.one('nurse-order', 'id', order.id).click()
      await nurse.click('accept')
      await nurse.waits('nurse-detail', 'state', 'accepted')
      assert.match(await nurse.reads('nurse-patient'), new RegExp(`${NAME}[^]*${ADDRESS}[^]*青霉素过敏`))
      assert.match(await nurse.reads('form-score'), /3 分/)
      await nurse.shots('nurse-order')
      await nurse.fits()
    })

    step('hears why there is no recorder; then its bay blinks and opens', async () => {
      await nurse.click('take-recorder')
      await nurse.says(/不在采集坞中/)
      recorder = new Recorder(world.site.addresses.data, SERIAL, AHEAD)
      await recorder.plugs()
      await world.bench.bay(BAY, SERIAL)
      await docked('ready')
      await until('the bay is locked', async () => (await world.bench.bays())[BAY - 1].bolt_closed)
      await nurse.click('take-recorder')
      await nurse.waits('bay-words', 'opened', 'true')
      assert.match(await nurse.reads('bay-words'), /7号卡位已开锁/)
      const lights = new Set()
      await until('the bolt is drawn and the light blinks', async () => {
        const { bolt_closed, driven } = (await world.bench.bays())[BAY - 1]
        lights.add(`${driven[2]}${driven[3]}`)
        return !bolt_closed && lights.size > 1
      })
      await nurse.shots('nurse-recorder')
      await world.bench.bay(BAY)
      await recorder.pulled()
    })

    // Rows: YZ-D-162
    step('begins the visit, and her way is kept', async () => {
      await nurse.click('start')
      await nurse.agrees()
      await nurse.waits('nurse-detail', 'state', 'started')
      await nurse.waits('nurse-detail', 'track', 'on')
      began = Date.now()
      const filmed = film({ seconds: FILM_S, beganAt: began + AHEAD })
      // Along the road, round a corner, and up to the door.
      for (let n = 0; Date.now() - began < WALK_MS; n += 1) {
        const [latitude, longitude] = n < 8 ? [26.4202 + n * 0.00012, 111.6104 + n * 0.00003] : [26.42104 - (n - 8) * 0.00002, 111.61061 + (n - 7) * 0.00014]
        await nurse.steps(latitude, longitude)
        way.push({ at: Date.now(), text: `${latitude.toFixed(5)}, ${longitude.toFixed(5)}` })
        await nurse.page.waitForTimeout(STEP_MS)
      }
      await recorder.records(began, await filmed)
      await nurse.shots('nurse-visit')
      await nurse.fits()
    })

    // Rows: YZ-D-150, YZ-D-163
    step('calls for help while the line is down; the desk hears it when it is back, answers and closes', async () => {
      await nurse.page.context().setOffline(true)
      await (await nurse.sees('sos-button')).hover()
      await nurse.page.mouse.down()
      await nurse.waits('sos', 'state', 'sending')
      await nurse.page.mouse.up()
      await nurse.shot('nurse-sos-offline')
      await nurse.page.context().setOffline(false)
      await nurse.waits('sos', 'state', 'raised')
      await admin.waits('alarm', 'state', 'raised')
      await admin.waits('alarm', 'placed', 'true')
      await admin.shots('admin-alarm')
      await admin.click('alarm-acknowledge')
      await admin.waits('alarm', 'state', 'acknowledged')
      await nurse.waits('sos', 'state', 'acknowledged')
      await nurse.shots('nurse-sos')
      await admin.click('alarm-close')
      await admin.agrees('已电话确认安全')
      await nurse.waits('sos', 'state', 'closed')
    })

    // Rows: YZ-D-148, YZ-D-164
    step('writes her record, finishes, and finds it among her figures', async () => {
      await nurse.fill('record', '伤口约 3×2 cm，无渗液，已换药')
      await nurse.click('finish')
      await nurse.agrees()
      await nurse.waits('nurse-detail', 'state', 'finished')
      await nurse.go('/doctor/nurse')
      await nurse.click('nurse-over')
      await until('her figures', async () => (await nurse.reads('figure-finished')) === '1')
      await nurse.one('nurse-order', 'id', order.id).waitFor()
      await nurse.shots('nurse-over')
      await nurse.fits()
    })

    step('puts the recorder into another bay; the footage is found by the order', async () => {
      await recorder.plugs()
      await world.bench.bay(2, SERIAL)
      await docked('ready', 'kept')
      await until('the clip', async () => (await asked(`footage?order=${order.no}`)).total === 1, 3 * PATIENCE_MS)
      await admin.go(`/admin/nursing/${order.id}`)
      await admin.waits('order-detail', 'state', 'finished')
      await admin.click('track-show')
      assert.ok(Number(await (await admin.sees('track')).getAttribute('data-positions')) >= 2)
      await admin.shots('admin-order')
      await admin.fits()
      await admin.click('order-footage')
      await admin.sees('clip-row')
      clip = await admin.one('clip-row', 'state', 'confirmed').first().getAttribute('data-id')
      await admin.go(`/admin/audit?q=${order.id}`)
      for (const action of ['nursing.view', 'nursing.track', 'nursing.take', 'nursing.finish']) await admin.one('audit-row', 'action', action).first().waitFor()
      await world.bench.bay(2)
      await recorder.pulled()
    })

    step('beside the recording the desk sees where the nurse was at each picture', async () => {
      await admin.go(`/admin/footage/${clip}`)
      await until('the player', async () => /0:18/.test(await admin.reads('player-time')))
      const track = await admin.sees('track')
      assert.ok(Number(await track.getAttribute('data-positions')) >= way.length - 2, 'her way is whole')
      const video = admin.find('player-video')
      // Recorders tell their clock in whole seconds, and it takes some to ask it: the film begins when it says now.
      const filmed = Date.parse((await asked(`footage/${clip}`)).began_at)
      assert.ok(Math.abs(filmed - began) < AHEAD / 3, 'the recorder’s clock was put right')
      // A step is a second, or more.
      const near = 4
      let before = -1
      for (const seconds of [3, 8, 13]) {
        await video.evaluate((v, at) => { v.currentTime = at }, seconds)
        await until(`her place at ${seconds} s`, async () => {
          const text = await admin.reads('track-text')
          const [shown] = /\d+\.\d{5}, \d+\.\d{5}/.exec(text) ?? []
          const at = way.findIndex((p) => p.text === shown)
          const wanted = way.findLastIndex((p) => p.at <= filmed + seconds * 1000)
          // At the door she stands.
          if (at < before || (at === before && at < way.length - 1) || Math.abs(at - wanted) > near) return false
          before = at
          return true
        }, PATIENCE_MS)
      }
      await admin.waits('track', 'known', 'true')
      await track.scrollIntoViewIfNeeded()
      await admin.shot('admin-clip-track')
      await admin.fits()
      const phone = await admin.on(PHONE, 'admin-track-phone')
      await phone.go(`/admin/footage/${clip}?at=9000`)
      await (await phone.sees('track')).scrollIntoViewIfNeeded()
      await phone.sees('track-now')
      await phone.fits()
      await phone.shot('admin-clip-track')
      await phone.page.context().close()
    })

    step('of another visit the nurse’s phone dies: the desk ends it by her word, and her record is still due', async () => {
      const second = await underWay()
      await nurse.fill('record', '已换药，')
      await nurse.page.context().setOffline(true)

      await admin.go(`/admin/nursing/${second}`)
      await admin.waits('order-detail', 'state', 'started')
      await admin.click('order-end')
      await admin.find('end-time').fill('')
      await admin.click('end-next')
      assert.match(await admin.reads('end-when-fault'), /请填写/)
      await admin.says('请选择或填写原因')
      await admin.find('end-how-hand_over').check()
      await admin.sees('end-nurse')
      await admin.shots('admin-visit-hand-over')
      await admin.find('end-how-end').check()
      const [day, time] = hospitalNow()
      await admin.fill('end-day', day)
      await admin.fill('end-time', time)
      await admin.click('end-reason-0')
      await admin.shots('admin-visit-end')
      await admin.click('end-next')
      await admin.waits('end-dialog', 'stage', 'checking')
      assert.match(await admin.reads('end-summary'), /服务记录待护士补写[^]*护士手机没电或损坏/)
      await admin.shots('admin-visit-end-check')
      await admin.click('end-confirm')
      await admin.waits('order-detail', 'state', 'finished')
      await admin.sees('record-due')
      assert.match(await admin.reads('order-part'), /结束[^]*护士手机没电或损坏/)
      assert.match(await admin.one('order-step', 'step', 'end').first().innerText(), /护理台代为结束[^]*护理台代录/)
      await admin.shots('admin-visit-ended')
      await admin.fits()

      await nurse.page.context().setOffline(false)
      await nurse.go('/doctor/nurse')
      await nurse.one('nurse-order', 'id', second).filter({ hasText: '待补写服务记录' }).first().click()
      await nurse.sees('record-due')
      await nurse.shots('nurse-record-due')
      await nurse.fits()
      await nurse.fill('record', '已换药，敷料清洁')
      await nurse.click('write-down')
      await nurse.agrees()
      assert.match(await nurse.reads('record-text'), /敷料清洁/)
      await until('the desk sees it', async () => (await admin.find('record-due').count()) === 0 && /敷料清洁/.test(await admin.reads('record-text')))
      await admin.one('order-step', 'step', 'record').first().waitFor()
      await admin.go(`/admin/audit?q=${second}`)
      for (const action of ['nursing.end', 'nursing.record']) await admin.one('audit-row', 'action', action).first().waitFor()
    })

    step('a third visit the desk hands over by clicking; the second nurse takes it on and ends it on her own phone', async () => {
      const third = await underWay()
      await nurse.page.context().setOffline(true)

      // The colleague has an account from now on.
      await admin.go('/admin/staff')
      await admin.click('staff-add')
      await admin.fill('staff-name-input', SECOND)
      await admin.fill('staff-login', LOGIN)
      await admin.fill('staff-password', PASSWORD)
      await admin.find('staff-role-nurse').check()
      await admin.fill('staff-title-input', '护师')
      await admin.click('staff-save')
      const secret = await admin.reads('staff-secret')
      await admin.click('staff-enrolled-done')

      await admin.go(`/admin/nursing/${third}`)
      await admin.waits('order-detail', 'state', 'started')
      await admin.click('order-end')
      await admin.find('end-how-hand_over').check()
      await admin.click('end-next')
      await admin.says('请选择接手的护士')
      await admin.says('请选择或填写原因')
      await admin.shots('admin-hand-over-missing')
      const choice = admin.find('end-nurse')
      await choice.selectOption(await choice.locator('option', { hasText: SECOND }).getAttribute('value'))
      await admin.click('end-reason-2')
      // Not before she began: the page says so, and nothing is sent.
      const [day, time] = hospitalNow()
      await admin.fill('end-day', '2020-01-01')
      await admin.click('end-next')
      assert.match(await admin.reads('end-when-fault'), /不能早于服务开始时间/)
      await admin.fill('end-day', day)
      await admin.fill('end-time', time)
      await admin.shots('admin-hand-over')
      await admin.click('end-next')
      await admin.waits('end-dialog', 'stage', 'checking')
      assert.match(await admin.reads('end-summary'), new RegExp(`转交 ${SECOND}[^]*护士突发不适`))
      await admin.shots('admin-hand-over-check')
      // Read once more, mended, and read again; without the line it says so, and it goes when the line is back.
      await admin.click('end-back')
      await admin.fill('end-reason', '护士突发不适，已由同事接手')
      await admin.click('end-next')
      await admin.page.context().setOffline(true)
      await admin.click('end-confirm')
      await admin.says(/网络|连接/)
      await admin.shots('admin-hand-over-offline')
      await admin.page.context().setOffline(false)
      await admin.find('offline').waitFor({ state: 'hidden' })
      await admin.click('end-confirm')
      await admin.waits('order-detail', 'state', 'assigned')
      assert.match(await admin.reads('order-part'), new RegExp(`转交 ${SECOND}[^]*护士突发不适，已由同事接手`))
      assert.match(await admin.one('order-step', 'step', 'hand_over').first().innerText(), /护理台代录/)
      await admin.shots('admin-handed-over')
      await admin.fits()

      const colleague = await Nurse.arrive(world, 'second-nurse')
      await colleague.page.context().grantPermissions(['geolocation'])
      await colleague.stands(26.4203, 111.6105)
      assert.equal(await colleague.tries(LOGIN, PASSWORD), undefined)
      await colleague.fill('totp-code', authenticator(secret))
      await colleague.click('totp-submit')
      await colleague.one('nurse-order', 'id', third).first().click()
      await colleague.waits('nurse-detail', 'state', 'assigned')
      await colleague.shots('second-nurse-order')
      await colleague.click('accept')
      await colleague.waits('nurse-detail', 'state', 'accepted')
      await colleague.click('start')
      await colleague.agrees('采集站离线')
      await colleague.waits('nurse-detail', 'state', 'started')
      await colleague.fill('record', '接手换药，敷料清洁')
      await colleague.click('finish')
      await colleague.agrees()
      await colleague.waits('nurse-detail', 'state', 'finished')
      await colleague.shots('second-nurse-finished')
      await colleague.fits()

      // Whose visit it was reads on her own phone that it is no longer hers.
      await nurse.page.context().setOffline(false)
      await nurse.go('/doctor/nurse')
      await nurse.sees('nurse-over')
      assert.equal(await nurse.one('nurse-order', 'id', third).count(), 0)
      await admin.waits('order-detail', 'state', 'finished')
      assert.match(await admin.reads('record-text'), /接手换药/)
      await admin.go(`/admin/audit?q=${third}`)
      for (const action of ['nursing.hand_over', 'nursing.finish']) await admin.one('audit-row', 'action', action).first().waitFor()
    })
  })
}

/** Day and minute on the hospital's clock. */
function hospitalNow() {
  const text = new Date(Date.now() + 8 * 3600_000).toISOString()
  return [text.slice(0, 10), text.slice(11, 16)]
}
