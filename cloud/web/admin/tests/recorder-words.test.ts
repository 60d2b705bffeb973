import { describe, expect, it } from 'vitest'
import type { Appliance, Clip, ClipDetail, Recorder } from '@yiqiao/kit/api/types'
import { bayOf, checks, clock, entryPair, following, gapText, inGroup, isMeant, lengthText, moment, momentMs, offsetText, pieces, place, playable, shift, sizeText, verdict } from '../src/recorder-words'

const recorder = (more: Partial<Recorder> = {}): Recorder => ({
  serial: 'ZFY0007', model: 'DSJ-A9', note: '护理部 3 号', state: 'stock', state_text: '在库', listed: true, standing: 'away', standing_text: '未入坞', overdue: false, missing: false, issue: null, docking: null, ...more,
} as Recorder)
const appliance = (more: Partial<Appliance> = {}): Appliance => ({
  id: 'edg_1', serial: 'YQ-1', link: 'online', printers: [], his: [],
  dock: { state: 'ok', bays: [false, true], details: [{ serial: 'ZFY0007', charge: 'absent', locked: false, fault: '' }, { serial: 'zfy0007', charge: 'full', locked: true, fault: '' }] }, ...more,
} as unknown as Appliance)
const clip = (id: string, began_at: string) => ({ id, began_at }) as Clip

describe('where a recorder is', () => {
  it('is the bay in which the dock feels it, not the one it was taken from', () => {
    expect(bayOf('ZFY0007', [appliance()])).toMatchObject({ bay: 2, locked: true, charge: 'full' })
    expect(place(recorder(), [appliance()])).toEqual({ text: 'YQ-1 · 2 号卡位', stale: false })
  })
  it('is only what was known last while its appliance is off line', () => {
    expect(place(recorder(), [appliance({ link: 'offline' })]).stale).toBe(true)
  })
  it('is the socket that was reported where the dock has no bays, the holder when it is out, and nowhere else', () => {
    const docked = recorder({ docking: { docked: true, appliance: 'edg_1', place: 'usb1-2', state: 'ready', gaps: [] } as never })
    expect(place(docked, [appliance({ dock: null })]).text).toBe('YQ-1 · 接口 usb1-2')
    expect(place(recorder({ issue: { holder_name: '李护士' } as never }), []).text).toBe('李护士')
    expect(place(recorder(), []).text).toBe('从未入坞')
  })
})

describe('the list', () => {
  it('finds by every word that was typed, in any order and case', () => {
    const r = recorder({ issue: { holder_name: '李护士', order: 'N20261121' } as never })
    for (const typed of ['', 'zfy0007', '李护士 zfy', 'n2026', '3 号']) expect(isMeant(r, typed), typed).toBe(true)
    for (const typed of ['zfy0008', '李护士 王']) expect(isMeant(r, typed), typed).toBe(false)
  })
  it('shows an overdue recorder also among the overdue when it is missing by now', () => {
    const r = recorder({ standing: 'missing', missing: true, overdue: true })
    expect([inGroup(r, 'missing'), inGroup(r, 'overdue'), inGroup(r, 'docked'), inGroup(r, ''), inGroup(r, 'unlisted')]).toEqual([true, true, false, true, false])
  })
})

describe('numbers', () => {
  it('are read as people say them', () => {
    expect([0, 999, 59_499, 60_000, 250_000, 3_600_000, 3_720_000].map(lengthText)).toEqual(['0 秒', '1 秒', '59 秒', '1 分', '4 分 10 秒', '1 小时', '1 小时 2 分'])
    expect([0, 1023, 1024, 1_500_000, 12_600_000_000].map(sizeText)).toEqual(['0 字节', '1023 字节', '1.0 KB', '1.4 MB', '12 GB'])
    expect([0, 59.9, 61, 3723, Number.NaN, -1].map(clock)).toEqual(['0:00', '0:59', '1:01', '1:02:03', '0:00', '0:00'])
  })
  it('say which way a clock was off, and when nobody knows', () => {
    expect(offsetText(-60_000)).toMatch(/慢 1 分/)
    expect(offsetText(250_000)).toMatch(/快 4 分 10 秒/)
    expect(offsetText(400)).toBe('记录仪时钟准确')
    expect(offsetText(null)).toMatch(/未提供时钟/)
  })
})

describe('a docking', () => {
  it('is told in order, with what is missing between the recordings', () => {
    const gap = { from: '2026-11-21T02:00:00Z', to: '2026-11-21T02:04:10Z' }
    expect(gapText(gap)).toBe('缺 4 分 10 秒')
    const told = pieces([clip('b', '2026-11-21T02:04:10Z'), clip('a', '2026-11-21T01:50:00Z')], [gap])
    expect(told.map((p) => (p.kind === 'clip' ? p.clip.id : gapText(p.gap)))).toEqual(['a', '缺 4 分 10 秒', 'b'])
    const touching = pieces([clip('c', gap.from)], [gap])
    expect(touching.map((p) => p.kind)).toEqual(['clip', 'gap'])
  })
})

