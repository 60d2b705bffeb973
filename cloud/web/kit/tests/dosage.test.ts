import { describe, expect, it } from 'vitest'
import { herbAmount, lineSum, millionths, perGram } from '../src/dosage'

const amlodipine = { dose_per_min_unit: '5', dose_unit: 'mg', min_unit: '片', pack_unit: '盒', pack_size: 28, max_single_dose: '10' }
const daily = { times: 1, per_days: 1 }
const thrice = { times: 3, per_days: 1 }
const weekly = { times: 1, per_days: 7 }

describe('arithmetic of a western line', () => {
  it('reads decimals exactly', () => {
    expect(millionths('0.25')).toBe(250_000n)
    expect(millionths('5')).toBe(5_000_000n)
    for (const bad of ['', '.5', '5.', '1e3', '-1', '0x10', '1.0000001', '五']) expect(millionths(bad)).toBeUndefined()
  })
  it('counts packs for a month of one tablet a day', () => {
    const sum = lineSum(amlodipine, '5', daily, 28, 1)
    expect(sum).toMatchObject({ unitsPerTaking: '1', takings: 28, units: 28, packs: 1, lastsDays: 28, warnings: [] })
    expect(sum?.words).toBe('每次 1片 × 28 次 = 28片，合 1盒')
  })
  it('rounds up to whole packs, never down', () => {
    expect(lineSum(amlodipine, '5', daily, 29, 2)?.packs).toBe(2)
    expect(lineSum({ ...amlodipine, dose_per_min_unit: '0.25', dose_unit: 'g', pack_size: 24 }, '0.5', thrice, 5, 2)).toMatchObject({ units: 30, packs: 2 })
  })
  it('halves a tablet without floating point', () => {
    expect(lineSum(amlodipine, '2.5', daily, 7, 1)).toMatchObject({ unitsPerTaking: '0.5', units: 4, packs: 1 })
    // 0.1 × 3 is not 0.30000000000000004 here.
    expect(lineSum({ ...amlodipine, dose_per_min_unit: '0.3', pack_size: 1 }, '0.1', thrice, 1, 1)).toMatchObject({ units: 1, packs: 1 })
  })
  it('counts a weekly drug by weeks begun', () => {
    expect(lineSum(amlodipine, '5', weekly, 10, 1)?.takings).toBe(2)
    expect(lineSum(amlodipine, '5', weekly, 7, 1)?.takings).toBe(1)
  })
  it('warns of a dose above the catalogue’s limit and of a quantity that does not fit', () => {
    expect(lineSum(amlodipine, '15', daily, 7, 1)?.warnings).toEqual(['单次 15mg 超过最大单次量 10mg'])
    expect(lineSum(amlodipine, '5', daily, 60, 2)?.warnings).toEqual(['数量不足：60 天需 3盒，现为 2盒'])
    expect(lineSum(amlodipine, '5', daily, 7, 3)?.warnings).toEqual(['数量偏多：7 天需 1盒，现为 3盒'])
  })
  it('answers nothing while something is missing', () => {
    expect(lineSum(amlodipine, '', daily, 7, 1)).toBeUndefined()
    expect(lineSum(amlodipine, '5', undefined, 7, 1)).toBeUndefined()
    expect(lineSum(amlodipine, '5', daily, 0, 1)).toBeUndefined()
    expect(lineSum({ ...amlodipine, dose_per_min_unit: '0' }, '5', daily, 7, 1)).toBeUndefined()
  })
})

describe('price of a herb line', () => {
  it('is grams × doses × price of a kilogram, rounded half up once for the line', () => {
    expect(herbAmount(30, 7, 9000)).toBe(1890)
    expect(herbAmount(1, 1, 3600)).toBe(4)
    expect(herbAmount(1, 2, 3600)).toBe(7)
    expect(herbAmount(1, 1, 500)).toBe(1)
    expect(herbAmount(1, 1, 499)).toBe(0)
    expect(herbAmount(Number.NaN, 7, 3600)).toBe(0)
  })
  it('shows the price of a gram as the list has it', () => {
    expect(perGram(3600)).toBe('¥0.036')
    expect(perGram(128000)).toBe('¥1.28')
    expect(perGram(125)).toBe('¥0.00125')
  })
})
