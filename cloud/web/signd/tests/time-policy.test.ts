import { describe, expect, it } from 'vitest'
import type { TimePoint } from '../src/api/types'
import { edited, fault, graph, micros, policyOf, reached, times, type PolicyForm } from '../src/time-policy'

const form = (part: Partial<PolicyForm> = {}): PolicyForm => ({ ...edited({}), ...part })
const source = { host: 'ntp.hospital.cn', port: '', nts: false }

describe('the time policy', () => {
  it('comes back as it was', () => {
    const policy = {
      enabled: true, sources: [{ host: '10.0.0.1', port: 1123, nts: false }, { host: 'time.example', port: null, nts: true }],
      schedule: { kind: 'daily' as const, at: ['03:00', '12:30'] }, samples: 6, largest_offset_ms: 90_000, untrusted_beyond_ms: 500, good_for_s: 7_200, fewest_agreeing: 2, nts_ca_pem: null,
    }
    expect(policyOf(edited(policy))).toEqual(policy)
    const every = { ...policy, schedule: { kind: 'every' as const, seconds: 90 } }
    expect(edited(every).minutes).toBe(1.5)
    expect(policyOf(edited(every))).toEqual(every)
  })
  it('is off without sources, and cannot be switched on so', () => {
    expect(fault(form())).toBeUndefined()
    expect(fault(form({ enabled: true }))).toMatch(/至少添加一个时间源/)
    expect(fault(form({ enabled: true, sources: [source] }))).toBeUndefined()
  })
  it('names the source that is wrong', () => {
    expect(fault(form({ sources: [source, { ...source, host: ' ' }] }))).toMatch(/第 2 个时间源的地址/)
    for (const port of ['0', '65536', 'x', '-1']) expect(fault(form({ sources: [{ ...source, port }] }))).toMatch(/第 1 个时间源的端口/)
  })
  it('reads times of the day however they are separated, and names what is none', () => {
    expect(times('03:00，12:30; 23:59')).toEqual(['03:00', '12:30', '23:59'])
    expect(fault(form({ kind: 'daily', at: '03:00 24:00' }))).toMatch(/“24:00”/)
    expect(fault(form({ kind: 'daily', at: '3:00' }))).toMatch(/“3:00”/)
    expect(fault(form({ kind: 'daily', at: ' ' }))).toMatch(/请填写/)
  })
  it('asks for no more agreement than there are sources', () => {
    expect(fault(form({ enabled: true, sources: [source], agreeing: 2 }))).toMatch(/只有 1 个时间源/)
  })
  it('wants numbers where numbers belong', () => {
    expect(fault(form({ minutes: 0 }))).toMatch(/校时间隔/)
    expect(fault(form({ largestS: '' as unknown as number }))).toMatch(/最大可纠正偏差/)
  })
})

describe('the graph of the time', () => {
  it('has a gap where a poll failed, and the error around the offset', () => {
    const points: TimePoint[] = [
      { at: '2026-11-21T08:00:00Z', outcome: 'measured', offset_us: 1_500, error_us: 500, delay_us: 200, stratum: 2, agreeing: 3, accepted: true },
      { at: '2026-11-21T08:05:00Z', outcome: 'failed', why: 'no_answer' },
      { at: '2026-11-21T08:10:00Z', outcome: 'measured', offset_us: -2_000, error_us: 1_000, delay_us: 300, stratum: 2, agreeing: 3, accepted: true },
    ]
    const drawn = graph(points)
    expect(drawn.offset).toEqual([1.5, undefined, -2])
    expect(drawn.high).toEqual([2, undefined, -1])
    expect(drawn.low).toEqual([1, undefined, -3])
    expect(drawn.failed).toBe(1)
    expect(drawn.times[1]! - drawn.times[0]!).toBe(300)
  })
  it('says microseconds as people read them', () => {
    expect([null, 0, -250, 1_234, 45_678, 1_500_000].map(micros)).toEqual(['—', '0 微秒', '-250 微秒', '1.23 毫秒', '45.7 毫秒', '1.5 秒'])
  })
  it('reads the register of the last eight polls, oldest first', () => {
    expect(reached(0b0000_0101)).toEqual([false, false, false, false, false, true, false, true])
    expect(reached(255).every(Boolean)).toBe(true)
  })
})
