import { describe, expect, it } from 'vitest'
import type { Second } from '../src/api/types'
import { askFrom, brief, merge, nearest, path, places, ticks } from '../src/chart'

const second = (at: number, done = 1, refused = 0, p50_us = 500, p99_us = 900): Second => ({ at, done, refused, p50_us, p99_us })

describe('scales', () => {
  it('are cut at numbers that people read', () => {
    expect(ticks(0, 10)).toEqual([0, 5, 10])
    expect(ticks(0, 1234)).toEqual([0, 500, 1000, 1500])
    expect(ticks(0, 0.9)).toEqual([0, 0.5, 1])
    expect(ticks(-3, 7)).toEqual([-5, 0, 5, 10])
  })
  it('hold what is drawn, whatever it is', () => {
    for (const high of [0.001, 0.03, 1, 7, 99, 100, 101, 4_999, 1e6]) {
      const scale = ticks(0, high)
      expect(scale[0]).toBe(0)
      expect(scale.at(-1)).toBeGreaterThanOrEqual(high * (1 - 1e-9))
      expect(scale.length).toBeGreaterThan(1)
      expect(scale.length).toBeLessThan(8)
    }
  })
  it('exist for nothing at all', () => {
    expect(ticks(0, 0)).toEqual([0, 1])
    expect(ticks(0, Number.NaN)).toEqual([0, 1])
  })
})

describe('lines', () => {
  const at = (n: number) => n * 10
  it('end at a gap and begin anew', () => {
    expect(path([1, 2, undefined, 3, 4], at, (v) => v)).toBe('M0.0 1.0L10.0 2.0M30.0 3.0L40.0 4.0')
  })
  it('show a value that stands alone', () => {
    expect(path([undefined, 5, undefined], at, (v) => v)).toBe('M10.0 5.0h.1')
    expect(path([], at, (v) => v)).toBe('')
  })
})

it('a pointer stands on the nearest place', () => {
  expect(nearest([], 5)).toBeUndefined()
  expect([-9, 4, 6, 99].map((to) => nearest([0, 10, 20], to))).toEqual([0, 0, 1, 2])
})

describe('seconds', () => {
  it('are asked for again while they go on, and the later answer counts', () => {
    const first = merge(new Map(), [second(100), second(101, 3)], 101, 60)
    expect(askFrom(first)).toBe(99)
    const then = merge(first, [second(101, 8), second(102, 2)], 102, 60)
    expect(then.get(101)?.done).toBe(8)
    expect([...then.keys()]).toEqual([100, 101, 102])
    expect(askFrom(new Map())).toBe(0)
  })
  it('go when they are old', () => {
    const kept = merge(new Map([[10, second(10)], [80, second(80)]]), [], 100, 60)
    expect([...kept.keys()]).toEqual([80])
  })
  it('become places of one width, with no latency where nothing happened', () => {
    const kept = merge(new Map(), [second(94, 4, 1, 300, 700), second(95, 2, 0, 900, 1500)], 100, 60)
    const all = places(kept, 100, 10, 2)
    expect(all.map((p) => p.at)).toEqual([90, 92, 94, 96, 98])
    expect(all[2]).toEqual({ at: 94, done: 3, refused: 0.5, p50: 0.9, p99: 1.5 })
    expect(all[0]).toEqual({ at: 90, done: 0, refused: 0, p50: undefined, p99: undefined })
  })
})

it('numbers carry as many digits as help', () => {
  expect([0, 0.126, 3.456, 42.27, 512.4, 9_999, 12_345].map(brief)).toEqual(['0', '0.13', '3.46', '42.3', '512', '9999', '1.2万'])
})
