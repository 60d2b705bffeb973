import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import type { Record_, SavedRecord } from '../src/api/types'
import { ApiError } from '../src/http'
import { useRecordDraft } from '../src/record-draft'

const blank: Record_ = { chief_complaint: '', present_history: '', past_history: '', allergies: '', examination: '', diagnoses: [], advice: '' }

/** The server: keeps versions, refuses what was written without having seen the newest. */
class Hospital {
  versions: Record_[] = []
  lose = 0
  down = false
  newest(): SavedRecord {
    return { ...(this.versions.at(-1) ?? blank), version: this.versions.length, saved_at: '2026-11-21T01:00:00Z', editable: true, signed: false, doctor_name: '', department_name: '' } as SavedRecord
  }
  read = async () => {
    if (this.down) throw new ApiError('unreachable', '连接服务器失败', 0)
    return this.newest()
  }
  write = async (record: Record_, basedOn: number) => {
    if (this.down) throw new ApiError('unreachable', '连接服务器失败', 0)
    const copy = JSON.parse(JSON.stringify(record)) as Record_
    if (JSON.stringify(this.versions.at(-1)) !== JSON.stringify(copy)) {
      if (basedOn !== this.versions.length) throw new ApiError('record_changed', '病历已保存', 409)
      this.versions.push(copy)
    }
    if (this.lose-- > 0) throw new ApiError('timeout', '等待时间过长', 0)
    return this.newest()
  }
}
class Drawer {
  held = new Map<string, string>()
  getItem = (key: string) => this.held.get(key) ?? null
  setItem = (key: string, value: string) => void this.held.set(key, value)
  removeItem = (key: string) => void this.held.delete(key)
}
const scopes: EffectScope[] = []
function open(hospital: Hospital, keeper = new Drawer()) {
  const scope = effectScope()
  scopes.push(scope)
  return { keeper, ...scope.run(() => useRecordDraft('rec', hospital, { keeper, pause: 900 }))! }
}
const settle = () => vi.advanceTimersByTimeAsync(1000)

beforeEach(() => { vi.useFakeTimers() })
afterEach(() => {
  for (const scope of scopes.splice(0)) scope.stop()
  vi.useRealTimers()
})

describe('a medical record in two windows', () => {
  it('never writes over what it has not seen, and keeps both texts until one is chosen', async () => {
    const hospital = new Hospital()
    const [one, two] = [open(hospital), open(hospital)]
    await Promise.all([one.load(true), two.load(true)])
    one.form.advice = '一号'
    await settle()
    two.form.advice = '二号'
    await settle()
    expect(hospital.versions.map((v) => v.advice)).toEqual(['一号'])
    expect([two.status.value, two.form.advice, two.both.value?.theirs.advice]).toEqual(['conflict', '二号', '一号'])
    two.look('theirs')
    expect(two.form.advice).toBe('一号')
    two.look('mine')
    two.form.advice = '二号，补充'
    await settle()
    expect(hospital.versions).toHaveLength(1)
    two.look('theirs')
    await two.overwrite()
    expect(hospital.versions.map((v) => v.advice)).toEqual(['一号', '二号，补充'])
    expect([two.status.value, two.form.advice, two.both.value, two.keeper.held.size]).toEqual(['saved', '二号，补充', undefined, 0])
    two.form.advice = '二号，再补充'
    await settle()
    expect(hospital.versions).toHaveLength(3)
  })
  it('goes on with the newest when the doctor gives the own text up', async () => {
    const hospital = new Hospital()
    const [one, two] = [open(hospital), open(hospital)]
    await Promise.all([one.load(true), two.load(true)])
    one.form.advice = '一号'
    await settle()
    two.form.advice = '二号'
    await settle()
    two.adopt()
    expect([two.form.advice, two.keeper.held.size]).toEqual(['一号', 0])
    two.form.advice = '一号，接着写'
    await settle()
    expect(hospital.versions.map((v) => v.advice)).toEqual(['一号', '一号，接着写'])
  })
  it('takes a second refusal on the way like the first', async () => {
    const hospital = new Hospital()
    const one = open(hospital)
    await one.load(true)
    hospital.versions.push({ ...blank, advice: '二号' })
    one.form.advice = '一号'
    await settle()
    hospital.versions.push({ ...blank, advice: '三号' })
    await one.overwrite()
    expect([one.status.value, one.form.advice, one.both.value?.theirs.advice]).toEqual(['conflict', '一号', '三号'])
  })
})

describe('a draft left on the device', () => {
  it('goes on by itself when nobody wrote meanwhile', async () => {
    const hospital = new Hospital()
    const one = open(hospital)
    await one.load(true)
    hospital.down = true
    one.form.advice = '断网时写的'
    await settle()
    expect(one.status.value).toBe('failed')
    hospital.down = false
    const later = open(hospital, one.keeper)
    await later.load(true)
    await settle()
    expect([hospital.versions[0]?.advice, later.status.value, later.keeper.held.size]).toEqual(['断网时写的', 'saved', 0])
  })
  it('is offered, not written, when the record went on without it', async () => {
    const hospital = new Hospital()
    const one = open(hospital)
    await one.load(true)
    hospital.down = true
    one.form.advice = '旧草稿'
    await settle()
    hospital.down = false
    hospital.versions.push({ ...blank, advice: '新版' })
    const later = open(hospital, one.keeper)
    await later.load(true)
    await settle()
    expect(hospital.versions.map((v) => v.advice)).toEqual(['新版'])
    expect([later.form.advice, later.looking.value, later.both.value?.mine.advice]).toEqual(['新版', 'theirs', '旧草稿'])
    expect(later.keeper.held.size).toBe(1)
  })
  it('that cannot be read is no draft', async () => {
    const hospital = new Hospital()
    const keeper = new Drawer()
    keeper.setItem('rec', '{half')
    const one = open(hospital, keeper)
    await one.load(true)
    expect(one.both.value).toBeUndefined()
  })
})

it('knows its own version whose answer was lost', async () => {
  const hospital = new Hospital()
  hospital.lose = 1
  const one = open(hospital)
  await one.load(true)
  one.form.advice = '头'
  await settle()
  expect(one.status.value).toBe('failed')
  one.form.advice = '头晕'
  await settle()
  expect(hospital.versions.map((v) => v.advice)).toEqual(['头', '头晕'])
  expect([one.status.value, one.both.value]).toEqual(['saved', undefined])
})