describe('the proof', () => {
  const proven = (proof: Partial<ClipDetail['proof']>) => checks({ proof: { signature: true, chain: 'whole', text: '', ...proof } } as ClipDetail).map((c) => c.holds)
  it('never calls what nobody has looked at good, and what does not hold bad', () => {
    expect(proven({})).toEqual([true, true, undefined])
    expect(proven({ content: null })).toEqual([true, true, undefined])
    expect(proven({ content: true, chain: 'open' })).toEqual([true, undefined, true])
    expect(proven({ content: false, chain: 'broken', signature: false })).toEqual([false, false, false])
    expect(proven({ chain: 'unheard-of' })[1]).toBeUndefined()
  })
  it('comes to nothing better than its worst part, and to nothing good before the cloud has judged', () => {
    const told = (state: string, proof: Partial<ClipDetail['proof']> = {}, note = '') => verdict({ state, note, proof: { signature: true, chain: 'whole', text: '', ...proof } } as ClipDetail)
    expect([told('confirmed'), told('confirmed', { chain: 'open' }), told('received'), told('missing'), told('refused'), told('confirmed', { content: false })].map((v) => v[0])).toEqual(['ok', 'warn', 'warn', 'warn', 'danger', 'danger'])
    expect(told('refused', {}, '摘要不一致')[1]).toContain('摘要不一致')
  })
  it('of an entry is as bad as its worst part', () => {
    const entry = (signature: boolean, link: string) => entryPair({ signature, link } as never)[0]
    expect([entry(true, 'whole'), entry(true, 'open'), entry(true, 'broken'), entry(false, 'whole')]).toEqual(['good', 'warn', 'bad', 'bad'])
  })
})

describe('what a browser plays', () => {
  it('is told by the container before it is tried', () => {
    expect(['mp4', 'wav', 'ts', 'avi', 'jpeg', 'other'].filter(playable)).toEqual(['mp4', 'wav'])
  })
})

describe('a shift on its line', () => {
  const part = (id: string, began_at: string, more: object = {}) => ({ id, began_at, container: 'mp4', state: 'confirmed', duration_ms: 600_000, ...more }) as Clip
  const cut = [
    part('b', '2026-11-21T01:10:02Z', { duration_ms: null, playable_ms: 240_000, condition: 'damaged' }), part('a', '2026-11-21T01:00:00Z'),
    part('photo', '2026-11-21T01:05:00Z', { container: 'jpeg' }), part('c', '2026-11-21T03:14:02Z'), part('d', '2026-11-21T03:24:02.500Z', { state: 'missing' }),
  ]
  it('has its recordings in order, with what was rescued of a damaged one, and what is missing between them', () => {
    const spans = shift(cut)
    expect(spans.map((s) => (s.piece.kind === 'clip' ? s.piece.clip.id : `gap ${s.lengthMs}`))).toEqual(['a', 'gap 2000', 'b', 'gap 7200000', 'c', 'd'])
    expect(spans[2]?.lengthMs).toBe(240_000)
    expect(spans.reduce((sum, s) => sum + s.width, 0)).toBeCloseTo(100)
    for (const [i, s] of spans.entries()) expect(s.left).toBeCloseTo(spans.slice(0, i).reduce((sum, before) => sum + before.width, 0))
    // The way between two homes does not push the recordings aside.
    expect(spans[3]?.width).toBeLessThan(spans[0]?.width ?? 0)
  })
  it('goes on with the next that can be played, and says what is missing before it', () => {
    const spans = shift(cut)
    expect(following(spans, 'a')).toMatchObject({ clip: { id: 'b' }, pauseMs: 2000 })
    expect(following(spans, 'c')).toBeUndefined()
    expect(following(spans, 'nowhere')).toBeUndefined()
    expect(shift([])).toEqual([])
  })
})

describe('a moment', () => {
  it('is written and read to a tenth', () => {
    expect([0, 1500, 90_000, 3_723_450].map(moment)).toEqual(['0:00', '0:01.5', '1:30', '1:02:03.5'])
    expect(['90', '1:30', '1：30', '1:02:03.5', '0', ' 7.25 '].map(momentMs)).toEqual([90_000, 90_000, 90_000, 3_723_500, 0, 7250])
    expect(['', 'a', '1:2:3:4', '-1', '1:-3', '1.5:00'].map(momentMs)).toEqual(Array(6).fill(undefined))
  })
})
